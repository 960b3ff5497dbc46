"""Rows 7 and 8: the environment is that of the workload's container; the launcher's own stays outside."""

from __future__ import annotations

import ipaddress
import json

import pytest

from tests.e2e import shop
from tests.e2e.launcher import CLIENTS, Launcher, Result

DUMP = ("--image", CLIENTS, "--", "python3", "-c", "import json, os; print(json.dumps(dict(os.environ)))")
TWO_LINES = "from the command line\nin two lines"


@pytest.fixture(scope="module")
def session(tpbox: Launcher) -> Result:
    """One session like deploy/web, with everything logged."""
    given = ["-e", "LITERAL=mine", "-e", f"NOTE={TWO_LINES}", "-e", "PASSED_ON", "-e", "NOT_SET_ANYWHERE"]
    launchers = {"PASSED_ON": "as it is here", "E2E_LAUNCHERS_OWN": "stays outside"}
    return tpbox.run("--like", "deploy/web", *given, *DUMP, verbosity="-vv", env=launchers).ok()


@pytest.fixture(scope="module")
def environment(session: Result) -> dict[str, str]:
    return dict(json.loads(session.stdout))


def _yaml(name: str) -> str:
    """A literal value of deploy/web's container `web`, as examples/shop.yaml has it."""
    containers = shop.document("Deployment", "web")["spec"]["template"]["spec"]["containers"]
    container = next(c for c in containers if c["name"] == "web")
    return str(next(v["value"] for v in container["env"] if v["name"] == name))


@pytest.mark.parametrize("name", ["CONTAINER", "EMPTY", "MULTI_LINE", "JSON"])
def test_row_07_literals_are_unchanged(environment: dict[str, str], name: str) -> None:
    assert environment[name] == _yaml(name)


def test_row_07_references_are_expanded_as_kubernetes_does(environment: dict[str, str], tpbox: Launcher) -> None:
    assert environment["COMPOSED"] == f"a plain value in {tpbox.namespace}"
    assert environment["NOT_EXPANDED"] == "$(LITERAL)"


def test_row_07_config_map(environment: dict[str, str]) -> None:
    values = shop.document("ConfigMap", "web")["data"]
    assert environment["GREETING"] == values["greeting"]
    assert environment["BANNER"] == values["banner"]
    flags = shop.document("ConfigMap", "web-flags")["data"]
    assert {name: environment.get(name) for name in flags} == flags


def test_row_07_secret(environment: dict[str, str]) -> None:
    assert environment["TOKEN"] == shop.document("Secret", "web")["stringData"]["token"]


def test_row_07_downward_api(environment: dict[str, str], tpbox: Launcher, session: Result) -> None:
    assert environment["POD_NAME"].startswith(f"tpbox-{session.session}-")
    assert environment["POD_NAMESPACE"] == tpbox.namespace
    assert ipaddress.ip_address(environment["POD_IP"]).is_private
    assert environment["CPU_REQUEST_MILLI"].isdigit()


def test_row_07_service_links(environment: dict[str, str], tpbox: Launcher) -> None:
    for name, port in (("web", "80"), ("db", "5432")):
        address = shop.cluster_ip(name, tpbox.namespace)
        assert environment[f"{name.upper()}_SERVICE_HOST"] == address
        assert environment[f"{name.upper()}_PORT"] == f"tcp://{address}:{port}"
    assert environment["KUBERNETES_SERVICE_HOST"] == shop.cluster_ip("kubernetes", "default")


def test_row_07_the_processs_own_are_not_replaced(environment: dict[str, str], session: Result) -> None:
    assert environment["PATH"] == "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    assert environment["HOME"] == "/root"
    assert environment["HOSTNAME"] == f"tpbox-{session.session}"


def test_row_07_the_users_own_win(environment: dict[str, str]) -> None:
    assert environment["LITERAL"] == "mine"
    assert environment["NOTE"] == TWO_LINES
    assert environment["PASSED_ON"] == "as it is here"
    assert "NOT_SET_ANYWHERE" not in environment


def test_the_process_knows_where_it_lives(environment: dict[str, str], tpbox: Launcher, session: Result) -> None:
    assert environment["TPBOX_SESSION"] == session.session
    assert environment["TPBOX_NAMESPACE"] == tpbox.namespace
    assert environment["TPBOX_POD"] == environment["POD_NAME"]
    assert environment["TPBOX_CONTAINER"] == "web"


def test_tpboxs_inner_variables_stay_outside(environment: dict[str, str]) -> None:
    public = {"TPBOX_SESSION", "TPBOX_NAMESPACE", "TPBOX_POD", "TPBOX_CONTAINER", "TPBOX_ROOT", "TPBOX_MOUNTS"}
    assert {name for name in environment if name.startswith("TPBOX_")} <= public
    assert "SSH_CONNECTION" not in environment


def test_row_08_the_launchers_environment_does_not_leak(environment: dict[str, str]) -> None:
    assert "E2E_LAUNCHERS_OWN" not in environment
    assert "PYTEST_CURRENT_TEST" not in environment


def test_values_of_secrets_are_in_no_log(environment: dict[str, str], session: Result) -> None:
    assert environment["TOKEN"] not in session.stderr
    assert "s3cret" not in session.stderr
    assert "PRIVATE KEY" not in session.stderr
    assert "s3cret" not in json.dumps(session.events)


def test_row_07_a_named_container_is_taken_instead_of_the_default(tpbox: Launcher) -> None:
    environment = json.loads(tpbox.run("--like", "deploy/web:sidecar", *DUMP).ok().stdout)
    assert environment["CONTAINER"] == "sidecar"
    assert environment["TPBOX_CONTAINER"] == "sidecar"
    assert "GREETING" not in environment
