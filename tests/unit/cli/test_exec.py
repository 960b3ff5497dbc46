from __future__ import annotations

import io
from typing import Any

import pytest

from tpbox import door
from tpbox.cli.main import run
from tpbox.errors import UsageError
from tpbox.named import NamedSession
from tpbox.plan.request import ProcessOptions
from tpbox.ui import Console


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ProcessOptions]]:
    calls: list[tuple[str, ProcessOptions]] = []

    def execute(name: NamedSession, options: ProcessOptions, _: Console) -> int:
        calls.append((name.name, options))
        return 7

    monkeypatch.setattr(door, "execute", execute)
    return calls


def tpbox(*argv: str) -> int:
    return run(argv, Console(stream=io.StringIO()))


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        (("dev", "ls", "-l"), ("ls", "-l")),
        (("dev", "--", "ls", "-l"), ("ls", "-l")),
        (("dev", "-e", "A=1", "ls", "-e", "B=2"), ("ls", "-e", "B=2")),
        (("dev", "-e", "A=1", "--", "-l"), ("-l",)),
        (("-e", "A=1", "dev", "ls", "--", "-l"), ("ls", "--", "-l")),
        (("-e", "A=1", "dev", "--", "ls", "--"), ("ls", "--")),
        (("dev", "--", "--", "ls"), ("--", "ls")),
        (("dev",), ()),
        (("-e", "A=1", "dev"), ()),
    ],
    ids=" ".join,
)
def test_options_stand_before_or_behind_the_name_and_never_behind_the_programs_first_word(
    executed: list[tuple[str, ProcessOptions]], argv: tuple[str, ...], command: tuple[str, ...]
) -> None:
    assert tpbox("exec", *argv) == 7
    [(name, options)] = executed
    assert (name, options.command) == ("dev", command)
    assert options.environment == ({"A": "1"} if "A=1" in argv else {})


def test_dockers_options_pass(executed: list[tuple[str, Any]]) -> None:
    tpbox("exec", "dev", "--memory", "1g", "-v", "./a:/a", "-w", "/a", "--image", "myapp", "--", "ls")
    [(_, options)] = executed
    assert options.extra == ("--memory", "1g")
    assert (options.volumes, options.workdir, options.image) == (("./a:/a",), "/a", "myapp")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("exec",), "name the session"),
        (("exec", "--", "ls"), "there is no session"),
        (("exec", "dev", "-p", "80", "ls"), "-p 80"),
        (("exec", "dev", "--name", "tpbox-a", "ls"), "--name tpbox-a"),
        (("exec", "dev", "-v", "/data=copy", "ls"), "/data=copy"),
        (("shell", "--session", "dev", "--swap", "x"), "--swap is said when the session begins"),
        (("up", "dev", "-v", "/a:/a"), "-v /a:/a"),
        (("down",), "--all"),
        (("down", "dev", "--all"), "--all"),
        (("logs", "dev"), "there is no session 'dev'"),
        (("restart", "dev"), "there is no session 'dev'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_words(argv: tuple[str, ...], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        tpbox(*argv)
