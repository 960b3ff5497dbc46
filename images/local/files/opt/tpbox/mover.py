"""Moves mounts from one container into another: `python3 -I /opt/tpbox move`, in a container with the host's pids.

    → {"event": "ready"}
    {"command": "move", "from": 4242, "to": 4343,
     "mounts": [{"source": "/run/tpbox/root/d", "target": "/d", "readOnly": false}]}
    → {"event": "moved"}

`from` and `to` are processes of the containers, as the host counts. What is moved is a copy of the mount that belongs
to no mount namespace; in the end only the second container has it: the host never sees it, and the kernel takes it away
with the container. A failure is {"event": "failed", "message": …}. It serves until stdin ends.

One thread: a process with several cannot change its mount namespace, setns(2).
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import IO, Any

# Numbers of system calls, the same on every architecture: the C library of the image knows no wrappers for all of them.
OPEN_TREE, MOVE_MOUNT, MOUNT_SETATTR = 428, 429, 442
AT_FDCWD, AT_EMPTY_PATH, AT_RECURSIVE = -100, 0x1000, 0x8000
OPEN_TREE_CLONE = 1
MOVE_MOUNT_F_EMPTY_PATH, MOVE_MOUNT_T_SYMLINKS = 0x4, 0x10
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV = 1, 2, 4
CLONE_NEWNS = 0x20000

_libc = ctypes.CDLL(None, use_errno=True)


class MountAttributes(ctypes.Structure):
    """struct mount_attr of mount_setattr(2)."""

    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def attributes(read_only: bool) -> int:
    """What a volume's mount is: never a way to privileges, and EROFS where the pod may not write (sshfs says EPERM)."""
    return MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (MOUNT_ATTR_RDONLY if read_only else 0)


class Mover:
    """`proc` is a descriptor of the host's /proc, which no change of the mount namespace takes away; `home` one of the
    mover's own mount namespace."""

    def __init__(self, proc: int, home: int) -> None:
        self._proc = proc
        self._home = home

    def probe(self) -> None:
        """Does to itself what it will do to others. Raises OSError where it is not allowed."""
        self._enter("self")
        os.close(_take("/"))

    def move(self, source: int, target: int, mounts: Sequence[dict[str, Any]]) -> None:
        """In the order of `mounts`: one may lie within another. Raises OSError."""
        with ExitStack() as stack:
            # A container that has ended would keep its mounts as long as somebody is in its namespace.
            stack.callback(_join, self._home, "the mover's own mount namespace")
            self._enter(str(source))
            taken = []
            for mount in mounts:
                descriptor = _take(mount["source"])
                stack.callback(os.close, descriptor)
                _set_attributes(descriptor, attributes(mount["readOnly"]), mount["target"])
                taken.append((descriptor, mount["target"]))
            self._enter(str(target))
            for descriptor, path in taken:
                flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS
                _call(MOVE_MOUNT, path, descriptor, b"", AT_FDCWD, os.fsencode(path), flags)

    def _enter(self, process: str) -> None:
        namespace = os.open(f"{process}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._proc)
        try:
            _join(namespace, f"mount namespace of process {process}")
        finally:
            os.close(namespace)


def serve(commands: Iterable[str], answers: IO[str], mover: Mover) -> int:
    """Answers each command until they end (returns 0); returns 1 where it can move nothing at all."""

    def say(event: str, **fields: str) -> None:
        answers.write(json.dumps({"event": event, **fields}) + "\n")
        answers.flush()

    try:
        mover.probe()
    except OSError as error:
        say("failed", message=str(error))
        return 1
    say("ready")
    for line in commands:
        command = json.loads(line)
        if command["command"] != "move":
            say("failed", message=f"unknown command {command['command']!r}")
            continue
        try:
            mover.move(command["from"], command["to"], command["mounts"])
        except OSError as error:
            say("failed", message=str(error))
        else:
            say("moved")
    return 0


def main() -> int:
    """Serves stdin and stdout; returns the exit code."""
    proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    home = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    return serve(sys.stdin, sys.stdout, Mover(proc, home))


def _join(namespace: int, what: str) -> None:
    if _libc.setns(namespace, CLONE_NEWNS) != 0:
        raise _error(what)


def _take(path: str) -> int:
    flags = OPEN_TREE_CLONE | AT_RECURSIVE | os.O_CLOEXEC
    return _call(OPEN_TREE, path, AT_FDCWD, os.fsencode(path), flags)


def _set_attributes(descriptor: int, wanted: int, path: str) -> None:
    found = MountAttributes(attr_set=wanted)
    flags = AT_EMPTY_PATH | AT_RECURSIVE
    _call(MOUNT_SETATTR, path, descriptor, b"", flags, ctypes.byref(found), ctypes.sizeof(found))


def _call(number: int, path: str, *arguments: Any) -> int:
    result = _libc.syscall(number, *arguments)
    if result < 0:
        raise _error(path)
    return int(result)


def _error(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), what)
