"""Keeps copies of the pod's files: `python3 -I /opt/tpbox copy '{"/etc/shop": "/volumes/0"}'`, run by the supervisor.

    → {"state": "up"}                                     all trees have been copied once
    → {"state": "note", "message": "/data: …"}            what a copy lacks, and why

It asks `agent snapshot` in the pod (docs/architecture.md) every few seconds, over an ssh connection of its own that is
made anew whenever it is lost. A file is replaced in one step, links last: so a ConfigMap's `..data` changes at once,
as in the pod. Files that the pod does not change keep what was written into them here.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

from supervisor import link

INTERVAL = 3.0  # seconds
RETRY = 1.0  # seconds
LIMIT = 256 * 1024 * 1024  # bytes, of one tree
PART = ".tpbox-part"
LENGTH = 4  # bytes before each chunk of an archive

Note = Callable[[str], None]


class Chunks:
    """The archive of an answer as a file: chunks, each behind its length, until an empty one."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._left = -1  # of the chunk at hand; 0 behind the last

    def read(self, size: int = -1) -> bytes:
        found = b""
        while self._left != 0 and (size < 0 or len(found) < size):
            if self._left < 0:
                self._left = int.from_bytes(_exactly(self._source, LENGTH), "big")
                continue
            wanted = self._left if size < 0 else min(self._left, size - len(found))
            found += _exactly(self._source, wanted)
            self._left = self._left - wanted or -1
        return found


@dataclass
class Tree:
    """One volume: where it is in the pod, its copy here, and what of it has been copied."""

    path: str
    directory: Path
    digest: str = ""
    known: dict[str, tuple[int, float]] = field(default_factory=dict)
    noted: str = ""

    def request(self) -> bytes:
        return json.dumps({"path": self.path, "digest": self.digest, "limit": LIMIT}).encode() + b"\n"

    def take(self, answer: Mapping[str, Any], source: IO[bytes], note: Note) -> None:
        """Brings the copy up to date. Raises EOFError or OSError."""
        message = str(answer.get("note", ""))
        if message and message != self.noted:
            note(f"{self.path}: {message}")
        self.noted = message
        if answer["changed"]:
            chunks = Chunks(source)
            self.known = extract(chunks, self.directory, self.known)
            chunks.read()  # the padding behind the last member
            self.digest = answer["digest"]


def extract(source: Any, directory: Path, known: Mapping[str, tuple[int, float]]) -> dict[str, tuple[int, float]]:
    """Makes `directory` like the archive, and returns what is in it now: name to size and time.

    `known` is what an earlier archive had: what it had as well is left as it is, what only it had is removed.
    """
    found: dict[str, tuple[int, float]] = {}
    with tarfile.open(fileobj=source, mode="r|") as archive:
        for member in archive:
            name = _safe(member.name)
            found[name] = (member.size, member.mtime)
            if known.get(name) != found[name] or member.isdir():
                _place(archive, member, directory / name)
    for name in sorted(known.keys() - found.keys(), reverse=True):
        _remove(directory / name)
    return found


def _place(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    # As in live mode nobody in the container is kept from what the pod could read.
    shared = 0o555 if member.isdir() or member.mode & 0o111 else 0o444
    mode = member.mode & 0o777 | shared | (0o222 if member.mode & 0o222 else 0)
    if member.isdir():
        if path.is_symlink() or path.is_file():
            path.unlink()
        path.mkdir(exist_ok=True)
        path.chmod(mode)
        return
    part = path.with_name(f"{path.name}{PART}")
    part.unlink(missing_ok=True)
    if member.issym():
        part.symlink_to(member.linkname)
    elif content := archive.extractfile(member):
        with part.open("wb") as file:
            shutil.copyfileobj(content, file)
        part.chmod(mode)
        os.utime(part, (member.mtime, member.mtime))
    else:
        return  # sockets and pipes are the pod's own
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    part.replace(path)


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError):
        if stat.S_ISDIR(path.lstat().st_mode):
            shutil.rmtree(path)
        else:
            path.unlink()


def _safe(name: str) -> str:
    """The member's name. Raises OSError for one that leads out of the tree."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise OSError(f"the pod's archive has a member {name!r}")
    return str(path)


def follow(
    argv: list[str], trees: list[Tree], note: Note, copied: Callable[[], None], rounds: int | None = None
) -> None:
    """Copies the trees again and again until the program `argv` ends; `copied` is called after each round.

    Raises EOFError or OSError.
    """
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=link.environment()) as agent:
        assert agent.stdin and agent.stdout
        try:
            while rounds is None or rounds > 0:
                # All at once, so that a round costs one round trip; they are short, and fit into a pipe.
                agent.stdin.write(b"".join(tree.request() for tree in trees))
                agent.stdin.flush()
                for tree in trees:
                    tree.take(_answer(agent.stdout), agent.stdout, note)
                copied()
                rounds = None if rounds is None else rounds - 1
                time.sleep(INTERVAL if rounds is None else 0)
        finally:
            agent.kill()


def main(trees: str) -> int:
    """Follows for ever; `trees` is a JSON object of paths and directories."""
    wanted = [Tree(path, Path(directory)) for path, directory in json.loads(trees).items()]
    said: list[bool] = []

    def copied() -> None:
        if not said:
            said.append(True)
            _say(state="up")

    while True:
        with suppress(EOFError, OSError, tarfile.TarError):
            follow(snapshot_argv(), wanted, lambda message: _say(state="note", message=message), copied)
        time.sleep(RETRY)


def snapshot_argv() -> list[str]:
    return [*link.ssh_argv(), link.HOST, "/usr/bin/python3", "-I", "/opt/tpbox", "snapshot"]


def _say(**fields: str) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def _answer(source: IO[bytes]) -> dict[str, Any]:
    line = source.readline()
    if not line.endswith(b"\n"):
        raise EOFError("the agent has hung up")
    return dict(json.loads(line))


def _exactly(source: IO[bytes], size: int) -> bytes:
    data = source.read(size)
    if len(data) < size:
        raise EOFError("the agent has hung up")
    return data
