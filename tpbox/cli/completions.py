"""What a shell completes behind --context, -n, --like, --swap and as the name of a session. Never an error, and no
longer than a second on the network: the user is waiting for a key to do something."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from tpbox.cluster.api import Api

LIMIT = 1.0  # seconds for the API server's answer
SESSION = "tpbox.session"  # in click's meta: the session that `tpbox exec` names first
KINDS = {"deploy": "deployments", "sts": "statefulsets", "rs": "replicasets", "pod": "pods"}


def contexts(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """The contexts of the kubeconfig, and the embedded cluster's."""
    from tpbox.cluster import api
    from tpbox.plan.node import CONTEXT

    def look() -> list[str]:
        return api.contexts(ctx.params.get("kubeconfig") or api.user_kubeconfig())

    return _beginning(incomplete, sorted({*within(LIMIT, look), CONTEXT}))


def namespaces(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    def look(api: Api) -> list[str]:
        return [item["metadata"]["name"] for item in api.get("/api/v1/namespaces")["items"]]

    return _beginning(incomplete, _asked(ctx, look))


def workloads(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """`deploy/web` and the like; without a kind the deployments, and the kinds; behind `deploy/web:` its containers."""
    kind, slash, name = incomplete.rpartition("/")
    plural = KINDS.get(kind or "deploy")

    def look(api: Api) -> list[str]:
        namespace = ctx.params.get("namespace") or api.namespace
        group = "/api/v1" if plural == "pods" else "/apis/apps/v1"
        items = api.get(f"{group}/namespaces/{namespace}/{plural}")["items"]
        if ":" in name:
            return _containers(items, f"{kind}{slash}", name.partition(":")[0])
        return [f"{kind or 'deploy'}/{item['metadata']['name']}" for item in items]

    found = _asked(ctx, look) if plural else []
    if ":" in name:
        return _beginning(incomplete, found)
    return _beginning(incomplete, found if slash else [*found, *(f"{kind}/" for kind in KINDS if kind != "deploy")])


def _containers(items: Iterable[Mapping[str, Any]], prefix: str, workload: str) -> list[str]:
    """`deploy/web:app`, for each container that the workload's pods have."""
    specs = [item["spec"] for item in items if item["metadata"]["name"] == workload]
    pods = [spec.get("template", {}).get("spec", spec) for spec in specs]
    return [f"{prefix}{workload}:{container['name']}" for pod in pods for container in pod["containers"]]


def sessions(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """The named sessions of this machine, living or ended."""
    from tpbox import named

    return _beginning(incomplete, within(LIMIT, lambda: [session.name for session in named.every()]))


def living_sessions(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Those that a process can be started in, where none is named yet."""
    from tpbox import named

    if ctx.params.get("words") or SESSION in ctx.meta:
        return []
    return _beginning(incomplete, within(LIMIT, lambda: [session.name for session in named.living()]))


def within(seconds: float, look: Callable[[], list[str]]) -> list[str]:
    """What `look` returns, or nothing when it fails or takes longer."""
    found: list[str] = []

    def work() -> None:
        try:
            found.extend(look())
        except Exception:  # whatever it is, it is no answer to a key
            return

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    return list(found)


def _asked(ctx: click.Context, look: Callable[[Api], list[str]]) -> list[str]:
    from tpbox import preflight  # before the clock starts: the SDKs take a while
    from tpbox.cluster.api import Api

    options = ctx.params

    def ask() -> list[str]:
        chosen = preflight.choose_kubeconfig(options.get("kubeconfig") or "", options.get("context") or "")
        return look(Api.connect(*chosen))

    return within(LIMIT, ask)


def _beginning(incomplete: str, names: list[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
