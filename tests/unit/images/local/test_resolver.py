"""The forwarder less its sockets, which a unit test may not use; tests/e2e/test_outside.py shows them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from supervisor import questions, resolver
from supervisor.resolver import Bound

from tests.unit.images.local.test_questions import query


def answered(by: dict[str, bytes | Exception], message: bytes = query("web")) -> bytes:
    """What comes of a query when resolvers answer like this; Exception() stands for one that says nothing."""

    async def ask(server: str, _: bytes) -> bytes:
        found = by[server]
        if isinstance(found, OSError | EOFError):
            raise found
        if isinstance(found, Exception):
            await asyncio.sleep(60)
        assert isinstance(found, bytes)
        return found

    def choose(name: str) -> Sequence[str]:
        assert name == "web"
        return list(by)

    return asyncio.run(resolver.answered(message, choose, ask))


def test_the_first_resolvers_answer_is_passed_on() -> None:
    assert answered({"10.0.0.1": b"answer", "10.0.0.2": b"other"}) == b"answer"


@pytest.mark.parametrize("first", [OSError("refused"), EOFError("closed"), Exception()])
def test_the_next_is_asked_when_one_does_not_answer(first: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "ANSWER_WITHIN", 0.05)
    assert answered({"10.0.0.1": first, "10.0.0.2": b"answer"}) == b"answer"


@pytest.mark.parametrize("by", [{}, {"10.0.0.1": OSError("a"), "10.0.0.2": OSError("b"), "10.0.0.3": b"not asked"}])
def test_a_failure_is_told_when_none_has_answered(
    by: dict[str, bytes | Exception], capsys: pytest.CaptureFixture[str]
) -> None:
    assert answered(by) == questions.failure(query("web"))
    assert ("10.0.0.1 does not answer for 'web': a" in capsys.readouterr().err) == bool(by)


def test_what_is_no_query_gets_no_answer() -> None:
    assert answered({"10.0.0.1": b"answer"}, b"rubbish") == b""


def test_no_more_than_the_bound_is_under_way() -> None:
    async def use() -> list[bool]:
        bound, go_on = Bound(2), asyncio.Event()

        async def work() -> None:
            await go_on.wait()
            raise OSError("the client has gone")

        started = [bound.start(work) for _ in range(3)]
        go_on.set()
        await asyncio.sleep(0.01)
        return [*started, bound.start(work)]

    assert asyncio.run(use()) == [True, True, False, True]
