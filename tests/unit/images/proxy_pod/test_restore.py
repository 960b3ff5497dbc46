from __future__ import annotations

import asyncio
import json

import pytest
from agent import restore
from agent.kubernetes import ApiError

from tests.unit.images.proxy_pod.cluster import LEASE, MANIFEST, POD, POD_RECORD, RECORD, SCALE, SESSION, Cluster

UID = f"uid of {SCALE}"
MANIFEST_TEXT = json.dumps({"kind": "Pod", "metadata": {"name": "web"}, "spec": {"containers": []}})


@pytest.fixture
def cluster() -> Cluster:
    """Deployment web was swapped, and is at 0."""
    cluster = Cluster()
    cluster.swapped(RECORD, "deployments/web", uid=UID)
    cluster.put(SCALE, spec={})  # the API leaves 0 out
    return cluster


@pytest.fixture
def pod_cluster() -> Cluster:
    """Pod web was swapped, and is gone."""
    cluster = Cluster()
    cluster.swapped(POD_RECORD, "pods/web", uid=f"uid of {POD}")
    cluster.put(MANIFEST, data={"pod.json": MANIFEST_TEXT})
    return cluster


def restored(cluster: Cluster, record: str = RECORD, session: str = SESSION) -> str:
    return asyncio.run(restore.restore(cluster, "shop", record.rpartition("/")[2], session))


def test_the_workload_is_scaled_back_and_the_record_removed(cluster: Cluster) -> None:
    assert restored(cluster) == "deployments/web is scaled back to 2"
    assert cluster.objects[SCALE]["spec"] == {"replicas": 2}
    assert cluster.objects.keys() == {SCALE, LEASE}
    record = "leases/tpbox-swap-deployments-web"
    scale = "deployments/web/scale"
    assert cluster.requests == [f"GET {record}", f"GET {scale}", f"PUT {scale}", f"DELETE {record}"]


def test_without_a_record_nothing_is_done(cluster: Cluster) -> None:
    del cluster.objects[RECORD]
    assert restored(cluster) == "the swap record tpbox-swap-deployments-web is gone; nothing is restored"
    assert len(cluster.requests) == 1


def test_another_sessions_record_is_left_alone(cluster: Cluster) -> None:
    said = "session abcdefgh of ann@desk has taken over tpbox-swap-deployments-web; nothing is restored"
    assert restored(cluster, session="bbbbbbbb") == said
    assert len(cluster.requests) == 1


def test_what_was_only_claimed_is_not_scaled(cluster: Cluster) -> None:
    cluster.swapped(RECORD, "deployments/web", state="claimed")
    assert restored(cluster) == "deployments/web had not been scaled down"
    assert [request.split()[0] for request in cluster.requests] == ["GET", "DELETE"]
    assert RECORD not in cluster.objects


@pytest.mark.parametrize(
    ("replicas", "words"),
    [(5, "was scaled to 5 meanwhile; it stays so, and not 2"), (2, "has 2 replicas already")],
)
def test_somebodys_scale_since_is_kept(cluster: Cluster, replicas: int, words: str) -> None:
    cluster.put(SCALE, spec={"replicas": replicas})
    assert restored(cluster) == f"deployments/web {words}"
    assert cluster.objects[SCALE]["spec"] == {"replicas": replicas}
    assert RECORD not in cluster.objects


def test_a_workload_of_no_replicas_stays_so(cluster: Cluster) -> None:
    cluster.swapped(RECORD, "deployments/web", replicas="0", uid=UID)
    assert restored(cluster) == "deployments/web has 0 replicas already"
    assert RECORD not in cluster.objects


def test_a_deleted_workload_is_reported(cluster: Cluster) -> None:
    del cluster.objects[SCALE]
    assert "was deleted meanwhile" in restored(cluster)
    assert RECORD not in cluster.objects


def test_a_workload_that_was_made_anew_is_not_scaled(cluster: Cluster) -> None:
    cluster.put(SCALE, metadata={"uid": "another"}, spec={})
    assert "was made anew meanwhile" in restored(cluster)
    assert cluster.objects[SCALE]["spec"] == {}
    assert RECORD not in cluster.objects


def test_a_scale_that_changes_meanwhile_is_read_again(cluster: Cluster) -> None:
    def quicker(method: str, path: str) -> None:
        if method == "PUT" and cluster.requests.count("PUT deployments/web/scale") < 3:
            cluster.put(SCALE, metadata={"uid": UID}, spec={})

    cluster.before = quicker
    assert restored(cluster) == "deployments/web is scaled back to 2"
    assert cluster.requests.count("GET deployments/web/scale") == 3


def test_a_scale_that_never_rests_is_given_up(cluster: Cluster) -> None:
    cluster.before = lambda method, path: (
        cluster.put(SCALE, metadata={"uid": UID}, spec={}) if method == "PUT" else None
    )
    with pytest.raises(ApiError, match="changed 5 times") as raised:
        restored(cluster)
    assert not raised.value.final
    assert RECORD in cluster.objects


def test_a_record_that_is_taken_over_meanwhile_is_not_removed(cluster: Cluster) -> None:
    cluster.before = lambda method, path: cluster.put(RECORD, spec={}) if method == "DELETE" else None
    with pytest.raises(ApiError) as raised:
        restored(cluster)
    assert not raised.value.final
    assert RECORD in cluster.objects


def test_a_bare_pod_is_made_anew(pod_cluster: Cluster) -> None:
    assert restored(pod_cluster, POD_RECORD) == "pods/web is made anew"
    assert pod_cluster.objects[POD]["spec"] == {"containers": []}
    assert pod_cluster.objects.keys() == {POD, LEASE}


@pytest.mark.parametrize(
    ("uid", "words"),
    [(f"uid of {POD}", "had not been deleted"), ("another", "was made anew meanwhile; it stays as it is")],
)
def test_a_pod_that_is_there_is_kept(pod_cluster: Cluster, uid: str, words: str) -> None:
    pod_cluster.put(POD, metadata={"uid": uid})
    assert restored(pod_cluster, POD_RECORD) == f"pods/web {words}"
    assert pod_cluster.objects.keys() == {POD, LEASE}
    assert "POST pods" not in pod_cluster.requests


def test_a_pod_that_is_still_ending_is_waited_for(pod_cluster: Cluster) -> None:
    pod_cluster.put(POD, metadata={"deletionTimestamp": "2026-11-23T20:00:00Z"})
    with pytest.raises(ApiError, match="still ending") as raised:
        restored(pod_cluster, POD_RECORD)
    assert not raised.value.final
    assert pod_cluster.objects.keys() == {POD, POD_RECORD, MANIFEST, LEASE}


def test_a_manifest_that_is_gone_is_reported(pod_cluster: Cluster) -> None:
    del pod_cluster.objects[MANIFEST]
    assert "and so is the manifest" in restored(pod_cluster, POD_RECORD)
    assert pod_cluster.objects.keys() == {LEASE}
