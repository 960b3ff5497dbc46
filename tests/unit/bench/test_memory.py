from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest

from bench import memory
from bench.memory import Peak


def test_the_peak_is_the_largest_line() -> None:
    peak = Peak()
    peak.follow(io.StringIO("1000\n5000\n2000\n"))
    assert peak.bytes == 5000


@pytest.mark.parametrize(
    ("used", "stat"),
    [
        ("memory.usage_in_bytes", "cache 1\ntotal_cache 300\n"),
        ("memory.current", "anon 5\nfile 300\nkernel 2\n"),
    ],
)
def test_page_cache_does_not_count(tmp_path: Path, used: str, stat: str) -> None:
    (tmp_path / used).write_text("1000\n")
    (tmp_path / "memory.stat").write_text(stat)
    script = memory.loop("").replace("/sys/fs/cgroup/memory", str(tmp_path if "usage" in used else tmp_path / "none"))
    script = script.replace("/sys/fs/cgroup", str(tmp_path)).replace("sleep 0.25", "exit")
    assert subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout == "700\n"
