from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import setup


def test_stamp_follows_the_files(tmp_path: Path) -> None:
    lock, project = tmp_path / "lock", tmp_path / "project"
    lock.write_text("a")
    project.write_text("b")
    before = setup.stamp((lock, project))
    assert setup.stamp((lock, project)) == before
    project.write_text("c")
    assert setup.stamp((lock, project)) != before


def test_state_directory_is_tpboxs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from tpbox import state

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert setup.state_directory({"XDG_STATE_HOME": str(tmp_path)}) == state.directory()
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert setup.state_directory({}) == state.directory()


def test_environment_is_skipped_when_the_stamp_fits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("requirements.lock", "pyproject.toml"):
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    monkeypatch.setattr(setup, "STAMP", tmp_path / "stamp")
    setup.STAMP.write_text(setup.stamp((tmp_path / "requirements.lock", tmp_path / "pyproject.toml")))
    monkeypatch.setattr(setup, "run", refuse)
    assert setup.environment() == "there"


def test_environment_is_installed_with_hashes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("requirements.lock", "pyproject.toml"):
        (tmp_path / name).write_text(name)
    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    monkeypatch.setattr(setup, "STAMP", tmp_path / "stamp")
    monkeypatch.setattr(setup, "VENV_PYTHON", Path(sys.executable))

    def note(*argv: str) -> str:
        ran.append(argv)
        return ""

    monkeypatch.setattr(setup, "run", note)
    assert setup.environment() == "installed"
    assert "--require-hashes" in ran[0]
    assert {"--no-deps", "--no-build-isolation", "--editable"} < set(ran[1])
    assert setup.environment() == "there"


def test_docker_that_is_missing_is_said_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(setup, "docker_answers", lambda: False)
    monkeypatch.setattr(setup, "may_install", lambda: False)
    with pytest.raises(setup.SetupError, match="systemctl start docker"):
        setup.docker()


def test_docker_elsewhere_is_never_started_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    monkeypatch.setattr(setup, "docker_answers", lambda: False)
    monkeypatch.setattr(setup, "may_install", lambda: True)
    monkeypatch.setattr(setup, "install", refuse)
    with pytest.raises(setup.SetupError, match=r"DOCKER_HOST=tcp://127\.0\.0\.1:1"):
        setup.docker()


def test_base_image_that_cannot_be_had_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "succeeds", lambda *argv: False)
    monkeypatch.setattr(setup, "may_install", lambda: False)
    with pytest.raises(setup.SetupError, match="docker load"):
        setup.base_image()


def test_plugins_that_are_there_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "plugin_will_do", lambda name: True)
    monkeypatch.setattr(setup, "run", refuse)
    assert setup.compose() == "there"


def test_plugins_that_cannot_be_installed_are_said_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "plugin_will_do", lambda name: False)
    monkeypatch.setattr(setup, "may_install", lambda: False)
    with pytest.raises(setup.SetupError, match="apt-get install docker-compose docker-buildx"):
        setup.compose()


def test_the_missing_plugin_comes_out_of_a_container(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ran: list[tuple[str, ...]] = []

    def note(*argv: str) -> str:
        ran.append(argv)
        return "abc" if argv[1] == "create" else ""

    there = {"compose": True}
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setattr(setup, "may_install", lambda: True)
    monkeypatch.setattr(setup, "plugin_will_do", lambda name: there.setdefault(name, False) or len(ran) > 0)
    monkeypatch.setattr(setup, "run", note)
    assert setup.compose() == "installed buildx"
    assert [argv[1] for argv in ran] == ["create", "start", "cp", "rm"]
    assert setup.BASE in ran[0]
    assert ran[0][-1] == "docker-buildx"
    assert ran[2][-1] == str(tmp_path / "docker" / "cli-plugins" / "docker-buildx")


def test_the_container_goes_when_a_package_cannot_be_had(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ran: list[str] = []

    def fail(*argv: str) -> str:
        ran.append(argv[1])
        if argv[1] == "start":
            raise setup.SetupError("no network")
        return ""

    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setattr(setup, "run", fail)
    with pytest.raises(setup.SetupError, match="no network"):
        setup.fetch_plugins(["compose"])
    assert ran == ["create", "start", "rm"]


@pytest.mark.parametrize(
    ("words", "version"),
    [("Docker Compose version 2.26.1-4\n", (2, 26)), ("Docker Compose version v5.0.1", (5, 0)), ("", (0, 0))],
)
def test_a_version_is_found_in_a_programs_words(words: str, version: tuple[int, int]) -> None:
    assert setup.version_in(words) == version


def test_a_program_that_fails_is_quoted() -> None:
    with pytest.raises(setup.SetupError) as raised:
        setup.run(sys.executable, "-c", "print('first'); raise SystemExit('it broke')")
    assert "ended with 1" in str(raised.value)
    assert "it broke" in str(raised.value)


def test_a_program_that_is_missing_is_named() -> None:
    with pytest.raises(setup.SetupError, match="nosuch-program is missing"):
        setup.run("nosuch-program")


def test_steps_run_in_their_order_and_stop_at_the_first_that_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[str] = []

    def step(name: str) -> Callable[[], str]:
        def run() -> str:
            if name == "two":
                raise setup.SetupError("no luck")
            ran.append(name)
            return "done"

        return run

    monkeypatch.setattr(setup, "STEPS", {name: step(name) for name in ("one", "two", "three")})
    assert setup.main([]) == 1
    assert ran == ["one"]
    assert "two failed: no luck" in capsys.readouterr().err
    assert setup.main(["three", "one"]) == 0
    assert ran == ["one", "one", "three"]


def test_an_unknown_step_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert setup.main(["nosuch"]) == 2
    assert "base-image" in capsys.readouterr().err


def test_it_needs_the_standard_library_only() -> None:
    """-S leaves out site-packages, -I the working directory: what a bare python3 has."""
    asked = [sys.executable, "-I", "-S", str(setup.ROOT / "scripts" / "setup.py"), "nosuch"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "there is no step nosuch" in done.stderr


def refuse(*argv: str) -> str:
    raise AssertionError(f"must not run: {argv}")
