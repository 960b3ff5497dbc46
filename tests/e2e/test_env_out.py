"""Row 9 and the environment out: files, `tpbox env`, and more of it than a process can be started with."""

from __future__ import annotations

import base64
import http.client
import json
import re
import ssl
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from tests.e2e import shop
from tests.e2e.launcher import CLIENTS, Launcher, Result, state_directory, wait_for

DUMP = "import json, os; print(json.dumps(dict(os.environ)), flush=True)"
PROGRAM = ("--image", CLIENTS, "--", "python3", "-c", DUMP)
OF_THE_IMAGE = {"PATH", "HOME", "HOSTNAME", "LC_CTYPE"}  # the last is Python's own addition: PEP 538
SERVICES = 2000
CONNECTIONS = 16


@dataclass(frozen=True)
class Written:
    """A session that wrote both files, and what its process saw."""

    environment: dict[str, str]
    dotenv: Path
    json: Path
    command_lines: str
    log: str
    record: str


@pytest.fixture(scope="module")
def written(tpbox: Launcher, tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("written")
    own = folder / "own.env"
    own.write_text("# mine\nLITERAL=of the file\nFROM_FILE=of the file\nFROM_BOTH=of the file\n")
    dotenv, json_file, log = folder / "app.env", folder / "app.json", folder / "log"
    options = ["--like", "deploy/web", "--env-file", str(own), "-e", "FROM_BOTH=of -e", "--env-exclude", "DB_*"]
    files = ["--write-env", str(dotenv), "--write-env-json", str(json_file)]
    words = tpbox.words(
        *options, *files, "--image", CLIENTS, "--", "python3", "-c", f"{DUMP}; import time; time.sleep(3)"
    )
    with tpbox.begin("--log", str(log), "-vv", *words) as running:
        running.wait_phase("running")
        command_lines = _command_lines()
        record = (state_directory() / "sessions" / f"{running.session}.json").read_text()
        done = running.finish()
    return Written(json.loads(done.stdout), dotenv, json_file, command_lines, log.read_text(), record)


def _command_lines() -> str:
    """Of every process of this machine."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().decode(errors="replace").replace("\0", " "))
        except OSError:
            continue
    return "\n".join(found)


@pytest.mark.row(9)
def test_row_09_the_json_file_is_the_processs_environment(written: Written) -> None:
    of_the_process = {name: value for name, value in written.environment.items() if name not in OF_THE_IMAGE}
    assert json.loads(written.json.read_text()) == of_the_process
    assert "\n" in of_the_process["MULTI_LINE"]


@pytest.mark.row(9)
def test_row_09_the_dotenv_file_says_the_same_to_a_shell(written: Written) -> None:
    expected = json.loads(written.json.read_text())
    names = {name for name in expected if re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name)}  # no shell takes the others
    lines = written.dotenv.read_text()
    script = re.sub(r"^(?!#)([^=\n'\"]*[^A-Za-z0-9_=\n'\"][^=\n'\"]*=.*)$", "", lines, flags=re.MULTILINE)
    assert _sourced(f"set -a\n{script}", names) == {name: expected[name] for name in names}


@pytest.mark.row(9)
def test_row_09_both_files_are_their_owners_alone(written: Written) -> None:
    for path in (written.dotenv, written.json):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_files_of_variables_win_over_the_pod_and_e_over_them(written: Written) -> None:
    assert written.environment["LITERAL"] == "of the file"
    assert written.environment["FROM_FILE"] == "of the file"
    assert written.environment["FROM_BOTH"] == "of -e"


def test_what_is_excluded_is_not_there(written: Written) -> None:
    assert not [name for name in written.environment if name.startswith("DB_")]
    assert "WEB_SERVICE_HOST" in written.environment


def test_no_value_is_on_a_command_line_in_a_log_or_in_the_record(written: Written) -> None:
    token = written.environment["TOKEN"]
    for secret in (token, token.split()[0]):
        assert secret not in written.command_lines
        assert secret not in written.log
        assert secret not in written.record
    assert "helper: remote" in written.log  # it is the log of the session that had the value


@pytest.fixture(scope="module")
def printed(tpbox: Launcher) -> dict[str, Result]:
    """`tpbox env` in each format."""
    words = ["env", "--context", "tpbox", "-n", tpbox.namespace, "--like", "deploy/web", "-e", "MINE=it's $HOME"]
    formats = ("sh", "json", "compose", "dotenv")
    with ThreadPoolExecutor(len(formats)) as pool:
        results = pool.map(lambda chosen: tpbox(*words, "--format", chosen), formats)
    return {chosen: result.ok() for chosen, result in zip(formats, results, strict=True)}


@pytest.fixture(scope="module")
def stable(written: Written) -> set[str]:
    """The variables that do not tell one session from another."""
    own = {"TPBOX_SESSION", "TPBOX_POD", "TPBOX_ROOT", "TPBOX_MOUNTS", "TELEPRESENCE_ROOT", "TELEPRESENCE_MOUNTS"}
    given = {"LITERAL", "FROM_FILE", "FROM_BOTH"}
    return set(json.loads(written.json.read_text())) - own - given - {"POD_NAME", "POD_IP", "COMPOSED"}


@pytest.mark.row(9)
def test_row_09_every_format_of_tpbox_env_has_the_same_values(
    printed: dict[str, Result], written: Written, stable: set[str]
) -> None:
    expected = {name: written.environment[name] for name in stable}
    as_json = json.loads(printed["json"].stdout)
    assert {name: as_json[name] for name in stable} == expected
    composed = yaml.safe_load(printed["compose"].text)["environment"]
    assert {name: composed[name].replace("$$", "$") for name in stable} == expected
    for_shells = {name for name in stable if re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name)}
    assert _sourced(printed["sh"].text, for_shells) == {name: expected[name] for name in for_shells}
    assert "EMPTY=\n" in printed["dotenv"].text
    assert as_json["MINE"] == "it's $HOME"


def test_tpbox_env_says_what_a_format_cannot_hold(printed: dict[str, Result]) -> None:
    assert "feature.search" in printed["sh"].stderr
    assert "warning" not in printed["json"].stderr
    assert "export feature.search" not in printed["sh"].text


def test_tpbox_env_shows_no_session_that_is_over(printed: dict[str, Result]) -> None:
    assert not {"TPBOX_SESSION", "TPBOX_POD"} & set(json.loads(printed["json"].stdout))


def _sourced(script: str, names: set[str]) -> dict[str, str]:
    """What a shell has of these names after the script."""
    argv = ["sh", "-c", f"{script}\nexec env -0"]
    done = subprocess.run(argv, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True)
    pairs = (entry.partition("=") for entry in done.stdout.split("\0"))
    return {name: value for name, _, value in pairs if name in names}


# Two thousand Services


@pytest.fixture(scope="module")
def crowded(tpbox: Launcher) -> Iterator[str]:
    """A namespace with SERVICES Services in it."""
    name = f"{tpbox.namespace}-crowded"
    shop.make_namespace(name)
    config = yaml.safe_load(Path(tpbox("cluster", "kubeconfig").ok().text.strip()).read_text())
    server = urlsplit(config["clusters"][0]["cluster"]["server"])
    context = _tls(config)
    mine = threading.local()

    def create(number: int) -> int:
        if not hasattr(mine, "connection"):
            mine.connection = http.client.HTTPSConnection(str(server.hostname), server.port, context=context)
        metadata = {"name": f"a-service-whose-name-is-as-long-as-they-are-{number:04d}"}
        body = json.dumps({"metadata": metadata, "spec": {"ports": [{"port": 80}]}})
        path = f"/api/v1/namespaces/{name}/services"
        mine.connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = mine.connection.getresponse()
        answer.read()
        return int(answer.status)

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        assert set(pool.map(create, range(SERVICES))) == {201}
    yield name
    shop.kubectl("delete", "namespace", name, "--wait=false")


def _tls(config: dict[str, Any]) -> ssl.SSLContext:
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    context = ssl.create_default_context(cadata=authority)
    folder = state_directory() / "cluster"
    key = folder / f"test-client.{time.monotonic_ns()}"
    key.touch(mode=0o600)
    try:
        parts = (user["client-certificate-data"], user["client-key-data"])
        key.write_bytes(b"".join(base64.b64decode(part) for part in parts))
        context.load_cert_chain(key)
    finally:
        key.unlink()
    return context


def _links(environment: dict[str, str], end: str) -> int:
    return sum(1 for name in environment if name.startswith("A_SERVICE_WHOSE_") and name.endswith(end))


def test_the_addresses_of_2000_services_all_reach_the_process(tpbox: Launcher, crowded: str) -> None:
    done = wait_for("all Services in a pod", lambda: _crowded_run(tpbox, crowded), 60)
    assert done is not None
    environment = json.loads(done.stdout)
    assert _links(environment, "_SERVICE_HOST") == _links(environment, "_PORT_80_TCP_ADDR") == SERVICES
    assert "warning" not in done.stderr


def _crowded_run(tpbox: Launcher, namespace: str) -> Result | None:
    """None while kubelet has not heard of all Services yet."""
    done = tpbox.run(*PROGRAM, namespace=namespace).ok()
    return done if _links(json.loads(done.stdout), "_SERVICE_HOST") == SERVICES else None


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Variables of 1 MB."""
    path = tmp_path_factory.mktemp("large") / "large.env"
    path.write_text("".join(f"LARGE_{number}={'x' * 100_000}\n" for number in range(10)))
    return path


def test_more_than_a_process_can_have_is_cut_with_a_word_and_from_the_far_end(
    tpbox: Launcher, crowded: str, large: Path
) -> None:
    done = tpbox.run("--env-file", str(large), *PROGRAM, namespace=crowded).ok()
    environment = json.loads(done.stdout)
    assert sum(1 for name in environment if name.startswith("LARGE_")) == 10
    assert environment["KUBERNETES_SERVICE_HOST"]
    assert _links(environment, "_SERVICE_HOST") == SERVICES
    assert 0 < _links(environment, "_PORT_80_TCP_ADDR") < SERVICES
    warnings = [line for line in done.stderr.splitlines() if "warning" in line]
    assert len(warnings) == 1
    assert re.search(r"warning: \d+ of \d+ environment variables are left out \(A_SERVICE_", warnings[0])
    assert "--env-exclude" in warnings[0]


def test_what_the_user_excludes_makes_room(tpbox: Launcher, crowded: str, large: Path) -> None:
    options = ("--env-file", str(large), "--env-exclude", "A_SERVICE_*_PORT_80_*")
    done = tpbox.run(*options, *PROGRAM, namespace=crowded).ok()
    assert _links(json.loads(done.stdout), "_SERVICE_HOST") == SERVICES
    assert "warning" not in done.stderr


def test_without_service_links_the_pod_has_none(tpbox: Launcher, crowded: str) -> None:
    environment = json.loads(tpbox.run("--no-service-links", *PROGRAM, namespace=crowded).ok().stdout)
    assert _links(environment, "") == 0
    assert environment["KUBERNETES_SERVICE_HOST"]
