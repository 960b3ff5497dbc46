from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from supervisor import readahead

SetProgram = Callable[[str, str], Path]
MOUNTINFO = """\
25 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
61 25 0:324 / /run/tpbox/root rw,nosuid,nodev - fuse.sshfs pod:/ rw,user_id=0,group_id=0,allow_other
"""


@pytest.fixture
def number(tmp_path: Path) -> Path:
    path = tmp_path / "sys" / "class" / "bdi" / "0:324" / "read_ahead_kb"
    path.parent.mkdir(parents=True)
    path.write_text("128\n")
    return path


def test_only_our_own_device_is_looked_for() -> None:
    assert readahead.device(MOUNTINFO) == "0:324"
    assert readahead.device(MOUNTINFO.splitlines()[0]) == ""


def test_the_number_is_written_and_sysfs_goes_again(program: SetProgram, tmp_path: Path, number: Path) -> None:
    for name in ("mount", "umount"):
        program(name, f'echo "{name} $*" >> {tmp_path}/log')
    asyncio.run(readahead.widen(MOUNTINFO))
    assert number.read_text() == "512\n"
    assert (tmp_path / "log").read_text().splitlines() == [
        f"mount -t sysfs sysfs {tmp_path}/sys",
        f"mount -o remount,rw {tmp_path}/sys",
        f"umount {tmp_path}/sys",
    ]


def test_where_it_may_not_be_mounted_nothing_else_happens(
    program: SetProgram, number: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program("mount", "echo 'mount: permission denied' >&2; exit 32")
    asyncio.run(readahead.widen(MOUNTINFO))
    assert number.read_text() == "128\n"
    assert "permission denied" in capsys.readouterr().err
