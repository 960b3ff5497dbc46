"""The line of a terminal that shows what runs at the moment. The only module that imports rich; imported by
tpbox.ui when stderr is a terminal, and never for --help.

    live = LiveLine(sys.stderr)
    live.begin("proxy pod")       # ⠋ proxy pod 0.4 s · helper 0.2 s
    live.note("Step 4/9 : RUN …")
    live.print("tpbox: …")        # above it
    live.end("proxy pod")
"""

from __future__ import annotations

import threading
import time
from typing import IO

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

REDRAWN = 8  # times a second


class LiveLine:
    """Drawn while a step runs, and gone from the screen when none does: then the terminal is the user's program's.
    Steps may begin and end in several threads."""

    def __init__(self, stream: IO[str]) -> None:
        self._console = Console(file=stream, highlight=False, markup=False, emoji=False, soft_wrap=True)
        self._lock = threading.RLock()
        self._running: dict[str, float] = {}
        self._note = ""
        self._spinner = Spinner("dots")
        self._live: Live | None = None

    @property
    def drawn(self) -> bool:
        return self._live is not None

    def begin(self, title: str) -> None:
        with self._lock:
            self._running[title] = time.monotonic()
            if self._live is None:
                self._live = Live(
                    self, console=self._console, transient=True, refresh_per_second=REDRAWN,
                    redirect_stdout=False, redirect_stderr=False,
                )  # fmt: skip
                self._live.start()

    def end(self, title: str) -> None:
        with self._lock:
            self._running.pop(title, None)
            self._note = ""
            if not self._running and self._live is not None:
                live, self._live = self._live, None
                live.stop()

    def note(self, text: str) -> None:
        """The last word of a build or pull, behind the steps."""
        self._note = text

    def print(self, text: str) -> None:
        self._console.print(text)

    def line(self) -> Text:
        """The steps with their seconds, and the note."""
        now = time.monotonic()
        steps = " · ".join(f"{title} {now - began:.1f} s" for title, began in list(self._running.items()))
        line = Text(steps, no_wrap=True, overflow="ellipsis")
        if self._note:
            line.append(f"  {self._note}", style="dim")
        return line

    def __rich__(self) -> Table:
        row = Table.grid(padding=(0, 1))
        row.add_row(self._spinner, self.line())
        return row
