from __future__ import annotations

from datetime import timedelta

import pytest

from tests.unit.cluster.fake import JOBS, LEASES, NOW, FakeCluster, deployment, job
from tpbox.cluster import sessions
from tpbox.errors import ClusterError, ForbiddenError
from tpbox.plan.guard import Guard
from tpbox.plan.request import WorkloadRef
from tpbox.plan.swap import SwapRecord


def swapping(cluster: FakeCluster, session: str, owner: str = "ann@desk", name: str = "web") -> None:
    plan = Guard(session, owner, "shop", 30, "job-uid", "deployments", name)
    workload = deployment(name, uid="u")
    record = SwapRecord.of(WorkloadRef("deployments", name), workload, session, owner, NOW)
    cluster.put(JOBS, job(session, owner))
    cluster.put(LEASES, plan.lease(NOW))
    cluster.put(LEASES, record.manifest())


def find(cluster: FakeCluster, **asked: str) -> dict[str, sessions.Seen]:
    return {seen.session: seen for seen in sessions.find(cluster.api, **asked)}


def test_jobs_and_leases_make_sessions_in_two_requests() -> None:
    cluster = FakeCluster()
    swapping(cluster, "aaaaaaaa")
    cluster.put(JOBS, job("bbbbbbbb", "ann@desk"))
    swapping(cluster, "cccccccc", "bob@lap", "db")
    found = find(cluster, owner="ann@desk")
    assert len(cluster.calls) == 2
    assert list(found) == ["aaaaaaaa", "bbbbbbbb"]
    one, other = found.values()
    assert (one.job, one.owner, one.namespace) == ("tpbox-aaaaaaaa", "ann@desk", "shop")
    assert [swap.workload for swap in one.swaps] == ["deployments/web"]
    assert (one.dead(NOW), one.dead(NOW + timedelta(seconds=41))) == (False, True)
    assert (other.swaps, other.dead(NOW)) == ((), None)


def test_what_is_left_of_a_session_without_its_job_is_found() -> None:
    cluster = FakeCluster()
    swapping(cluster, "aaaaaaaa")
    del cluster.objects[f"{JOBS}/tpbox-aaaaaaaa"], cluster.objects[f"{LEASES}/tpbox-aaaaaaaa"]
    [seen] = find(cluster, owner="ann@desk").values()
    assert (seen.job, len(seen.swaps), seen.liveness) == ("", 1, None)


def test_one_that_is_named_is_found_whoever_owns_it() -> None:
    cluster = FakeCluster()
    swapping(cluster, "aaaaaaaa", "bob@lap")
    assert find(cluster, session="aaaaaaaa")["aaaaaaaa"].owner == "bob@lap"
    assert find(cluster, session="zzzzzzzz") == {}


def test_a_lease_that_cannot_be_read_hides_nothing_else() -> None:
    cluster = FakeCluster()
    swapping(cluster, "aaaaaaaa")
    del cluster.objects[f"{LEASES}/tpbox-swap-deployments-web"]["metadata"]["annotations"]["tpbox.dev/replicas"]
    [seen] = find(cluster, owner="ann@desk").values()
    assert (seen.swaps, seen.dead(NOW)) == ((), False)


@pytest.mark.parametrize(("asked", "where"), [("", "shop"), ("other", "other")])
def test_who_may_not_list_all_namespaces_sees_one(asked: str, where: str) -> None:
    cluster = FakeCluster()
    cluster.forbidden |= {"GET v1/jobs", "GET v1/leases"}
    find(cluster, owner="ann@desk", namespace=asked)
    assert cluster.calls[1::2] == [
        f"GET /apis/batch/v1/namespaces/{where}/jobs",
        f"GET /apis/coordination.k8s.io/v1/namespaces/{where}/leases",
    ]


def test_who_may_not_list_leases_sees_the_jobs() -> None:
    cluster = FakeCluster()
    swapping(cluster, "aaaaaaaa")
    cluster.forbidden.add("GET /leases")
    assert find(cluster, owner="ann@desk")["aaaaaaaa"].job == "tpbox-aaaaaaaa"


def test_who_may_not_list_jobs_and_a_cluster_that_is_away_are_errors() -> None:
    cluster = FakeCluster()
    cluster.forbidden.add("GET /jobs")
    with pytest.raises(ForbiddenError):
        find(cluster, owner="ann@desk")
    cluster.away = True
    with pytest.raises(ClusterError):
        find(cluster, owner="ann@desk")
