"""The plot that docs/performance.md shows: throughput, times and new connections; a bar for each path.

.venv-bench/bin/python -m bench.plot build/bench.json docs/performance.png

It reads what `python -m bench --json` wrote, and runs in an environment of its own: nothing else needs matplotlib.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from matplotlib import pyplot

PANELS = {"throughput, MB/s": ", MB/s", "median time, ms": " p50, ms", "new connections a second": ", 1/s"}


def save(found: dict[str, Any], path: Path) -> None:
    """Writes a PNG. Logarithmic: the cluster itself is ten times faster than anything that goes through a tunnel."""
    figure, panels = pyplot.subplots(1, len(PANELS), figsize=(15, 5), constrained_layout=True)
    for panel, (title, unit) in zip(panels, PANELS.items(), strict=True):
        names = [name for name in found["results"] if name.endswith(unit) and not name.startswith("volume")]
        width = 0.8 / len(found["paths"])
        for at, column in enumerate(found["paths"]):
            heights = [found["results"][name].get(column, {}).get("figure") or 0 for name in names]
            bars = panel.bar([place + at * width for place in range(len(names))], heights, width=width, label=column)
            panel.bar_label(
                bars, [f"{height:.3g}" if 0 < height < 1000 else f"{height:.0f}" for height in heights], fontsize=7
            )
        panel.set_yscale("log")
        panel.yaxis.set_major_formatter("{x:g}")
        panel.yaxis.set_minor_formatter("")
        panel.set_title(title)
        panel.set_xticks([place + 0.4 - width / 2 for place in range(len(names))])
        panel.set_xticklabels([label(name, unit) for name in names], fontsize=8)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(found["paths"]))
    figure.savefig(path, dpi=90)


def label(name: str, unit: str) -> str:
    """What stands below the bars: the figure's name without its unit."""
    return name.removesuffix(unit).rstrip(",").replace(", ", "\n")


if __name__ == "__main__":
    save(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
