"""What the cluster gets back when a session has ended, by the swap record alone.

    done = await restore.restore(api, "shop", "tpbox-swap-deployments-web", session)    # in words

The launcher and `tpbox cleanup` take the same steps (docs/architecture.md): each of them may be interrupted and all be
taken again, by whomever.
"""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import quote

from agent.kubernetes import Api, ApiError

LEASES = "/apis/coordination.k8s.io/v1/namespaces/{}/leases"
SCALES = "/apis/apps/v1/namespaces/{}/{}/{}/scale"
PODS = "/api/v1/namespaces/{}/pods"
CONFIG_MAPS = "/api/v1/namespaces/{}/configmaps"

ANNOTATION = "tpbox.dev/"
CLAIMED = "claimed"  # the state before anything was scaled
MANIFEST = "pod.json"  # a bare Pod's, in a ConfigMap that has the record's name
SCALE_TRIES = 5


async def restore(api: Api, namespace: str, name: str, session: str) -> str:
    """Restores what the record `name` says and removes it; returns what was done.

    Raises ApiError, and KeyError, TypeError or ValueError when the record is not one.
    """
    path = f"{LEASES.format(namespace)}/{name}"
    record = await api.find(path)
    if record is None:
        return f"the swap record {name} is gone; nothing is restored"
    said = record["metadata"].get("annotations", {})
    holder = record["spec"].get("holderIdentity", "")
    if holder != session:
        owner = said.get(f"{ANNOTATION}owner", "an unknown user")
        return f"session {holder} of {owner} has taken over {name}; nothing is restored"
    workload = said[f"{ANNOTATION}workload"]
    if said[f"{ANNOTATION}state"] == CLAIMED:
        done = f"{workload} had not been scaled down"
    elif workload.startswith("pods/"):
        done = await _pod(api, namespace, workload, name, said.get(f"{ANNOTATION}resource"))
    else:
        replicas = int(said[f"{ANNOTATION}replicas"])
        done = await _scale(api, namespace, workload, replicas, said.get(f"{ANNOTATION}resource"))
    await api.delete(path, record)
    return done


async def _scale(api: Api, namespace: str, workload: str, replicas: int, uid: str | None) -> str:
    """Only from 0: another number is somebody's wish since."""
    kind, _, name = workload.partition("/")
    path = SCALES.format(namespace, quote(kind, safe=""), quote(name, safe=""))
    for _ in range(SCALE_TRIES):
        scale = await api.find(path)
        if scale is None:
            return f"{workload} was deleted meanwhile; there is nothing to scale"
        if uid and scale["metadata"].get("uid") != uid:
            return f"{workload} was made anew meanwhile; it stays as it is"
        current = scale.get("spec", {}).get("replicas", 0)  # the API leaves 0 out
        if current == replicas:
            return f"{workload} has {replicas} replicas already"
        if current:
            return f"{workload} was scaled to {current} meanwhile; it stays so, and not {replicas}"
        try:
            # Its resourceVersion, just read, goes along: the API refuses this where somebody was quicker.
            await api.request("PUT", path, {**scale, "spec": {"replicas": replicas}})
        except ApiError as error:
            if error.status != http.client.CONFLICT:
                raise
            continue
        return f"{workload} is scaled back to {replicas}"
    raise ApiError(f"{workload} changed {SCALE_TRIES} times while it was read", http.client.CONFLICT)


async def _pod(api: Api, namespace: str, workload: str, manifest_name: str, uid: str | None) -> str:
    """Makes a bare Pod anew, from the manifest that was kept."""
    name = workload.removeprefix("pods/")
    found = await api.find(f"{PODS.format(namespace)}/{quote(name, safe='')}")
    if found and found["metadata"].get("deletionTimestamp"):
        raise ApiError(f"{workload} is still ending", http.client.CONFLICT)
    path = f"{CONFIG_MAPS.format(namespace)}/{manifest_name}"
    kept = await api.find(path)
    if found:
        same = found["metadata"].get("uid") == uid
        done = f"{workload} had not been deleted" if same else f"{workload} was made anew meanwhile; it stays as it is"
    elif kept:
        manifest: dict[str, Any] = json.loads(kept["data"][MANIFEST])
        await api.request("POST", PODS.format(namespace), manifest)
        done = f"{workload} is made anew"
    else:
        done = f"{workload} is gone, and so is the manifest that was kept in ConfigMap {manifest_name}"
    if kept:
        await api.delete(path, kept)
    return done
