from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from tpbox.cli import options
from tpbox.errors import UsageError
from tpbox.plan import outside
from tpbox.plan.inbound import parse


def test_a_later_env_file_wins_over_an_earlier_and_e_over_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERE", "the launcher's")
    (tmp_path / "one").write_text("A=1\nB=1\nC=1\nHERE\n")
    (tmp_path / "two").write_text("B=2\nC=2\n")
    files = tuple(str(tmp_path / name) for name in ("one", "two"))
    assert options.environment({"env_file": files, "env": ("C=3",)}) == {
        "A": "1",
        "B": "2",
        "C": "3",
        "HERE": "the launcher's",
    }


def test_a_kubeconfig_that_is_not_there_is_named() -> None:
    options.check_kubeconfig("")
    with pytest.raises(UsageError, match="/no/such/config"):
        options.check_kubeconfig("/no/such/config")


def words(*argv: str) -> dict[str, Any]:
    """What click makes of the words."""
    chosen: dict[str, Any] = {}
    note = options.add([*options.SWAP, *options.INBOUND, *options.OUTSIDE, *options.POD])(
        lambda **found: chosen.update(found)
    )
    click.command("run")(note).main([*argv], standalone_mode=False)
    return chosen


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ("--swap web --like web", ["--swap and --like", "like it in all things"]),
        ("--swap web --service-account me", ["--swap and --service-account", "keeps its service account"]),
        ("--swap web --expose 80 --as mine", ["--swap and --as", "own Services"]),
        ("--now", ["--now means nothing without --swap", "--swap deploy/web --now"]),
        ("--take-over", ["--take-over means nothing without --swap", "--swap deploy/web --take-over"]),
        ("--restore-wait 0", ["--restore-wait means nothing without --swap", "--restore-wait 120"]),
        ("--as mine", ["--as means nothing without --expose", "--expose 8080 --as my-web"]),
        ("--also-proxy 10.1.0.0/16", ["--also-proxy means nothing without --only-cluster", "--only-cluster --also"]),
    ],
)
def test_options_that_do_not_go_together_are_refused(argv: str, says: list[str]) -> None:
    with pytest.raises(UsageError) as raised:
        options.check_together(words(*argv.split()))
    for word in says:
        assert word in " ".join(raised.value.lines())


@pytest.mark.parametrize(
    "argv",
    [
        "",
        "--swap web --now --take-over --restore-wait 0 --expose 80 --pull-secret s",
        "--expose 80 --as mine --like web --service-account me",
        "--to-pod 80 --from-pod 81 --container-to-host 82",
        "--only-cluster --also-proxy 10.1.0.0/16 --never-proxy 10.1.7.0/24",
        "--never-proxy 10.1.7.0/24",
    ],
)
def test_options_that_go_together_are_taken(argv: str) -> None:
    options.check_together(words(*argv.split()))


def test_what_stays_outside_is_read() -> None:
    argv = "--only-cluster --also-proxy 10.1.0.0/16 --never-proxy 10.1.7.0/24 --never-proxy wiki"
    found = options.outside(words(*argv.split()))
    assert found == outside.parse(("10.1.0.0/16",), ("10.1.7.0/24", "wiki"), only_cluster=True)


def test_the_ports_of_the_options_are_read() -> None:
    argv = "--expose 9000:80 --expose 8443 --to-pod 5432 --from-pod 9001 --container-to-host 5678:5679"
    assert options.inbound(words(*argv.split())) == parse(("9000:80", "8443"), ("5432",), ("9001",), ("5678:5679",))
