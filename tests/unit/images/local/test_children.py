from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest
from supervisor import children
from supervisor.children import CommandError


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_program_is_stopped_with_all_that_it_started() -> None:
    async def use() -> tuple[int, int]:
        async with children.running("sh", ["sh", "-c", "sleep 60 & echo $$ $!; wait"]) as child:
            first, second = (await child.stdout.readline()).split()
            return int(first), int(second)

    pids = asyncio.run(use())
    deadline = time.monotonic() + 2
    while not all(gone(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [gone(pid) for pid in pids] == [True, True]


def test_a_program_that_ignores_term_is_killed_within_a_second() -> None:
    async def use() -> float:
        async with children.running("sh", ["sh", "-c", "trap '' TERM; echo; while :; do sleep 0.1; done"]) as child:
            await child.stdout.readline()
            started = time.monotonic()
        return time.monotonic() - started

    assert asyncio.run(use()) < 1


def test_stopping_waits_for_what_left_the_group_but_still_speaks() -> None:
    script = "import os, time; os.setsid(); time.sleep(0.2); open({!r}, 'w')"

    async def use(path: Path) -> bool:
        leaver = script.format(str(path))
        async with children.running(
            "sh", ["sh", "-c", f'{sys.executable} -c "{leaver}" & echo; exec sleep 60']
        ) as child:
            await child.stdout.readline()
            await asyncio.sleep(0.15)
        return path.exists()

    path = Path(os.environ["XDG_STATE_HOME"]).with_name("undone")
    assert asyncio.run(use(path))


def test_the_last_words_are_kept_and_passed_on(capsys: pytest.CaptureFixture[str]) -> None:
    async def use() -> str:
        async with children.running("tool", ["sh", "-c", "for n in 1 2 3 4 5; do echo line $n >&2; done"]) as child:
            return await child.ended()

    assert asyncio.run(use()) == "line 3\nline 4\nline 5"
    assert capsys.readouterr().err.splitlines()[0] == "tool: line 1"


def test_a_silent_end_is_told_by_its_code() -> None:
    async def use() -> str:
        async with children.running("tool", ["sh", "-c", "exit 3"]) as child:
            return await child.ended()

    assert asyncio.run(use()) == "tool ended with 3"


def test_run_returns_output_and_raises_the_tools_words() -> None:
    assert asyncio.run(children.run(["cat"], input="hi")) == "hi"
    with pytest.raises(CommandError, match="sh ended with 2: broken"):
        asyncio.run(children.run(["sh", "-c", "echo broken >&2; exit 2"]))


def test_run_keeps_all_of_stderr_for_whoever_reads_it() -> None:
    with pytest.raises(CommandError) as caught:
        asyncio.run(children.run(["sh", "-c", "for n in 1 2 3 4; do echo line $n >&2; done; exit 1"]))
    assert caught.value.stderr == "line 1\nline 2\nline 3\nline 4"


def test_what_run_started_does_not_outlive_its_cancellation(tmp_path: Path) -> None:
    async def use() -> int:
        running = asyncio.create_task(children.run(["sh", "-c", f"echo $$ > {tmp_path}/pid; exec sleep 60"]))
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return int((tmp_path / "pid").read_text())

    assert gone(asyncio.run(use()))


def test_first_of_gives_the_first_and_ends_the_others() -> None:
    ended = []

    async def slow() -> str:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("slow")
        return "slow"

    async def quick() -> str:
        return "quick"

    assert asyncio.run(children.first_of(slow(), quick())) == "quick"
    assert ended == ["slow"]
