from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.cluster.fake import NOW
from tpbox import names, preflight
from tpbox.errors import ClusterError
from tpbox.plan import swap
from tpbox.plan.guard import Guard, Liveness, token_request

GUARD = Guard("abcdefgh", "ann@desk", "shop", 30, "job-uid", "deployments", "web")
METADATA = {
    "name": "tpbox-abcdefgh",
    "namespace": "shop",
    "labels": names.labels(names.Role.GUARD, "abcdefgh", "ann@desk"),
    "annotations": {"tpbox.dev/owner": "ann@desk"},
    "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": "tpbox-abcdefgh", "uid": "job-uid"}],
}


def test_all_of_it_belongs_to_the_job() -> None:
    for made in (GUARD.account(), GUARD.role(), GUARD.binding(), GUARD.lease(NOW)):
        assert made["metadata"] == METADATA


def test_the_role_is_exactly_what_the_agent_does() -> None:
    assert GUARD.role()["rules"] == [
        rule("coordination.k8s.io", "leases", "tpbox-abcdefgh", "get", "patch"),
        rule("coordination.k8s.io", "leases", "tpbox-swap-deployments-web", "get", "delete"),
        rule("apps", "deployments/scale", "web", "get", "update"),
        rule("batch", "jobs", "tpbox-abcdefgh", "delete"),
    ]


def test_the_role_of_a_bare_pod_may_make_it_again() -> None:
    rules = replace(GUARD, kind="pods", workload="lone").role()["rules"]
    assert rules[2:5] == [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]},
        rule("", "pods", "lone", "get"),
        rule("", "configmaps", "tpbox-swap-pods-lone", "get", "delete"),
    ]


@pytest.mark.parametrize("kind", ["deployments", "statefulsets", "replicasets", "pods"])
def test_the_role_grants_nothing_that_its_user_is_not_asked_for(kind: str) -> None:
    asked = {*preflight.RIGHTS, *swap.rights(kind)}
    for each in replace(GUARD, kind=kind).role()["rules"]:
        resource, _, subresource = each["resources"][0].partition("/")
        for verb in each["verbs"]:
            assert (verb, each["apiGroups"][0], resource, subresource) in asked


def test_the_binding_gives_the_role_to_the_account() -> None:
    binding = GUARD.binding()
    assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "tpbox-abcdefgh"}
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "tpbox-abcdefgh", "namespace": "shop"}]


def test_the_lease_is_dead_a_renewal_and_the_grace_after_the_last_one() -> None:
    lease = GUARD.lease(NOW)
    assert lease["spec"] == {
        "holderIdentity": "abcdefgh",
        "leaseDurationSeconds": 30,
        "acquireTime": "2026-11-22T10:00:00.000000Z",
        "renewTime": "2026-11-22T10:00:00.000000Z",
    }
    liveness = Liveness.read(lease)
    assert liveness == Liveness("abcdefgh", NOW, 30)
    assert not liveness.dead(NOW + timedelta(seconds=40))
    assert liveness.dead(NOW + timedelta(seconds=41))


def test_another_lease_is_no_liveness() -> None:
    with pytest.raises(ClusterError, match="is no liveness Lease"):
        Liveness.read({"metadata": {"name": "x"}, "spec": {}})


def test_the_payload_is_what_the_control_channel_carries() -> None:
    assert GUARD.payload("t", "PEM") == {
        "token": "t", "ca": "PEM", "namespace": "shop", "lease": "tpbox-abcdefgh",
        "record": "tpbox-swap-deployments-web",
    }  # fmt: skip


def test_a_token_lives_an_hour() -> None:
    assert token_request()["spec"] == {"expirationSeconds": 3600}


def rule(group: str, resource: str, name: str, *verbs: str) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": [resource], "resourceNames": [name], "verbs": list(verbs)}
