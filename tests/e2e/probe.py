"""Many questions, one session: shell commands run inside it, their outcomes brought out as JSON.

    answers = ask(launcher, {"short name": "curl -s http://web/"}, "--like", "deploy/web")
    answers["short name"].code  # 0

A session takes seconds to start, a question milliseconds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from tests.e2e.launcher import CLIENTS, Launcher

LIMIT = 10  # seconds for one command

# Runs inside the session. 124 is the code of a command that took too long, as timeout(1) has it.
_PROBER = f"""
import json, subprocess, sys, time
answers = {{}}
for name, command in json.load(sys.stdin).items():
    began = time.monotonic()
    try:
        done = subprocess.run(["bash", "-c", command], stdin=subprocess.DEVNULL, capture_output=True, timeout={LIMIT})
        outcome = (done.returncode, done.stdout.decode(), done.stderr.decode())
    except subprocess.TimeoutExpired:
        outcome = (124, "", "took longer than {LIMIT} s")
    answers[name] = (*outcome, time.monotonic() - began)
json.dump(answers, sys.stdout)
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


def ask(launcher: Launcher, commands: Mapping[str, str], *options: str) -> dict[str, Answer]:
    """Runs each command in one session that `options` describe. Returns the outcomes by the commands' names."""
    words = [*options, "--image", CLIENTS, "--", "python3", "-c", _PROBER]
    done = launcher.run(*words, stdin=json.dumps(dict(commands)).encode(), timeout=110).ok()
    return {name: Answer(*outcome) for name, outcome in json.loads(done.stdout).items()}
