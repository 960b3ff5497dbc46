"""Sessions after the fact: which there are, which are dead, and what a dead one left behind.

    found = sweep.find(docker, api)
    for one in sweep.choose(found, session="", everything=False):      # the dead
        failures = sweep.remove(one, docker, connect, say)

Records name what this machine's sessions made. Labels and Leases find the rest: containers without a record, and what
carries this owner's label in the cluster at hand, whichever machine made it.
"""

from __future__ import annotations

import functools
import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tpbox import names, state
from tpbox.cleanup import CleanupStack, Failure
from tpbox.cluster import guard, proxy_pod, sessions, swap
from tpbox.cluster.api import Api
from tpbox.cluster.sessions import Seen
from tpbox.errors import ClusterError, DockerError, TpboxError, UsageError
from tpbox.local import volumes
from tpbox.local.docker import Docker
from tpbox.plan.swap import workload_of
from tpbox.state import SessionRecord

END_PATIENCE = 15  # seconds for a launcher to clean up after itself

State = Literal["running", "dead", "unknown"]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Found:
    """A session, by its record, by the labels of what it left, and by what the cluster at hand shows."""

    session: str
    alive: bool
    record: SessionRecord | None = None
    containers: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    jobs: tuple[tuple[str, str], ...] = ()  # (namespace, name)
    swaps: tuple[tuple[str, str], ...] = ()  # (namespace, name of the swap record's Lease)
    seen: Seen | None = None

    @property
    def state(self) -> State:
        """`unknown`: neither a record here nor a Lease tells whether it lives. It counts as dead."""
        if self.alive:
            return "running"
        told = self.record or (self.seen and self.seen.liveness)
        return "dead" if told else "unknown"

    @property
    def guarded(self) -> set[str]:
        """The namespaces in which the agent may have rights."""
        leases = {self.seen.namespace} if self.seen and self.seen.liveness else set()
        return leases | {namespace for namespace, _ in self.swaps}

    def objects(self) -> list[str]:
        """What there is of it, in words."""
        return [
            *(f"swap of {workload_of(lease)} in namespace {namespace}" for namespace, lease in self.swaps),
            *(f"container {name}" for name in self.containers),
            *(f"volume {name}" for name in self.volumes),
            *(f"Job {name} in namespace {namespace}" for namespace, name in self.jobs),
        ]


def find(
    docker: Docker | None, api: Api | None, *, session: str = "", namespace: str = "", warn: Say = lambda _: None
) -> list[Found]:
    """All sessions of this owner: of this machine's records, of Docker's labels and of the cluster's; of `session`
    also those of another owner.

    A part that is None is not asked; a cluster that does not answer is warned of. `namespace`: where to look in the
    cluster when all namespaces may not be listed.
    """
    records = {record.session: record for record in state.records()}
    mine = {names.OWNER: names.owner_label(names.owner())}
    containers: dict[str, list[str]] = {}
    for container in docker.containers({names.SESSION: "", **mine}) if docker else ():
        containers.setdefault(container.labels[names.SESSION], []).append(container.name)
    seen = {one.session: one for one in _in_cluster(api, session, namespace, warn)} if api else {}
    every = dict.fromkeys([*records, *containers, *seen])
    return [
        Found(
            session=one,
            alive=_alive(records.get(one), seen.get(one), api),
            record=records.get(one),
            containers=tuple(containers.get(one, ())),
            volumes=tuple(docker.volumes({names.SESSION: one})) if docker else (),
            jobs=_jobs(records.get(one), seen.get(one)),
            swaps=_swaps(records.get(one), seen.get(one)),
            seen=seen.get(one),
        )
        for one in every
        if not session or one == session
    ]


def choose(found: list[Found], session: str, everything: bool) -> list[Found]:
    """Which of them are to be removed: the dead ones, with `everything` the living ones too; of `session` alone, if
    given.

    Raises UsageError when that session is not there, or lives and `everything` is not said.
    """
    if not session:
        return [one for one in found if everything or not one.alive]
    named = [one for one in found if one.session == session]
    if not named:
        raise UsageError(f"there is no session '{session}'", hint="See: tpbox status")
    if named[0].alive and not everything:
        raise UsageError(
            f"session {session} still runs ({_where(named[0])})",
            hint=f"End it with Ctrl-C where it runs, or: tpbox cleanup --session {session} --all",
        )
    return named


def remove(
    found: Found, docker: Docker | None, connect: Callable[[SessionRecord | None], Api], say: Say = lambda _: None
) -> list[Failure]:
    """Gives back what a session swapped, then removes what it left, and its record when nothing failed. A live one of
    this machine is ended first.

    `connect` gives the API of the cluster that a record names, or of the one at hand; `say` gets what was restored.
    """
    if found.alive and found.record:
        try:
            _end(found.record)
        except TpboxError as error:
            return [Failure(f"session {found.session}", error)]
    api = functools.cache(lambda: connect(found.record))
    failures = _restore(found, api, say)
    stack = CleanupStack()
    if not failures:  # else the agent stays, which restores when its client is gone for the grace time
        for namespace, name in found.jobs:
            stack.push(f"Job {name}", lambda ns=namespace, job=name: proxy_pod.delete(api(), ns, job))  # type: ignore[misc]
        for namespace in found.guarded:
            stack.push("guard", lambda ns=namespace: guard.delete(api(), ns, found.session))  # type: ignore[misc]
    for file in _files(found.record):
        stack.push(f"file {file}", functools.partial(state.empty, file))
    if docker:
        for volume in found.volumes:
            stack.push(f"volume {volume}", lambda v=volume: volumes.remove(docker, v))  # type: ignore[misc]
        for container in found.containers:
            stack.push(f"container {container}", lambda c=container: docker.remove(c))  # type: ignore[misc]
    failures += stack.unwind()
    if docker is None and found.record:
        failures.append(Failure("containers", DockerError("Docker does not answer")))
    if found.record and not failures:
        found.record.remove()
    return failures


def remove_dead(record: SessionRecord, say: Say = lambda _: None) -> list[Failure]:
    """Removes all that a dead session's record names, and what carries its label in Docker. Without Docker its place in
    the cluster is given back all the same."""
    try:
        docker = Docker.connect()
    except DockerError:
        docker = None
    [found] = find(docker, None, session=record.session)
    return remove(found, docker, lambda _: Api.connect(record.kubeconfig, record.context), say)


def remove_all_dead(warn: Say) -> None:
    """What any command does first: a session of this machine that died with its watchdog is removed now."""
    for record in state.records():
        if record.alive():
            continue
        try:
            for failure in remove_dead(record, lambda words: warn(f"of a dead session: {words}")):
                warn(f"of dead session {record.session}, {failure.step} is still there: {failure.error.message}")
        except TpboxError as error:
            warn(f"dead session {record.session} is still there: {error.message}")


def _alive(record: SessionRecord | None, seen: Seen | None, api: Api | None) -> bool:
    """This machine's record knows best. Without one the liveness Lease tells; without that nobody holds it."""
    if record:
        return record.alive()
    return bool(seen and api and seen.dead(api.now()) is False)


def _restore(found: Found, api: Callable[[], Api], say: Say) -> list[Failure]:
    stack = CleanupStack()
    for namespace, lease in found.swaps:

        def restore(namespace: str = namespace, lease: str = lease) -> None:
            outcome = swap.restore(api(), namespace, lease, found.session)
            if outcome.result in ("restored", "kept", "deleted"):
                say(outcome.words)

        stack.push(f"swap of {workload_of(lease)}", restore)
    return stack.unwind()


def _end(record: SessionRecord) -> None:
    if record.host != socket.gethostname():
        raise TpboxError(f"session {record.session} runs on host {record.host}: end it there")
    for _ in range(2):  # a second one does not wait for the original of a swap to be back
        os.kill(record.pid, signal.SIGTERM)
        deadline = time.monotonic() + END_PATIENCE
        while time.monotonic() < deadline:
            if not record.alive():
                return
            time.sleep(0.1)
    raise TpboxError(f"session {record.session} (pid {record.pid}) does not end")


def _in_cluster(api: Api, session: str, namespace: str, warn: Say) -> list[Seen]:
    try:
        return sessions.find(api, owner=names.owner(), session=session, namespace=namespace)
    except ClusterError as error:
        warn(f"sessions of context '{api.context}' are not looked for: {error.message}")
        return []


def _files(record: SessionRecord | None) -> list[Path]:
    """What holds secrets of the session's pod."""
    return [Path(o.name) for o in record.objects if o.kind == "file"] if record else []


def _jobs(record: SessionRecord | None, seen: Seen | None) -> tuple[tuple[str, str], ...]:
    of_record = [(record.namespace, o.name) for o in record.objects if o.kind == "job"] if record else []
    of_cluster = [(seen.namespace, seen.job)] if seen and seen.job else []
    return tuple(dict.fromkeys([*of_record, *of_cluster]))


def _swaps(record: SessionRecord | None, seen: Seen | None) -> tuple[tuple[str, str], ...]:
    of_record = [(record.namespace, o.name) for o in record.objects if o.kind == "lease"] if record else []
    of_cluster = [(swap.namespace, swap.lease_name) for swap in seen.swaps] if seen else []
    return tuple(dict.fromkeys([*of_record, *of_cluster]))


def _where(found: Found) -> str:
    if found.record:
        return f"pid {found.record.pid}" + (
            "" if found.record.host == socket.gethostname() else f" of {found.record.host}"
        )
    return f"of {found.seen.owner}, by its Lease" if found.seen else "?"
