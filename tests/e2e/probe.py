"""Many questions, one session: shell commands run inside it, one after another, their outcomes brought out.

    answers = ask(launcher, {"short name": "curl -s http://web/"}, "--like", "deploy/web")
    answers["short name"].code  # 0

A session takes seconds to start, a question milliseconds.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass

from tests.e2e.launcher import CLIENTS, Launcher

LIMIT = 10  # seconds for one command

# Runs inside the session, in any image that has bash. A line for each command: its exit code (124 when it took too
# long, as timeout(1) has it), its microseconds, and in base64 what it printed.
_PROBER = f"""
while IFS= read -r -d '' command; do
  began=${{EPOCHREALTIME/./}}
  timeout {LIMIT} bash -c "$command" < /dev/null > /tmp/stdout 2> /tmp/stderr
  echo "$? $((${{EPOCHREALTIME/./}} - began)) =$(base64 -w0 /tmp/stdout) =$(base64 -w0 /tmp/stderr)"
done
"""


@dataclass(frozen=True)
class Answer:
    code: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def ok(self) -> str:
        """What it printed, without the white space around; fails the test when its exit code is not 0."""
        assert self.code == 0, f"exit code {self.code}: {self.stderr or self.stdout}"
        return self.stdout.strip()


def ask(launcher: Launcher, commands: Mapping[str, str], *options: str, image: str = CLIENTS) -> dict[str, Answer]:
    """Runs each command in one session that `options` describe. Returns the outcomes by the commands' names."""
    asked = "".join(f"{command}\0" for command in commands.values())
    done = launcher.run(*options, "--image", image, "--", "bash", "-c", _PROBER, stdin=asked.encode(), timeout=110).ok()
    return dict(zip(commands, map(_answer, done.text.splitlines()), strict=True))


def _answer(line: str) -> Answer:
    code, microseconds, *streams = line.split()
    stdout, stderr = (base64.b64decode(stream.removeprefix("=")).decode() for stream in streams)
    return Answer(int(code), stdout, stderr, int(microseconds) / 1e6)
