from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from scripts import check_netstack


def test_fuzz_targets_are_found_with_their_packages(tmp_path: Path) -> None:
    package = tmp_path / "internal" / "wire"
    package.mkdir(parents=True)
    (package / "wire_test.go").write_text(
        "func FuzzB(f *testing.F) {\nfunc TestC(t *testing.T) {\nfunc FuzzA(f *testing.F) {\n"
    )
    (package / "wire.go").write_text("func FuzzNot(f *testing.F) {\n")
    assert check_netstack.fuzz_targets(tmp_path) == [("./internal/wire", "FuzzB"), ("./internal/wire", "FuzzA")]


def test_the_engine_has_fuzz_targets() -> None:
    found = {name for _, name in check_netstack.fuzz_targets(check_netstack.FOLDER)}
    assert {"FuzzReadOpen", "FuzzReadDatagram"} <= found


def test_each_fuzz_target_runs_by_itself_for_the_whole_time() -> None:
    assert check_netstack.fuzz([("./a", "FuzzA"), ("./b", "FuzzAB")], 30) == [
        ["go", "test", "-run=^$", "-fuzz=^FuzzA$", "-fuzztime=30s", "./a"],
        ["go", "test", "-run=^$", "-fuzz=^FuzzAB$", "-fuzztime=30s", "./b"],
    ]
    assert check_netstack.fuzz([], 30) == []


def test_the_container_has_no_network_and_leaves_nothing() -> None:
    command = check_netstack.container("tools:1", ["go", "vet", "./..."])
    assert command[:2] == ["docker", "run"]
    assert {"--rm", "--init", "--network=none"} <= set(command)
    assert command[-4:] == ["tools:1", "go", "vet", "./..."]


def test_the_first_failure_ends_the_run_with_its_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def run(argv: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        ran.append(argv[-1])
        return subprocess.CompletedProcess(argv, {"bad": 3}.get(argv[-1], 0))

    monkeypatch.setattr(subprocess, "run", run)
    assert check_netstack.run("tools:1", [["good"], ["bad"], ["never"]]) == 3
    assert ran == ["good", "bad"]
    assert check_netstack.run("tools:1", [["good"]]) == 0


@pytest.mark.parametrize("arguments", [[], ["nosuch"], ["lint", "nosuch"]])
def test_what_is_asked_must_be_known(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert check_netstack.main(arguments) == 2
    assert "lint, test, fuzz" in capsys.readouterr().err
