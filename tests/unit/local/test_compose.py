from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tpbox import process
from tpbox.errors import DockerError, UsageError
from tpbox.local.compose import Compose, find_files, own_words, without_files
from tpbox.process import ProcessError

Answer = Callable[[list[str]], str]


def answering(monkeypatch: pytest.MonkeyPatch, answer: Answer) -> list[list[str]]:
    """Docker as the test has it; returns what it was asked."""
    asked: list[list[str]] = []

    def run(argv: list[str], **_: Any) -> str:
        asked.append(argv)
        return answer(argv)

    monkeypatch.setattr(process, "run", run)
    return asked


def failing(words: str, code: int = 1) -> Answer:
    def answer(argv: list[str]) -> str:
        raise ProcessError(argv, code, words)

    return answer


@pytest.mark.parametrize("said", ["2.20.0", "v2.20.0", "2.26.1-4", "5.0.1"])
def test_a_compose_that_is_new_enough_will_do(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    asked = answering(monkeypatch, lambda _: f"{said}\n")
    Compose().check_version()
    assert asked == [["docker", "compose", "version", "--short"]]


@pytest.mark.parametrize("said", ["2.19.1", "1.29.2", "what?"])
def test_a_compose_that_is_too_old_is_said(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    answering(monkeypatch, lambda _: said)
    with pytest.raises(DockerError, match=f"docker compose is .*{said[:4]}.*; 2.20 or later is needed") as raised:
        Compose().check_version()
    assert "https://docs.docker.com/compose/install" in raised.value.hint


def test_no_compose_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, failing("docker: unknown command: docker compose"))
    with pytest.raises(DockerError, match="docker compose is not there") as raised:
        Compose().check_version()
    assert raised.value.detail == "docker: unknown command: docker compose"


def test_the_model_is_what_compose_resolves(monkeypatch: pytest.MonkeyPatch) -> None:
    said = 'name: shop\nservices:\n  web:\n    environment: {A: a$$b, B: =}\n    x-tpbox: {expose: ["8080:22"]}\n'
    asked = answering(monkeypatch, lambda _: said)
    model = Compose(["-f", "a.yaml", "--profile", "dev"]).model(["web"])
    words = "docker compose -f a.yaml --profile dev config --format yaml web"
    assert asked == [words.split()]
    assert model == {
        "name": "shop",
        "services": {"web": {"environment": {"A": "a$b", "B": "="}, "x-tpbox": {"expose": ["8080:22"]}}},
    }


def test_a_project_that_cannot_be_read_has_composes_words(monkeypatch: pytest.MonkeyPatch) -> None:
    warning = 'time="2026-11-25T02:44:53Z" level=warning msg="The \\"BAR\\" variable is not set."'
    answering(monkeypatch, failing(f"{warning}\nyaml: line 1: did not find expected ',' or ']'", 15))
    with pytest.raises(UsageError) as raised:
        Compose().model()
    assert raised.value.lines()[1] == "yaml: line 1: did not find expected ',' or ']'"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no such service: web", "no such service: web"),
        ('time="x" level=fatal msg="no \\"web\\""', 'no "web"'),
        ('time="x" level=error msg=short\ntime="x" level=info msg=no', "short"),
    ],
)
def test_composes_words_are_kept_without_times_and_levels(text: str, words: str) -> None:
    assert own_words(text) == words


def test_the_override_comes_behind_the_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services: {}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COMPOSE_FILE", raising=False)
    found = Compose(["-p", "shop"]).argv("up", "-d", override="/state/o.yaml")
    assert found == [
        *"docker compose -p shop -f".split(),
        f"{tmp_path}/compose.yaml",
        *"-f /state/o.yaml up -d".split(),
    ]
    given = Compose(["--file=a.yaml", "-p", "shop", "-f", "b.yaml"])
    assert given.argv("up", override="o.yaml") == "docker compose -p shop -f a.yaml -f b.yaml -f o.yaml up".split()
    assert given.argv("ps") == "docker compose --file=a.yaml -p shop -f b.yaml ps".split()


APP = "/work/app"


def find(files: dict[str, str], options: str = "", environment: dict[str, str] | None = None) -> tuple[str, ...]:
    """In APP; `files`: text by path."""
    there = {Path(name): text for name, text in files.items()}
    return find_files(options.split(), Path(APP), environment or {}, there.get)


def test_named_files_are_taken_as_they_are_named() -> None:
    named = "-f a.yaml -fb.yaml --file c.yaml --file=d.yaml -p x"
    assert find({}, named, {"COMPOSE_FILE": "z.yaml"}) == ("a.yaml", "b.yaml", "c.yaml", "d.yaml")
    assert without_files(named.split()) == ["-p", "x"]


def test_else_the_environment_names_them() -> None:
    assert find({}, environment={"COMPOSE_FILE": f"a.yaml{os.pathsep}b.yaml"}) == ("a.yaml", "b.yaml")
    assert find({}, environment={"COMPOSE_FILE": "a;b", "COMPOSE_PATH_SEPARATOR": ";"}) == ("a", "b")


def test_else_an_env_file_does() -> None:
    files = {
        f"{APP}/.env": "# x\nexport COMPOSE_FILE='a.yaml;b.yaml'\nCOMPOSE_PATH_SEPARATOR=;\n",
        f"{APP}/my.env": "COMPOSE_FILE=c.yaml",
        f"{APP}/other/.env": "COMPOSE_FILE=d.yaml",
    }
    assert find(files) == ("a.yaml", "b.yaml")
    assert find(files, "--env-file my.env") == ("c.yaml",)
    assert find(files, environment={"COMPOSE_ENV_FILES": "my.env"}) == ("c.yaml",)
    assert find(files, "--project-directory other") == ("d.yaml",)
    assert find(files, environment={"COMPOSE_FILE": "z", "COMPOSE_PATH_SEPARATOR": ":"}) == ("z",)


def test_else_they_are_the_first_of_the_known_names_and_its_override() -> None:
    files = {f"{APP}/{name}": "" for name in ("docker-compose.yml", "compose.yaml", "compose.override.yml")}
    assert find(files) == (f"{APP}/compose.yaml", f"{APP}/compose.override.yml")


def test_they_may_lie_further_up() -> None:
    files = {"/work/docker-compose.yml": "", "/compose.yaml": ""}
    assert find(files) == ("/work/docker-compose.yml",)
    assert find(files, "--project-directory /elsewhere") == ("/compose.yaml",)


def test_no_file_is_said() -> None:
    with pytest.raises(UsageError, match=r"there is no compose.yaml in /work/app, nor above"):
        find({})


def test_the_standard_input_is_refused() -> None:
    with pytest.raises(UsageError, match="only once"):
        find({}, "-f -")


def test_the_projects_directory_is_its_first_files_or_the_one_that_is_said(tmp_path: Path) -> None:
    file = tmp_path / "shop" / "compose.yaml"
    assert Compose(["-f", str(file), "-f", "/elsewhere/more.yaml"]).directory() == tmp_path / "shop"
    assert Compose(["-f", str(file), "--project-directory", str(tmp_path)]).directory() == tmp_path
