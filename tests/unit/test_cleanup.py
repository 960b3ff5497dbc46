from __future__ import annotations

from tpbox.cleanup import CleanupStack
from tpbox.errors import DockerError


def test_the_last_made_goes_first_and_a_failure_stops_nothing() -> None:
    stack, done = CleanupStack(), []

    def refuse() -> None:
        raise DockerError("busy")

    def break_down() -> None:
        raise ZeroDivisionError("a fault")

    stack.push("first", lambda: done.append("first"))
    stack.push("second", refuse)
    stack.push("third", break_down)
    stack.push("fourth", lambda: done.append("fourth"))
    failures = stack.unwind()
    assert done == ["fourth", "first"]
    assert [(f.step, f.error.message) for f in failures] == [
        ("third", "ZeroDivisionError: a fault"),
        ("second", "busy"),
    ]


def test_nothing_is_undone_twice() -> None:
    stack, done = CleanupStack(), []
    stack.push("once", lambda: done.append(1))
    assert stack.unwind() == [] == stack.unwind()
    assert done == [1]
