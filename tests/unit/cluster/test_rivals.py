from __future__ import annotations

from typing import Any

import pytest

from tests.unit.cluster.fake import NAMESPACE, FakeCluster, deployment, owned_by, pod
from tpbox.cluster import rivals
from tpbox.plan.request import WorkloadRef

AUTOSCALERS = f"/apis/autoscaling/v2{NAMESPACE}/horizontalpodautoscalers"
SCALED_OBJECTS = f"/apis/keda.sh/v1alpha1{NAMESPACE}/scaledobjects"
BUDGETS = f"/apis/policy/v1{NAMESPACE}/poddisruptionbudgets"


def warnings(cluster: FakeCluster, **metadata: Any) -> list[str]:
    return rivals.warnings(cluster.api, "shop", WorkloadRef("deployments", "web"), deployment(**metadata))


def named(name: str, spec: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **metadata}, "spec": spec}


def test_nobody_is_no_warning() -> None:
    assert warnings(FakeCluster()) == []


def test_apis_that_are_not_there_or_not_readable_are_silent() -> None:
    cluster = FakeCluster()
    cluster.away = True
    assert warnings(cluster) == []


def test_an_autoscaler_of_this_workload_is_named() -> None:
    cluster = FakeCluster()
    for name, kind, target in (("ours", "Deployment", "web"), ("b", "Deployment", "db"), ("c", "StatefulSet", "web")):
        cluster.put(AUTOSCALERS, named(name, {"scaleTargetRef": {"kind": kind, "name": target}}))
    [words] = warnings(cluster)
    assert words.startswith("HorizontalPodAutoscaler ours rests while deployments/web is at 0 replicas")


def test_keda_is_named_for_its_own_autoscaler_unless_it_is_paused() -> None:
    cluster = FakeCluster()
    target = {"scaleTargetRef": {"name": "web"}}
    hpa = {"scaleTargetRef": {"kind": "Deployment", "name": "web"}}
    cluster.put(AUTOSCALERS, named("keda-hpa-web", hpa, ownerReferences=owned_by("ScaledObject", "queue")))
    cluster.put(SCALED_OBJECTS, named("queue", target))
    [words] = warnings(cluster)
    assert words.startswith("KEDA ScaledObject queue scales deployments/web up again")
    assert "kubectl -n shop annotate scaledobject queue autoscaling.keda.sh/paused=true" in words
    cluster.put(SCALED_OBJECTS, named("queue", target, annotations={"autoscaling.keda.sh/paused": "true"}))
    assert warnings(cluster) == []


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"annotations": {"argocd.argoproj.io/tracking-id": "app1:apps/Deployment:shop/web"}}, "application app1 owns"),
        ({"labels": {"argocd.argoproj.io/instance": "app2"}}, "argocd app set app2 --sync-policy none"),
        (
            {"labels": {"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux"}},
            "flux suspend kustomization apps -n flux",
        ),
        (
            {"labels": {"helm.toolkit.fluxcd.io/name": "web", "helm.toolkit.fluxcd.io/namespace": "flux"}},
            "Flux HelmRelease flux/web owns deployments/web",
        ),
        ({"ownerReferences": owned_by("Shop", "it", "example.com/v1")}, "Shop it owns deployments/web"),
    ],
)
def test_who_owns_the_manifest_is_named(metadata: dict[str, Any], words: str) -> None:
    [said] = warnings(FakeCluster(), **metadata)
    assert words in said


def test_a_workload_that_flux_leaves_alone_is_no_warning() -> None:
    labels = {"kustomize.toolkit.fluxcd.io/name": "apps"}
    assert (
        warnings(FakeCluster(), labels=labels, annotations={"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}) == []
    )


def test_a_budget_that_counts_the_proxy_pod_is_named() -> None:
    cluster = FakeCluster()
    cluster.put(BUDGETS, named("web", {"selector": {"matchLabels": {"app": "web"}}}))
    cluster.put(BUDGETS, named("db", {"selector": {"matchLabels": {"app": "db"}}}))
    cluster.put(BUDGETS, named("none", {}))
    [words] = warnings(cluster)
    assert words.startswith("PodDisruptionBudget web counts the proxy pod")


def test_a_pod_is_scaled_by_nobody() -> None:
    cluster = FakeCluster()
    cluster.put(AUTOSCALERS, named("odd", {"scaleTargetRef": {"kind": "Pod", "name": "lone"}}))
    cluster.put(BUDGETS, named("all", {"selector": {}}))
    [words] = rivals.warnings(cluster.api, "shop", WorkloadRef("pods", "lone"), pod())
    assert words.startswith("PodDisruptionBudget all")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ({"key": "app", "operator": "In", "values": ["web", "db"]}, True),
        ({"key": "app", "operator": "In", "values": ["db"]}, False),
        ({"key": "app", "operator": "NotIn", "values": ["db"]}, True),
        ({"key": "app", "operator": "NotIn", "values": ["web"]}, False),
        ({"key": "tier", "operator": "NotIn", "values": ["x"]}, True),
        ({"key": "app", "operator": "Exists"}, True),
        ({"key": "tier", "operator": "Exists"}, False),
        ({"key": "tier", "operator": "DoesNotExist"}, True),
        ({"key": "app", "operator": "DoesNotExist"}, False),
    ],
)
def test_selectors_match_as_kubernetes_has_it(expression: dict[str, Any], expected: bool) -> None:
    assert rivals.selects({"matchExpressions": [expression]}, {"app": "web"}) == expected
