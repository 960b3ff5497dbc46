"""The supervisor's volumes with shell scripts in the place of sshfs and the copier."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from supervisor import protocol, volumes

SetProgram = Callable[[str, str], Path]
MOUNTS = [
    {"path": "/var/run/token", "realPath": "/run/token", "readOnly": True, "kind": "directory"},
    {"path": "/data", "realPath": "/data", "readOnly": False, "kind": "directory"},
]


@pytest.fixture
def mountinfo(program: SetProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "mountinfo"
    path.write_text("1 0 0:1 / / rw - overlay overlay rw\n")
    monkeypatch.setattr(volumes, "MOUNTINFO", path)
    for name in ("sshfs", "copier"):
        script = program(name, "exit 1")
        monkeypatch.setattr(volumes, f"{name}_argv", lambda *_, script=script: [str(script)])
    return path


def serve(configure: dict[str, Any], mounts: list[dict[str, Any]], **wanted: Any) -> list[str]:
    """The events until the first that is no note, and a moment after."""

    async def use() -> list[str]:
        events: list[str] = []
        served = volumes.Volumes(lambda event, **said: events.append(" ".join([event, *map(str, said.values())])))
        command = protocol.parse(json.dumps(configure | {"volumes": {"live": False, "copies": {}} | wanted}).encode())
        assert isinstance(command, protocol.Configure)
        served.linked(command, {"mounts": mounts})
        work = asyncio.create_task(served.work())
        async with asyncio.timeout(5):
            while not any(event.split()[1] != "note" for event in events):
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        return events

    return asyncio.run(use())


def test_nothing_wanted_is_up_at_once(configure: dict[str, Any], mountinfo: Path) -> None:
    assert serve(configure, MOUNTS) == ["volumes up"]


def test_live_is_up_when_sshfs_has_mounted(configure: dict[str, Any], mountinfo: Path, program: SetProgram) -> None:
    program("sshfs", f"echo '2 1 0:2 / /r rw - fuse.sshfs pod:/ rw' >> {mountinfo}; exec sleep 60")
    assert serve(configure, MOUNTS, live=True) == ["volumes up"]


def test_a_pod_without_volumes_needs_no_sshfs(configure: dict[str, Any], mountinfo: Path) -> None:
    assert serve(configure, [], live=True) == ["volumes up"]


def test_sshfs_that_does_not_start_is_told_in_its_words(
    configure: dict[str, Any], mountinfo: Path, program: SetProgram
) -> None:
    program("sshfs", "echo 'fuse: device not found' >&2; exit 1")
    assert serve(configure, MOUNTS, live=True) == ["volumes failed fuse: device not found"]


def test_sshfs_that_ends_later_is_told(configure: dict[str, Any], mountinfo: Path, program: SetProgram) -> None:
    program("sshfs", f"echo '2 1 0:2 / /r rw - fuse.sshfs pod:/ rw' >> {mountinfo}; sleep 0.1; echo gone >&2; exit 1")
    assert serve(configure, MOUNTS, live=True) == ["volumes up", "volumes down gone"]


def test_copies_are_up_after_the_first_and_notes_are_passed_on(
    configure: dict[str, Any], mountinfo: Path, program: SetProgram
) -> None:
    note = '{"state": "note", "message": "%s"}'
    program("copier", f"echo '{note % 'first'}'; echo '{{\"state\": \"up\"}}'; echo '{note % 'later'}'; exec sleep 60")
    events = serve(configure, MOUNTS, copies={"/data": "/volumes/v0"})
    assert events == ["volumes note first", "volumes up", "volumes note later"]


def test_copies_come_from_where_the_path_leads_in_the_pod() -> None:
    wanted = protocol.Volumes(copies={"/var/run/token": "/volumes/v0", "/not/there": "/volumes/v1"})
    assert volumes.copied(wanted, MOUNTS) == {"/run/token": "/volumes/v0"}


def test_sshfs_comes_back_by_itself_and_serves_every_user() -> None:
    argv = volumes.sshfs_argv()
    assert "reconnect" in argv and "allow_other" in argv
    assert not any("follow_symlinks" in word for word in argv)
    assert argv[-2:] == ["pod:/", "/run/tpbox/root"]
    assert argv[:4] == ["nice", "-n", "10", "sshfs"]
