"""Sessions after the fact: which there are, which are dead, and what a dead one left behind.

    for found in sweep.find(docker, api):
        if not found.alive:
            failures = sweep.remove(found, docker, connect)

Records name what this machine's sessions made. Labels find the rest: containers without a record, and Jobs that carry
this owner's label in the cluster at hand.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tpbox import names, state
from tpbox.cleanup import CleanupStack, Failure
from tpbox.cluster import proxy_pod
from tpbox.cluster.api import Api
from tpbox.errors import ClusterError, TpboxError
from tpbox.local import volumes
from tpbox.local.docker import Docker
from tpbox.state import SessionRecord

END_PATIENCE = 15  # seconds for a launcher to clean up after itself

Connect = Callable[[str, str], Api]


@dataclass(frozen=True)
class Found:
    """A session, by its record or by the labels of what it left."""

    session: str
    alive: bool
    record: SessionRecord | None = None
    containers: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    jobs: tuple[tuple[str, str], ...] = field(default=())  # (namespace, name)

    def objects(self) -> list[str]:
        """What there is of it, in words."""
        return [
            *(f"container {name}" for name in self.containers),
            *(f"volume {name}" for name in self.volumes),
            *(f"Job {name} in namespace {namespace}" for namespace, name in self.jobs),
        ]


def find(docker: Docker | None, api: Api | None) -> list[Found]:
    """All sessions of this owner: of this machine's records, of Docker's labels and of the cluster's.

    A part that is None is not asked.
    """
    records = {record.session: record for record in state.records()}
    mine = {names.OWNER: names.owner_label(names.owner())}
    containers: dict[str, list[str]] = {}
    for container in docker.containers({names.SESSION: "", **mine}) if docker else ():
        containers.setdefault(container.labels[names.SESSION], []).append(container.name)
    jobs: dict[str, list[tuple[str, str]]] = {}
    for record in records.values():
        jobs[record.session] = [(record.namespace, o.name) for o in record.objects if o.kind == "job"]
    for namespace, name, session in _jobs_by_label(api) if api else ():
        if (namespace, name) not in jobs.setdefault(session, []):
            jobs[session].append((namespace, name))
    sessions = [*records, *(s for s in {**containers, **jobs} if s not in records)]
    return [
        Found(
            session=session,
            alive=session in records and records[session].alive(),
            record=records.get(session),
            containers=tuple(containers.get(session, ())),
            volumes=tuple(docker.volumes({names.SESSION: session})) if docker else (),
            jobs=tuple(jobs.get(session, ())),
        )
        for session in sessions
    ]


def remove(found: Found, docker: Docker, connect: Callable[[SessionRecord | None], Api]) -> list[Failure]:
    """Removes what a session left, and its record when nothing failed. A live one is ended first.

    `connect` gives the API of the cluster that a record names, or of the one at hand.
    """
    if found.alive and found.record:
        _end(found.record)
    stack = CleanupStack()
    for namespace, name in found.jobs:
        stack.push(f"Job {name}", lambda ns=namespace, job=name: _delete_job(connect(found.record), ns, job))  # type: ignore[misc]
    for volume in found.volumes:
        stack.push(f"volume {volume}", lambda v=volume: volumes.remove(docker, v))  # type: ignore[misc]
    for container in found.containers:
        stack.push(f"container {container}", lambda c=container: docker.remove(c))  # type: ignore[misc]
    failures = stack.unwind()
    if found.record and not failures:
        found.record.remove()
    return failures


def remove_dead(record: SessionRecord) -> list[Failure]:
    """Removes all that a dead session's record names, and what carries its label in Docker."""
    docker = Docker.connect()
    found = next(f for f in find(docker, None) if f.session == record.session)
    return remove(found, docker, lambda _: Api.connect(record.kubeconfig, record.context))


def remove_all_dead(warn: Callable[[str], None]) -> None:
    """What any command does first: a session of this machine that died with its watchdog is removed now."""
    for record in state.records():
        if record.alive():
            continue
        try:
            for failure in remove_dead(record):
                warn(f"of dead session {record.session}, {failure.step} is still there: {failure.error.message}")
        except TpboxError as error:
            warn(f"dead session {record.session} is still there: {error.message}")


def _delete_job(api: Api, namespace: str, name: str) -> None:
    proxy_pod.delete(api, namespace, name)


def _end(record: SessionRecord) -> None:
    os.kill(record.pid, signal.SIGTERM)
    deadline = time.monotonic() + END_PATIENCE
    while record.alive():
        if time.monotonic() > deadline:
            raise TpboxError(f"session {record.session} (pid {record.pid}) does not end")
        time.sleep(0.1)


def _jobs_by_label(api: Api) -> list[tuple[str, str, str]]:
    """(namespace, name, session) of this owner's Jobs; where all namespaces may not be listed, of the context's own."""
    try:
        found = proxy_pod.sessions(api, names.owner())
    except ClusterError:
        try:
            found = proxy_pod.sessions(api, names.owner(), api.namespace)
        except ClusterError:
            return []
    return [(j["metadata"]["namespace"], j["metadata"]["name"], j["metadata"]["labels"][names.SESSION]) for j in found]
