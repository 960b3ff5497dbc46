from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
import pytest

from tpbox.cli import completion, completions
from tpbox.named import NamedSession

CONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: u, user: {}}]
contexts:
- {name: dev, context: {cluster: c, user: u}}
- {name: prod, context: {cluster: c, user: u}}
current-context: dev
"""


def _context(**params: str) -> click.Context:
    context = click.Context(click.Command("run"))
    context.params = dict(params)
    return context


def test_contexts_are_the_kubeconfigs_and_the_embedded_clusters(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(CONFIG)
    option = click.Option(["--context"])
    assert completions.contexts(_context(kubeconfig=str(path)), option, "") == ["dev", "prod", "tpbox"]
    assert completions.contexts(_context(kubeconfig=str(path)), option, "p") == ["prod"]


def test_a_broken_kubeconfig_completes_nothing_and_says_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config"
    path.write_text("this: [is none")
    context = _context(kubeconfig=str(path))
    assert completions.contexts(context, click.Option(["--context"]), "") == ["tpbox"]
    assert completions.namespaces(context, click.Option(["-n"]), "") == []
    assert completions.workloads(context, click.Option(["--like"]), "deploy/") == []
    assert completions.workloads(context, click.Option(["--like"]), "po") == ["pod/"]
    assert capsys.readouterr() == ("", "")


def test_an_answer_that_takes_longer_is_not_waited_for() -> None:
    def slow() -> list[str]:
        time.sleep(5)
        return ["late"]

    began = time.monotonic()
    assert completions.within(0.1, slow) == []
    assert time.monotonic() - began < 2


WEB = {"spec": {"containers": [{"name": "web"}, {"name": "sidecar"}]}}
LISTED = {
    "deployments": [{"metadata": {"name": "web"}, "spec": {"template": WEB}}],
    "pods": [{"metadata": {"name": "web"}, **WEB}],
}


@pytest.mark.parametrize(
    ("incomplete", "expected"),
    [
        ("deploy/web:", ["deploy/web:web", "deploy/web:sidecar"]),
        ("deploy/web:s", ["deploy/web:sidecar"]),
        ("pod/web:s", ["pod/web:sidecar"]),
        ("web:s", ["web:sidecar"]),
        ("deploy/other:", []),
        ("deploy/w", ["deploy/web"]),
    ],
)
def test_containers_are_behind_the_workloads_name(
    monkeypatch: pytest.MonkeyPatch, incomplete: str, expected: list[str]
) -> None:
    class Listing:
        namespace = "shop"

        def get(self, path: str) -> dict[str, Any]:
            return {"items": LISTED[path.rpartition("/")[2]]}

    monkeypatch.setattr(completions, "_asked", lambda _, look: look(Listing()))
    assert completions.workloads(_context(), click.Option(["--swap"]), incomplete) == expected


def test_sessions_are_those_of_this_machine_and_living_ones_where_a_process_is_started() -> None:
    argument = click.Argument(["words"])
    for name in ("dev", "demo", "other"):
        NamedSession(name).make_folder()
    with NamedSession("dev").held():
        assert completions.sessions(_context(), argument, "de") == ["demo", "dev"]
        assert completions.living_sessions(_context(), argument, "") == ["dev"]
        assert completions.living_sessions(_context(words="dev"), argument, "") == []
        context = _context()
        context.meta[completions.SESSION] = "dev"
        assert completions.living_sessions(context, argument, "") == []


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        (["run", "--swap", "deploy/web", ":", "si"], ["run", "--swap", "deploy/web:si"]),
        (["run", "--swap", "deploy/web", ":"], ["run", "--swap", "deploy/web:"]),
        (["run", "-p", "8080", ":", "80", "-n", ""], ["run", "-p", "8080:80", "-n", ""]),
        (["ru"], ["ru"]),
        ([""], [""]),
    ],
)
def test_what_bash_splits_at_a_colon_is_one_word(pieces: list[str], words: list[str]) -> None:
    assert completion.joined(pieces) == words
