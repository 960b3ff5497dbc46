from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import timedelta

import pytest

from tests.unit.cluster.fake import CONFIG_MAPS, LEASES, NAMESPACE, NOW, FakeCluster
from tpbox.cluster import guard
from tpbox.cluster.guard import UnguardedError
from tpbox.errors import ClusterError, TunnelError
from tpbox.plan.guard import Guard

PLAN = Guard("abcdefgh", "ann@desk", "shop", 30, "job-uid", "deployments", "web")
ACCOUNTS = f"/api/v1{NAMESPACE}/serviceaccounts"
RBAC = f"/apis/rbac.authorization.k8s.io/v1{NAMESPACE}"
OWN = {
    f"{RBAC}/roles/tpbox-abcdefgh", f"{RBAC}/rolebindings/tpbox-abcdefgh", f"{ACCOUNTS}/tpbox-abcdefgh",
    f"{LEASES}/tpbox-abcdefgh",
}  # fmt: skip


@pytest.fixture
def cluster() -> FakeCluster:
    made = FakeCluster()
    made.put(CONFIG_MAPS, {"metadata": {"name": "kube-root-ca.crt"}, "data": {"ca.crt": "PEM"}})
    return made


def first_payload(keeper: guard.Keeper) -> Mapping[str, str]:
    sent: list[Mapping[str, str]] = []
    with keeper.renewing(sent.append):
        pass
    return sent[0]


def test_the_rights_are_made_and_a_payload_is_ready(cluster: FakeCluster) -> None:
    keeper = guard.create(cluster.api, PLAN)
    assert set(cluster.objects) - {f"{CONFIG_MAPS}/kube-root-ca.crt"} == OWN
    payload = first_payload(keeper)
    assert (payload["ca"], payload["record"]) == ("PEM", "tpbox-swap-deployments-web")
    assert payload["token"].startswith("token-")


def test_who_may_not_create_roles_is_told_once_and_goes_on(cluster: FakeCluster) -> None:
    cluster.forbidden.add("POST /roles")
    with pytest.raises(UnguardedError) as raised:
        guard.create(cluster.api, PLAN)
    assert raised.value.message == (
        "you may not create Roles in namespace 'shop': if this machine dies, only `tpbox cleanup` restores "
        "deployments/web"
    )
    assert "tpbox-agent" in raised.value.hint
    assert not OWN & set(cluster.objects), "and no Lease, which nobody would renew"


@pytest.mark.parametrize("refused", ["POST /roles", "POST /rolebindings", "POST tpbox-abcdefgh/token"])
def test_an_admins_account_does_instead(cluster: FakeCluster, refused: str) -> None:
    cluster.forbidden.add(refused)
    cluster.put(ACCOUNTS, {"metadata": {"name": "tpbox-agent"}})
    keeper = guard.create(cluster.api, PLAN)
    assert keeper.account == "tpbox-agent"
    assert first_payload(keeper)["token"]
    assert f"{LEASES}/tpbox-abcdefgh" in cluster.objects


def test_an_admins_account_whose_token_is_refused_does_not(cluster: FakeCluster) -> None:
    cluster.forbidden |= {"POST /roles", "POST tpbox-agent/token"}
    cluster.put(ACCOUNTS, {"metadata": {"name": "tpbox-agent"}})
    with pytest.raises(UnguardedError):
        guard.create(cluster.api, PLAN)


def test_an_api_server_that_is_away_is_no_missing_right(cluster: FakeCluster) -> None:
    cluster.away = True
    with pytest.raises(ClusterError) as raised:
        guard.create(cluster.api, PLAN)
    assert not isinstance(raised.value, UnguardedError)


def test_without_the_clusters_own_authority_the_kubeconfigs_is_taken(cluster: FakeCluster) -> None:
    cluster.forbidden.add("GET kube-root-ca.crt")
    assert first_payload(guard.create(cluster.api, PLAN))["ca"] == "kubeconfig's"


def test_the_token_is_renewed_again_and_again(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "RENEW_EVERY", 0.01)
    monkeypatch.setattr(guard, "RETRY_AFTER", 0.01)
    sent: list[str] = []
    enough = threading.Event()

    def send(payload: Mapping[str, str]) -> None:
        sent.append(payload["token"])
        if len(sent) == 2:
            cluster.away = True
            threading.Timer(0.05, setattr, (cluster, "away", False)).start()
        if len(sent) == 3:
            raise TunnelError("the helper is gone")
        if len(sent) == 5:
            enough.set()

    with guard.create(cluster.api, PLAN).renewing(send):
        assert enough.wait(5)
    assert len(set(sent)) == len(sent)


def test_all_of_it_is_deleted_and_what_may_not_be_is_left_to_the_job(cluster: FakeCluster) -> None:
    guard.create(cluster.api, PLAN)
    cluster.forbidden.add("DELETE /roles/tpbox-abcdefgh")
    guard.delete(cluster.api, "shop", "abcdefgh")
    assert OWN & set(cluster.objects) == {f"{RBAC}/roles/tpbox-abcdefgh"}
    guard.delete(cluster.api, "shop", "abcdefgh")


def test_liveness_is_read_where_it_may_be(cluster: FakeCluster) -> None:
    assert guard.liveness(cluster.api, "shop", "abcdefgh") is None
    guard.create(cluster.api, PLAN)
    found = guard.liveness(cluster.api, "shop", "abcdefgh")
    assert found is not None
    assert found.dead(NOW + timedelta(seconds=41))
    cluster.forbidden.add("GET /leases/tpbox-abcdefgh")
    assert guard.liveness(cluster.api, "shop", "abcdefgh") is None
