"""A pod's sftp server in memory, and sshfs before it, with Ahead between them.

between = Between({"/d/a": b"content"})
between.sshfs(Type.LSTAT, text(b"/d/a"))      # the answer
between.pod.asked                              # what has reached the pod: ["LSTAT /d/a"]
"""

from __future__ import annotations

from sftp import packets
from sftp.ahead import Ahead
from sftp.packets import BODY, Type, text, u32

REGULAR, FOLDER = 0o100644, 0o040755


def attributes(mode: int, size: int) -> bytes:
    return u32(0x5) + size.to_bytes(8, "big") + u32(mode)


class Pod:
    """Answers what is asked of its files; a handle is a number as text."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.asked: list[str] = []
        self.open: dict[bytes, str] = {}
        self._listed: set[bytes] = set()
        self._count = 0

    def answer(self, raw: bytes) -> bytes:
        kind, number = Type(raw[4]), packets.number(raw)
        what = packets.first_text(raw)
        path = self.open.get(what, what.decode())
        self.asked.append(f"{kind.name} {path}")
        if kind in (Type.OPEN, Type.OPENDIR):
            if kind == Type.OPEN and path not in self.files:
                return packets.packet(Type.STATUS, number, u32(2), text(b""), text(b""))
            self._count += 1
            handle = str(self._count).encode()
            self.open[handle] = path
            return packets.packet(Type.HANDLE, number, text(handle))
        if kind in (Type.LSTAT, Type.FSTAT):
            return packets.packet(Type.ATTRS, number, attributes(REGULAR, len(self.files[path])))
        if kind == Type.READ:
            offset, size = packets.read_range(raw)
            part = self.files[path][offset : offset + size]
            return packets.packet(Type.DATA, number, text(part)) if part else packets.end_of_file(number)
        if kind == Type.READDIR and what not in self._listed:
            self._listed.add(what)
            return self._names(number, path)
        if kind == Type.CLOSE:
            del self.open[what]
        return packets.packet(Type.STATUS, number, u32(1), text(b""), text(b""))

    def _names(self, number: int, folder: str) -> bytes:
        found = [path for path in self.files if path.rpartition("/")[0] == folder]
        names = [text(b".") + text(b"") + attributes(FOLDER, 4096)]
        for path in found:
            its = attributes(REGULAR, len(self.files[path]))
            names.append(text(path.rpartition("/")[2].encode()) + text(b"-rw-r--r--") + its)
        return packets.packet(Type.NAME, number, u32(len(names)), *names)


class Between:
    """`now` is the time; while `held` nothing reaches the pod."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.pod = Pod(files)
        self.ahead = Ahead()
        self.now = 100.0
        self.held = False
        self._number = 0

    def sshfs(self, kind: Type | int, *fields: bytes) -> bytes:
        """Asks, and returns the answer; empty while there is none."""
        self._number += 1
        body = b"".join(fields)
        raw = u32(5 + len(body)) + bytes([kind]) + u32(self._number) + body
        self.ahead.asked(raw, self.now)
        self.settle()
        answers, self.ahead.to_sshfs[:] = list(self.ahead.to_sshfs), []
        assert all(packets.number(answer) <= self._number for answer in answers)
        return next((answer for answer in answers if packets.number(answer) == self._number), b"")

    def settle(self) -> None:
        while self.ahead.to_pod and not self.held:
            self.ahead.answered(self.pod.answer(self.ahead.to_pod.pop(0)), self.now)

    def list(self, folder: str) -> None:
        handle = packets.first_text(self.sshfs(Type.OPENDIR, text(folder.encode())))
        self.sshfs(Type.READDIR, text(handle))
        self.sshfs(Type.READDIR, text(handle))
        self.sshfs(Type.CLOSE, text(handle))

    def open(self, path: str) -> bytes:
        """The handle."""
        return packets.first_text(self.sshfs(Type.OPEN, text(path.encode()), u32(packets.READ_ONLY), u32(0)))

    def content(self, handle: bytes, offset: int = 0, size: int = 4096) -> bytes:
        answer = self.sshfs(Type.READ, text(handle), packets.extent(offset, size))
        return packets.first_text(answer) if answer[4] == Type.DATA else b""

    def size(self, path: str) -> int:
        return packets.attributes(self.sshfs(Type.LSTAT, text(path.encode())), BODY)[0].size

    def read(self, path: str) -> bytes:
        """As a program reads a file through sshfs."""
        self.size(path)
        handle = self.open(path)
        self.size(path)
        found = self.content(handle)
        self.sshfs(Type.CLOSE, text(handle))
        return found
