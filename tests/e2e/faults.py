"""How the fault tests kill: who, in which phase, at which moment; and the times within which all must be well again.

A victim dies by SIGKILL. Moments within a phase are drawn from the seed, which pytest's header shows:

    pytest tests/e2e/test_faults.py --all-faults --fault-seed 7      # each phase: its start and five moments within
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pytest

from tests.e2e.launcher import Result, error_lines
from tests.e2e.shop import docker, kubectl

MOMENTS = 5
GRACE = 5  # seconds, the least that --grace takes

# design.md's failure table, in seconds, with 2 for looking.
WATCHDOG_WITHIN = 5 + 2
HELPER_ALONE_WITHIN = 10 + 2
POD_ALONE_WITHIN = GRACE + 10 + 2
SESSION_END_WITHIN = 5 + 2
LINK_BACK_WITHIN = 5 + 2
POD_BACK_WITHIN = 15 + 2


@dataclass(frozen=True)
class Kill:
    """Who dies, in which phase, and how many seconds after its start."""

    victim: str
    phase: str
    delay: float


def parametrize(
    metafunc: pytest.Metafunc,
    victims: Collection[str],
    phases: Mapping[str, float],
    chosen: Collection[tuple[str, str, int]],
) -> None:
    """Gives a test that takes a `kill` each of them, or the chosen ones; `phases` are seconds long."""
    if "kill" not in metafunc.fixturenames:
        return
    every = metafunc.config.getoption("--all-faults")
    draw = random.Random(metafunc.config.getoption("--fault-seed"))
    kills = {}
    for victim in victims:
        for phase, length in phases.items():
            for moment in range(MOMENTS + 1):
                delay = draw.uniform(0, length) if moment else 0.0
                if every or (victim, phase, moment) in chosen:
                    kills[f"{victim}-{phase}-{moment}"] = Kill(victim, phase, delay)
    metafunc.parametrize("kill", kills.values(), ids=kills.keys())


def is_one_clear_error(done: Result) -> None:
    assert done.code == 125, done.stderr
    assert 1 <= len(error_lines(done.stderr)) <= 3, done.stderr
    assert "Traceback" not in done.stderr


def is_there(container: str) -> bool:
    return bool(docker("ps", "-q", "--filter", f"name=^{container}$"))


# Kills what runs under this name where it is started; both images have Python and no pkill.
KILLER = r"""
import os, re, sys
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        words = open(f"/proc/{pid}/cmdline").read().split("\0")[:2]
    except OSError:
        continue
    if any(re.search(rf"(^|/){sys.argv[1]}(:|\s|$)", word) for word in words):
        os.kill(int(pid), 9)
        print(pid)
"""


def kill_in(container: str, program: str) -> None:
    assert docker("exec", container, "python3", "-c", KILLER, program).split()


def kill_in_pod(namespace: str, session: str, program: str) -> None:
    [pod] = kubectl("-n", namespace, "get", "pods", "-l", f"tpbox.dev/session={session}", "-o", "name").split()
    assert kubectl("-n", namespace, "exec", pod, "--", "python3", "-c", KILLER, program).split()
