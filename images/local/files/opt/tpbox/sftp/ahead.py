"""What is asked of the pod, and what sshfs is answered from here: decisions only, no descriptors.

    ahead = Ahead()
    ahead.asked(packet, now)         # from sshfs
    ahead.answered(packet, now)      # from the pod
    ahead.to_pod, ahead.to_sshfs     # packets that are to be sent, in order; whoever sends them empties the lists
    ahead.expire(now)

A file that is fetched ahead is open in the pod, its content and attributes are here; when sshfs opens it, sshfs gets
the pod's own handle. So whatever else happens to the file goes to the pod, with nothing to translate. What is known is
told once, and within FRESH seconds; any request that could change something makes all of it forgotten first.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from sftp import packets
from sftp.listing import Listing
from sftp.packets import Attributes, Type

FRESH = 2.0  # seconds; the kernel remembers attributes for one second more
MAX_AHEAD = 4 * 1024 * 1024  # bytes, for all folders that are read at a time
MAX_LISTINGS, MAX_KNOWN = 32, 20_000
OWN = 0x80000000  # ids from here on are ours: sshfs counts from 0


Answered = Callable[[bytes, float], None]  # is given the answer, and the time


@dataclass
class File:
    """One that is fetched. `waiting` are requests of sshfs that came before it was here."""

    path: bytes
    size: int
    listing: Listing
    asked_at: float
    handle: bytes = b""
    attributes: Attributes | None = None
    content: bytes | None = None
    dropped: bool = False
    waiting: list[bytes] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether content and attributes are of one moment. What the kernel makes up (/sys) is of another size."""
        found = self.attributes
        return self.content is not None and found is not None and found.regular and found.size == len(self.content)


class Ahead:
    """One connection's knowledge: it ends with the connection."""

    def __init__(self) -> None:
        self.to_pod: list[bytes] = []
        self.to_sshfs: list[bytes] = []
        self._listings: OrderedDict[bytes, Listing] = OrderedDict()  # by folder
        self._folders: dict[bytes, tuple[bytes, Listing]] = {}  # by handle
        self._asked: dict[int, tuple[bytes, Listing | None]] = {}  # OPENDIR and READDIR, by id
        self._known: dict[bytes, tuple[Attributes, float]] = {}  # attributes not told yet, by path
        self._files: dict[bytes, File] = {}  # by path, until sshfs opens them
        self._ahead = 0  # bytes of them
        self._held: dict[bytes, File] = {}  # by handle: opened by sshfs, content still here
        self._own: dict[int, Answered] = {}  # our requests, by id
        self._next = OWN
        self._able = True

    def asked(self, raw: bytes, now: float) -> None:
        """A request of sshfs."""
        kind = raw[4]
        if kind != Type.INIT and packets.number(raw) >= OWN:
            self._able = False  # after two thousand million requests ids could not be told apart
            self._forget(now)
        reads = kind == Type.OPEN and packets.open_flags(raw) == packets.READ_ONLY
        if not reads and kind not in packets.HARMLESS:
            self._forget(now)
        if not self._tell(kind, raw, now):
            self._note(kind, raw)
            self.to_pod.append(raw)
        if reads and self._able:
            self._fetch_after(packets.first_text(raw), now)

    def answered(self, raw: bytes, now: float) -> None:
        """A packet from the pod."""
        number = packets.number(raw)
        if number in self._own:
            self._own.pop(number)(raw, now)
            return
        folder, listing = self._asked.pop(number, (b"", None))
        if folder and raw[4] == Type.HANDLE:
            self._listed(folder, packets.first_text(raw))
        elif listing is not None and raw[4] == Type.NAME:
            self._add(folder, listing, packets.entries(raw), now)
        self.to_sshfs.append(raw)

    def expire(self, now: float) -> None:
        """Lets go of what is too old to be told."""
        old = [file for file in self._files.values() if file.whole and not self._fresh(file.asked_at, now)]
        for listing in {id(file.listing): file.listing for file in old}.values():
            listing.in_vain()
        for file in old:
            self._drop(file)
        for path in [path for path, (_, then) in self._known.items() if not self._fresh(then, now)]:
            del self._known[path]

    @property
    def idle(self) -> bool:
        """Whether nothing can expire."""
        return not self._files and not self._known

    def _fresh(self, then: float, now: float) -> bool:
        return now - then < FRESH

    # What sshfs asks

    def _tell(self, kind: int, raw: bytes, now: float) -> bool:
        """Answers from here, or later; False when the pod has to."""
        what = packets.first_text(raw) if kind != Type.INIT else b""
        if kind == Type.LSTAT:
            return self._tell_attributes(what, raw, now)
        if kind == Type.OPEN:
            return packets.open_flags(raw) == packets.READ_ONLY and self._tell_handle(what, raw, now)
        file = self._held.get(what) if kind in (Type.READ, Type.FSTAT) else None
        return file is not None and self._tell_file(file, kind, raw, now)

    def _tell_file(self, file: File, kind: int, raw: bytes, now: float) -> bool:
        if not self._fresh(file.asked_at, now) or file.content is None or file.attributes is None:
            del self._held[file.handle]
            return False
        number = packets.number(raw)
        if kind == Type.FSTAT:
            self.to_sshfs.append(packets.packet(Type.ATTRS, number, file.attributes.raw))
            return True
        offset, size = packets.read_range(raw)
        content = file.content[offset : offset + size]
        answer = packets.packet(Type.DATA, number, packets.text(content)) if content else packets.end_of_file(number)
        self.to_sshfs.append(answer)
        return True

    def _tell_attributes(self, path: bytes, raw: bytes, now: float) -> bool:
        file = self._files.get(path)
        if file and not file.whole:
            file.waiting.append(raw)  # of the moment of its content, so that neither is longer than the other
            return True
        known = self._known.pop(path, None)
        if file and file.attributes:
            known = file.attributes, file.asked_at
        if known is None or not self._fresh(known[1], now):
            return False
        self.to_sshfs.append(packets.packet(Type.ATTRS, packets.number(raw), known[0].raw))
        return True

    def _tell_handle(self, path: bytes, raw: bytes, now: float) -> bool:
        file = self._files.get(path)
        if file is None:
            return False
        if not file.whole:
            file.waiting.append(raw)
            return True
        if file.attributes is None or not self._fresh(file.asked_at, now):
            self._drop(file)
            return False
        self._remove(file)
        self._held[file.handle] = file
        self._known[path] = file.attributes, file.asked_at  # sshfs asks for them with each OPEN
        self.to_sshfs.append(packets.packet(Type.HANDLE, packets.number(raw), packets.text(file.handle)))
        return True

    def _note(self, kind: int, raw: bytes) -> None:
        """Remembers what the answer will be about."""
        if kind == Type.OPENDIR:
            self._asked[packets.number(raw)] = packets.first_text(raw), None
        elif kind == Type.READDIR:
            if found := self._folders.get(packets.first_text(raw)):
                self._asked[packets.number(raw)] = found
        elif kind == Type.CLOSE:
            handle = packets.first_text(raw)
            self._folders.pop(handle, None)
            self._held.pop(handle, None)

    # What the pod answers

    def _listed(self, folder: bytes, handle: bytes) -> None:
        listing = Listing()
        self._folders[handle] = folder, listing
        self._listings[folder] = listing
        self._listings.move_to_end(folder)
        if len(self._listings) > MAX_LISTINGS:
            self._listings.popitem(last=False)

    def _add(self, folder: bytes, listing: Listing, found: Iterable[packets.Entry], now: float) -> None:
        found = list(found)
        listing.add(found)
        if len(self._known) < MAX_KNOWN:
            self._known.update({b"%s/%s" % (folder, name): (attributes, now) for name, attributes in found})

    def _fetch_after(self, path: bytes, now: float) -> None:
        folder, _, name = path.rpartition(b"/")
        listing = self._listings.get(folder)
        if listing is None:
            return
        for following in listing.next_after(name):
            path, size = b"%s/%s" % (folder, following), listing.sizes[following]
            if path in self._files or self._ahead + size > MAX_AHEAD:
                continue
            file = self._files[path] = File(path, size, listing, now)
            self._ahead += size
            opened = functools.partial(self._opened, file)
            self._send(opened, Type.OPEN, packets.text(path), packets.u32(packets.READ_ONLY), packets.u32(0))

    def _opened(self, file: File, raw: bytes, now: float) -> None:
        if raw[4] != Type.HANDLE:
            self._fetched(file, raw, now)
            return
        file.handle = packets.first_text(raw)
        handle = packets.text(file.handle)
        if file.dropped:
            self._send(_nothing, Type.CLOSE, handle)
            return

        def attributes(raw: bytes, _now: float) -> None:
            if raw[4] == Type.ATTRS:
                file.attributes, _ = packets.attributes(raw)

        self._send(attributes, Type.FSTAT, handle)
        whole = packets.extent(0, file.size + 1)  # one byte more: it may have grown
        self._send(functools.partial(self._fetched, file), Type.READ, handle, whole)

    def _fetched(self, file: File, raw: bytes, now: float) -> None:
        if file.dropped:
            return
        file.content = packets.first_text(raw) if raw[4] == Type.DATA else None
        if not file.whole:
            self._drop(file)
        self._ask_again(file.waiting, now)

    def _send(self, answered: Answered, kind: Type, *fields: bytes) -> None:
        number, self._next = self._next, max(OWN, (self._next + 1) % 2**32)
        self._own[number] = answered
        self.to_pod.append(packets.packet(kind, number, *fields))

    # Letting go

    def _drop(self, file: File) -> None:
        file.dropped = True
        self._remove(file)
        if file.handle:
            self._send(_nothing, Type.CLOSE, packets.text(file.handle))

    def _remove(self, file: File) -> None:
        del self._files[file.path]
        self._ahead -= file.size

    def _ask_again(self, waiting: list[bytes], now: float) -> None:
        again = list(waiting)
        waiting.clear()
        for raw in again:
            if not self._tell(raw[4], raw, now):
                self.to_pod.append(raw)

    def _forget(self, now: float) -> None:
        """Before something changes. Handles that sshfs has stay good: they are the pod's."""
        self._known.clear()
        self._held.clear()
        for file in list(self._files.values()):
            self._drop(file)
            self._ask_again(file.waiting, now)


def _nothing(_raw: bytes, _now: float) -> None:
    """Of an answer that is of no interest."""
