from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.unit.cluster.fake import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    NOW,
    PODS,
    REPLICASETS,
    STATEFULSETS,
    WEB,
    FakeCluster,
    deployment,
    owned_by,
    pod,
)
from tpbox.cluster import workloads
from tpbox.errors import ClusterError, NotFoundError
from tpbox.plan.request import WorkloadRef
from tpbox.plan.swap import SwapRecord


@pytest.fixture
def cluster() -> FakeCluster:
    made = FakeCluster()
    made.put(DEPLOYMENTS, deployment())
    made.put(REPLICASETS, deployment("web-7d4b9", ownerReferences=owned_by("Deployment", "web")))
    made.put(PODS, pod("web-7d4b9-x2x4z", ownerReferences=owned_by("ReplicaSet", "web-7d4b9")))
    made.put(PODS, pod("lone"))
    return made


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workloads, "POLL", 0)


def resolve(cluster: FakeCluster, kind: str, name: str, container: str = "") -> workloads.Target:
    return workloads.resolve(cluster.api, "shop", WorkloadRef(kind, name, container))


@pytest.mark.parametrize(("kind", "name"), [("deployments", "web"), ("pods", "lone")])
def test_what_nobody_controls_is_taken_as_it_is_named(cluster: FakeCluster, kind: str, name: str) -> None:
    target = resolve(cluster, kind, name)
    assert (target.ref, target.redirected) == (WorkloadRef(kind, name), "")
    assert target.manifest["metadata"]["name"] == name


@pytest.mark.parametrize(("kind", "name"), [("replicasets", "web-7d4b9"), ("pods", "web-7d4b9-x2x4z")])
def test_what_is_controlled_leads_to_its_top_owner(cluster: FakeCluster, kind: str, name: str) -> None:
    target = resolve(cluster, kind, name, "app")
    assert target.ref == WorkloadRef("deployments", "web", "app")
    assert target.manifest["metadata"]["name"] == "web"
    assert target.redirected == f"{kind}/{name} belongs to deployments/web, whose place is taken instead"


def test_an_owner_that_does_not_control_is_none(cluster: FakeCluster) -> None:
    cluster.put(PODS, pod("kept", ownerReferences=[{**owned_by("ConfigMap", "x", "v1")[0], "controller": False}]))
    assert resolve(cluster, "pods", "kept").ref == WorkloadRef("pods", "kept")


@pytest.mark.parametrize(
    ("kind", "version", "words"),
    [
        ("DaemonSet", "apps/v1", "it belongs to DaemonSet it, which runs one pod on each node"),
        ("Job", "batch/v1", "it belongs to Job it, whose pods run to their end"),
        ("Rollout", "argoproj.io/v1alpha1", "it belongs to Rollout it, which tpbox cannot scale"),
        ("StatefulSet", "apps.kruise.io/v1beta1", "it belongs to StatefulSet it, which tpbox cannot scale"),
    ],
)
def test_a_pod_whose_controller_cannot_be_scaled_is_refused(
    cluster: FakeCluster, kind: str, version: str, words: str
) -> None:
    cluster.put(PODS, pod("one", ownerReferences=owned_by(kind, "it", version)))
    with pytest.raises(ClusterError, match=f"pods/one cannot be swapped: {words}") as raised:
        resolve(cluster, "pods", "one")
    assert "--like pods/one" in raised.value.hint


def test_a_stateful_set_that_would_delete_its_data_is_refused(cluster: FakeCluster) -> None:
    cache = deployment("cache")
    cache["spec"]["persistentVolumeClaimRetentionPolicy"] = {"whenScaled": "Delete", "whenDeleted": "Retain"}
    cluster.put(STATEFULSETS, cache)
    with pytest.raises(ClusterError, match="statefulsets/cache cannot be swapped: its volumes' data would be lost"):
        resolve(cluster, "statefulsets", "cache")


def test_a_wrong_name_suggests_the_nearest(cluster: FakeCluster) -> None:
    with pytest.raises(NotFoundError, match="there is no deployments/wep in namespace 'shop'") as raised:
        resolve(cluster, "deployments", "wep")
    assert raised.value.hint == "Did you mean 'web'?"
    cluster.forbidden.add("GET /deployments")
    with pytest.raises(NotFoundError) as raised:
        resolve(cluster, "deployments", "wep")
    assert raised.value.hint == "See: kubectl -n shop get deployments"


def test_a_bare_pod_that_is_swapped_is_found_in_what_is_kept_of_it(cluster: FakeCluster) -> None:
    record = SwapRecord.of(WorkloadRef("pods", "lone"), cluster.get(f"{PODS}/lone"), "aaaaaaaa", "ann@desk", NOW)
    cluster.put(CONFIG_MAPS, record.kept_pod(cluster.objects.pop(f"{PODS}/lone")))
    target = resolve(cluster, "pods", "lone")
    assert target.manifest["spec"]["containers"][0]["image"] == "app:1"
    assert SwapRecord.of(target.ref, target.manifest, "bbbbbbbb", "bob@lap", NOW).lease_name == record.lease_name


def ready(cluster: FakeCluster, kind: str = "deployments", name: str = "web", timeout: float = 0) -> bool:
    ref = WorkloadRef(kind, name)
    return workloads.wait_ready(cluster.api, "shop", ref, timeout=timeout, cancelled=threading.Event())


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"observedGeneration": 7, "readyReplicas": 2}, True),
        ({"observedGeneration": 6, "readyReplicas": 2}, False),
        ({"observedGeneration": 7, "readyReplicas": 1}, False),
        ({"observedGeneration": 7}, False),
        ({}, False),
    ],
)
def test_ready_means_as_many_as_there_should_be(cluster: FakeCluster, status: dict[str, int], expected: bool) -> None:
    cluster.objects[WEB]["status"] = status
    assert ready(cluster) == expected


def test_a_workload_at_none_and_one_that_is_gone_are_not_waited_for(cluster: FakeCluster) -> None:
    cluster.objects[WEB]["spec"]["replicas"] = 0
    cluster.objects[WEB]["status"] = {"observedGeneration": 7}
    assert ready(cluster)
    assert ready(cluster, name="gone")


@pytest.mark.parametrize(("status", "expected"), [("True", True), ("False", False)])
def test_a_pod_says_it_itself(cluster: FakeCluster, status: str, expected: bool) -> None:
    conditions: list[Any] = [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": status}]
    cluster.objects[f"{PODS}/lone"]["status"] = {"conditions": conditions}
    assert ready(cluster, "pods", "lone") == expected


def test_an_api_server_that_is_away_is_waited_for(cluster: FakeCluster) -> None:
    cluster.objects[WEB]["status"] = {"observedGeneration": 7, "readyReplicas": 2}
    cluster.away = True
    assert not ready(cluster)
    threading.Timer(0.05, setattr, (cluster, "away", False)).start()
    assert ready(cluster, timeout=5)


def test_who_gives_up_does_not_wait(cluster: FakeCluster) -> None:
    cancelled = threading.Event()
    cancelled.set()
    ref = WorkloadRef("deployments", "web")
    assert not workloads.wait_ready(cluster.api, "shop", ref, timeout=60, cancelled=cancelled)
