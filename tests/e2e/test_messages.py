"""Row 5: each cause made for real on the cluster, its one clear message within ten seconds, and nothing left.

The table of wrong words on the command line is test_bad_input.py; here something out there is not as it should be.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e import shop
from tests.e2e.launcher import CLIENTS, Launcher, Result, error_lines, state_directory
from tests.e2e.shop import kubectl
from tpbox.local import images

VISIBLE_WITHIN = 10  # seconds from the cause being visible to the message; with a warm start before it
PROGRAM = ("--image", CLIENTS, "--", "true")


@pytest.fixture(scope="module")
def troubled(unbound: Launcher) -> Iterator[str]:
    """A namespace of this module's own, to put obstacles into."""
    name = f"e2e-{secrets.token_hex(2)}-troubled"
    shop.make_namespace(name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


def obstacle(kind: str, version: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "obstacle"}, "spec": spec}


@pytest.fixture
def in_the_way(troubled: str, request: pytest.FixtureRequest) -> Iterator[str]:
    manifest = request.param
    kubectl("-n", troubled, "apply", "-f", "-", stdin=json.dumps(manifest))
    yield troubled
    kubectl("-n", troubled, "delete", manifest["kind"], "obstacle")


def failed(done: Result) -> str:
    """The error's text: one to three lines, exit code 125, in time, and no traceback."""
    lines = error_lines(done.stderr)
    assert done.code == 125, done.stderr
    assert 1 <= len(lines) <= 3, done.stderr
    assert "Traceback" not in done.stderr
    assert done.seconds < VISIBLE_WITHIN + 3
    return " ".join(lines)


QUOTA = obstacle("ResourceQuota", "v1", {"hard": {"pods": "0"}})
LIMITS = obstacle(
    "LimitRange", "v1", {"limits": [{"type": "Container", "max": {"memory": "8Mi"}, "min": {"memory": "4Mi"}}]}
)


@pytest.mark.parametrize("in_the_way", [QUOTA], indirect=True)
def test_row_05_a_quota_is_quoted(tpbox: Launcher, in_the_way: str) -> None:
    text = failed(tpbox.run(*PROGRAM, namespace=in_the_way))
    assert "the cluster refused the proxy pod" in text
    assert "exceeded quota: obstacle" in text


@pytest.mark.parametrize("in_the_way", [LIMITS], indirect=True)
def test_row_05_a_limit_range_is_quoted(tpbox: Launcher, in_the_way: str) -> None:
    text = failed(tpbox.run(*PROGRAM, namespace=in_the_way))
    assert "the cluster refused the proxy pod" in text
    assert "8Mi" in text


def test_row_05_a_pod_that_no_node_takes_is_named_as_such(tpbox: Launcher, troubled: str) -> None:
    text = failed(tpbox.run("--pod-cpu", "1000", *PROGRAM, namespace=troubled))
    assert "no node takes the proxy pod" in text
    assert "Insufficient cpu" in text


def test_row_05_pod_security_restricted_is_no_obstacle(tpbox: Launcher, restricted: str) -> None:
    tpbox.run(*PROGRAM, namespace=restricted).ok()


def test_row_05_an_image_that_the_cluster_cannot_pull_names_the_options(tpbox: Launcher) -> None:
    text = failed(tpbox.run("--pod-image", "localhost/no-such-image:1", *PROGRAM))
    assert "cannot pull the proxy pod's image localhost/no-such-image:1" in text
    assert "--pod-image" in text and "TPBOX_POD_IMAGE" in text


# Credentials and servers, by kubeconfigs of the tests' own


def kubeconfig(path: Path, *, token: str = "", server: str = "", ca: bool = True) -> str:
    """The embedded cluster's kubeconfig with another credential or server."""
    config = yaml.safe_load((state_directory() / "cluster" / "kubeconfig").read_text())
    if token:
        config["users"][0]["user"] = {"token": token}
    if server:
        config["clusters"][0]["cluster"]["server"] = server
    if not ca:
        del config["clusters"][0]["cluster"]["certificate-authority-data"]
    file = path / "kubeconfig"
    file.write_text(yaml.safe_dump(config))
    return str(file)


def run_with(unbound: Launcher, file: str, namespace: str = "default") -> Result:
    return unbound("run", "--kubeconfig", file, "-n", namespace, "--pod-image", "tpbox-proxy-pod:1", *PROGRAM)


def account(namespace: str, *verbs_and_resources: tuple[str, str, str]) -> str:
    """The token of a service account that may do just this: (verb, API group, resource)."""
    name = f"a{secrets.token_hex(2)}"
    rules = [{"verbs": [v], "apiGroups": [g], "resources": [r]} for v, g, r in verbs_and_resources]
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": name, "namespace": namespace}}
    subjects = [{"kind": "ServiceAccount", "name": name, "namespace": namespace}]
    manifests = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": rbac["metadata"]},
        {**rbac, "kind": "Role", "rules": rules},
        {
            **rbac,
            "kind": "RoleBinding",
            "subjects": subjects,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        },
    ]
    kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(manifests))
    return kubectl("-n", namespace, "create", "token", name).strip()


def test_row_05_a_missing_right_is_named_with_its_verb(unbound: Launcher, troubled: str, tmp_path: Path) -> None:
    rights = [("create", "batch", "jobs"), ("delete", "batch", "jobs"), ("get", "", "pods"), ("list", "", "pods")]
    token = account(troubled, *rights)
    text = failed(run_with(unbound, kubeconfig(tmp_path, token=token), troubled))
    assert f"may not get pods/log in namespace '{troubled}'" in text
    assert "kubectl auth can-i get pods/log" in text


def test_the_rights_that_the_readme_names_are_enough(unbound: Launcher, troubled: str, tmp_path: Path) -> None:
    rights = [
        ("create", "batch", "jobs"),
        ("delete", "batch", "jobs"),
        ("get", "", "pods"),
        ("list", "", "pods"),
        ("get", "", "pods/log"),
        ("create", "", "pods/portforward"),
        ("get", "", "pods/portforward"),
    ]
    file = kubeconfig(tmp_path, token=account(troubled, *rights))
    image = images.find("images/proxy-pod", "tpbox-proxy-pod").reference  # any session of this suite has loaded it
    done = unbound("run", "--kubeconfig", file, "-n", troubled, "--pod-image", image, *PROGRAM)
    assert done.code == 0, done.stderr


def test_row_05_an_expired_credential_says_to_log_in_again(unbound: Launcher, tmp_path: Path) -> None:
    header = base64.urlsafe_b64encode(b'{"alg":"RS256"}').decode().rstrip("=")
    text = failed(run_with(unbound, kubeconfig(tmp_path, token=f"{header}.e30.AAAA")))
    assert "does not accept the credential of context 'tpbox'" in text
    assert "log in" in text


def test_row_05_an_api_server_that_is_not_there(unbound: Launcher, tmp_path: Path) -> None:
    text = failed(run_with(unbound, kubeconfig(tmp_path, server="https://127.0.0.1:9")))
    assert "the API server https://127.0.0.1:9 cannot be reached" in text
    assert "Connection refused" in text


def test_row_05_an_api_server_whose_name_does_not_resolve(unbound: Launcher, tmp_path: Path) -> None:
    text = failed(run_with(unbound, kubeconfig(tmp_path, server="https://no-such-host.invalid:6443")))
    assert "no-such-host.invalid" in text


def test_row_05_a_certificate_of_an_unknown_authority_is_named_as_such(unbound: Launcher, tmp_path: Path) -> None:
    text = failed(run_with(unbound, kubeconfig(tmp_path, ca=False)))
    assert "not signed by the authority that the kubeconfig names" in text


def test_row_05_docker_that_is_not_there_says_how_to_start_it(tpbox: Launcher, tmp_path: Path) -> None:
    text = failed(tpbox.run(*PROGRAM, env={"DOCKER_HOST": f"unix://{tmp_path}/docker.sock"}))
    assert f"Docker does not answer at unix://{tmp_path}/docker.sock" in text
    assert "Start Docker" in text
