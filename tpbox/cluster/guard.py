"""The guard's rights in the cluster, and the token by which the agent uses them.

try:
    keeper = guard.create(api, plan)         # once the Job is there, which owns all of it
except UnguardedError as error:
    console.warn(error.message)              # the session goes on without
with keeper.renewing(control.guard):         # a payload at once, and a new one each RENEW_EVERY seconds
    ...
guard.delete(api, "shop", "qhwzkbtd")
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tpbox import names
from tpbox.cluster.api import Api
from tpbox.errors import ClusterError, ForbiddenError, NotFoundError, TpboxError
from tpbox.plan.guard import ADMINS_ACCOUNT, RBAC, Guard, Liveness, token_request

log = logging.getLogger(__name__)

RENEW_EVERY = 600  # seconds; a token lives six times as long
RETRY_AFTER = 30

Send = Callable[[Mapping[str, str]], None]


class UnguardedError(ClusterError):
    """The agent cannot get the rights to restore. A session can do without."""


def leases_path(namespace: str, name: str = "") -> str:
    return _path("coordination.k8s.io/v1", namespace, "leases", name)


def create(api: Api, plan: Guard) -> Keeper:
    """Makes the liveness Lease and the agent's rights, and asks for a first token. Where Roles may not be created, the
    account that an admin has made is used.

    Raises UnguardedError when there is neither, ClusterError.
    """
    try:
        # The Role first: it is what is refused, and then nothing is half made.
        api.create(_path(f"{RBAC}/v1", plan.namespace, "roles"), plan.role())
        api.create(_path(f"{RBAC}/v1", plan.namespace, "rolebindings"), plan.binding())
        api.create(_path("v1", plan.namespace, "serviceaccounts"), plan.account())
        keeper = _keeper(api, plan, plan.name)
    except ForbiddenError as error:
        try:
            keeper = _keeper(api, plan, ADMINS_ACCOUNT)
        except (ForbiddenError, NotFoundError):
            raise UnguardedError(
                f"you may not create Roles in namespace '{plan.namespace}': if this machine dies, only `tpbox cleanup` "
                f"restores {plan.kind}/{plan.workload}",
                detail=error.message,
                hint=f"An admin can make an account {ADMINS_ACCOUNT} there, which may restore.",
            ) from error
    api.create(leases_path(plan.namespace), plan.lease(api.now()))
    return keeper


def delete(api: Api, namespace: str, session: str) -> None:
    """Deletes what create() has made, without waiting for the Job's end to do it. What may not be deleted goes then."""
    name = names.of(session)
    for path in (
        leases_path(namespace, name),
        _path("v1", namespace, "serviceaccounts", name),
        _path(f"{RBAC}/v1", namespace, "rolebindings", name),
        _path(f"{RBAC}/v1", namespace, "roles", name),
    ):
        with contextlib.suppress(ForbiddenError):
            api.delete(path)


def liveness(api: Api, namespace: str, session: str) -> Liveness | None:
    """A session's liveness Lease; None where there is none, or where Leases may not be read."""
    try:
        return Liveness.read(api.get(leases_path(namespace, names.of(session))))
    except (NotFoundError, ForbiddenError):
        return None


class Keeper:
    """Keeps the agent in tokens."""

    def __init__(self, api: Api, plan: Guard, account: str, ca: str, token: str) -> None:
        self.account = account
        self._api = api
        self._plan = plan
        self._ca = ca
        self._token = token

    @contextlib.contextmanager
    def renewing(self, send: Send) -> Iterator[None]:
        """Calls `send` with a payload now, and from a thread with each new one. It may raise TpboxError: the next one
        comes sooner then."""
        send(self._plan.payload(self._token, self._ca))
        ended = threading.Event()
        thread = threading.Thread(target=self._renew, args=(send, ended), name="guard", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()  # not joined: it may wait for an API server that is away

    def _renew(self, send: Send, ended: threading.Event) -> None:
        pause = RENEW_EVERY
        while not ended.wait(pause):
            try:
                self._token = _token(self._api, self._plan.namespace, self.account)
                if not ended.is_set():
                    send(self._plan.payload(self._token, self._ca))
                pause = RENEW_EVERY
            except TpboxError as error:
                log.debug("the guard's token is not renewed: %s", error.message)
                pause = RETRY_AFTER


def _keeper(api: Api, plan: Guard, account: str) -> Keeper:
    token = _token(api, plan.namespace, account)
    return Keeper(api, plan, account, _ca(api, plan.namespace), token)


def _token(api: Api, namespace: str, account: str) -> str:
    """Raises NotFoundError when there is no such account."""
    path = _path("v1", namespace, "serviceaccounts", account)
    answer: dict[str, Any] = api.create(f"{path}/token", token_request())
    return str(answer["status"]["token"])


def _ca(api: Api, namespace: str) -> str:
    """What signs the API server's certificate as pods see it."""
    try:
        found = api.get(_path("v1", namespace, "configmaps", "kube-root-ca.crt"))
        return str(found["data"]["ca.crt"])
    except (NotFoundError, ForbiddenError):
        return api.credential().ca.decode()  # mostly the same


def _path(version: str, namespace: str, resource: str, name: str = "") -> str:
    api = "/api/v1" if version == "v1" else f"/apis/{version}"
    return f"{api}/namespaces/{namespace}/{resource}" + (f"/{name}" if name else "")
