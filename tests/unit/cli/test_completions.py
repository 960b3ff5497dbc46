from __future__ import annotations

import time
from pathlib import Path

import click
import pytest

from tpbox.cli import completions

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
