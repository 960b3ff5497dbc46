"""Row 5: every wrong word gets one clear error, exit code 2 or 125 (or docker's own), and leaves nothing behind."""

from __future__ import annotations

import copy
import ipaddress
import json
import os
import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e import host, shop
from tests.e2e.launcher import CLIENTS, Launcher, Result, error_lines, state_directory

USAGE, TPBOX, NOT_EXECUTABLE, NOT_FOUND = 2, 125, 126, 127
NOWHERE = "127.0.0.1:1"  # nothing listens on port 1 of the loopback: refused at once
NO_NAME = "no-such-name.invalid"  # RFC 6761: nobody's
LIMIT = 40  # seconds
AT_ONCE = 4
QUOTA = "no-pods"


@dataclass(frozen=True)
class Bad:
    """A command line and what has to be said about it. `{…}` in a word is something that the tests have made."""

    name: str
    argv: tuple[str, ...]
    code: int
    says: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)


PROGRAM = ("--image", CLIENTS, "--", "true")
RUN = ("run", "--events", "{events}")
HERE = (*RUN, "--context", "tpbox", "-n", "{namespace}")


def run(name: str, code: int, options: str, *says: str) -> Bad:
    """A wrong option before a right image and program."""
    return Bad(name, (*HERE, *options.split(), *PROGRAM), code, says)


def program(name: str, code: int, options: str, *says: str) -> Bad:
    """A wrong image or program."""
    return Bad(name, (*HERE, *options.split()), code, says)


def cluster(name: str, code: int, options: str, *says: str, **env: str) -> Bad:
    """A wrong cluster or namespace."""
    return Bad(name, (*RUN, *options.split(), *PROGRAM), code, says, env)


TABLE = (
    # Words of the command line
    Bad("no-such-command", ("frobnicate",), USAGE, ("frobnicate", "--help")),
    Bad("cluster-no-such-command", ("cluster", "sideways"), USAGE, ("sideways", "--help")),
    run("no-such-option", USAGE, "--imagge x", "--imagge", "--help"),
    program("option-without-value", USAGE, "--image", "--image", "requires an argument"),
    program("no-image", USAGE, "-- python app.py", "native", "--image"),
    Bad("shell-without-image", ("shell", "--context", "tpbox"), USAGE, ("--image",)),
    run("engine-unknown", USAGE, "--engine magic", "magic", "auto, netstack, sshuttle"),
    run("method-of-later", USAGE, "--method shim", "shim", "container"),
    run("grace-no-number", USAGE, "--grace soon", "--grace", "soon"),
    run("grace-too-short", USAGE, "--grace 0", "--grace"),
    run("report-nowhere", USAGE, "--report /nonexistent/report.json", "--report", "/nonexistent"),
    run("events-nowhere", USAGE, "--events /nonexistent/events", "--events", "/nonexistent"),
    run("tty-without-terminal", USAGE, "-t", "-t", "terminal"),
    run("env-without-name", USAGE, "--env =value", "=value", "NAME"),
    run("volume-mode-unknown", USAGE, "--volume /data=fast", "/data=fast", "live, copy, off"),
    run("write-env-nowhere", USAGE, "--write-env /nonexistent/app.env", "--write-env", "/nonexistent", "mkdir"),
    run("write-env-unwritable", USAGE, "--write-env-json /proc/self/e", "--write-env-json", "/proc/self/e"),
    run("write-env-over-anothers", USAGE, "--write-env {rubbish}", "{rubbish}", "not written by tpbox"),
    run("write-env-to-one-file", USAGE, "--write-env {empty}/e --write-env-json {empty}/e", "--write-env-json", "same"),
    run("env-file-missing", USAGE, "--env-file /nonexistent/app.env", "--env-file", "/nonexistent/app.env"),
    run("env-file-bad-line", USAGE, "--env-file {badline}", "{badline}", "line 2", "NAME=VALUE"),
    Bad("env-format-unknown", ("env", "--format", "toml"), USAGE, ("toml", "dotenv")),
    Bad("progress-unknown", ("--progress", "xml", *HERE, *PROGRAM), USAGE, ("xml", "json")),
    Bad("images-push-without-repository", ("images", "push"), USAGE, ("REPOSITORY", "--help")),
    Bad("images-push-no-repository", ("images", "push", "UPPER/Case"), USAGE, ("UPPER/Case", "For instance")),
    Bad("images-push-nowhere", ("images", "push", f"{NOWHERE}/pod"), TPBOX, (f"{NOWHERE}/pod", "docker login")),
    Bad("doctor-context-unknown", ("doctor", "--kubeconfig", "{kubeconfig}", "--context", "nowhere"), TPBOX,
        ("nowhere", "--context")),
    Bad("completion-unknown-shell", ("completion", "tcsh"), USAGE, ("tcsh", "fish")),
    run("pull-secret-unknown", TPBOX, "--pull-secret no-such-secret", "no-such-secret", "{namespace}"),
    run("volumes-mode-unknown", USAGE, "--volumes fast", "--volumes", "live"),
    run("volume-path-unknown", TPBOX, "--volume /nowhere=live", "/nowhere", "/var/run/secrets"),
    run("port-no-number", USAGE, "-p http", "-p", "http"),
    run("port-zero", USAGE, "-p 0:80", "-p", "0:80"),
    run("port-too-large", USAGE, "-p 8080:99999", "99999"),
    run("port-bad-address", USAGE, "-p 300.1.1.1:80:80", "300.1.1.1"),
    run("port-ranges-unequal", USAGE, "-p 8000-8002:80", "8000-8002:80"),
    *(
        run(f"refused-{option.strip('-')}", USAGE, f"{option} {value}", option, "namespace", "Leave it out")
        for option, value in (
            ("--network", "host"), ("--dns", "127.0.0.1"), ("--hostname", "me"), ("--add-host", "a:127.0.0.1"),
            ("--link", "other"),
        )
    ),
    run("refused-detach", USAGE, "-d", "--detach", "foreground"),
    # The cluster
    cluster("kubeconfig-missing", USAGE, "--kubeconfig /nonexistent/config", "--kubeconfig", "/nonexistent/config"),
    cluster("kubeconfig-rubbish", TPBOX, "--kubeconfig {rubbish}", "{rubbish}", "--kubeconfig"),
    cluster("context-unknown", TPBOX, "--kubeconfig {kubeconfig} --context nowhere", "nowhere", "--context"),
    cluster("context-unknown-and-no-kubeconfig", TPBOX, "--context nowhere", "nowhere", HOME="{empty}"),
    cluster("server-down", TPBOX, "--kubeconfig {down}", NOWHERE, "cannot be reached"),
    cluster("credential-refused", TPBOX, "--kubeconfig {expired} -n {namespace}", "credential", "log in"),
    cluster("rights-missing", TPBOX, "--kubeconfig {weak} -n {namespace}", "may not", "jobs", "{namespace}"),
    cluster("namespace-unknown", TPBOX, "--context tpbox -n no-such-place", "no-such-place", "create namespace"),
    cluster("namespace-misspelt", TPBOX, "--context tpbox -n {namespace}x", "{namespace}x", "Did you mean"),
    cluster("quota-exceeded", TPBOX, "--context tpbox -n {namespace}-quota", "quota", QUOTA),
    run("pod-too-large", TPBOX, "--pod-cpu 1000", "no node", "cpu"),
    run("pod-quantity-wrong", TPBOX, "--pod-memory lots", "quantities"),
    run("pod-image-unpullable", TPBOX, f"--pod-image {NOWHERE}/pod:1", f"{NOWHERE}/pod:1", "--pod-image"),
    run("service-account-unknown", TPBOX, "--service-account nobody-here", "nobody-here", "{namespace}"),
    run("like-no-such-deployment", TPBOX, "--like deploy/wep", "wep", "Did you mean", "web"),
    run("like-no-such-container", TPBOX, "--like deploy/web:wbe", "wbe", "sidecar"),
    run("like-no-such-kind", USAGE, "--like thing/web", "thing", "deploy"),
    run("like-a-kind-without-a-lasting-pod", USAGE, "--like cronjob/web", "CronJob", "--like pod/NAME"),
    run("like-no-name", USAGE, "--like deploy/", "deploy/", "KIND/NAME"),
    # Swap and expose
    run("swap-misspelt-kind", USAGE, "--swap deplyo/web", "deplyo", "Did you mean"),
    run("swap-daemon-set", USAGE, "--swap ds/web", "DaemonSet", "each node"),
    run("swap-job", USAGE, "--swap job/web", "Job", "run to their end"),
    run("swap-no-such-deployment", TPBOX, "--swap wep", "wep", "Did you mean 'web'"),
    run("swap-no-such-container", TPBOX, "--swap web:wbe", "wbe", "sidecar"),
    run("swap-and-like", USAGE, "--swap web --like deploy/web", "--swap", "--like"),
    run("now-without-swap", USAGE, "--now", "--now", "--swap"),
    run("take-over-without-swap", USAGE, "--take-over", "--take-over", "--swap"),
    cluster("swap-right-missing", TPBOX, "--kubeconfig {noscale} -n {namespace} --swap web", "may not",
            "deployments/scale", "{namespace}"),
    cluster("swap-over-quota", TPBOX, "--context tpbox -n {namespace}-quota --swap idle", "quota", "--now"),
    run("expose-no-number", USAGE, "--expose http", "--expose", "http", "--expose 8080"),
    run("expose-too-large", USAGE, "--expose 80:99999", "99999"),
    run("expose-one-port-twice", USAGE, "--expose 8080:80 --expose 9090:80", "--expose", "80"),
    run("expose-a-port-of-to-pod", USAGE, "--expose 5432 --to-pod 5432", "5432", "--to-pod"),
    run("to-pod-no-number", USAGE, "--to-pod db", "--to-pod", "db"),
    run("container-to-host-no-number", USAGE, "--container-to-host x:1", "--container-to-host", "x"),
    run("as-taken", USAGE, "--expose 8080 --as web", "web", "--as"),
    run("as-without-expose", USAGE, "--as mine", "--as", "--expose"),
    # Outside the cluster
    run("never-proxy-no-cidr", USAGE, "--never-proxy 10.1.0.0/33", "10.1.0.0/33", "CIDR", "For instance"),
    run("never-proxy-host-bits", USAGE, "--never-proxy 10.1.2.3/16", "10.1.2.3/16", "--never-proxy 10.1.0.0/16"),
    run("never-proxy-no-host", USAGE, "--never-proxy my_host", "my_host", "host name"),
    run("never-proxy-everything", USAGE, "--never-proxy 0.0.0.0/0", "0.0.0.0/0", "--only-cluster"),
    run("never-proxy-loopback", USAGE, "--never-proxy localhost", "loopback", "--container-to-host"),
    run("never-proxy-name-server", TPBOX, "--never-proxy {services}", "{services}", "name server"),
    Bad("never-proxy-unknown-here", (*HERE, "--never-proxy", NO_NAME, *PROGRAM), TPBOX,
        (NO_NAME, "does not resolve on this machine"), {"PYTHONPATH": "{resolver}"}),
    run("also-proxy-without-only-cluster", USAGE, "--also-proxy 10.1.0.0/16", "--also-proxy", "--only-cluster"),
    run("also-proxy-host-bits", USAGE, "--only-cluster --also-proxy 10.1.2.3/16", "--also-proxy 10.1.0.0/16"),
    run("also-proxy-everything", USAGE, "--only-cluster --also-proxy 0.0.0.0/0", "0.0.0.0/0", "Leave both out"),
    run("also-proxy-ipv6", TPBOX, "--engine sshuttle --only-cluster --also-proxy fd00::/64", "fd00::/64", "IPv6"),
    run("also-proxy-api-server", TPBOX, "--only-cluster --also-proxy {servernet}", "API server's address {server}"),
    run("also-proxy-unknown-in-the-pod", TPBOX, f"--only-cluster --also-proxy {NO_NAME}", NO_NAME,
        "does not resolve in the pod"),
    cluster("only-cluster-without-rights", TPBOX,
            "--kubeconfig {noranges} -n {namespace}-bare --pod-image any:1 --only-cluster",
            "range of the cluster's Services and pods", "--also-proxy CIDR"),
    # Docker
    Bad("docker-down", (*HERE, *PROGRAM), TPBOX, ("Docker", "/nonexistent.sock"), {"DOCKER_HOST": "unix:///nonexistent.sock"}),
    program("image-unknown", TPBOX, f"--image {NOWHERE}/nothing:1 -- true", f"{NOWHERE}/nothing:1", "docker build"),
    program("image-no-name", TPBOX, "--image UPPER/Case -- true", "UPPER/Case"),
    program("command-not-found", NOT_FOUND, f"--image {CLIENTS} -- no-such-program", "no-such-program"),
    program("no-init-not-found", NOT_FOUND, f"--no-init --image {CLIENTS} -- no-such-program", "no-such-program"),
    program("command-not-executable", NOT_EXECUTABLE, f"--image {CLIENTS} -- /etc/passwd", "permission denied"),
    program("entrypoint-not-found", NOT_FOUND, f"--entrypoint no-such-entry --image {CLIENTS}", "no-such-entry"),
    run("port-taken", TPBOX, "-p {taken}:80", "{taken}"),
    run("user-unknown", TPBOX, "-u no-such-user", "no-such-user"),
    run("workdir-relative", TPBOX, "-w relative/folder", "relative/folder"),
    run("volume-target-relative", TPBOX, "-v /tmp:relative", "relative"),
    run("name-wrong", TPBOX, "--name white+space", "white+space"),
    run("memory-no-number", USAGE, "--memory lots", "lots"),
    Bad("load-unknown-image", ("cluster", "load", "no-such-image:1"), TPBOX, ("no-such-image:1", "docker build")),
)  # fmt: skip


@pytest.fixture(scope="module")
def made(tpbox: Launcher, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What stands for the braces in the table."""
    folder = tmp_path_factory.mktemp("bad-input")
    path = tpbox("cluster", "kubeconfig").ok().text.strip()
    config = yaml.safe_load(Path(path).read_text())
    weak = shop.kubectl("-n", tpbox.namespace, "create", "token", "default").strip()
    _make_quota(f"{tpbox.namespace}-quota")
    no_scale = _make_account(tpbox.namespace, "no-scale", _LOOK_AT_DEPLOYMENTS)
    shop.make_namespace(f"{tpbox.namespace}-bare")
    no_ranges = _make_account(f"{tpbox.namespace}-bare", "no-ranges")
    node = json.loads(shop.docker("inspect", shop.node()))[0]["NetworkSettings"]["Networks"]["tpbox-cluster"][
        "IPAddress"
    ]
    (folder / "empty").mkdir()
    (folder / "resolver").mkdir()
    (folder / "resolver" / "sitecustomize.py").write_text(_KNOWS_NO_NAME)
    (folder / "rubbish").write_text("this: [is no kubeconfig")
    (folder / "badline").write_text("GOOD=1\nexport BAD=2\n")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield {
            "namespace": tpbox.namespace,
            "kubeconfig": path,
            "rubbish": str(folder / "rubbish"),
            "badline": str(folder / "badline"),
            "empty": str(folder / "empty"),
            "down": _write(folder / "down", _with_cluster(config, {"server": f"https://{NOWHERE}"})),
            "expired": _write(folder / "expired", _with_user(config, {"token": "no.such.token"})),
            "weak": _write(folder / "weak", _with_user(config, {"token": weak})),
            "noscale": _write(folder / "noscale", _with_user(config, {"token": no_scale})),
            "noranges": _write(folder / "noranges", _with_user(config, {"token": no_ranges})),
            "resolver": str(folder / "resolver"),
            "server": node,
            "servernet": str(ipaddress.ip_network(f"{node}/28", strict=False)),
            "services": str(ipaddress.ip_network(f"{shop.cluster_ip('kube-dns', 'kube-system')}/24", strict=False)),
            "taken": str(listening.getsockname()[1]),
        }


def _make_quota(namespace: str) -> None:
    shop.make_namespace(namespace)
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": QUOTA, "namespace": namespace},
        "spec": {"hard": {"pods": "0"}},
    }
    labels = {"app": "idle"}
    idle = {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "idle", "namespace": namespace},
        "spec": {
            "replicas": 0, "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "app", "image": "tpbox-example-shop:1"}]},
            },
        },
    }  # fmt: skip
    for manifest in (quota, idle):
        shop.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))


_LOOK_AT_DEPLOYMENTS = {"apiGroups": ["apps"], "resources": ["deployments", "deployments/scale"], "verbs": ["get"]}

# In the place of the machine's resolver, which may know every name and must not be asked for this one.
_KNOWS_NO_NAME = f"""
import socket
real = socket.getaddrinfo
def getaddrinfo(host, *rest, **named):
    if host == "{NO_NAME}":
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return real(host, *rest, **named)
socket.getaddrinfo = getaddrinfo
"""


def _make_account(namespace: str, name: str, *more: dict[str, Any]) -> str:
    """The token of an account that may have sessions, what `more` says, and nothing else."""
    rules = [
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create", "delete"]},
        {"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["create"]},
        *more,
    ]
    metadata = {"name": name, "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    made: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata, "rules": rules},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": metadata,
            "roleRef": role, "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        },
    ]  # fmt: skip
    shop.kubectl("apply", "-f", "-", stdin="\n---\n".join(map(json.dumps, made)))
    return shop.kubectl("-n", namespace, "create", "token", name).strip()


def _with_cluster(config: dict[str, Any], cluster: dict[str, str]) -> dict[str, Any]:
    changed = copy.deepcopy(config)
    changed["clusters"][0]["cluster"] = cluster
    return changed


def _with_user(config: dict[str, Any], user: dict[str, str]) -> dict[str, Any]:
    changed = copy.deepcopy(config)
    changed["users"][0]["user"] = user
    return changed


def _write(path: Path, config: dict[str, Any]) -> str:
    path.write_text(yaml.safe_dump(config))
    return str(path)


def _filled(text: str, made: dict[str, str]) -> str:
    for name, value in made.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def _result(launcher: Launcher, made: dict[str, str], bad: Bad) -> Result:
    argv = [_filled(word, made) for word in bad.argv]
    env = {name: _filled(value, made) for name, value in bad.env.items()}
    if "HOME" in env:  # which moves neither the state directory nor docker's own configuration
        env["XDG_STATE_HOME"] = str(state_directory().parent)
        env["DOCKER_CONFIG"] = os.environ.get("DOCKER_CONFIG", str(Path.home() / ".docker"))
    return launcher(*argv, env=env, timeout=LIMIT)


@pytest.fixture(scope="module")
def results(
    request: pytest.FixtureRequest, tpbox: Launcher, made: dict[str, str]
) -> Iterator[dict[str, Future[Result]]]:
    """What comes of each row that is asked for. Some run at the same time: they wait more than they work."""
    own = Launcher(tpbox.namespace, tpbox.folder)  # nothing_left looks after the tests, which end before rows do
    chosen = [
        i.callspec.params["bad"] for i in request.session.items if i.path == request.path and hasattr(i, "callspec")
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {bad.name: pool.submit(_result, own, made, bad) for bad in chosen}
        pool.shutdown(cancel_futures=True)
    host.expect_nothing_of(own.take_sessions())


@pytest.mark.parametrize("bad", TABLE, ids=lambda bad: bad.name)
def test_row_05_bad_input_gets_one_clear_error(
    results: dict[str, Future[Result]], made: dict[str, str], bad: Bad
) -> None:
    done = results[bad.name].result()
    assert done.code == bad.code, done.stderr
    assert done.stdout == b""
    assert "Traceback" not in done.stderr
    assert done.stderr.count("tpbox: error:") == 1
    assert len(error_lines(done.stderr)) <= 3, done.stderr
    for word in bad.says:
        assert _filled(word, made).lower() in done.stderr.lower(), done.stderr
