"""Who else decides over a workload's replicas, and what they will do during a swap: for one warning each.

for words in rivals.warnings(api, "shop", target.ref, target.manifest):
    console.warn(words)
"""

from __future__ import annotations

from typing import Any

from tpbox.cluster import workloads
from tpbox.cluster.api import Api
from tpbox.errors import ClusterError
from tpbox.plan.request import WorkloadRef
from tpbox.plan.workload import pod_template

ARGO_TRACKING = "argocd.argoproj.io/tracking-id"
ARGO_INSTANCE = "argocd.argoproj.io/instance"
FLUX_KUSTOMIZE = "kustomize.toolkit.fluxcd.io"
FLUX_HELM = "helm.toolkit.fluxcd.io"
KEDA_PAUSED = ("autoscaling.keda.sh/paused", "autoscaling.keda.sh/paused-replicas")


def warnings(api: Api, namespace: str, ref: WorkloadRef, workload: dict[str, Any]) -> list[str]:
    """A sentence for each rival. An API that is not there, or that may not be read, has none."""
    what = f"{ref.kind}/{ref.name}"
    found = [*_of_metadata(what, workload["metadata"]), *_budgets(api, namespace, what, workload)]
    if ref.kind != "pods":
        found += [*_autoscalers(api, namespace, what, workload), *_keda(api, namespace, what, workload)]
    return found


def _of_metadata(what: str, metadata: dict[str, Any]) -> list[str]:
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    both = {**labels, **annotations}
    found = []
    if application := both.get(ARGO_TRACKING, "").partition(":")[0] or both.get(ARGO_INSTANCE):
        found.append(
            f"Argo CD application {application} owns {what}: with self-heal it undoes the swap, unless it ignores the "
            f"difference in spec.replicas. Pause it: argocd app set {application} --sync-policy none"
        )
    if name := labels.get(f"{FLUX_KUSTOMIZE}/name"):
        if annotations.get(f"{FLUX_KUSTOMIZE}/reconcile") != "disabled":
            found.append(_flux("Kustomization", name, labels.get(f"{FLUX_KUSTOMIZE}/namespace", ""), what))
    elif name := labels.get(f"{FLUX_HELM}/name"):
        found.append(_flux("HelmRelease", name, labels.get(f"{FLUX_HELM}/namespace", ""), what))
    if owner := workloads.controller_of({"metadata": metadata}):
        found.append(f"{owner['kind']} {owner['name']} owns {what}: its operator may undo the swap")
    return found


def _flux(kind: str, name: str, namespace: str, what: str) -> str:
    return (
        f"Flux {kind} {namespace}/{name} owns {what}: where its manifest sets replicas, the next reconciliation undoes "
        f"the swap. Pause it: flux suspend {kind.lower()} {name} -n {namespace}"
    )


def _autoscalers(api: Api, namespace: str, what: str, workload: dict[str, Any]) -> list[str]:
    listed = _items(api, f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers")
    # KEDA has one for each of its own, and is named for them.
    own = [h for h in listed if (workloads.controller_of(h) or {}).get("kind") != "ScaledObject"]
    return [
        # pkg/controller/podautoscaler/horizontal.go: "scaling is disabled since the replica count … is zero"
        f"HorizontalPodAutoscaler {h['metadata']['name']} rests while {what} is at 0 replicas, and scales it again "
        "after the restore"
        for h in own
        if _is_target(h["spec"]["scaleTargetRef"], workload)
    ]


def _keda(api: Api, namespace: str, what: str, workload: dict[str, Any]) -> list[str]:
    return [
        f"KEDA ScaledObject {s['metadata']['name']} scales {what} up again as soon as a trigger is active. Pause it: "
        f"kubectl -n {namespace} annotate scaledobject {s['metadata']['name']} {KEDA_PAUSED[0]}=true"
        for s in _items(api, f"/apis/keda.sh/v1alpha1/namespaces/{namespace}/scaledobjects")
        if _is_target({"kind": "Deployment", **s["spec"]["scaleTargetRef"]}, workload)
        and not any(paused in (s["metadata"].get("annotations") or {}) for paused in KEDA_PAUSED)
    ]


def _budgets(api: Api, namespace: str, what: str, workload: dict[str, Any]) -> list[str]:
    labels = pod_template(workload)["metadata"].get("labels") or {}
    return [
        f"PodDisruptionBudget {b['metadata']['name']} counts the proxy pod, which is alone in the place of {what}: "
        "until the swap ends, a drain of its node may have to wait"
        for b in _items(api, f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets")
        if (selector := b["spec"].get("selector")) is not None and selects(selector, labels)
    ]


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Whether a label selector (meta/v1 LabelSelector) matches; an empty one matches everything."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_holds(e, labels) for e in selector.get("matchExpressions") or ())


def _holds(expression: dict[str, Any], labels: dict[str, str]) -> bool:
    key, operator, values = expression["key"], expression["operator"], expression.get("values") or ()
    if operator == "Exists":
        return key in labels
    if operator == "DoesNotExist":
        return key not in labels
    return bool((labels.get(key) in values) == (operator == "In"))


def _is_target(reference: dict[str, Any], workload: dict[str, Any]) -> bool:
    named = reference.get("kind"), reference.get("name")
    return bool(named == (workload.get("kind"), workload["metadata"]["name"]))


def _items(api: Api, path: str) -> list[dict[str, Any]]:
    try:
        return api.items(path)
    except ClusterError:
        return []
