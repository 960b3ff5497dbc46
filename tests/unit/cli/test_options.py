from __future__ import annotations

from pathlib import Path

import pytest

from tpbox.cli import options
from tpbox.errors import UsageError


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
