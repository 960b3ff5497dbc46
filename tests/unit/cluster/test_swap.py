from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.cluster.fake import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    LEASES,
    NOW,
    PODS,
    RECORD,
    WEB,
    FakeCluster,
    deployment,
    pod,
)
from tpbox import names
from tpbox.cluster import swap
from tpbox.cluster.swap import SwappedError
from tpbox.errors import ClusterError, ForbiddenError, NotFoundError
from tpbox.plan.guard import Guard
from tpbox.plan.lease import micro_time
from tpbox.plan.request import WorkloadRef
from tpbox.plan.swap import STATE, SwapRecord, pod_of

LEASE = "tpbox-swap-deployments-web"
POD_RECORD = "tpbox-swap-pods-lone"


@pytest.fixture
def cluster() -> FakeCluster:
    made = FakeCluster()
    made.put(DEPLOYMENTS, deployment(replicas=2))
    made.put(PODS, pod())
    return made


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swap, "POLL", 0)
    monkeypatch.setattr(swap, "IN_FLIGHT", 0)


def wanted(cluster: FakeCluster, session: str = "aaaaaaaa", owner: str = "ann@desk") -> SwapRecord:
    ref = WorkloadRef("deployments", "web")
    return SwapRecord.of(ref, cluster.get(WEB), session, owner, cluster.now())


def claimed(cluster: FakeCluster) -> SwapRecord:
    return swap.claim(cluster.api, wanted(cluster))


def down(cluster: FakeCluster) -> SwapRecord:
    return swap.scale_down(cluster.api, claimed(cluster))


def pod_down(cluster: FakeCluster) -> SwapRecord:
    ref = WorkloadRef("pods", "lone")
    record = SwapRecord.of(ref, cluster.get(f"{PODS}/lone"), "aaaaaaaa", "ann@desk", cluster.now())
    return swap.scale_down(cluster.api, swap.claim(cluster.api, record))


def restore(cluster: FakeCluster, lease: str = LEASE, session: str = "aaaaaaaa") -> swap.Outcome:
    cluster.calls.clear()
    return swap.restore(cluster.api, "shop", lease, session)


def replicas(cluster: FakeCluster) -> int:
    return int(cluster.objects[WEB]["spec"]["replicas"])


def liveness(cluster: FakeCluster, session: str) -> None:
    plan = Guard(session, "ann@desk", "shop", 30, "job-uid", "deployments", "web")
    cluster.put(LEASES, plan.lease(cluster.now()))


# Claim


def test_a_claim_records_what_the_workload_has_and_changes_nothing(cluster: FakeCluster) -> None:
    record = claimed(cluster)
    assert (record.workload, record.replicas, record.generation, record.state) == ("deployments/web", 2, 7, "claimed")
    assert record.uid == cluster.objects[WEB]["metadata"]["uid"]
    assert (record.lease_uid, record.version) == (
        cluster.objects[RECORD]["metadata"]["uid"],
        cluster.objects[RECORD]["metadata"]["resourceVersion"],
    )
    assert cluster.written() == ["POST /apis/coordination.k8s.io/v1/leases"]


def test_a_second_claim_is_refused_with_the_holder_and_its_age(cluster: FakeCluster) -> None:
    claimed(cluster)
    liveness(cluster, "aaaaaaaa")
    with pytest.raises(SwappedError) as raised:
        swap.claim(cluster.api, replace(wanted(cluster, "bbbbbbbb", "bob@lap"), acquired=NOW))
    assert raised.value.exit_code == 125
    assert raised.value.lines() == [
        "deployments/web is swapped already, by ann@desk 0 s ago (session aaaaaaaa)",
        "Ask ann@desk to end it, or take deployments/web over: --take-over",
    ]


def test_a_holder_that_is_dead_is_to_be_cleaned_up(cluster: FakeCluster) -> None:
    claimed(cluster)
    liveness(cluster, "aaaaaaaa")
    cluster.clock = NOW.replace(minute=3)
    with pytest.raises(SwappedError, match="by ann@desk 3 min ago") as raised:
        swap.claim(cluster.api, wanted(cluster, "bbbbbbbb", "bob@lap"))
    assert "tpbox cleanup --session aaaaaaaa" in raised.value.hint


def test_a_record_that_goes_meanwhile_lets_the_claim_succeed(cluster: FakeCluster) -> None:
    claimed(cluster)
    cluster.before("GET", LEASE, lambda: cluster.objects.pop(RECORD))
    assert swap.claim(cluster.api, wanted(cluster, "bbbbbbbb", "bob@lap")).session == "bbbbbbbb"


def test_a_record_that_comes_and_goes_for_ever_is_an_error(cluster: FakeCluster) -> None:
    def comes() -> None:
        cluster.put(LEASES, wanted(cluster).manifest())

    cluster.before("POST", "/leases", comes, times=99)
    cluster.before("GET", LEASE, lambda: cluster.objects.pop(RECORD), times=99)
    with pytest.raises(ClusterError, match="comes and goes"):
        claimed(cluster)
    assert len(cluster.written()) == swap.TRIES


def test_a_claim_that_is_forbidden_says_so(cluster: FakeCluster) -> None:
    cluster.forbidden.add("POST /leases")
    with pytest.raises(ForbiddenError):
        claimed(cluster)


def test_a_lease_of_that_name_that_is_no_record_is_an_error_that_names_it(cluster: FakeCluster) -> None:
    cluster.put(LEASES, {"metadata": {"name": LEASE, "namespace": "shop"}, "spec": {}})
    with pytest.raises(ClusterError, match=f"Lease {LEASE} in namespace shop is no swap record"):
        claimed(cluster)


# Scale down


def test_the_record_says_down_before_the_workload_is_scaled(cluster: FakeCluster) -> None:
    record = claimed(cluster)
    cluster.before("PUT", "/scale", lambda: states.append(cluster.objects[RECORD]["metadata"]["annotations"][STATE]))
    states: list[str] = []
    cluster.calls.clear()
    record = swap.scale_down(cluster.api, record)
    assert states == ["down"]
    assert (replicas(cluster), record.state, record.replicas) == (0, "down", 2)
    assert cluster.written() == [
        "PATCH /apis/coordination.k8s.io/v1/leases/tpbox-swap-deployments-web",
        "PUT /apis/apps/v1/deployments/web/scale",
    ]


def test_what_it_has_when_it_is_scaled_is_what_is_recorded(cluster: FakeCluster) -> None:
    record = claimed(cluster)
    cluster.touch(WEB, replicas=5)
    assert swap.scale_down(cluster.api, record).replicas == 5
    assert restore(cluster).result == "restored"
    assert replicas(cluster) == 5


def test_a_workload_that_somebody_has_scaled_to_none_stays_there(cluster: FakeCluster) -> None:
    record = claimed(cluster)
    cluster.touch(WEB, replicas=0)
    assert swap.scale_down(cluster.api, record).replicas == 0
    assert restore(cluster).words.startswith("deployments/web is back at 0 replicas")
    assert replicas(cluster) == 0


def test_a_change_in_between_is_read_again(cluster: FakeCluster) -> None:
    record = claimed(cluster)
    cluster.before("PUT", "/scale", lambda: cluster.touch(WEB, replicas=3))
    record = swap.scale_down(cluster.api, record)
    assert (replicas(cluster), record.replicas) == (0, 3)
    assert record.version == cluster.objects[RECORD]["metadata"]["resourceVersion"]


def test_a_workload_that_always_changes_is_given_up(cluster: FakeCluster) -> None:
    record = claimed(cluster)
    cluster.before("PUT", "/scale", lambda: cluster.touch(WEB), times=99)
    with pytest.raises(ClusterError, match="something changes it all the time") as raised:
        swap.scale_down(cluster.api, record)
    assert "kubectl -n shop describe deployments/web" in raised.value.hint
    assert replicas(cluster) == 2


def test_who_has_lost_the_record_scales_nothing(cluster: FakeCluster) -> None:
    record = claimed(cluster)
    swap.take_over(cluster.api, wanted(cluster, "bbbbbbbb", "bob@lap"))
    with pytest.raises(SwappedError, match=r"was taken over, by bob@lap 0 s ago \(session bbbbbbbb\)"):
        swap.scale_down(cluster.api, record)
    assert replicas(cluster) == 2


def test_a_record_that_was_cleaned_up_scales_nothing(cluster: FakeCluster) -> None:
    record = claimed(cluster)
    restore(cluster)
    cluster.put(LEASES, record.manifest())
    cluster.before("GET", LEASE, lambda: cluster.objects.pop(RECORD))
    with pytest.raises(ClusterError, match="is gone: somebody has ended"):
        swap.scale_down(cluster.api, record)
    assert replicas(cluster) == 2


def test_a_workload_that_was_deleted_meanwhile_is_an_error(cluster: FakeCluster) -> None:
    record = claimed(cluster)
    del cluster.objects[WEB]
    with pytest.raises(NotFoundError, match="deployments/web was deleted meanwhile"):
        swap.scale_down(cluster.api, record)


def test_a_workload_that_was_made_anew_is_the_one_that_comes_back(cluster: FakeCluster) -> None:
    record = claimed(cluster)
    del cluster.objects[WEB]
    made = cluster.put(DEPLOYMENTS, deployment(replicas=4))
    record = swap.scale_down(cluster.api, record)
    assert (record.uid, record.replicas) == (made["metadata"]["uid"], 4)
    assert restore(cluster) == swap.Outcome("restored", "deployments/web is back at 4 replicas")


# Restore


def test_a_restore_scales_back_and_removes_the_record(cluster: FakeCluster) -> None:
    down(cluster)
    assert restore(cluster) == swap.Outcome("restored", "deployments/web is back at 2 replicas")
    assert (replicas(cluster), RECORD in cluster.objects) == (2, False)
    assert cluster.written() == [
        "PUT /apis/apps/v1/deployments/web/scale",
        "DELETE /apis/coordination.k8s.io/v1/leases/tpbox-swap-deployments-web",
    ]
    assert len(cluster.calls) == 4


def test_what_was_never_scaled_is_left_alone(cluster: FakeCluster) -> None:
    claimed(cluster)
    cluster.touch(WEB, replicas=0)
    assert restore(cluster) == swap.Outcome("untouched", "deployments/web was not scaled yet")
    assert (replicas(cluster), RECORD in cluster.objects) == (0, False)


def test_without_a_record_there_is_nothing_to_do(cluster: FakeCluster) -> None:
    assert restore(cluster).result == "nothing"
    assert cluster.written() == []


def test_a_scale_down_that_was_still_under_way_when_its_session_died_is_seen(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    down(cluster)
    cluster.objects[WEB]["spec"]["replicas"] = 2  # as if it had not been served yet

    def served(_: float) -> None:
        cluster.objects[WEB]["spec"]["replicas"] = 0

    monkeypatch.setattr("tpbox.cluster.swap.time.sleep", served)
    assert restore(cluster).result == "restored"
    assert replicas(cluster) == 2
    assert RECORD not in cluster.objects


def test_one_replica_is_no_plural(cluster: FakeCluster) -> None:
    cluster.touch(WEB, replicas=1)
    down(cluster)
    assert restore(cluster).words == "deployments/web is back at 1 replica"


def test_a_workload_at_none_stays_there(cluster: FakeCluster) -> None:
    cluster.touch(WEB, replicas=0)
    down(cluster)
    assert cluster.written()[-1].startswith("PATCH")
    assert restore(cluster) == swap.Outcome("restored", "deployments/web is back at 0 replicas")
    assert RECORD not in cluster.objects


def test_a_scale_of_somebody_elses_is_kept_and_said(cluster: FakeCluster) -> None:
    down(cluster)
    cluster.touch(WEB, replicas=3)
    words = "deployments/web was scaled to 3 during the swap (it had 2): that is kept"
    assert restore(cluster) == swap.Outcome("kept", words, notable=True)
    assert (replicas(cluster), RECORD in cluster.objects) == (3, False)


def test_another_change_of_somebody_elses_is_kept_and_said(cluster: FakeCluster) -> None:
    down(cluster)
    cluster.touch(WEB, template={"spec": {"containers": [{"image": "web:2"}]}})
    outcome = restore(cluster)
    assert (outcome.result, outcome.notable) == ("restored", True)
    assert outcome.words == "deployments/web is back at 2 replicas; it was changed during the swap, and that is kept"
    assert cluster.objects[WEB]["spec"]["template"]["spec"]["containers"] == [{"image": "web:2"}]


def test_a_workload_that_somebody_deleted_is_not_made_again(cluster: FakeCluster) -> None:
    down(cluster)
    del cluster.objects[WEB]
    outcome = restore(cluster)
    assert (outcome.result, outcome.notable) == ("deleted", True)
    assert WEB not in cluster.objects
    assert RECORD not in cluster.objects


def test_a_workload_that_somebody_made_anew_stays_as_it_is(cluster: FakeCluster) -> None:
    down(cluster)
    del cluster.objects[WEB]
    cluster.put(DEPLOYMENTS, deployment(replicas=0))
    outcome = restore(cluster)
    assert (outcome.result, outcome.notable) == ("kept", True)
    assert (replicas(cluster), RECORD in cluster.objects) == (0, False)


def test_what_was_taken_over_is_the_takers(cluster: FakeCluster) -> None:
    down(cluster)
    swap.take_over(cluster.api, wanted(cluster, "bbbbbbbb", "bob@lap"))
    outcome = restore(cluster)
    assert (outcome.result, outcome.notable) == ("taken", True)
    assert "bob@lap (session bbbbbbbb)" in outcome.words
    assert cluster.written() == []


def test_a_write_in_between_is_read_again(cluster: FakeCluster) -> None:
    down(cluster)
    cluster.before("PUT", "/scale", lambda: cluster.touch(WEB))
    assert restore(cluster).result == "restored"
    assert replicas(cluster) == 2


def test_a_scale_in_between_is_kept(cluster: FakeCluster) -> None:
    down(cluster)
    cluster.before("PUT", "/scale", lambda: cluster.touch(WEB, replicas=9))
    assert restore(cluster).result == "kept"
    assert replicas(cluster) == 9


def test_conflicts_for_ever_end_with_an_error_and_leave_the_record(cluster: FakeCluster) -> None:
    down(cluster)
    cluster.before("PUT", "/scale", lambda: cluster.touch(WEB), times=99)
    with pytest.raises(ClusterError, match="something changes it all the time"):
        restore(cluster)
    assert len([call for call in cluster.calls if call.startswith("PUT")]) == swap.TRIES
    assert RECORD in cluster.objects


def test_two_who_restore_at_once_do_no_harm(cluster: FakeCluster) -> None:
    down(cluster)
    others: list[swap.Outcome] = []
    cluster.before("PUT", "/scale", lambda: others.append(swap.restore(cluster.api, "shop", LEASE, "aaaaaaaa")))
    assert restore(cluster).result == "nothing"
    assert [other.result for other in others] == ["restored"]
    assert replicas(cluster) == 2


def test_one_who_was_half_done_is_finished(cluster: FakeCluster) -> None:
    down(cluster)
    cluster.touch(WEB, replicas=2)  # scaled back, but the record is still there
    assert restore(cluster) == swap.Outcome("restored", "deployments/web is back at 2 replicas")
    assert RECORD not in cluster.objects


def test_a_take_over_between_the_steps_keeps_the_record(cluster: FakeCluster) -> None:
    down(cluster)
    taker = wanted(cluster, "bbbbbbbb", "bob@lap")
    cluster.before("DELETE", LEASE, lambda: swap.take_over(cluster.api, taker))
    assert restore(cluster).result == "taken"
    held = swap.lookup(cluster.api, "shop", LEASE)
    assert held is not None
    assert swap.scale_down(cluster.api, held).replicas == 2
    assert replicas(cluster) == 0


def test_an_api_server_that_is_away_leaves_the_record(cluster: FakeCluster) -> None:
    down(cluster)
    cluster.away = True
    with pytest.raises(ClusterError, match="cannot be reached"):
        restore(cluster)
    assert RECORD in cluster.objects


# Take-over


def test_a_take_over_keeps_what_the_workload_had_before_the_first_swap(cluster: FakeCluster) -> None:
    first = down(cluster)
    cluster.clock = NOW.replace(minute=5)
    taken, before = swap.take_over(cluster.api, wanted(cluster, "bbbbbbbb", "bob@lap"))
    assert before == first
    assert (taken.session, taken.owner, taken.replicas, taken.state) == ("bbbbbbbb", "bob@lap", 2, "down")
    metadata, spec = cluster.objects[RECORD]["metadata"], cluster.objects[RECORD]["spec"]
    assert metadata["labels"] == names.labels(names.Role.SWAP, "bbbbbbbb", "bob@lap")
    assert spec == {"holderIdentity": "bbbbbbbb", "acquireTime": micro_time(cluster.clock)}
    taken = swap.scale_down(cluster.api, taken)
    assert taken.replicas == 2
    assert restore(cluster, session="bbbbbbbb").words == "deployments/web is back at 2 replicas"
    assert replicas(cluster) == 2


def test_a_take_over_of_nothing_is_a_claim(cluster: FakeCluster) -> None:
    taken, before = swap.take_over(cluster.api, wanted(cluster))
    assert (taken.session, taken.state, before) == ("aaaaaaaa", "claimed", None)


def test_of_two_takers_the_later_one_has_it(cluster: FakeCluster) -> None:
    down(cluster)
    cid = wanted(cluster, "cccccccc", "cid@pc")
    cluster.before("PATCH", LEASE, lambda: swap.take_over(cluster.api, cid))
    taken, before = swap.take_over(cluster.api, wanted(cluster, "bbbbbbbb", "bob@lap"))
    assert (taken.session, before and before.session) == ("bbbbbbbb", "cccccccc")


def test_a_record_that_goes_or_comes_during_a_take_over(cluster: FakeCluster) -> None:
    claimed(cluster)
    cluster.before("PATCH", LEASE, lambda: cluster.objects.pop(RECORD))
    cluster.before("POST", "/leases", lambda: cluster.put(LEASES, wanted(cluster).manifest()))
    taken, before = swap.take_over(cluster.api, wanted(cluster, "bbbbbbbb", "bob@lap"))
    assert (taken.session, before and before.session) == ("bbbbbbbb", "aaaaaaaa")


def test_a_record_that_keeps_changing_hands_is_an_error(cluster: FakeCluster) -> None:
    claimed(cluster)
    cluster.before("PATCH", LEASE, lambda: cluster.touch(RECORD), times=99)
    with pytest.raises(ClusterError, match="keeps changing hands"):
        swap.take_over(cluster.api, wanted(cluster, "bbbbbbbb", "bob@lap"))


def test_whether_it_is_still_mine(cluster: FakeCluster) -> None:
    record = claimed(cluster)
    assert swap.still_mine(cluster.api, record)
    swap.take_over(cluster.api, wanted(cluster, "bbbbbbbb", "bob@lap"))
    with pytest.raises(SwappedError, match="taken over, by bob@lap"):
        swap.still_mine(cluster.api, record)
    del cluster.objects[RECORD]
    assert not swap.still_mine(cluster.api, record)


# Bare Pods


def test_a_pod_is_kept_in_a_config_map_before_it_is_deleted(cluster: FakeCluster) -> None:
    pod_down(cluster)
    assert cluster.written()[-3:] == [
        f"PATCH /apis/coordination.k8s.io/v1/leases/{POD_RECORD}",
        "POST /api/v1/configmaps",
        "DELETE /api/v1/pods/lone",
    ]
    kept = cluster.objects[f"{CONFIG_MAPS}/{POD_RECORD}"]
    assert kept["metadata"]["labels"] == names.labels(names.Role.SWAP, "aaaaaaaa", "ann@desk")
    assert pod_of(kept)["spec"]["containers"] == [{"name": "app", "image": "app:1", "volumeMounts": []}]


def test_a_pod_is_made_again_and_what_was_kept_is_removed(cluster: FakeCluster) -> None:
    pod_down(cluster)
    assert restore(cluster, POD_RECORD) == swap.Outcome("restored", "pods/lone is there again")
    assert [path for path in cluster.objects if "tpbox" in path] == []
    assert cluster.objects[f"{PODS}/lone"]["spec"]["containers"][0]["image"] == "app:1"


def test_what_an_earlier_swap_kept_is_replaced(cluster: FakeCluster) -> None:
    cluster.put(CONFIG_MAPS, {"metadata": {"name": POD_RECORD}, "data": {"pod.json": "{}"}})
    pod_down(cluster)
    assert pod_of(cluster.objects[f"{CONFIG_MAPS}/{POD_RECORD}"])["metadata"]["name"] == "lone"


def test_a_pod_that_still_ends_is_waited_for(cluster: FakeCluster) -> None:
    pod_down(cluster)
    ending = pod(uid="uid-old", deletionTimestamp="2026-11-22T10:00:30Z", deletionGracePeriodSeconds=30)
    cluster.put(PODS, ending)
    record = cluster.objects[f"{LEASES}/{POD_RECORD}"]
    record["metadata"]["annotations"]["tpbox.dev/resource"] = "uid-old"
    cluster.before("GET", "/pods/lone", lambda: None)
    cluster.before("GET", "/pods/lone", lambda: cluster.objects.pop(f"{PODS}/lone"))
    assert restore(cluster, POD_RECORD).result == "restored"
    assert cluster.objects[f"{PODS}/lone"]["metadata"]["uid"] != "uid-old"


def test_a_pod_that_never_ends_is_an_error_that_leaves_the_record(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = pod_down(cluster)
    monkeypatch.setattr(swap, "END_MARGIN", 0.05)
    cluster.put(PODS, pod(uid=record.uid, deletionTimestamp="2026-11-22T10:00:00Z", deletionGracePeriodSeconds=0))
    with pytest.raises(ClusterError, match="the old pod does not end"):
        restore(cluster, POD_RECORD)
    assert f"{LEASES}/{POD_RECORD}" in cluster.objects
    assert f"{CONFIG_MAPS}/{POD_RECORD}" in cluster.objects


def test_a_pod_that_somebody_made_anew_stays(cluster: FakeCluster) -> None:
    pod_down(cluster)
    cluster.put(PODS, pod(uid="theirs"))
    outcome = restore(cluster, POD_RECORD)
    assert (outcome.result, outcome.notable) == ("kept", True)
    assert cluster.objects[f"{PODS}/lone"]["metadata"]["uid"] == "theirs"
    assert f"{CONFIG_MAPS}/{POD_RECORD}" not in cluster.objects


def test_a_pod_that_was_not_deleted_yet_stays_as_it_is(cluster: FakeCluster) -> None:
    cluster.forbidden.add("DELETE /pods/lone")
    with pytest.raises(ForbiddenError):
        pod_down(cluster)
    uid = cluster.objects[f"{PODS}/lone"]["metadata"]["uid"]
    assert restore(cluster, POD_RECORD).result == "restored"
    assert cluster.objects[f"{PODS}/lone"]["metadata"]["uid"] == uid
    assert f"{CONFIG_MAPS}/{POD_RECORD}" not in cluster.objects


@pytest.mark.parametrize(("pod_is_there", "result"), [(True, "restored"), (False, "deleted")])
def test_a_pod_of_which_nothing_is_kept(cluster: FakeCluster, pod_is_there: bool, result: str) -> None:
    record = pod_down(cluster)
    del cluster.objects[f"{CONFIG_MAPS}/{POD_RECORD}"]
    if pod_is_there:
        cluster.put(PODS, pod(uid=record.uid))
    assert restore(cluster, POD_RECORD).result == result
    assert f"{LEASES}/{POD_RECORD}" not in cluster.objects


def test_a_pod_that_somebody_makes_at_the_same_moment_stays(cluster: FakeCluster) -> None:
    pod_down(cluster)
    cluster.before("POST", "/pods", lambda: cluster.put(PODS, pod(uid="theirs")))
    assert restore(cluster, POD_RECORD).result == "kept"


def test_a_taken_over_pod_is_down_already(cluster: FakeCluster) -> None:
    first = pod_down(cluster)
    taken, _ = swap.take_over(cluster.api, replace(first, session="bbbbbbbb", owner="bob@lap", version=""))
    cluster.calls.clear()
    assert swap.scale_down(cluster.api, taken) == taken
    assert cluster.written() == []
    assert restore(cluster, POD_RECORD, "bbbbbbbb").result == "restored"


def test_a_pod_that_somebody_else_deletes_is_no_swap(cluster: FakeCluster) -> None:
    gone: dict[str, Any] = cluster.get(f"{PODS}/lone")
    record = swap.claim(cluster.api, SwapRecord.of(WorkloadRef("pods", "lone"), gone, "aaaaaaaa", "ann@desk", NOW))
    del cluster.objects[f"{PODS}/lone"]
    with pytest.raises(NotFoundError, match="pods/lone was deleted meanwhile"):
        swap.scale_down(cluster.api, record)
