"""The Kubernetes API as paths and JSON objects. The only module that imports the kubernetes SDK.

    api = Api.connect(kubeconfig="", context="dev")
    api.get("/api/v1/namespaces/shop/pods/web-1")
    api.create("/apis/batch/v1/namespaces/shop/jobs", manifest)
    api.patch(path, {"metadata": {"resourceVersion": as_read}, "spec": {…}})    # or ConflictError

Manifests are pure data here (tpbox/plan), so the SDK's typed models would only stand between: of the SDK we take what
is hard, kubeconfig files with their exec plugins, TLS and proxies. Every refusal is a ClusterError with the API
server's own words.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3
import yaml
from kubernetes import client, config
from kubernetes.config.kube_config import KUBE_CONFIG_DEFAULT_LOCATION

from tpbox.errors import ClusterError, ForbiddenError, NotFoundError
from tpbox.plan.kubeconfig import Credential

CONNECT_TIMEOUT = 5  # seconds
READ_TIMEOUT = 20


class ConflictError(ClusterError):
    """The object exists already, or was changed meanwhile."""


def user_kubeconfig() -> str:
    """Where the user's own kubeconfig would be read: $KUBECONFIG, else ~/.kube/config; "" where neither exists."""
    found = [p for p in KUBE_CONFIG_DEFAULT_LOCATION.split(os.pathsep) if Path(p).expanduser().exists()]
    return os.pathsep.join(found)


def contexts(kubeconfig: str) -> list[str]:
    """The names of the contexts in a kubeconfig. Raises ClusterError."""
    return [c["name"] for c in _read_contexts(kubeconfig)[0]]


class Api:
    def __init__(self, api_client: client.ApiClient, context: str, namespace: str) -> None:
        self._client = api_client
        self.context = context
        self.namespace = namespace
        self._ahead = timedelta(0)  # of this machine's clock, the API server's

    @classmethod
    def connect(cls, kubeconfig: str, context: str = "") -> Api:
        """Reads a kubeconfig (its exec plugins run now) and makes a client of one of its contexts.

        No request is sent. Raises ClusterError when the file or the context is not there or not right.
        """
        contexts, current = _read_contexts(kubeconfig)
        wanted = context or (current or {}).get("name", "")
        chosen = next((c for c in contexts if c["name"] == wanted), None)
        if chosen is None:
            known = ", ".join(c["name"] for c in contexts) or "none"
            raise ClusterError(
                f"there is no context '{wanted}' in {kubeconfig}", hint=f"Choose one with --context; it has: {known}."
            )
        settings = client.Configuration()
        try:
            config.load_kube_config(kubeconfig, wanted, settings, persist_config=False)  # type: ignore[no-untyped-call]
        except Exception as error:  # exec plugins and broken data raise whatever they like
            raise ClusterError(f"context '{wanted}' cannot be used", detail=str(error)) from error
        settings.retries = urllib3.Retry(total=1, read=0, redirect=0, backoff_factor=0.1)
        settings.connection_pool_maxsize = 8
        return cls(client.ApiClient(settings), wanted, chosen["context"].get("namespace") or "default")

    # Requests

    def get(self, path: str, **query: str) -> dict[str, Any]:
        return self._object("GET", path, query)

    def create(self, path: str, manifest: Mapping[str, Any], **query: str) -> dict[str, Any]:
        return self._object("POST", path, query, body=manifest)

    def items(self, path: str, **query: str) -> list[dict[str, Any]]:
        """The objects of a list."""
        return list(self.get(path, **query)["items"])

    def update(self, path: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Replaces an object, only the one that was read where the manifest has its metadata.resourceVersion, else
        ConflictError."""
        return self._object("PUT", path, body=manifest)

    def patch(self, path: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Merges `changes` into an object (RFC 7386) and returns it whole. With a metadata.resourceVersion in them only
        into the object that was read, else ConflictError."""
        return self._object("PATCH", path, body=changes, content="application/merge-patch+json")

    def delete(self, path: str, *, grace: int | None = None, uid: str = "", version: str = "") -> None:
        """Deletes an object and, in the background, what it owns. One that is not there is deleted already.

        `grace`: seconds that a pod gets to end, if not its own number. With `uid` or `version` (its resourceVersion)
        only that object, else ConflictError.
        """
        # Through this API a Job's pods are orphaned unless a policy is given:
        # https://kubernetes.io/docs/concepts/workloads/controllers/job/#job-termination-and-cleanup
        options: dict[str, Any] = {"propagationPolicy": "Background"}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        if uid or version:
            wanted = {"uid": uid, "resourceVersion": version}
            options["preconditions"] = {name: value for name, value in wanted.items() if value}
        try:
            self._object("DELETE", path, body=options)
        except NotFoundError:
            return

    def text(self, path: str, **query: str) -> str:
        """An answer that is no JSON: a pod's log."""
        return self._request("GET", path, query).decode(errors="replace")

    def now(self) -> datetime:
        """The time by the API server's clock, as its last answer told it: a laptop's own may be wrong, and who judges
        by it takes living sessions for dead."""
        return datetime.now(UTC) + self._ahead

    def credential(self) -> Credential:
        """The client's own way to the API server, files read, for a kubeconfig that stands alone."""
        settings = self._client.configuration
        auth = settings.auth_settings().get("BearerToken", {})
        return Credential(
            server=str(settings.host),
            ca=_read(settings.ssl_ca_cert),
            insecure=not settings.verify_ssl,
            tls_server_name=settings.tls_server_name or "",
            proxy=settings.proxy or "",
            client_certificate=_read(settings.cert_file),
            client_key=_read(settings.key_file),
            token=str(auth.get("value") or "").removeprefix("Bearer "),
        )

    def _object(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content: str = "application/json",
    ) -> dict[str, Any]:
        return dict(json.loads(self._request(method, path, query, body, content)))

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content: str = "application/json",
    ) -> bytes:
        settings = self._client.configuration
        headers = {"Accept": "application/json, */*", "User-Agent": "tpbox"}
        for setting in settings.auth_settings().values():
            headers[setting["key"]] = str(setting["value"])
        if body is not None:
            headers["Content-Type"] = content
        url = f"{settings.host}{path}" + (f"?{urlencode(query)}" if query else "")
        try:
            answer = self._client.call_api(
                method, url, headers, dict(body) if body is not None else None,
                _request_timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
            )  # fmt: skip
            data = bytes(answer.read() or b"")  # type: ignore[no-untyped-call]
        except (urllib3.exceptions.HTTPError, client.ApiException, OSError) as error:
            raise _unreachable(str(settings.host), error) from error
        self._ahead = _ahead(answer.headers.get("Date", ""))
        if answer.status >= 400:
            raise _refusal(answer.status, data, self.context)
        return data


def _ahead(date: str) -> timedelta:
    """How far a server's clock is ahead of this one, by its Date header; zero within the header's own second."""
    try:
        ahead = parsedate_to_datetime(date) - datetime.now(UTC)
    except (ValueError, TypeError):
        return timedelta(0)
    return ahead if abs(ahead) > timedelta(seconds=2) else timedelta(0)


def _read_contexts(kubeconfig: str) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """All contexts, and the current one."""
    try:
        contexts, current = config.list_kube_config_contexts(kubeconfig)  # type: ignore[no-untyped-call]
    except (config.ConfigException, yaml.YAMLError, OSError, ValueError, TypeError, AttributeError) as error:
        raise ClusterError(
            f"the kubeconfig {kubeconfig} cannot be used", detail=str(error), hint="Name another with --kubeconfig."
        ) from error
    return contexts, current


def _refusal(status: int, data: bytes, context: str) -> ClusterError:
    try:
        words = str(json.loads(data)["message"])
    except (ValueError, KeyError, TypeError):
        words = data.decode(errors="replace")[:200] or f"HTTP {status}"
    if status == 401:
        return ForbiddenError(
            f"the cluster does not accept the credential of context '{context}'",
            detail=words,
            hint="It may have expired: log in to the cluster again, then repeat the command.",
        )
    kinds = {403: ForbiddenError, 404: NotFoundError, 409: ConflictError}
    return kinds.get(status, ClusterError)(words)


def _unreachable(host: str, error: Exception) -> ClusterError:
    cause: BaseException = getattr(error, "reason", None) or error
    while isinstance(cause, urllib3.exceptions.MaxRetryError) and isinstance(cause.reason, BaseException):
        cause = cause.reason
    words = str(cause).split("object at 0x")[-1].partition(">: ")[2] or str(cause)
    hint = "Is the cluster up, and does `kubectl version` work with the same --kubeconfig and --context?"
    if "CERTIFICATE_VERIFY_FAILED" in words:
        hint = "The server's certificate is not signed by the authority that the kubeconfig names."
    return ClusterError(f"the API server {host} cannot be reached", detail=words, hint=hint)


def _read(path: object) -> bytes:
    return Path(str(path)).read_bytes() if path else b""
