"""Row 39: a Compose project of which some services live in the cluster."""

from __future__ import annotations

import ipaddress
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e import composing, host, inbound, shop
from tests.e2e.composing import Project, ask
from tests.e2e.inbound import Asker, wait_replicas
from tests.e2e.launcher import CLIENTS, ROOT, Launcher, Result, error_lines, wait_for

pytestmark = [pytest.mark.row(39), pytest.mark.timeout(240)]

WORKLOADS = ("deployment/web", "deployment/worker")
GONE_WITHIN = 15  # seconds after a kill -9
SMALLEST = ROOT / "docker-compose.yml"
GRACE = 12  # seconds until the agent gives back


@pytest.fixture(autouse=True, scope="module")
def workloads(tpbox: Launcher) -> Iterator[None]:
    """What is swapped here is in the end as it was."""
    before = [inbound.workload(tpbox.namespace, name) for name in WORKLOADS]
    yield
    for name in WORKLOADS:
        inbound.wait_rolled_out(tpbox.namespace, name)
    assert [inbound.workload(tpbox.namespace, name) for name in WORKLOADS] == before


def with_all(model: dict[str, Any]) -> None:
    """Both engines, and on web whatever a service may have."""
    services = model["services"]
    web = services["web"]
    web["environment"] |= {"LITERAL": "the service's own"}
    web |= {
        "env_file": "own.env",
        "volumes": ["./data:/data", "keep:/keep"],
        "restart": "always",
        "extra_hosts": ["wiki.example.com:192.0.2.9"],
        "healthcheck": {"test": ["CMD", "python3", "-c", HEALTHY], "interval": "1s"},
    }
    services["worker"]["x-tpbox"] |= {"engine": "sshuttle"}
    services["client"] = {
        "image": CLIENTS, "init": True, "command": ["sleep", "infinity"], "profiles": ["dev"],
        "depends_on": {"web": {"condition": "service_healthy"}},
    }  # fmt: skip
    model["volumes"] = {"keep": {}}


HEALTHY = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/')"


class TestRunning:
    """One project for all that does not end it."""

    @pytest.fixture(scope="class")
    @staticmethod
    def up(tpbox: Launcher, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
        with composing.project(tpbox, tmp_path_factory.mktemp("compose"), with_all) as made:
            (made.folder / "own.env").write_text("EMPTY=filled\nFROM_FILE=yes\n")
            (made.folder / "data").mkdir()
            (made.folder / "data" / "mine").write_text("a file of this machine")
            (made.folder / ".env").write_text("COMPOSE_PROFILES=dev\n")
            made("up", "-d", "--build").ok()
            for workload in WORKLOADS[:1]:
                wait_replicas(tpbox.namespace, workload, 0)
            yield made

    def test_two_services_take_two_workloads_places(self, up: Project, tpbox: Launcher) -> None:
        said = json.loads(wait_for("an answer", lambda: ask(tpbox.namespace, "http://web/"), 10))
        assert said["greeting"] == "hello from the ConfigMap"
        assert said["pod"].startswith(f"tpbox-{up.sessions()['web']}")
        [worker] = shop.items("pods", "-n", tpbox.namespace, "-l", "app=worker,tpbox.dev/session")
        assert worker["metadata"]["labels"]["tpbox.dev/session"] == up.sessions()["worker"]

    def test_a_port_of_this_machine_leads_to_it_and_both_reach_the_database_in_the_cluster(self, up: Project) -> None:
        before = up.get()["recorded"]
        wait_for("a visit that the worker has recorded", lambda: up.get().get("recorded", 0) > before + 1, 20)

    def test_each_has_the_engine_that_it_asks_for(self, up: Project) -> None:
        devices = {name: one["HostConfig"]["Devices"] for name, one in up.containers().items()}
        assert [d["PathOnHost"] for d in devices["web-tpbox"]] == ["/dev/net/tun"]
        assert not devices["worker-tpbox"]

    @pytest.mark.parametrize("service", ["web", "worker"])
    def test_names_are_the_projects_first_and_then_the_clusters(
        self, up: Project, service: str, tpbox: Launcher
    ) -> None:
        script = "import socket, sys; [print(socket.gethostbyname(name)) for name in sys.argv[1:]]"
        other = "worker" if service == "web" else "web"
        local, foreign = ("cache", other, "client"), ("db", f"db.{tpbox.namespace}", "kubernetes.default")
        names = (*local, *foreign, f"cache.{tpbox.namespace}")
        found = dict(zip(names, up.run(service, "python3", "-c", script, *names).split(), strict=True))
        subnet = self.subnet(up)
        assert all(ipaddress.ip_address(found[name]) in subnet for name in local), found
        assert found["db"] == found[f"db.{tpbox.namespace}"] == shop.cluster_ip("db", tpbox.namespace)
        assert found["kubernetes.default"] == shop.cluster_ip("kubernetes", "default")
        pod = shop.get("pod", "cache-0", "-n", tpbox.namespace)["status"]["podIP"]
        assert found[f"cache.{tpbox.namespace}"] == pod

    def subnet(self, up: Project) -> ipaddress.IPv4Network:
        [network] = json.loads(shop.docker("network", "inspect", f"{up.name}_default"))
        return ipaddress.IPv4Network(network["IPAM"]["Config"][0]["Subnet"])

    def test_traffic_between_services_stays_on_this_machine(self, up: Project) -> None:
        """Redis sees web with an address of the project's network, not with the pod's."""
        clients = up.run("web", "python3", "-c", PEER)
        assert ipaddress.ip_address(clients.strip()) in self.subnet(up)

    def test_the_pods_environment_and_the_services_own_which_wins(self, up: Project) -> None:
        found = dict(line.split("=", 1) for line in up.run("web", "env", "-0").split("\0") if "=" in line)
        assert found["LITERAL"] == "the service's own"
        assert (found["EMPTY"], found["FROM_FILE"]) == ("filled", "yes")
        assert found["MULTI_LINE"] == "one\n  two\n\nfour\n"
        assert found["TOKEN"] == shop.document("Secret", "web")["stringData"]["token"]
        assert json.loads(found["JSON"])["b"] == 'x=y; $HOME \\ "q"'
        assert found["POD_NAME"].startswith(f"tpbox-{up.sessions()['web']}")

    def test_the_services_volumes_and_the_pods(self, up: Project) -> None:
        assert up.run("web", "cat", "/data/mine") == "a file of this machine"
        up.run("web", "sh", "-c", "echo there > /keep/it")
        assert up.run("web", "cat", "/etc/shop/greeting") == "hello from the ConfigMap"
        assert up.run("web", "cat", "/var/run/secrets/kubernetes.io/serviceaccount/token").count(".") == 2
        assert up("exec", "-T", "web", "touch", "/etc/shop/new").code != 0

    def test_hostname_and_hosts_are_the_pods_and_extra_hosts_count(self, up: Project) -> None:
        assert up.run("web", "hostname").strip() == up.get()["hostname"] == f"tpbox-{up.sessions()['web']}"
        hosts = up.run("web", "cat", "/etc/hosts")
        assert up.run("web", "printenv", "POD_IP").strip() in hosts
        assert "192.0.2.9" in up.run("web", "getent", "hosts", "wiki.example.com")

    def test_another_service_waits_for_web_and_reaches_it_by_its_name(self, up: Project) -> None:
        containers = up.containers()
        assert containers["web"]["State"]["Health"]["Status"] == "healthy"
        assert containers["client"]["State"]["StartedAt"] > containers["web"]["State"]["StartedAt"]
        assert "visits" in up.run("client", "curl", "-sS", "-m", "5", "http://web:8080/")

    def test_up_once_more_and_up_of_one_service_change_nothing(self, up: Project) -> None:
        before = up.sessions(), {name: one["Id"] for name, one in up.containers().items()}
        up("up", "-d").ok()
        up("up", "-d", "web").ok()
        assert (up.sessions(), {name: one["Id"] for name, one in up.containers().items()}) == before
        assert "worker-tpbox" in up("config").ok().text

    def test_other_commands_are_docker_composes(self, up: Project) -> None:
        assert "web-tpbox" in up("ps", "--services").ok().text
        assert "recorded a visit" in up("logs", "worker").ok().text
        assert up("exec", "-T", "web", "sh", "-c", "exit 7").code == 7
        assert up("--profile", "dev", "ps", "-q", "client").ok().text
        up("restart", "web").ok()
        wait_for("an answer", up.get, 15)

    def test_config_is_what_compose_reads_and_has_no_secret(self, up: Project) -> None:
        shown = up("config").ok().text
        assert shown == up.override.read_text()
        secrets = [shop.document("Secret", name)["stringData"] for name in ("web", "db")]
        values = [value for found in secrets for value in found.values() if value != "shop"]
        assert not [value for value in values if value in shown]
        assert "hello from the ConfigMap" not in shown
        assert "web-tpbox" in up.plain("config", "--services")

    def test_a_program_in_a_session_that_is_there_leaves_it_there(self, up: Project) -> None:
        before = up.sessions()
        done = up(
            "run", "--rm", "-T", "worker", "python3", "-c", "import socket; socket.create_connection(('db', 5432))"
        )
        assert done.code == 0, done.stderr
        assert up.sessions() == before

    def test_a_service_that_crashes_comes_back_where_it_says_so(self, up: Project) -> None:
        pid = "[p for p in os.listdir('/proc') if p.isdigit() and b'web.py' in open(f'/proc/{p}/cmdline','rb').read()"
        kill = f"import os; [os.kill(int(p), 9) for p in {pid} and int(p) not in (1, os.getpid())]]"
        up("exec", "-T", "web", "python3", "-c", kill)
        wait_for("a restart", lambda: up.containers()["web"]["RestartCount"] >= 1, 10)
        wait_for("an answer", up.get, 15)

    def test_others_than_those_in_the_cluster_may_be_several(self, up: Project) -> None:
        up("up", "-d", "--scale", "cache=2", "cache").ok()
        assert len(up.plain("ps", "-q", "cache").split()) == 2
        refused = up("up", "-d", "--scale", "web=2")
        assert refused.code == 2 and "one pod" in refused.stderr, refused.stderr

    def test_down_gives_the_workloads_back_before_anything_else(self, up: Project, tpbox: Launcher) -> None:
        done = up("down").ok()
        assert done.stderr.index("back and Ready") < done.stderr.index("cache-1")
        assert [inbound.replicas(tpbox.namespace, name) for name in WORKLOADS] == [2, 1]
        up.expect_nothing_of_tpbox()
        assert up.containers() == {}
        assert f"{up.name}_keep" in shop.docker("volume", "ls", "-q")  # only `down --volumes` takes it


PEER = """
import socket
with socket.create_connection(("cache", 6379)) as c:
    c.sendall(b"CLIENT INFO\\r\\n")
    print(c.recv(4096).decode().split(" addr=")[1].split(":")[0])
"""


# Sessions that outlive what Compose makes


def quick(model: dict[str, Any]) -> None:
    """web and cache alone, with a short grace time."""
    del model["services"]["worker"]
    model["services"]["web"]["x-tpbox"]["grace"] = GRACE


def test_held_sessions_wait_for_whatever_compose_makes(tpbox: Launcher, tmp_path: Path) -> None:
    namespace = tpbox.namespace
    with composing.project(tpbox, tmp_path, quick) as made:
        made("hold").ok()
        first = made.sessions()
        made.plain("up", "--build", "-d")
        wait_replicas(namespace, "deployment/web", 0)
        made.plain("down")
        wait_for("its word", lambda: "the next one is waited for" in log(made), 5)
        wait_replicas(namespace, "deployment/web", 2, GRACE + 15)
        made.plain("up", "-d")
        wait_replicas(namespace, "deployment/web", 0)
        assert "visits" in wait_for("an answer", lambda: ask(namespace, "http://web/"), 10)
        assert made.sessions() == first

        shop.docker("kill", made.helper("web"))
        wait_for("its word", lambda: log(made).count("the next one is waited for") == 2, 5)
        made("up", "-d").ok()
        wait_for("an answer", made.get, 20)  # Compose has left web in the network of the helper that is dead
        assert made.sessions() == first

        assert in_subnet(made, "cache")
        made.change(lambda model: model["services"]["web"]["x-tpbox"].update({"prefer-cluster": ["cache"]}))
        made("up", "-d").ok()
        assert made.sessions() != first
        assert not in_subnet(made, "cache")
        made("down", "-v").ok()
        assert inbound.replicas(namespace, "deployment/web") == 2


def log(made: Project) -> str:
    return made.launcher("logs", f"{made.name}-web").ok().text


def in_subnet(made: Project, name: str) -> bool:
    address = made.run("web", "getent", "ahostsv4", name).split()[0]
    [network] = json.loads(shop.docker("network", "inspect", f"{made.name}_default"))
    return ipaddress.ip_address(address) in ipaddress.ip_network(network["IPAM"]["Config"][0]["Subnet"])


# The ways in which `up` in the foreground ends


@pytest.mark.parametrize("end", ["ctrl-c", "kill -9"])
def test_up_in_the_foreground_ends_with_its_sessions(tpbox: Launcher, tmp_path: Path, end: str) -> None:
    namespace = tpbox.namespace
    with composing.project(tpbox, tmp_path, quick) as made, made.start("up", "--build") as running:
        wait_for("an answer", made.get, 60)
        wait_replicas(namespace, "deployment/web", 0)
        made.sessions()
        if end == "kill -9":
            running.signal(signal.SIGKILL)
            began = time.monotonic()
            wait_for("2 replicas", lambda: inbound.replicas(namespace, "deployment/web") == 2, GONE_WITHIN)
            wait_for("nothing of it", lambda: not host.inventory(made.ids), GONE_WITHIN - (time.monotonic() - began))
            return
        running.interrupt()
        done = running.finish(60)
        assert "back and Ready" in done.stderr, done.stderr
        assert done.code in (130, 143) or "panic: close of closed channel" in done.stderr, done.stderr  # Compose 2.26
        assert inbound.replicas(namespace, "deployment/web") == 2
        made.expect_nothing_of_tpbox()
        assert {name: one["State"]["Running"] for name, one in made.containers().items()} == {"cache": False}


def test_nobody_misses_web_when_up_is_told_to_end(tpbox: Launcher, tmp_path: Path) -> None:
    with inbound.deployment(tpbox.namespace, "steady"):

        def steady(model: dict[str, Any]) -> None:
            quick(model)
            web = model["services"]["web"]
            web["x-tpbox"] |= {"swap": "deploy/steady", "expose": ["8080:80"]}
            web["command"] = ["python3", "-c", inbound.SERVER, "8080", "0", "0.0.0.0"]  # quick, whatever else runs

        with (
            composing.project(tpbox, tmp_path, steady) as made,
            Asker(tpbox.namespace, "http://steady/hostname") as asker,
        ):
            with made.start("up", "--build") as running:
                wait_replicas(tpbox.namespace, "deployment/steady", 0, 60)
                made.sessions()
                asker.wait_attempts(40)
                running.signal(signal.SIGTERM)
                done = running.finish(60)
            assert "waited for" not in done.stderr  # the sessions end before anything of Compose does
            made.expect_nothing_of_tpbox()
            asker.wait_attempts(20)
            assert [attempt for attempt in asker.attempts() if not attempt.ok] == []


def test_ctrl_c_while_it_begins_leaves_nothing(tpbox: Launcher, tmp_path: Path) -> None:
    with composing.project(tpbox, tmp_path) as made, made.start("up", "-d") as running:
        wait_for("both sessions", lambda: len(made.sessions()) == 2, 20)
        running.interrupt()
        assert running.finish(40).code == 130
        made.expect_nothing_of_tpbox()
        assert inbound.replicas(tpbox.namespace, "deployment/web") == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_who_dies_while_it_begins_leaves_nothing(tpbox: Launcher, tmp_path: Path, number: int) -> None:
    with composing.project(tpbox, tmp_path) as made, made.start("up", "-d") as running:
        wait_for("both sessions", lambda: len(made.sessions()) == 2, 20)
        running.signal(number)
        running.process.wait(40)
        wait_for("the sessions' end", lambda: host.inventory(made.ids) == set(), 30)
        assert inbound.replicas(tpbox.namespace, "deployment/web") == 2


def test_help_and_a_dry_run_begin_nothing(tpbox: Launcher, tmp_path: Path) -> None:
    with composing.project(tpbox, tmp_path) as made:
        for words in (("up", "--help"), ("down", "--help"), ("run", "--help")):
            assert "Usage:" in made(*words).ok().text
        expect_error(made("up", "--dry-run"), 2, ("--dry-run", "for real"))
        made.expect_nothing_of_tpbox()
        assert tpbox("compose", "version").ok().text.startswith("Docker Compose version")


# One service, one program


def test_only_what_is_named_is_begun_and_a_run_leaves_nothing(tpbox: Launcher, tmp_path: Path) -> None:
    with composing.project(tpbox, tmp_path) as made:
        done = made("run", "--rm", "-T", "--build", "worker", "sh", "-c", "getent hosts db >&2; exit 7")
        assert done.code == 7, done.stderr
        assert shop.cluster_ip("db", tpbox.namespace) in done.stderr
        made.expect_nothing_of_tpbox()
        made("up", "--build", "-d", "worker").ok()
        assert set(made.sessions()) == {"worker"}
        assert set(made.containers()) == {"worker", "worker-tpbox", "cache"}
        made("up", "-d", "cache").ok()
        assert set(made.sessions()) == {"worker"}


def test_profiles_several_files_dotenv_and_files_elsewhere(tpbox: Launcher, tmp_path: Path) -> None:
    def change(model: dict[str, Any]) -> None:
        quick(model)
        model["services"]["web"] |= {"profiles": ["app"], "environment": {"MINE": "${MINE}", **PG}}
        model["services"]["beside"] = {
            "image": CLIENTS, "init": True, "command": ["sleep", "infinity"], "network_mode": "service:web",
            "profiles": ["app"],
        }  # fmt: skip

    with composing.project(tpbox, tmp_path, change) as made:
        folder = made.folder
        (folder / ".env").write_text("MINE=of .env\n")
        (folder / "kubeconfig").write_text(Path(host.kubeconfig()).read_text())
        # Compose takes an x-… of a later file whole.
        place = made.file()["services"]["web"]["x-tpbox"]
        place |= {"kubeconfig": "kubeconfig", "pod-image": host.pod_image()}
        own: dict[str, Any] = {"services": {"web": {"x-tpbox": place, "networks": ["back"]}},
               "networks": {"back": {"internal": True}}}  # fmt: skip
        own["services"]["cache"] = {"networks": ["back"]}
        (folder / "own.yaml").write_text(yaml.safe_dump(own))
        files = [word for name in ("compose.yaml", "own.yaml") for word in ("-f", str(folder / name))]
        words = ("-q", "compose", "-p", made.name, *files, "--profile", "app")
        tpbox(*words, "up", "-d", "--build", timeout=90).ok()
        made.sessions()
        assert made.run("web", "printenv", "MINE") == "of .env\n"
        database = shop.cluster_ip("db", tpbox.namespace)
        assert database in made.run("beside", "getent", "hosts", "db")
        assert made.run("web", "getent", "ahostsv4", "cache").split()[0] != database
        assert "visits" in made.run("beside", "curl", "-sS", "-m", "5", "http://127.0.0.1:8080/")
        done = tpbox(*words, "down", "--rmi", "local").ok()
        assert "tpbox:" not in done.stderr, done.stderr
        assert made.containers() == {}


PG = {"PGHOST": "db", "PGUSER": "shop", "PGPASSWORD": "correct horse", "PGDATABASE": "postgres"}


# What cannot be


def test_a_session_that_fails_ends_the_others(tpbox: Launcher, tmp_path: Path) -> None:
    def change(model: dict[str, Any]) -> None:
        model["services"]["worker"]["x-tpbox"]["swap"] = "deploy/wroker"

    with composing.project(tpbox, tmp_path, change) as made:
        done = made("up", "-d")
        assert done.code == 125
        assert "service worker" in done.stderr and "Did you mean 'worker'" in done.stderr, done.stderr
        made.expect_nothing_of_tpbox()
        assert made.containers() == {}
        assert inbound.replicas(tpbox.namespace, "deployment/web") == 2


def test_a_session_of_somebody_else_is_not_touched(tpbox: Launcher, tmp_path: Path) -> None:
    with composing.project(tpbox, tmp_path, quick) as made:
        name = f"{made.name}-web"
        where = ("--context", "tpbox", "-n", tpbox.namespace)
        tpbox("up", name, *where, "--events", str(tpbox.new_folder() / "events")).ok()
        try:
            done = made("up", "-d")
            assert done.code == 2 and f"'{name}' is there already" in done.stderr, done.stderr
        finally:
            tpbox("down", name).ok()  # it was alive: else there would be an error


def swapping_one(model: dict[str, Any]) -> None:
    model["services"]["worker"]["x-tpbox"]["swap"] = "deployment/web"


def misspelt(model: dict[str, Any]) -> None:
    model["services"]["web"]["x-tpbox"]["exposes"] = [8080]


def on_the_host(model: dict[str, Any]) -> None:
    del model["services"]["web"]["ports"]
    model["services"]["web"]["network_mode"] = "host"


def hasty(model: dict[str, Any]) -> None:
    model["services"]["web"]["x-tpbox"]["grace"] = 2


def both(model: dict[str, Any]) -> None:
    model["services"]["web"]["x-tpbox"]["like"] = "deploy/web"


def local(model: dict[str, Any]) -> None:
    for service in model["services"].values():
        service.pop("x-tpbox", None)


def two_of_it(model: dict[str, Any]) -> None:
    model["services"]["web"]["scale"] = 2


def unknown_field(model: dict[str, Any]) -> None:
    model["services"]["web"]["imagge"] = "x"


BAD = {
    "unknown key": (misspelt, "up", 2, ("service web", "'exposes'", "Did you mean 'expose'")),
    "two swap one": (swapping_one, "up", 2, ("services web and worker", "only one")),
    "wrong value": (hasty, "up", 2, ("service web", "'--grace'", "5<=x<=3600")),
    "not together": (both, "up", 2, ("service web", "--swap and --like do not go together")),
    "network mode": (on_the_host, "up", 2, ("service web", "network_mode: host")),
    "none in the cluster": (local, "up", 2, ("no service", "x-tpbox")),
    "scale": (two_of_it, "up", 2, ("service web", "scale: 2", "one pod")),
    "Compose's own words": (unknown_field, "up", 2, ("cannot read the project", "imagge")),
    "unknown service": (quick, "up nobody", 2, ("nobody",)),
    "unknown service of run": (quick, "run nobody true", 2, ("nobody",)),
    "no session, no override": (quick, "config", 125, ("no session", "tpbox compose hold")),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_gets_one_clear_error(tpbox: Launcher, tmp_path: Path, name: str) -> None:
    change, words, code, says = BAD[name]
    with composing.project(tpbox, tmp_path, change) as made:
        expect_error(made(*words.split()), code, says)
        made.expect_nothing_of_tpbox()
        (made.folder / "compose.yaml").write_text("services: {}\n")  # for `down`, which reads it too


def expect_error(done: Result, code: int, says: tuple[str, ...]) -> None:
    assert done.code == code, done.stderr
    assert done.stderr.count("tpbox: error:") == 1 and "Traceback" not in done.stderr, done.stderr
    assert len(error_lines(done.stderr)) <= 3, done.stderr
    for word in says:
        assert word in done.stderr, done.stderr


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("echo \"docker: 'compose' is not a docker command.\" >&2; exit 1", "docker compose is not there"),
        ("echo 2.19.1", "docker compose is 2.19.1; 2.20 or later is needed"),
    ],
    ids=["missing", "too old"],
)
def test_a_compose_that_will_not_do_is_said(tpbox: Launcher, tmp_path: Path, script: str, says: str) -> None:
    fake = tmp_path / "docker"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    done = tpbox("compose", "up", env={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    expect_error(done, 125, (says, "docs.docker.com/compose/install"))


# The smallest one


def test_the_readme_shows_the_smallest_example_as_it_is() -> None:
    services = SMALLEST.read_text().partition("services:\n")[2]
    shown = "".join(f"    {line}\n" for line in f"services:\n{services}".splitlines())
    assert shown in (ROOT / "README.md").read_text()


def test_the_smallest_example_works(tpbox: Launcher, tmp_path: Path) -> None:
    text = SMALLEST.read_text().replace("8080:8080", f"{composing.free_port()}:8080")
    text = text.replace("examples/myapp", str(ROOT / "examples" / "myapp"))
    file = tmp_path / "docker-compose.yml"
    file.write_text(text.replace("namespace: shop", f"namespace: {tpbox.namespace}, context: tpbox"))
    made = Project(tpbox, tmp_path, "e2esmallest", 0, file.name)
    try:
        made("up", "-d", "--build").ok()
        wait_replicas(tpbox.namespace, "deployment/web", 0)
        wait_for("an answer", lambda: ask(tpbox.namespace, "http://web/"), 10)
    finally:
        made.close()
