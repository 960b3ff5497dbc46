from __future__ import annotations

import pytest

from tpbox.cli.compose import detaches, services, split


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("up -d", "up -d"),
        ("-f a.yaml --profile dev -p shop up -f", "up -f"),
        ("--file=a.yaml --ansi never run web -f x", "run web -f x"),
        ("-f a.yaml", ""),
    ],
)
def test_composes_own_options_stand_before_the_command(words: str, command: str) -> None:
    options, rest = split(words.split())
    assert " ".join(rest) == command
    assert [*options, *rest] == words.split()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("up", []),
        ("up -d --build web cache", ["web", "cache"]),
        ("up --scale cache=2 -t 5 web", ["web"]),
        ("run --rm -e A=1 web sh -c true", ["web"]),
        ("down -v -t 3 web", ["web"]),
        ("down --rmi local", []),
    ],
)
def test_the_services_that_are_named(words: str, named: list[str]) -> None:
    command, *arguments = words.split()
    assert services(command, arguments) == named


@pytest.mark.parametrize(
    ("words", "yes"),
    [("-d", True), ("--detach", True), ("--wait", True), ("-Vd web", True), ("--no-deps", False), ("web", False)],
)
def test_up_that_returns_while_the_services_run(words: str, yes: bool) -> None:
    assert detaches(words.split()) is yes
