from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.unit.cluster.fake import NOW, deployment, pod
from tpbox import names
from tpbox.errors import ClusterError
from tpbox.plan import swap
from tpbox.plan.request import WorkloadRef
from tpbox.plan.swap import SwapRecord

WEB = WorkloadRef("deployments", "web", "app")


def record() -> SwapRecord:
    return SwapRecord.of(WEB, deployment(replicas=2, uid="u-1"), "abcdefgh", "ann@desk", NOW)


def test_the_record_is_exactly_this() -> None:
    assert record().manifest() == {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": "tpbox-swap-deployments-web",
            "namespace": "shop",
            "labels": {
                "app.kubernetes.io/managed-by": "tpbox",
                "tpbox.dev/role": "swap",
                "tpbox.dev/session": "abcdefgh",
                "tpbox.dev/owner": names.owner_label("ann@desk"),
            },
            "annotations": {
                "tpbox.dev/owner": "ann@desk",
                "tpbox.dev/workload": "deployments/web",
                "tpbox.dev/replicas": "2",
                "tpbox.dev/generation": "7",
                "tpbox.dev/resource": "u-1",
                "tpbox.dev/state": "claimed",
            },
        },
        "spec": {"holderIdentity": "abcdefgh", "acquireTime": "2026-11-22T10:00:00.000000Z"},
    }


def test_a_record_comes_back_as_it_was() -> None:
    lease = record().manifest()
    assert SwapRecord.read(lease) == record()
    lease["metadata"].update(uid="l-1", resourceVersion="42")
    lease["metadata"]["annotations"]["tpbox.dev/state"] = "down"
    read = SwapRecord.read(lease)
    assert (read.state, read.lease_uid, read.version) == ("down", "l-1", "42")
    assert read.manifest()["metadata"]["resourceVersion"] == "42"


@pytest.mark.parametrize("key", ["tpbox.dev/replicas", "tpbox.dev/workload", "tpbox.dev/state"])
def test_a_lease_that_lacks_something_is_no_record(key: str) -> None:
    lease = record().manifest()
    del lease["metadata"]["annotations"][key]
    with pytest.raises(ClusterError, match="Lease tpbox-swap-deployments-web in namespace shop is no swap record"):
        SwapRecord.read(lease)


def test_a_workload_is_known_by_its_records_name() -> None:
    assert swap.workload_of(swap.record_name("statefulsets", "cache-a-b")) == "statefulsets/cache-a-b"


def test_replicas_left_out_are_one() -> None:
    assert swap.replicas_of({"spec": {}}) == 1
    assert swap.replicas_of({"spec": {"replicas": 0}}) == 0


def test_a_scale_holds_for_the_workload_that_was_read() -> None:
    found = deployment(uid="u-1", resourceVersion="9", labels={"a": "b"})
    assert swap.scale(found, 0) == {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {"name": "web", "namespace": "shop", "uid": "u-1", "resourceVersion": "9"},
        "spec": {"replicas": 0},
    }


def test_a_pod_is_kept_without_what_others_wrote_into_it() -> None:
    token: dict[str, Any] = {"name": "kube-api-access-x2x4z", "mountPath": "/var/run/secrets"}
    own: dict[str, Any] = {"name": "data", "mountPath": "/data"}
    found = pod(
        uid="u", resourceVersion="1", generation=2, creationTimestamp="t", managedFields=[], labels={"app": "lone"},
        annotations={"note": "mine"},
    )  # fmt: skip
    found["spec"].update(
        volumes=[{"name": "kube-api-access-x2x4z"}, {"name": "data", "emptyDir": {}}], priority=0,
        preemptionPolicy="Never", ephemeralContainers=[{"name": "debug"}], serviceAccountName="lone",
        initContainers=[{"name": "init", "volumeMounts": [token]}],
    )  # fmt: skip
    found["spec"]["containers"][0]["volumeMounts"] = [own, token]
    before = copy.deepcopy(found)
    kept = record().kept_pod(found)
    assert found == before
    assert kept["metadata"]["name"] == "tpbox-swap-deployments-web"
    assert swap.pod_of(kept) == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "lone", "namespace": "shop", "labels": {"app": "lone"}, "annotations": {"note": "mine"}},
        "spec": {
            "containers": [{"name": "app", "image": "app:1", "volumeMounts": [own]}],
            "initContainers": [{"name": "init", "volumeMounts": []}],
            "volumes": [{"name": "data", "emptyDir": {}}],
            "serviceAccountName": "lone",
        },
    }


def test_the_rights_are_those_of_the_kind() -> None:
    leases = {(verb, "coordination.k8s.io", "leases", "") for verb in ("get", "create", "patch", "delete")}
    assert set(swap.rights("deployments")) - leases == {
        ("get", "apps", "deployments", ""),
        ("get", "apps", "deployments", "scale"),
        ("update", "apps", "deployments", "scale"),
    }
    assert leases < set(swap.rights("pods"))
    assert {resource for _, _, resource, _ in swap.rights("pods")} == {"pods", "configmaps", "leases"}
