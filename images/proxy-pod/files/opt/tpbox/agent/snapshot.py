"""`python3 -I /opt/tpbox snapshot`: the Pod's files for a client that keeps a copy of them.

    ← {"path": "/etc/shop", "digest": "…", "limit": 268435456}
    → {"digest": "…", "changed": true, "note": ""}      and a tar archive where it has changed

The archive comes in chunks, each behind its length in four bytes, the last one empty. The digest is that of names,
modes, sizes, times and links, so an unchanged tree costs one short round trip. What is above the limit (bytes) or
cannot be read is left out, and the note says so. A path that is a file is a tree of this one file.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

CHUNK = 256 * 1024  # bytes
LENGTH = 4


class Entry(NamedTuple):
    """A file, link or directory; `name` is relative to the tree."""

    name: str
    path: Path
    status: os.stat_result


class Chunked:
    """Writes what it gets as chunks."""

    def __init__(self, target: IO[bytes]) -> None:
        self._target = target

    def write(self, data: bytes) -> int:
        if data:
            self._target.write(len(data).to_bytes(LENGTH, "big") + data)
        return len(data)

    def close(self) -> None:
        self._target.write(bytes(LENGTH))
        self._target.flush()


class Padded:
    """A file of exactly `size` bytes, whatever happens to it meanwhile: an archive has said its size already."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._left = size

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        data = self._file.read(wanted).ljust(wanted, b"\0")
        self._left -= wanted
        return data


def serve(requests: Iterable[bytes], answers: IO[bytes]) -> int:
    """Answers each request until there are no more; returns 0."""
    for line in requests:
        answer(json.loads(line), answers)
    return 0


def answer(request: dict[str, Any], answers: IO[bytes]) -> None:
    """Writes the header, and the archive where the client's digest is not the tree's."""
    try:
        found = list(entries(Path(request["path"])))
    except OSError as error:
        _header(answers, request["digest"], changed=False, note=error.strerror or str(error))
        return
    size = sum(entry.status.st_size for entry in found if stat.S_ISREG(entry.status.st_mode))
    if size > request["limit"]:
        note = f"{size // 2**20} MB, more than the {request['limit'] // 2**20} MB that are copied"
        _header(answers, request["digest"], changed=False, note=note)
        return
    unreadable = [entry.name for entry in found if not _readable(entry)]
    note = f"not readable for the pod's user: {', '.join(unreadable[:5])}" if unreadable else ""
    current = digest(found)
    changed = current != request["digest"]
    _header(answers, current, changed=changed, note=note)
    if changed:
        archive([entry for entry in found if entry.name not in unreadable], Chunked(answers))


def entries(root: Path) -> Iterator[Entry]:
    """The tree, directories before what is in them and links last: `..data` may change only when its target is there.

    Raises OSError when there is nothing at `root`.
    """
    status = root.lstat()
    if not stat.S_ISDIR(status.st_mode):
        yield Entry(root.name, root, status)
        return
    links = []
    yield Entry(".", root, status)
    for folder, directories, files in os.walk(root):
        for name in sorted([*directories, *files]):
            path = Path(folder, name)
            try:
                entry = Entry(str(path.relative_to(root)), path, path.lstat())
            except FileNotFoundError:
                continue  # gone since it was listed
            if stat.S_ISLNK(entry.status.st_mode):
                links.append(entry)
            else:
                yield entry
    yield from links


def digest(found: Iterable[Entry]) -> str:
    """Hexadecimal; a file whose content was changed has another time."""
    total = hashlib.sha256()
    for name, path, status in found:
        target = str(path.readlink()) if stat.S_ISLNK(status.st_mode) else ""
        # A directory's time tells no more than its entries do.
        time = 0 if stat.S_ISDIR(status.st_mode) else status.st_mtime_ns
        total.update(json.dumps([name, status.st_mode, status.st_size, time, target]).encode())
    return total.hexdigest()


def archive(found: Iterable[Entry], target: Chunked) -> None:
    """Writes the tar archive; the times of files are kept to the nanosecond."""
    stream: Any = target  # tarfile asks for write() only
    with tarfile.open(fileobj=stream, mode="w|", bufsize=CHUNK, format=tarfile.PAX_FORMAT) as tar:
        for name, path, status in found:
            member = tarfile.TarInfo(name)
            member.mode, member.mtime = stat.S_IMODE(status.st_mode), status.st_mtime
            if stat.S_ISDIR(status.st_mode):
                member.type = tarfile.DIRTYPE
                tar.addfile(member)
            elif stat.S_ISLNK(status.st_mode):
                member.type, member.linkname = tarfile.SYMTYPE, str(path.readlink())
                tar.addfile(member)
            elif stat.S_ISREG(status.st_mode):
                member.size = status.st_size
                with path.open("rb") as file:
                    tar.addfile(member, Padded(file, member.size))
    target.close()


def _readable(entry: Entry) -> bool:
    if stat.S_ISLNK(entry.status.st_mode):
        return True
    return os.access(entry.path, os.R_OK | (os.X_OK if stat.S_ISDIR(entry.status.st_mode) else 0))


def _header(answers: IO[bytes], current: str, *, changed: bool, note: str) -> None:
    answers.write(json.dumps({"digest": current, "changed": changed, "note": note}).encode() + b"\n")
    answers.flush()
