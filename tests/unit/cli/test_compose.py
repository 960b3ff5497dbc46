from __future__ import annotations

import pytest

from tpbox.cli.compose import detaches, own_options, services, split, wants_help
from tpbox.cli.main import run as run_line
from tpbox.errors import UsageError
from tpbox.ui import Console


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
        ("run -itu root web sh", ["web"]),
    ],
)
def test_the_services_that_are_named(words: str, named: list[str]) -> None:
    command, *arguments = words.split()
    assert services(command, arguments) == named


@pytest.mark.parametrize(
    ("words", "yes"),
    [
        ("-d", True),
        ("--detach", True),
        ("--wait", True),
        ("-Vd web", True),
        ("--no-deps", False),
        ("web", False),
        ("--detach=true", True),
        ("-d=true", True),
        ("--detach=false", False),
    ],
)
def test_up_that_returns_while_the_services_run(words: str, yes: bool) -> None:
    assert detaches(words.split()) is yes


@pytest.mark.parametrize(
    ("words", "yes"),
    [("up --help", True), ("down -h", True), ("run web ls --help", False), ("run --help web", True), ("up web", False)],
)
def test_help_of_a_command_is_composes_and_a_programs_is_its_own(words: str, yes: bool) -> None:
    assert wants_help(words.split()) is yes


def test_what_stands_behind_the_service_is_its_programs() -> None:
    assert own_options("run --rm web ls -d --dry-run".split()) == ["--rm"]


class FakeCompose:
    """One that must not be asked for its project."""

    def __init__(self, options: list[str]) -> None:
        self.options = options

    def check_version(self) -> None:
        pass

    def model(self) -> None:
        pytest.fail("the project was read")


@pytest.mark.parametrize(
    "words", ["--dry-run up", "up --dry-run", "down --dry-run", "-fshop.yaml -pshop hold --dry-run"]
)
def test_a_dry_run_is_refused_where_sessions_are_at_stake(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tpbox.local.compose.Compose", FakeCompose)
    with pytest.raises(UsageError, match="for real"):
        run_line(["compose", *words.split()], Console())
