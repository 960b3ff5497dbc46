"""Taking a workload's place, and giving it back.

    record = swap.claim(api, SwapRecord.of(ref, workload, session, owner, api.now()))
    record = swap.scale_down(api, record)            # when the proxy pod is Ready
    swap.still_mine(api, record)                     # False: somebody restored it; SwappedError: somebody took it
    outcome = swap.restore(api, "shop", record.lease_name, session)
    console.say(outcome.words)

Whoever restores (launcher, watchdog, `tpbox cleanup`, and the agent in its own words) does the same three steps with
preconditions, so that two at once do no harm. Of the workload only the scale is ever changed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any, Literal

from tpbox.cluster import guard, workloads
from tpbox.cluster.api import Api, ConflictError
from tpbox.errors import ClusterError, NotFoundError
from tpbox.plan import swap as plan
from tpbox.plan.lease import age
from tpbox.plan.swap import SwapRecord

TRIES = 5  # of a read and a write that somebody else's write came between
POLL = 0.2  # seconds
IN_FLIGHT = 1.0  # seconds after which a request of a process that was killed has been served
END_MARGIN = 5  # seconds that a deleted pod may need beyond its grace period

Result = Literal["restored", "untouched", "kept", "deleted", "taken", "nothing"]


class SwappedError(ClusterError):
    """Somebody else has the workload."""


@dataclass(frozen=True)
class Outcome:
    """What restore() did, or saw. `notable`: somebody else has changed the workload meanwhile."""

    result: Result
    words: str
    notable: bool = False


def lookup(api: Api, namespace: str, lease: str) -> SwapRecord | None:
    """The record of this name as it is now, None when there is none. Raises ClusterError."""
    try:
        return SwapRecord.read(api.get(guard.leases_path(namespace, lease)))
    except NotFoundError:
        return None


def claim(api: Api, record: SwapRecord) -> SwapRecord:
    """Creates the record: of several sessions at once only one succeeds. Returns it as the cluster has it.

    Raises SwappedError with the holder when the workload is somebody's already.
    """
    for _ in range(TRIES):
        try:
            return SwapRecord.read(api.create(guard.leases_path(record.namespace), record.manifest()))
        except ConflictError:
            held = lookup(api, record.namespace, record.lease_name)
        if held is not None:
            raise _held(api, held)
    raise ClusterError(f"the swap record of {record.workload} comes and goes", hint="Try again.")


def take_over(api: Api, record: SwapRecord) -> tuple[SwapRecord, SwapRecord | None]:
    """Claims a workload for `record`'s session whoever holds it. What it had before the first swap stays recorded.

    Returns the record, and the one that it replaced. Raises ClusterError when the holder keeps changing.
    """
    for _ in range(TRIES):
        before = lookup(api, record.namespace, record.lease_name)
        if before is None:
            try:
                return claim(api, record), None
            except SwappedError:
                continue
        taken = replace(before, session=record.session, owner=record.owner, acquired=record.acquired)
        try:
            return _write(api, taken), before
        except ConflictError:
            continue
    raise ClusterError(f"the swap of {record.workload} keeps changing hands", hint="Try again.")


def scale_down(api: Api, record: SwapRecord) -> SwapRecord:
    """Scales the workload to 0, a bare Pod by deleting it; also after take_over(). Returns the record as it is then.

    What the workload has at this moment is what comes back: the record is written first. Raises SwappedError when it
    is no longer ours, NotFoundError when the workload is gone.
    """
    for _ in range(TRIES):
        try:
            return _scale_down(api, record)
        except ConflictError as error:
            failed = error
            held = lookup(api, record.namespace, record.lease_name)
        if held is None:
            raise SwappedError(
                f"the swap record of {record.workload} is gone: somebody has ended this session's swap"
            ) from failed
        if held.session != record.session:
            raise _taken(api, held) from failed
        record = held
    raise _keeps_changing(record.namespace, record.workload) from failed


def still_mine(api: Api, record: SwapRecord) -> bool:
    """Whether the record is there and this session's. False: somebody, as the agent, has restored the workload.

    Raises SwappedError when another session has taken it over.
    """
    held = lookup(api, record.namespace, record.lease_name)
    if held is not None and held.session != record.session:
        raise _taken(api, held)
    return held is not None


def restore(api: Api, namespace: str, lease: str, session: str) -> Outcome:
    """Gives the workload back as the record of this name says, and deletes the record, if `session` holds it.

    A change that somebody else has made meanwhile is kept. May be called again, and by several at once. A bare Pod's
    end is waited for. Raises ClusterError; the record is still there then.
    """
    for _ in range(TRIES):
        record = lookup(api, namespace, lease)
        if record is None:
            return Outcome("nothing", f"{plan.workload_of(lease)} is not swapped: there is nothing to restore")
        if record.session != session:
            words = f"{record.workload} was taken over by {record.owner} (session {record.session}), who restores it"
            return Outcome("taken", words, notable=True)
        try:
            outcome = _give_back(api, record)
            api.delete(guard.leases_path(namespace, lease), uid=record.lease_uid, version=record.version)
            return outcome
        except ConflictError as error:
            failed = error
    raise _keeps_changing(namespace, plan.workload_of(lease)) from failed


def _scale_down(api: Api, record: SwapRecord) -> SwapRecord:
    found = workloads.get(api, record.namespace, record.kind, record.name)
    if found is None:
        if record.kind == "pods" and record.state == "down":
            return record
        raise NotFoundError(f"{record.workload} was deleted meanwhile")
    now = plan.replicas_of(found)
    if found["metadata"]["uid"] != record.uid:  # deleted and made anew since: what comes back is the new one
        record = replace(record, uid=found["metadata"]["uid"], generation=found["metadata"].get("generation", 0))
        record = replace(record, state="claimed")
    # Down already, by the session that this one was taken over from: the record knows more than the workload.
    replicas = now if now or record.state == "claimed" else record.replicas
    record = _write(api, replace(record, state="down", replicas=replicas))
    if record.kind == "pods":
        _remove_pod(api, record, found)
    elif now:
        _scale(api, record, found, 0)
    return record


def _give_back(api: Api, record: SwapRecord) -> Outcome:
    what = record.workload
    if record.state == "claimed":
        return Outcome("untouched", f"{what} was not scaled yet")
    if record.kind == "pods":
        return _give_back_pod(api, record)
    # The workload itself, not its scale: the same version, and the generation besides.
    found = workloads.get(api, record.namespace, record.kind, record.name)
    if found is None:
        words = f"{what} was deleted during the swap: there is nothing to restore"
        return Outcome("deleted", words, notable=True)
    now, changes = plan.replicas_of(found), found["metadata"]["generation"] - record.generation
    if found["metadata"]["uid"] != record.uid:
        words = f"{what} was deleted and made anew during the swap: it is left as it is, at {_count(now)}"
        return Outcome("kept", words, notable=True)
    if now not in (0, record.replicas):
        words = f"{what} was scaled to {now} during the swap (it had {record.replicas}): that is kept"
        return Outcome("kept", words, notable=True)
    if now == record.replicas:
        # It may have been on its way down when its session was killed: nobody would look again.
        time.sleep(IN_FLIGHT)
        found = workloads.get(api, record.namespace, record.kind, record.name) or found
        now = plan.replicas_of(found)
    if now != record.replicas:
        _scale(api, record, found, record.replicas)
    # Every change of the spec counts one: ours down and, where somebody else restores at the same time, theirs up.
    own = 0 if not record.replicas else 2 if now else 1
    changed = changes > own
    also = "; it was changed during the swap, and that is kept" if changed else ""
    return Outcome("restored", f"{what} is back at {_count(record.replicas)}{also}", notable=changed)


def _give_back_pod(api: Api, record: SwapRecord) -> Outcome:
    what = record.workload
    kept = workloads.get(api, record.namespace, "configmaps", record.lease_name)
    if kept is None:  # it is made before the pod is deleted, and deleted when the pod is there again
        if workloads.get(api, record.namespace, "pods", record.name):
            return Outcome("restored", f"{what} is there")
        words = f"{what} was deleted during the swap, and what was kept of it: it cannot be made again"
        return Outcome("deleted", words, notable=True)
    is_anothers = _make_pod(api, record, plan.pod_of(kept))
    api.delete(workloads.path(record.namespace, "configmaps", record.lease_name))
    if is_anothers:
        return Outcome("kept", f"{what} was made anew during the swap: it is left as it is", notable=True)
    return Outcome("restored", f"{what} is there again")


def _make_pod(api: Api, record: SwapRecord, manifest: dict[str, Any]) -> bool:
    """Creates the pod once the deleted one has ended. Returns True when somebody else's is there.

    Raises ClusterError when the old one does not end.
    """
    began = time.monotonic()
    patience = END_MARGIN
    while time.monotonic() - began < patience:
        found = workloads.get(api, record.namespace, "pods", record.name)
        if found is None:
            try:
                api.create(workloads.path(record.namespace, "pods"), manifest)
                return False
            except ConflictError:
                continue
        if found["metadata"]["uid"] != record.uid:
            return True
        if "deletionTimestamp" not in found["metadata"]:
            return False
        patience = END_MARGIN + found["metadata"].get("deletionGracePeriodSeconds", 0)
        time.sleep(POLL)
    raise ClusterError(f"{record.workload} cannot be made again: the old pod does not end")


def _remove_pod(api: Api, record: SwapRecord, pod: dict[str, Any]) -> None:
    """Keeps the manifest, then deletes the pod."""
    listing, name = workloads.path(record.namespace, "configmaps"), record.lease_name
    try:
        api.create(listing, record.kept_pod(pod))
    except ConflictError:  # of an earlier swap: not this pod's
        api.delete(f"{listing}/{name}")
        api.create(listing, record.kept_pod(pod))
    api.delete(workloads.path(record.namespace, "pods", record.name), uid=record.uid)


def _scale(api: Api, record: SwapRecord, found: dict[str, Any], replicas: int) -> None:
    """Raises ConflictError when the workload is no longer as it was read."""
    api.update(f"{workloads.path(record.namespace, record.kind, record.name)}/scale", plan.scale(found, replicas))


def _write(api: Api, record: SwapRecord) -> SwapRecord:
    """Raises ConflictError when the record is no longer as it was read, or gone."""
    path = guard.leases_path(record.namespace, record.lease_name)
    try:
        return SwapRecord.read(api.patch(path, record.manifest()))
    except NotFoundError as error:
        raise ConflictError(error.message) from error


def _held(api: Api, held: SwapRecord) -> SwappedError:
    liveness = guard.liveness(api, held.namespace, held.session)
    if liveness and liveness.dead(api.now()):
        hint = f"That session is dead. Restore it: tpbox cleanup --session {held.session}, or use --take-over."
    else:
        hint = f"Ask {held.owner} to end it, or take {held.workload} over: --take-over"
    return SwappedError(f"{held.workload} is swapped already, {_by(api, held)}", hint=hint)


def _taken(api: Api, held: SwapRecord) -> SwappedError:
    return SwappedError(f"{held.workload} was taken over, {_by(api, held)}")


def _by(api: Api, held: SwapRecord) -> str:
    return f"by {held.owner} {age(held.acquired, api.now())} ago (session {held.session})"


def _keeps_changing(namespace: str, workload: str) -> ClusterError:
    return ClusterError(
        f"{workload} cannot be scaled: something changes it all the time",
        hint=f"See: kubectl -n {namespace} describe {workload}",
    )


def _count(replicas: int) -> str:
    return f"{replicas} replica{'' if replicas == 1 else 's'}"
