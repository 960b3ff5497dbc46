from __future__ import annotations

import json
import subprocess

import pytest
import yaml

from tpbox.errors import UsageError
from tpbox.plan import envfile

HARD = {
    "PLAIN": "a-value/with:1,2",
    "EMPTY": "",
    "BLANKS": " a b ",
    "LINES": "one\ntwo\n",
    "JSON": '{"a": "$HOME", "b": [1]}',
    "QUOTE": "it's",
    "ALL": 'it\'s "$HOME" `x` \\ \n#',
    "HASH": "a # b",
    "UMLAUT": "grün",
}


def test_dockers_env_file_is_read_as_docker_reads_it() -> None:
    text = "\ufeff# comment\n\n  A=1\r\nB= two words # no comment\nC=\nD='quoted'\nHERE\nNOT_HERE\nE=a=b"
    assert envfile.parse(text, "f", {"HERE": "own"}) == {
        "A": "1",
        "B": " two words # no comment",
        "C": "",
        "D": "'quoted'",
        "HERE": "own",
        "E": "a=b",
    }


@pytest.mark.parametrize("line", ["export A=1", "=hunter2", "A =hunter2"])
def test_a_bad_line_is_named_by_its_number_without_its_value(line: str) -> None:
    with pytest.raises(UsageError, match=r"--env-file app\.env: line 2 ") as caught:
        envfile.parse(f"OK=1\n{line}", "app.env", {})
    assert "hunter2" not in "".join(caught.value.lines())


def test_sh_gives_a_shell_the_same_values() -> None:
    rendered = envfile.render("sh", {**HARD, "with.dot": "x"})
    assert rendered.left_out == ("with.dot",)
    assert _sourced(rendered.text) == HARD


def test_json_and_compose_hold_every_value() -> None:
    assert json.loads(envfile.render("json", HARD).text) == HARD
    composed = yaml.safe_load(envfile.render("compose", HARD).text)["environment"]
    assert {name: value.replace("$$", "$") for name, value in composed.items()} == HARD


def test_dotenv_is_bare_where_that_is_safe_and_quoted_elsewhere() -> None:
    rendered = envfile.render("dotenv", HARD)
    assert rendered.text.startswith("PLAIN=a-value/with:1,2\nEMPTY=\nBLANKS=' a b '\nLINES='one\ntwo\n'\n")
    assert rendered.unsure == ("ALL",)
    assert _sourced("set -a\n" + rendered.text) == HARD


def test_a_name_that_dotenv_cannot_hold_is_named() -> None:
    assert envfile.render("dotenv", {"a b": "1", "A": "1"}) == envfile.Rendered("A=1\n", left_out=("a b",))


def test_files_of_our_own_are_known_by_their_beginning() -> None:
    environment = {"A": "1", "TPBOX_SESSION": "abcdefgh"}
    assert envfile.is_own(envfile.file(environment).text)
    assert envfile.is_own(envfile.json_file(environment).text)
    assert json.loads(envfile.json_file(environment).text) == environment
    for foreign in ("", "A=1\n", "# my own\n", "{}", '{"A": "1", "TPBOX_SESSION": "x"}'):
        assert not envfile.is_own(foreign)


def test_a_rendered_environment_does_not_show_values() -> None:
    assert "hunter2" not in repr(envfile.render("json", {"PASSWORD": "hunter2"}))


def _sourced(script: str) -> dict[str, str]:
    """What of HARD's names a shell has after the script."""
    argv = ["sh", "-c", f"{script}\nexec env -0"]
    done = subprocess.run(argv, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True)
    pairs = (entry.partition("=") for entry in done.stdout.split("\0"))
    return {name: value for name, _, value in pairs if name in HARD}
