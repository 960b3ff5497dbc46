"""Row 39: a Compose project of which some services live in the cluster."""

from __future__ import annotations

import ipaddress
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import composing, host, inbound, shop
from tests.e2e.composing import Project, ask
from tests.e2e.inbound import Asker, wait_replicas
from tests.e2e.launcher import CLIENTS, Launcher, wait_for

pytestmark = [pytest.mark.row(39), pytest.mark.timeout(240)]

WORKLOADS = ("deployment/web", "deployment/worker")
GONE_WITHIN = 15  # seconds after a kill -9
GRACE = 5  # seconds until the agent gives back


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


@pytest.mark.parametrize("end", ["ctrl-c", "sigint", "sigterm", "kill -9"])
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
        if end == "ctrl-c":
            running.interrupt()
        else:
            running.signal(signal.SIGINT if end == "sigint" else signal.SIGTERM)
        done = running.finish(60)
        assert "back and Ready" in done.stderr, done.stderr
        assert "waited for" not in done.stderr or end != "sigterm"
        assert done.code in (130, 143) or "panic: close of closed channel" in done.stderr, done.stderr  # Compose 2.26
        assert inbound.replicas(namespace, "deployment/web") == 2
        made.expect_nothing_of_tpbox()
        assert {name: one["State"]["Running"] for name, one in made.containers().items()} == {"cache": False}


def test_nobody_misses_web_when_up_is_told_to_end(tpbox: Launcher, tmp_path: Path) -> None:
    with inbound.deployment(tpbox.namespace, "steady"):

        def steady(model: dict[str, Any]) -> None:
            quick(model)
            model["services"]["web"]["x-tpbox"] |= {"swap": "deploy/steady", "expose": ["8080:80"]}

        with (
            composing.project(tpbox, tmp_path, steady) as made,
            Asker(tpbox.namespace, "http://steady/hostname") as asker,
        ):
            with made.start("up", "--build") as running:
                wait_for("an answer", made.get, 60)
                wait_replicas(tpbox.namespace, "deployment/steady", 0)
                asker.wait_attempts(40)
                running.signal(signal.SIGTERM)
                running.finish(60)
            asker.wait_attempts(20)
            assert [attempt for attempt in asker.attempts() if not attempt.ok] == []


def test_ctrl_c_while_it_begins_leaves_nothing(tpbox: Launcher, tmp_path: Path) -> None:
    with composing.project(tpbox, tmp_path) as made, made.start("up", "-d") as running:
        wait_for("both sessions", lambda: len(made.sessions()) == 2, 20)
        running.interrupt()
        assert running.finish(40).code == 130
        made.expect_nothing_of_tpbox()
        assert inbound.replicas(tpbox.namespace, "deployment/web") == 2


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
