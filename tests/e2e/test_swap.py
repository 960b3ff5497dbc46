"""Rows 25 to 29, 32 and 35 to 37: the local process takes a workload's place, and the workload comes back."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import host, inbound, shop
from tests.e2e.inbound import LOCAL, Asker, server, wait_replicas
from tests.e2e.launcher import CLIENTS, SHOP, Launcher, Running, error_lines, wait_for

WEB = "http://web/hostname"


def ended(running: Running, number: int = signal.SIGTERM) -> None:
    running.signal(number)
    running.finish(90)


@pytest.fixture
def web(tpbox: Launcher) -> Iterator[str]:
    """The namespace, in which deployment web must be after the test as it was before."""
    inbound.wait_rolled_out(tpbox.namespace, "deployment/web")
    before = inbound.workload(tpbox.namespace, "deployment/web")
    yield tpbox.namespace
    inbound.wait_rolled_out(tpbox.namespace, "deployment/web")
    assert inbound.workload(tpbox.namespace, "deployment/web") == before


@pytest.mark.row(25, 26, 32)
def test_rows_25_26_and_32_a_swap_takes_the_ports_of_the_container_and_gives_the_workload_back(
    tpbox: Launcher, web: str
) -> None:
    with tpbox.start("--swap", "deploy/web", *server(80)) as running:
        wait_replicas(web, "deployment/web", 0)
        wait_for("an answer", lambda: inbound.get(web, WEB) == LOCAL, 10)
        [pod] = shop.items("pods", "-n", web, "-l", f"tpbox.dev/session={running.session}")
        assert pod["metadata"]["labels"]["app"] == "web"
        assert "pod-template-hash" not in pod["metadata"]["labels"]
        assert pod["spec"]["containers"][0]["ports"][0]["name"] == "http"
        ended(running)
    assert inbound.replicas(web, "deployment/web") == 2
    assert LOCAL not in inbound.get(web, WEB)


@pytest.mark.row(27)
def test_row_27_the_original_stays_until_the_process_listens(tpbox: Launcher, web: str) -> None:
    with tpbox.start("--swap", "web", *server(80, delay=6)) as running:
        running.wait_phase("running")
        inbound.settle(4)
        assert inbound.replicas(web, "deployment/web") == 2
        assert not inbound.ready(web, running.session)
        assert LOCAL not in inbound.get(web, WEB)
        wait_replicas(web, "deployment/web", 0)
        assert inbound.ready(web, running.session)
        running.interrupt()
        done = running.finish(90)
    assert re.search(r"web .*back.* \d+(\.\d)? s", done.stderr), done.stderr


@pytest.mark.row(28)
def test_row_28_a_client_that_asks_20_times_a_second_sees_no_failure(tpbox: Launcher) -> None:
    namespace = tpbox.namespace
    with inbound.deployment(namespace, "steady") as name, Asker(namespace, f"http://{name}/hostname") as asker:
        with tpbox.start("--swap", name, *server(80)) as running:
            wait_replicas(namespace, "deployment/steady", 0)
            asker.wait_attempts(120)
            ended(running)
        asker.wait_attempts(100)
        attempts = asker.attempts()
        assert [a for a in attempts if not a.ok] == []
        assert sum(LOCAL in a.said for a in attempts) > 100
        assert LOCAL not in attempts[0].said + attempts[-1].said


@pytest.mark.row(29)
def test_row_29_sidecars_and_the_process_reach_each_other_on_localhost(tpbox: Launcher, web: str) -> None:
    script = 'curl -s --max-time 5 telnet://127.0.0.1:9100 </dev/null; exec python3 -c "$@"'
    words = ("--swap", "deploy/web:web", "--to-pod", "9100", "--from-pod", "9200", "--image", CLIENTS, "--",
             "sh", "-c", script, "sh", inbound.SERVER, "9200", "0", "127.0.0.1")  # fmt: skip
    with tpbox.start(*words) as running:
        running.wait_output(b"listening")
        assert running.stdout().startswith(b"sidecar\n")
        [pod] = shop.items("pods", "-n", web, "-l", f"tpbox.dev/session={running.session}")
        asked = (
            "exec",
            pod["metadata"]["name"],
            "-c",
            "sidecar",
            "--",
            "curl",
            "-sS",
            "-m",
            "3",
            "http://127.0.0.1:9200",
        )
        wait_for("an answer", lambda: shop.kubectl("-n", web, *asked) == LOCAL, 10)
        ended(running)


@pytest.mark.row(25)
def test_row_25_a_stateful_set_keeps_its_name_in_the_cluster(tpbox: Launcher) -> None:
    namespace = tpbox.namespace
    before = inbound.workload(namespace, "statefulset/cache")
    with tpbox.start("--swap", "sts/cache:redis", "--expose", "6380:6379", *server(6380)) as running:
        wait_replicas(namespace, "statefulset/cache", 0)
        url = "http://cache-0.cache:6379/"
        wait_for("an answer", lambda: inbound.get(namespace, url) == LOCAL, 20)
        ended(running)
    inbound.wait_rolled_out(namespace, "statefulset/cache")
    assert inbound.workload(namespace, "statefulset/cache") == before


@pytest.mark.row(25, 32)
def test_row_25_a_bare_pod_is_replaced_and_made_again(tpbox: Launcher) -> None:
    namespace = tpbox.namespace
    container = {
        "name": "app",
        "image": SHOP,
        "imagePullPolicy": "Never",
        "command": ["nginx"],
        "ports": [{"containerPort": 80}],
    }
    metadata = {"name": "lonely", "namespace": namespace, "labels": {"app": "lonely"}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata,
           "spec": {"containers": [container], "terminationGracePeriodSeconds": 1}}  # fmt: skip
    shop.kubectl("apply", "-f", "-", stdin=json.dumps(pod))
    shop.kubectl("-n", namespace, "wait", "pod/lonely", "--for=condition=Ready", "--timeout=30s")
    uid = shop.get("pod", "lonely", "-n", namespace)["metadata"]["uid"]
    try:
        with tpbox.start("--swap", "pod/lonely", *server(80)) as running:
            wait_for("no pod", lambda: "lonely" not in shop.kubectl("-n", namespace, "get", "pods", "-o", "name"), 40)
            ended(running)
        again = shop.get("pod", "lonely", "-n", namespace)
        assert again["metadata"]["uid"] != uid
        assert again["metadata"]["labels"] == {"app": "lonely"}
        assert again["spec"]["containers"][0]["command"] == ["nginx"]
    finally:
        shop.kubectl("-n", namespace, "delete", "pod/lonely", "--ignore-not-found", "--wait=false")


@pytest.mark.row(25)
def test_a_replica_set_of_a_deployment_leads_to_the_deployment(tpbox: Launcher, web: str) -> None:
    [owned] = [r for r in shop.items("replicasets", "-n", web, "-l", "app=web") if r["spec"]["replicas"]]
    done = tpbox.run("--swap", f"rs/{owned['metadata']['name']}", "--dry-run", "--image", CLIENTS, "--", "true").ok()
    assert "deployments/web" in done.text


def test_a_workload_at_0_replicas_is_swapped_and_stays_at_0(tpbox: Launcher) -> None:
    namespace = tpbox.namespace
    with inbound.deployment(namespace, "idle") as name:
        shop.kubectl("-n", namespace, "scale", f"deployment/{name}", "--replicas=0")
        with tpbox.start("--swap", name, *server(80)) as running:
            wait_for("an answer", lambda: inbound.get(namespace, f"http://{name}/") == LOCAL, 40)
            ended(running)
        assert inbound.replicas(namespace, f"deployment/{name}") == 0


def test_now_takes_the_original_down_first(tpbox: Launcher, web: str) -> None:
    with tpbox.start("--swap", "web", "--now", "--image", CLIENTS, "--", "sleep", "60") as running:
        running.wait_phase("running")
        assert inbound.replicas(web, "deployment/web") == 0
        ended(running)
    assert inbound.replicas(web, "deployment/web") == 2


# Row 35: what somebody else changed meanwhile


@pytest.mark.row(35)
@pytest.mark.parametrize("change", ["scaled", "image", "deleted"])
def test_row_35_another_ones_change_is_kept_and_said(tpbox: Launcher, change: str) -> None:
    namespace = tpbox.namespace
    with inbound.deployment(namespace, "shared", replicas=2) as name:
        target = f"deployment/{name}"
        with tpbox.start("--swap", name, *server(80)) as running:
            wait_replicas(namespace, target, 0)
            if change == "scaled":
                shop.kubectl("-n", namespace, "scale", target, "--replicas=3")
            elif change == "image":
                shop.kubectl("-n", namespace, "set", "env", target, "NEW=1")
            else:
                shop.kubectl("-n", namespace, "delete", target)
            running.signal(signal.SIGTERM)
            done = running.finish(90)
        if change == "deleted":
            assert "shared" not in shop.kubectl("-n", namespace, "get", "deployments", "-o", "name")
            assert "deleted" in done.stderr
            return
        assert inbound.replicas(namespace, target) == (3 if change == "scaled" else 2)
        if change == "scaled":
            assert "3" in done.stderr and "kept" in done.stderr
        else:
            [container] = shop.get(target, "-n", namespace)["spec"]["template"]["spec"]["containers"]
            assert container["env"] == [{"name": "NEW", "value": "1"}]


# Rows 33 and 36: what is left by the dead


GRACE = 5


@pytest.mark.row(33)
def test_row_33_kill_9_of_the_launcher_gives_the_workload_back(tpbox: Launcher, web: str) -> None:
    with tpbox.start("--swap", "web", *server(80)) as running:
        wait_replicas(web, "deployment/web", 0)
        session = running.session
        running.kill()
        wait_for("2 replicas", lambda: inbound.replicas(web, "deployment/web") == 2, 7)
        wait_for("everything gone", lambda: not host.inventory({session}), 7)


@pytest.mark.row(33)
def test_row_33_with_launcher_and_watchdog_dead_the_pod_gives_the_workload_back(tpbox: Launcher, web: str) -> None:
    with tpbox.start("--swap", "web", "--grace", str(GRACE), *server(80)) as running:
        wait_replicas(web, "deployment/web", 0)
        session = running.session
        running.kill(with_watchdog=True)
        wait_for("2 replicas", lambda: inbound.replicas(web, "deployment/web") == 2, GRACE + 12)
        wait_for("the pod's end", lambda: not host.in_cluster({session}), 5)
        tpbox("status").ok()  # any command removes the rest
        assert host.inventory({session}) == set()


@pytest.mark.row(36)
def test_row_36_cleanup_restores_by_labels_and_leases_alone(tpbox: Launcher, web: str) -> None:
    elsewhere = {"XDG_STATE_HOME": str(tpbox.new_folder())}  # another machine: no record of the session
    with tpbox.start("--swap", "web", "--grace", "600", *server(80)) as running:
        wait_replicas(web, "deployment/web", 0)
        session = running.session
        running.kill(with_watchdog=True)
        where = ("--context", "tpbox", "--kubeconfig", host.kubeconfig())
        status = json.loads(tpbox("status", *where, "--output", "json", env=elsewhere).ok().text)
        assert session in json.dumps(status)
        shown = tpbox("cleanup", *where, "--session", session, "--all", "--dry-run", env=elsewhere).ok().text
        assert "deployments/web" in shown
        assert inbound.replicas(web, "deployment/web") == 0
        tpbox("cleanup", *where, "--session", session, "--all", env=elsewhere).ok()
        assert inbound.replicas(web, "deployment/web") == 2
        tpbox("status").ok()
        wait_for("everything gone", lambda: not host.inventory({session}), 15)


# Row 37


@pytest.mark.row(37)
def test_row_37_a_second_swap_is_refused_with_the_owner_and_take_over_takes_it(tpbox: Launcher, web: str) -> None:
    with tpbox.start("--swap", "web", *server(80)) as first:
        wait_replicas(web, "deployment/web", 0)
        refused = tpbox.run("--swap", "web", *server(80))
        assert refused.code == 125
        assert len(error_lines(refused.stderr)) <= 3
        assert re.search(r"by \S+@\S+", refused.stderr) and "--take-over" in refused.stderr
        assert inbound.replicas(web, "deployment/web") == 0
        with tpbox.start("--swap", "web", "--take-over", *server(80)) as second:
            lost = first.finish(60)
            assert lost.code == 125, lost.stderr
            assert second.session in lost.stderr or "taken over" in lost.stderr
            assert inbound.replicas(web, "deployment/web") == 0
            wait_for("an answer", lambda: inbound.get(web, WEB) == LOCAL, 30)
            ended(second)
    assert inbound.replicas(web, "deployment/web") == 2


# The agent took us for dead: a lid that was closed


@pytest.mark.parametrize("changed", [False, True], ids=["unchanged", "changed"])
def test_a_workload_that_was_given_back_while_we_were_away_is_taken_again_unless_changed(
    tpbox: Launcher, changed: bool
) -> None:
    namespace = tpbox.namespace
    with inbound.deployment(namespace, "asleep") as name:
        target, url = f"deployment/{name}", f"http://{name}/hostname"
        with tpbox.start("--swap", name, "--grace", str(GRACE), *server(80)) as running:
            wait_replicas(namespace, target, 0)
            helper = f"tpbox-{running.session}"
            shop.docker("pause", helper)
            try:
                wait_replicas(namespace, target, 1)
                wait_for("the pod's end", lambda: not host.pods({running.session}), 15)
                if changed:
                    shop.kubectl("-n", namespace, "scale", target, "--replicas=2")
            finally:
                shop.docker("unpause", helper)
            if changed:
                done = running.finish(40)
                assert done.code == 125, done.stderr
                assert "given back" in done.stderr
                assert inbound.replicas(namespace, target) == 2
            else:
                wait_replicas(namespace, target, 0)
                wait_for("an answer", lambda: inbound.get(namespace, url) == LOCAL, 20)
                ended(running)
                assert inbound.replicas(namespace, target) == 1


# Who else decides, and who may decide


def test_an_autoscaler_is_named_with_what_it_will_do(tpbox: Launcher) -> None:
    namespace = tpbox.namespace
    with inbound.deployment(namespace, "scaled") as name:
        shop.kubectl("-n", namespace, "autoscale", f"deployment/{name}", "--max=3", "--cpu-percent=80")
        try:
            done = tpbox.run("--swap", name, "--image", CLIENTS, "--", "true").ok()
        finally:
            shop.kubectl("-n", namespace, "delete", "horizontalpodautoscaler", name)
        assert re.search(r"warning: .*HorizontalPodAutoscaler", done.stderr), done.stderr


def test_who_may_not_create_roles_swaps_without_a_guard_and_is_told_so_once(tpbox: Launcher, tmp_path: Path) -> None:
    namespace = tpbox.namespace
    with inbound.deployment(namespace, "unguarded") as name:
        weak = host.kubeconfig_of(namespace, "no-roles", tmp_path / "config")
        words = ("run", "--kubeconfig", weak, "-n", namespace, "--events", "{events}", "--pod-image", host.pod_image())
        with tpbox.begin(*words, "--swap", name, *server(80)) as running:
            wait_replicas(namespace, f"deployment/{name}", 0)
            running.signal(signal.SIGTERM)
            done = running.finish(90)
        assert done.stderr.count("may not create Roles") == 1, done.stderr
        assert inbound.replicas(namespace, f"deployment/{name}") == 1
