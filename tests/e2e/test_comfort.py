"""What makes the command line pleasant: steps as they happen, the doctor, completion, images for other clusters."""

from __future__ import annotations

import base64
import copy
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e import shop
from tests.e2e.launcher import CLIENTS, COMMAND, ROOT, Launcher, environment
from tests.e2e.registry import Registry, serving
from tests.e2e.schema import check
from tpbox import names

TRUE = ("--image", CLIENTS, "--", "true")
NOWHERE = "127.0.0.1:1"
DEAD = "zzdeadzz"


# Steps


@pytest.fixture(scope="module")
def json_lines(tpbox: Launcher) -> list[dict[str, Any]]:
    done = tpbox("--progress", "json", *tpbox.words(*TRUE)).ok()
    assert done.stdout == b""
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_progress_json_is_the_events_on_stderr(json_lines: list[dict[str, Any]]) -> None:
    schema = json.loads((ROOT / "docs" / "report.schema.json").read_text())
    for line in json_lines:
        check(line, schema["$defs"]["line"], schema)
    ended = [line["phase"] for line in json_lines if line.get("state") == "end"]
    assert {"preflight", "pod", "helper", "link", "engine", "process", "running", "cleanup"} <= set(ended)
    assert any("running as tpbox-" in line.get("info", "") for line in json_lines)


def test_progress_json_says_errors_as_objects_too(tpbox: Launcher) -> None:
    done = tpbox("--progress", "json", "run", "--context", "tpbox", "-n", "no-such-place", *TRUE)
    error = json.loads(done.stderr.splitlines()[-1])
    assert "no-such-place" in error["error"]
    assert "kubectl create namespace" in error["hint"]
    assert error["exitCode"] == done.code == 125


def test_without_a_terminal_steps_are_lines_with_their_seconds(tpbox: Launcher) -> None:
    lines = tpbox.run(*TRUE).ok().stderr.splitlines()
    for step in ("helper", "proxy pod in .*", "tunnel", "engine netstack"):
        assert any(re.fullmatch(rf"tpbox: ✓ {step} \(\d+\.\d s\)", line) for line in lines), lines
    assert "\x1b" not in "".join(lines)


def test_quiet_says_nothing_when_all_is_well(tpbox: Launcher) -> None:
    assert tpbox.run(*TRUE, verbosity="-q").ok().stderr == ""


def test_on_a_terminal_pod_and_helper_are_shown_side_by_side(tpbox: Launcher) -> None:
    shown = _at_a_terminal([*COMMAND, *tpbox.words("--image", CLIENTS, "--", "echo", "the program")])
    assert re.search(r"(helper|proxy pod in \S+) \d+\.\d s · (helper|proxy pod in \S+) \d+\.\d s", shown)
    assert "tpbox: ✓ tunnel" in shown
    running, _, rest = shown.partition("running as")
    assert "the program" in rest
    # The live line is gone while the terminal is the program's.
    assert "\x1b[?25l" not in rest.partition("the program")[0]
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") > 2
    assert "\x1b[?25l" in running


def _at_a_terminal(argv: list[str]) -> str:
    """All that a program writes to a terminal."""
    master, slave = pty.openpty()
    events = "/dev/null"
    words = [events if word == "{events}" else word for word in argv]
    env = {**environment(), "TERM": "xterm"}
    with subprocess.Popen(words, cwd=ROOT, env=env, stdin=slave, stdout=slave, stderr=slave) as process:
        os.close(slave)
        seen = b""
        while True:
            try:
                data = os.read(master, 65536)
            except OSError:  # EIO: nobody has the terminal open any more
                break
            seen += data
        assert process.wait(30) == 0, seen
    os.close(master)
    return seen.decode()


# The doctor


@pytest.fixture(scope="module")
def config(tpbox: Launcher) -> dict[str, Any]:
    return dict(yaml.safe_load(Path(tpbox("cluster", "kubeconfig").ok().text.strip()).read_text()))


def _doctor(tpbox: Launcher, *options: str, env: dict[str, str] | None = None) -> tuple[int, list[dict[str, str]]]:
    done = tpbox("doctor", "--output", "json", *options, env=env, timeout=40)
    assert "Traceback" not in done.stderr
    said = json.loads(done.stdout)
    assert said["ok"] == (done.code == 0)
    for finding in said["findings"]:
        assert (finding["state"] == "ok") == (finding["mend"] == ""), finding
    return done.code, said["findings"]


def _states(findings: list[dict[str, str]], name: str) -> set[str]:
    return {finding["state"] for finding in findings if finding["name"] == name}


def test_the_doctor_finds_this_machine_well(tpbox: Launcher) -> None:
    code, findings = _doctor(tpbox, "--context", "tpbox", "-n", tpbox.namespace)
    unwell = [f for f in findings if f["state"] == "failed" and f["area"] != "leftovers"]
    assert unwell == []
    for name in ("engine", "docker command", "NET_ADMIN", "/dev/fuse", "/dev/net/tun", "API server", "namespace"):
        assert _states(findings, name) == {"ok"}, name
    assert len([f for f in findings if f["name"] == "right"]) >= 5
    assert code == (1 if any(f["state"] == "failed" for f in findings) else 0)


def test_the_doctor_works_with_everything_broken(tpbox: Launcher, tmp_path: Path) -> None:
    broken = {"DOCKER_HOST": "unix:///nonexistent.sock", "HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)}
    done = tpbox("doctor", env=broken, timeout=20)
    assert done.code == 1
    assert done.stderr == ""
    assert done.seconds < 10
    assert "✗ engine" in done.text and "Start Docker" in done.text
    assert "✗ kubeconfig" in done.text and "tpbox cluster up" in done.text


def test_the_doctor_names_each_missing_right_and_how_to_look_at_it(
    tpbox: Launcher, config: dict[str, Any], tmp_path: Path
) -> None:
    token = shop.kubectl("-n", tpbox.namespace, "create", "token", "default").strip()
    path = _with(tmp_path, config, user={"token": token})
    code, findings = _doctor(tpbox, "--kubeconfig", path, "-n", tpbox.namespace)
    assert code == 1
    missing = [f for f in findings if f["name"] == "right" and f["state"] == "failed"]
    assert any("create jobs" in f["text"] for f in missing)
    assert all("kubectl auth can-i" in f["mend"] for f in missing)


def test_the_doctor_names_an_authority_that_is_not_trusted(
    tpbox: Launcher, config: dict[str, Any], tmp_path: Path
) -> None:
    cluster = {**config["clusters"][0]["cluster"]}
    own = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", os.devnull, "-subj", "/CN=another"],
        capture_output=True,
        check=True,
    )
    cluster["certificate-authority-data"] = base64.b64encode(own.stdout).decode()
    code, findings = _doctor(tpbox, "--kubeconfig", _with(tmp_path, config, cluster=cluster))
    assert code == 1
    server = next(f for f in findings if f["name"] == "API server")
    assert "does not trust" in server["text"] and "CN=" in server["text"], server
    assert "--certificate-authority" in server["mend"]


def test_the_doctor_says_when_the_api_server_is_down(tpbox: Launcher, config: dict[str, Any], tmp_path: Path) -> None:
    path = _with(tmp_path, config, cluster={"server": f"https://{NOWHERE}"})
    code, findings = _doctor(tpbox, "--kubeconfig", path)
    assert (code, _states(findings, "API server")) == (1, {"failed"})


def test_the_doctor_finds_what_a_dead_session_left_and_its_word_mends_it(tpbox: Launcher) -> None:
    owner = names.owner_label(names.owner())
    labels = {"tpbox.dev/session": DEAD, "tpbox.dev/owner": owner, "app.kubernetes.io/managed-by": "tpbox"}
    words = [word for name, value in labels.items() for word in ("--label", f"{name}={value}")]
    shop.docker("create", "--name", f"tpbox-{DEAD}", *words, CLIENTS, "true")
    try:
        code, findings = _doctor(tpbox, "--context", "tpbox")
        found = next(f for f in findings if DEAD in f["text"])
        assert code == 1
        assert f"container tpbox-{DEAD}" in found["text"]
        tpbox(*found["mend"].split()[1:], "--context", "tpbox").ok()
        assert shop.docker("ps", "-aq", "--filter", f"label=tpbox.dev/session={DEAD}") == ""
    finally:
        subprocess.run(["docker", "rm", "-f", f"tpbox-{DEAD}"], capture_output=True, check=False)


def _with(folder: Path, config: dict[str, Any], **parts: dict[str, str]) -> str:
    """A kubeconfig with another cluster or user, in a file."""
    changed = copy.deepcopy(config)
    for part, value in parts.items():
        changed[f"{part}s"][0][part] = value
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(changed))
    return str(path)


# Completion


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(tpbox: Launcher, shell: str) -> None:
    assert f"_TPBOX_COMPLETE={shell}_complete" in tpbox("completion", shell).ok().text


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("tpbox ru", {"run"}),
        ("tpbox run --contex", {"--context"}),
        ("tpbox run --context tp", {"tpbox"}),
        ("tpbox run --context tpbox -n {namespace}", {"{namespace}"}),
        ("tpbox run --context tpbox -n {namespace} --like deploy/w", {"deploy/web", "deploy/worker"}),
        ("tpbox run --context tpbox -n {namespace} --like sts/", {"sts/cache"}),
        ("tpbox run --context tpbox -n {namespace} --swap deploy/web : s", {"sidecar"}),  # as bash splits it
        ("tpbox --progress js", {"json"}),
        ("tpbox run --context tpbox -n no-such-place --like deploy/", set()),
    ],
)
def test_bash_completes_words(tpbox: Launcher, line: str, expected: set[str], tmp_path: Path) -> None:
    (tmp_path / "tpbox").write_text(f'#!/bin/sh\nexec {sys.executable} -m tpbox "$@"\n')
    (tmp_path / "tpbox").chmod(0o700)
    words = line.format(namespace=tpbox.namespace).split()
    script = (
        'eval "$(tpbox completion bash)"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _tpbox_completion tpbox; '
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script, "bash", *words], cwd=ROOT, env={**environment(), "PATH": path}, capture_output=True,
        text=True, timeout=30, check=True,
    )  # fmt: skip
    wanted = {word.format(namespace=tpbox.namespace) for word in expected}
    assert done.stderr == ""
    assert wanted <= set(done.stdout.split()) if wanted else done.stdout.strip() == ""


# Images


@pytest.fixture
def registry() -> Iterator[Registry]:
    with serving() as found:
        yield found


def test_images_are_built_and_listed(tpbox: Launcher) -> None:
    built = tpbox("images", "build", timeout=240).ok().text.split()
    listed = tpbox("images", "list").ok().text
    assert [image.partition(":")[0] for image in built] == ["tpbox-local", "tpbox-proxy-pod"]
    assert all(image in listed for image in built)
    assert "not built" not in listed
    found = json.loads(tpbox("images", "list", "--output", "json").ok().text)
    assert [image["image"] for image in found] == built
    assert all(image["built"] and image["bytes"] > 1_000_000 for image in found)


def test_the_proxy_pods_image_is_pushed_and_the_option_that_names_it_printed(
    tpbox: Launcher, registry: Registry
) -> None:
    repository = f"{registry.address}/team/pod"
    done = tpbox("images", "push", repository, timeout=120)
    tag = tpbox("images", "build").ok().text.split()[1].partition(":")[2]
    assert done.text == f"--pod-image {repository}:{tag}\n", done.stderr
    assert registry.manifests[-1].endswith(f"/team/pod/manifests/{tag}")
    assert repository not in shop.docker("image", "ls", "--format", "{{.Repository}}").split()


def test_load_knows_the_embedded_cluster(tpbox: Launcher) -> None:
    assert "is in the embedded cluster" in tpbox("images", "load", "--context", "tpbox", timeout=120).ok().stderr


def test_load_names_the_tool_that_is_missing(tpbox: Launcher, config: dict[str, Any], tmp_path: Path) -> None:
    changed = copy.deepcopy(config)
    changed["contexts"][0]["name"] = changed["current-context"] = "kind-dev"
    (tmp_path / "config").write_text(yaml.safe_dump(changed))
    words = ("images", "load", "--kubeconfig", str(tmp_path / "config"), "--context", "kind-dev")
    done = tpbox(*words, env={"PATH": "/nonexistent"}, timeout=120)
    assert done.code == 125
    assert "kind: not found" in done.stderr and "Install kind" in done.stderr


def test_load_says_what_to_do_for_a_cluster_that_is_not_here(
    tpbox: Launcher, config: dict[str, Any], tmp_path: Path
) -> None:
    changed = copy.deepcopy(config)
    changed["contexts"][0]["name"] = changed["current-context"] = "far-away"
    (tmp_path / "config").write_text(yaml.safe_dump(changed))
    done = tpbox("images", "load", "--kubeconfig", str(tmp_path / "config"), timeout=120)
    assert done.code == 125
    assert "far-away" in done.stderr and "tpbox images push" in done.stderr
