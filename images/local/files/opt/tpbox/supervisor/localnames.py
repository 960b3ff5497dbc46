"""The names of a Compose project's own networks, `cache` or `cache.shop_default`: Docker's resolver knows them.

    names = LocalNames(wanted.local_names, questions.search(info["resolvConf"]))
    await names.answered(query, forward)

A pod's resolv.conf has `ndots:5`: a program that asks for `cache` asks for `cache.shop.svc.cluster.local` first, and
would get the cluster's service. So the search list begins with a domain of ours, and a question below that tells that
the short name was meant. A service that does not run is refused, by which the C libraries' resolvers stop: with "no
such name" they would go on, and silently reach the cluster's service of the same name. Go's resolver goes on all the
same: so what is refused is refused below the search list's other domains, too, for as long as it takes to get there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from supervisor import questions
from supervisor.questions import HEADER

DOMAIN = "compose.tpbox"
SUFFIX = f".{DOMAIN}"
A, AAAA = 1, 28
LENGTHS = {A: 4, AAAA: 16}  # bytes of an address
IN = b"\0\1"
GOES_ON = 1.0  # seconds
RECURSION_DESIRED, TRUNCATED = 0x01, 0x02  # of the first byte of the flags
CODE = 0x0F  # of the second
POINTER = 0xC0
QUESTION_NAME = b"\xc0\x0c"  # a pointer to it

Forward = Callable[[bytes], Awaitable[bytes]]  # the answer of the resolver that is chosen for a question's name


@dataclass(frozen=True)
class Found:
    """The addresses in an answer, as records of the question's name."""

    records: tuple[bytes, ...] = ()
    truncated: bool = False


class LocalNames:
    """`known` are answered by Docker's resolver; `search` is the pod's own search list."""

    def __init__(self, known: Collection[str] = (), search: Collection[str] = ()) -> None:
        self._known = known
        self._search = search
        self._refused: dict[str, float] = {}  # when, by time.monotonic()

    async def answered(self, query: bytes, forward: Forward) -> bytes:
        """Answers what is below DOMAIN, and forwards what is not; nothing for what is no query."""
        try:
            name, end = questions.question(query)
        except ValueError:
            return b""
        if name != DOMAIN and not name.endswith(SUFFIX):
            return questions.answer(query, questions.REFUSED) if self._goes_on(name) else await forward(query)
        short = name.removesuffix(SUFFIX)
        if short not in self._known:
            return questions.answer(query, questions.NO_SUCH_NAME)
        found = await _local(query, int.from_bytes(query[end - 4 : end - 2], "big"), forward)
        if found is None:
            self._refused[short] = time.monotonic()
            return questions.answer(query, questions.REFUSED)
        self._refused.pop(short, None)
        return found

    def _goes_on(self, name: str) -> bool:
        """Whether this is a name that was refused, with the next domain of the search list behind it."""
        return any(
            name == f"{short}.{domain}"
            for short, when in self._refused.items()
            if time.monotonic() - when < GOES_ON
            for domain in self._search
        )


async def _local(query: bytes, asked: int, forward: Forward) -> bytes | None:
    """Both kinds of address are asked for at once: whether the service runs decides, not whether it has this kind. None
    where it does not run."""
    looking = {kind: asyncio.ensure_future(_look_up(query, kind, forward)) for kind in LENGTHS}
    try:
        for kind in sorted(LENGTHS, key=lambda kind: kind != asked):
            if (found := await looking[kind]).records:
                records, flags = (found.records, TRUNCATED * found.truncated) if kind == asked else ((), 0)
                return questions.answer(query, questions.SUCCESS, records, flags)
        return None
    finally:
        for task in looking.values():
            task.cancel()


async def _look_up(query: bytes, kind: int, forward: Forward) -> Found:
    try:
        return addresses(await forward(bare(query, kind)), kind)
    except ValueError:
        return Found()


def bare(query: bytes, kind: int) -> bytes:
    """The question for the short name, less all that a query may have besides."""
    _, end = questions.question(query)
    labels = query[HEADER : end - 4 - len(SUFFIX) - 1]  # a label's length stands where its dot would; and the root's
    header = query[:2] + bytes([RECURSION_DESIRED, 0]) + b"\0\1" + bytes(6)
    return header + labels + b"\0" + kind.to_bytes(2, "big") + IN


def addresses(message: bytes, kind: int) -> Found:
    """What an answer has of this kind; nothing when it is no success. Raises ValueError when it cannot be read."""
    if len(message) < HEADER or not message[2] & questions.RESPONSE or message[4:6] != b"\0\1":
        raise ValueError("not an answer to one question")
    if message[3] & CODE != questions.SUCCESS:
        return Found()
    at = _behind_name(message, HEADER) + 4
    records = []
    for _ in range(int.from_bytes(message[6:8], "big")):
        fields = _behind_name(message, at)
        data = fields + 10  # type, class, time to live and length before it
        at = data + int.from_bytes(message[data - 2 : data], "big")
        if at > len(message):
            raise ValueError("cut off")
        if message[fields : fields + 4] == kind.to_bytes(2, "big") + IN and at - data == LENGTHS[kind]:
            records.append(QUESTION_NAME + message[fields:at])
    return Found(tuple(records), bool(message[2] & TRUNCATED))


def _behind_name(message: bytes, at: int) -> int:
    """Where a name that begins at `at` ends: with the root, or with a pointer to the rest (RFC 1035, 4.1.4)."""
    while at < len(message):
        length = message[at]
        if length & POINTER == POINTER:
            return at + 2
        if length > questions.LONGEST_LABEL:
            raise ValueError("a label that is none")
        at += 1 + length
        if length == 0:
            return at
    raise ValueError("cut off")
