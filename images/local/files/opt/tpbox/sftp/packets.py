"""Packets of SFTP version 3 (draft-ietf-secsh-filexfer-02): a length, a type, an id, and what belongs to the type."""

from __future__ import annotations

import stat
import struct
from enum import IntEnum
from typing import NamedTuple


class Type(IntEnum):
    """Those that are looked into."""

    INIT = 1
    OPEN = 3
    CLOSE = 4
    READ = 5
    LSTAT = 7
    FSTAT = 8
    OPENDIR = 11
    READDIR = 12
    REALPATH = 16
    STAT = 17
    READLINK = 19
    STATUS = 101
    HANDLE = 102
    DATA = 103
    NAME = 104
    ATTRS = 105


# The requests after which everything is as it was before.
HARMLESS = frozenset({Type.INIT, Type.CLOSE, Type.READ, Type.LSTAT, Type.FSTAT, Type.OPENDIR, Type.READDIR,
                      Type.REALPATH, Type.STAT, Type.READLINK})  # fmt: skip
READ_ONLY = 1  # the flags of an OPEN that does nothing but read
EOF = 1  # the code of a STATUS
BODY = 9  # where a packet's own fields begin

_HEAD = struct.Struct(">IBI")
_U32 = struct.Struct(">I")
_READ = struct.Struct(">QI")
_SIZE, _OWNER, _MODE, _TIMES, _EXTENDED = 1, 2, 4, 8, 0x80000000


class Attributes(NamedTuple):
    """Of a file: as they came, and the two that are looked at. Without a mode it is 0, without a size -1."""

    raw: bytes
    mode: int
    size: int

    @property
    def regular(self) -> bool:
        return stat.S_ISREG(self.mode)


class Entry(NamedTuple):
    """What a folder's listing says of one name."""

    name: bytes
    attributes: Attributes


def packet(kind: Type, number: int, *fields: bytes) -> bytes:
    body = b"".join(fields)
    return _HEAD.pack(5 + len(body), kind, number) + body


def u32(value: int) -> bytes:
    return _U32.pack(value)


def text(value: bytes) -> bytes:
    """A string as it is sent."""
    return _U32.pack(len(value)) + value


def extent(offset: int, size: int) -> bytes:
    """What of a file a READ wants, behind the handle."""
    return _READ.pack(offset, size)


def end_of_file(number: int) -> bytes:
    return packet(Type.STATUS, number, u32(EOF), text(b"End of file"), text(b""))


def number(raw: bytes) -> int:
    """The id of a packet."""
    return int(_U32.unpack_from(raw, 5)[0])


def first_text(raw: bytes) -> bytes:
    """The path or handle that most packets begin with."""
    return take_text(raw, BODY)[0]


def take_text(raw: bytes, at: int) -> tuple[bytes, int]:
    """The string at `at`, and where the next field begins."""
    begin = at + 4
    end = begin + take_u32(raw, at)
    return raw[begin:end], end


def take_u32(raw: bytes, at: int) -> int:
    return int(_U32.unpack_from(raw, at)[0])


def open_flags(raw: bytes) -> int:
    return take_u32(raw, take_text(raw, BODY)[1])


def read_range(raw: bytes) -> tuple[int, int]:
    """Offset and size of a READ."""
    offset, size = _READ.unpack_from(raw, take_text(raw, BODY)[1])
    return offset, size


def attributes(raw: bytes, at: int = BODY) -> tuple[Attributes, int]:
    """The attributes at `at`, and where the next field begins."""
    begin, flags = at, take_u32(raw, at)
    at += 4
    size, mode = -1, 0
    if flags & _SIZE:
        size = int.from_bytes(raw[at : at + 8], "big")
        at += 8
    if flags & _OWNER:
        at += 8
    if flags & _MODE:
        mode = take_u32(raw, at)
        at += 4
    if flags & _TIMES:
        at += 8
    if flags & _EXTENDED:
        count = take_u32(raw, at)
        at += 4
        for _ in range(2 * count):
            _, at = take_text(raw, at)
    return Attributes(raw[begin:at], mode, size), at


def entries(raw: bytes) -> list[Entry]:
    """What a NAME has, without `.` and `..`."""
    found = []
    at = BODY + 4
    for _ in range(take_u32(raw, BODY)):
        name, at = take_text(raw, at)
        _, at = take_text(raw, at)  # as `ls -l` would show it
        its, at = attributes(raw, at)
        if name not in (b".", b".."):
            found.append(Entry(name, its))
    return found
