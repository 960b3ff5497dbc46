"""Whole messages, as resolvers send them; tests/integration/images/test_stand.py asks Docker's own."""

from __future__ import annotations

import asyncio
import struct
from ipaddress import ip_address

import pytest
from supervisor import localnames, questions
from supervisor.localnames import AAAA, A, LocalNames

from tests.unit.images.local.test_questions import query

KNOWN = frozenset({"cache", "cache.shop_default"})
SEARCH = ("shop.svc.cluster.local", "svc.cluster.local", "cluster.local")
MX = 15
V4, V6 = ip_address("172.20.0.3").packed, ip_address("fd00::3").packed


def response(asked: bytes, *records: tuple[int, bytes], code: int = 0, truncated: bool = False) -> bytes:
    """An answer as Docker's resolver gives it: each record with the question's name in full."""
    end = questions.question(asked)[1]
    flags = 0x8180 | code | (0x0200 if truncated else 0)
    found = b"".join(
        asked[12 : end - 4] + struct.pack("!2HIH", kind, 1, 600, len(data)) + data for kind, data in records
    )
    return asked[:2] + struct.pack("!5H", flags, 1, len(records), 0, 0) + asked[12:end] + found


class Docker:
    """Docker's resolver, which knows these addresses of `cache`; without any `code` comes from elsewhere."""

    def __init__(self, *known: tuple[int, bytes], code: int = 3, truncated: bool = False) -> None:
        self.asked: list[tuple[str, int]] = []
        self._known, self._code, self._truncated = known, code, truncated

    async def __call__(self, asked: bytes) -> bytes:
        name, end = questions.question(asked)
        kind = int.from_bytes(asked[end - 4 : end - 2], "big")
        self.asked.append((name, kind))
        if not self._known:
            return response(asked, code=self._code)
        return response(asked, *[found for found in self._known if found[0] == kind], truncated=self._truncated)


def ask(docker: Docker, name: str, kind: int = A) -> bytes:
    return asyncio.run(LocalNames(KNOWN, SEARCH).answered(query(name, kind), docker))


def code(answer: bytes) -> int:
    return answer[3] & 15


@pytest.mark.parametrize("name", ["cache", "Cache.shop_default"])
def test_a_name_below_our_domain_is_asked_for_by_itself(name: str) -> None:
    docker = Docker((A, V4), (A, ip_address("172.20.0.4").packed))
    asked = query(f"{name}.compose.tpbox")
    answer = ask(docker, f"{name}.compose.tpbox")
    assert docker.asked[0] == (name.lower(), A)
    assert answer[:12] == struct.pack("!6H", 0xBEEF, 0x8180, 1, 2, 0, 0)
    end = questions.question(asked)[1]
    assert answer[12:end] == asked[12:end]
    first = b"\xc0\x0c" + struct.pack("!2HIH", A, 1, 600, 4) + V4
    assert answer[end : end + len(first)] == first
    assert len(answer) == end + 2 * len(first)


def test_the_kind_that_was_asked_for_is_answered() -> None:
    assert ask(Docker((A, V4), (AAAA, V6)), "cache.compose.tpbox", AAAA).endswith(V6)


@pytest.mark.parametrize(("known", "kind"), [((A, V4), AAAA), ((AAAA, V6), A), ((A, V4), MX)])
def test_a_service_without_this_kind_has_none_but_is_there(known: tuple[int, bytes], kind: int) -> None:
    answer = ask(Docker(known), "cache.compose.tpbox", kind)
    assert (code(answer), answer[6:8]) == (questions.SUCCESS, b"\0\0")


@pytest.mark.parametrize("upstream", [0, 2, 3, 5])
@pytest.mark.parametrize("kind", [A, AAAA, MX])
def test_a_service_that_does_not_run_is_refused_so_that_nobody_asks_the_cluster(upstream: int, kind: int) -> None:
    assert code(ask(Docker(code=upstream), "cache.compose.tpbox", kind)) == questions.REFUSED


def test_nor_does_one_whose_answer_cannot_be_read() -> None:
    async def rubbish(asked: bytes) -> bytes:
        return response(asked, (A, V4))[:-2]

    answer = asyncio.run(LocalNames(KNOWN, SEARCH).answered(query("cache.compose.tpbox"), rubbish))
    assert code(answer) == questions.REFUSED


def test_a_resolver_that_is_slow_for_one_kind_does_not_hold_the_other_up() -> None:
    async def slow(asked: bytes) -> bytes:
        if int.from_bytes(asked[-4:-2], "big") == AAAA:
            await asyncio.sleep(60)
        return response(asked, (A, V4))

    answer = asyncio.run(LocalNames(KNOWN, SEARCH).answered(query("cache.compose.tpbox"), slow))
    assert answer.endswith(V4)


@pytest.mark.parametrize("name", ["web.compose.tpbox", "cache.shop.compose.tpbox", "compose.tpbox"])
def test_another_name_below_our_domain_does_not_exist_and_nobody_is_asked(name: str) -> None:
    docker = Docker((A, V4))
    assert code(ask(docker, name)) == questions.NO_SUCH_NAME
    assert docker.asked == []


@pytest.mark.parametrize("name", ["cache", "cache.shop.svc.cluster.local", "xcompose.tpbox"])
def test_any_other_question_is_passed_on_as_it_is(name: str) -> None:
    seen = []

    async def forward(asked: bytes) -> bytes:
        seen.append(asked)
        return b"answer"

    assert asyncio.run(LocalNames(KNOWN, SEARCH).answered(query(name), forward)) == b"answer"
    assert seen == [query(name)]


def test_what_is_no_query_gets_no_answer() -> None:
    assert asyncio.run(LocalNames(KNOWN, SEARCH).answered(b"rubbish", Docker())) == b""


def test_an_answer_that_is_cut_off_says_so_that_it_is_asked_for_by_tcp() -> None:
    assert ask(Docker((A, V4), truncated=True), "cache.compose.tpbox")[2] & localnames.TRUNCATED


def test_compressed_names_and_other_records_are_passed_over() -> None:
    asked = query("cache")
    alias = b"\xc0\x0c" + struct.pack("!2HIH", 5, 1, 60, 4) + b"\1x\xc0\x0c"
    found = b"\1x\xc0\x0c" + struct.pack("!2HIH", A, 1, 60, 4) + V4
    end = questions.question(asked)[1]
    message = asked[:2] + struct.pack("!5H", 0x8180, 1, 2, 0, 0) + asked[12:end] + alias + found
    assert localnames.addresses(message, A).records == (b"\xc0\x0c" + found[4:],)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        query("cache"),  # no answer
        response(query("cache"), (A, V4))[:-1],
        response(query("cache"), (A, V4))[:30],
        response(query("cache"))[:7] + b"\5" + response(query("cache"))[8:],  # more records than there are
        response(query("cache"), (A, V4))[:23] + b"\x80" + bytes(30),
    ],
)
def test_an_answer_that_cannot_be_read_is_an_error(message: bytes) -> None:
    with pytest.raises(ValueError):
        localnames.addresses(message, A)


def test_a_refused_name_is_refused_in_the_cluster_too_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1.0
    monkeypatch.setattr("supervisor.localnames.time.monotonic", lambda: now)
    names = LocalNames(KNOWN, SEARCH)
    gone = Docker()

    async def forward(_: bytes) -> bytes:
        return b"the cluster's"

    def asked(name: str, by: localnames.Forward = forward) -> bytes:
        return asyncio.run(names.answered(query(name), by))

    assert asked("cache.shop.svc.cluster.local") == b"the cluster's"
    assert code(asked("cache.compose.tpbox", gone)) == questions.REFUSED
    assert code(asked("cache.shop.svc.cluster.local")) == questions.REFUSED, "Go's resolver comes here next"
    assert asked("db.shop.svc.cluster.local") == b"the cluster's"
    now += localnames.GOES_ON
    assert asked("cache.shop.svc.cluster.local") == b"the cluster's"
