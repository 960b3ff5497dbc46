"""`tpbox --help` waits for no SDK, and what is wrong with the words is said in the form that was asked for."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time

import pytest

from tpbox.cli.main import COMMANDS, run
from tpbox.errors import UsageError
from tpbox.ui import Console

HEAVY = "docker", "kubernetes", "paramiko", "cryptography", "rich", "yaml", "requests"
SCRIPT = """
import sys
from tpbox.cli import main
sys.argv = ["tpbox", *sys.argv[1:]]
main.os._exit = lambda code: print(code, *sorted(sys.modules), file=sys.stderr)
main.main()
"""


@pytest.mark.parametrize("argv", [["--help"], *([command, "--help"] for command in COMMANDS)], ids=" ".join)
def test_help_imports_no_sdk(argv: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT, *argv], capture_output=True, text=True, check=True)
    code, *modules = done.stderr.split()
    assert code == "0"
    assert "tpbox.cli.main" in modules
    assert set(HEAVY).isdisjoint(modules)
    assert "Usage: tpbox" in done.stdout


def test_help_is_quick() -> None:
    took = []
    for _ in range(5):
        began = time.monotonic()
        subprocess.run([sys.executable, "-m", "tpbox", "--help"], capture_output=True, check=True)
        took.append(time.monotonic() - began)
    assert min(took) < 0.3  # the quickest: what else the machine does is not tpbox's


def test_the_first_line_of_every_command_is_its_own_help() -> None:
    for argv in (["--help"], *([command, "--help"] for command in COMMANDS)):
        assert run(argv, Console(stream=io.StringIO())) == 0


def test_a_wrong_word_behind_the_mode_is_said_in_the_mode() -> None:
    stream = io.StringIO()
    console = Console(stream=stream)
    with pytest.raises(UsageError) as caught:
        run(["--progress", "json", "status", "--no-such-option"], console)
    console.error(caught.value)
    said = json.loads(stream.getvalue())
    assert "--no-such-option" in said["error"]
    assert said["exitCode"] == 2


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--progress", "xml", "status"], "xml"),
        (["env", "--format", "toml"], "toml"),
        (["completion", "tcsh"], "tcsh"),
        (["images", "push"], "REPOSITORY"),
        (["images", "push", "UPPER/Case"], "UPPER/Case"),
        (["images", "sideways"], "sideways"),
        (["doctor", "--output", "xml"], "xml"),
        (["doctor", "--kubeconfig", "/no/such/file"], "/no/such/file"),
        (["run", "--env-file", "/no/such/file", "--image", "i", "true"], "/no/such/file"),
        (["env", "--env-file", "/no/such/file"], "/no/such/file"),
        (["run", "--expose", "web", "--image", "i", "true"], "--expose 'web' is not LOCAL[:REMOTE]"),
        (["run", "--swap", "ds/web", "--image", "i", "true"], "a DaemonSet has a pod on each node"),
        (["run", "--swap", "web", "--like", "web", "--image", "i", "true"], "do not go together"),
        (["run", "--now", "--image", "i", "true"], "--now means nothing without --swap"),
        (["run", "--expose", "80", "--as", "Web", "--image", "i", "true"], "--as 'Web'"),
        (["shell", "--swap", "web", "--restore-wait", "soon", "--image", "i"], "--restore-wait"),
        (["--log", "/no/such/folder/log", "status"], "/no/such/folder/log"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_words_are_usage_errors(argv: list[str], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        run(argv, Console(stream=io.StringIO()))
    assert words in " ".join(caught.value.lines())


def test_ctrl_c_is_not_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tpbox.door.execute", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(["exec", "dev", "true"], Console(stream=io.StringIO()))
