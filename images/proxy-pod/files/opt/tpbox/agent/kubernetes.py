"""The Kubernetes API for the agent, with one bearer token: a connection for each request.

    api = Api.of_pod(environment, ca, token)
    lease = await api.find("/apis/coordination.k8s.io/v1/namespaces/shop/leases/tpbox-abcdefgh")

It waits in the agent's own loop, not in a thread: a thread that waits for a server that is away would keep the agent
from ending when it is told to.
"""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import ssl
from collections.abc import Mapping
from typing import Any

TIMEOUT = 5.0  # seconds, for a request and its answer
JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
# The server may answer these and yet do as asked a moment later; others of 4xx it will only say again.
PASSING = {408, 409, 429}


class ApiError(Exception):
    """The server's refusal, in its own words, or why it was not reached (`status` is 0 then)."""

    def __init__(self, words: str, status: int = 0) -> None:
        super().__init__(words)
        self.status = status

    @property
    def final(self) -> bool:
        """Whether another try would end the same way."""
        return 400 <= self.status < 500 and self.status not in PASSING


class Api:
    def __init__(self, host: str, port: int, tls: ssl.SSLContext, token: str) -> None:
        self._host, self._port = host, port
        self._tls = tls
        self._token = token

    @classmethod
    def of_pod(cls, environment: Mapping[str, str], ca: str, token: str) -> Api:
        """The API server where a Pod's environment says it is; `ca` is PEM. Raises ApiError."""
        host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT", "443")
        if not host or not port.isdecimal():
            raise ApiError("KUBERNETES_SERVICE_HOST and _PORT do not say where the API server is")
        try:
            tls = ssl.create_default_context(cadata=ca)
        except (ssl.SSLError, ValueError) as error:
            raise ApiError(f"the certificate authority cannot be used: {error}") from error
        # Authorities of clusters may lack key identifiers: https://github.com/kubernetes-client/python/issues/2394
        tls.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return cls(host, int(port), tls, token)

    async def find(self, path: str) -> dict[str, Any] | None:
        """The object; None when it is not there. Raises ApiError."""
        try:
            return await self.request("GET", path)
        except ApiError as error:
            if error.status == http.client.NOT_FOUND:
                return None
            raise

    async def delete(self, path: str, found: Mapping[str, Any]) -> None:
        """Deletes the object as it was `found`; one that is not there is deleted already. Raises ApiError."""
        unchanged = {key: found["metadata"][key] for key in ("uid", "resourceVersion")}
        try:
            await self.request(
                "DELETE", path, {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": unchanged}
            )
        except ApiError as error:
            if error.status != http.client.NOT_FOUND:
                raise

    async def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, content_type: str = JSON
    ) -> dict[str, Any]:
        """The answer's object. A server that is not reached is asked a second time. Raises ApiError."""
        if not self._token:
            raise ApiError("there is no token", http.client.UNAUTHORIZED)
        sent = self._render(method, path, body, content_type)
        try:
            answered = await self._exchange(sent)
        except (OSError, http.client.HTTPException):
            try:
                answered = await self._exchange(sent)
            except (OSError, http.client.HTTPException) as error:
                # A time-out has no words of its own.
                words = str(error) or f"no answer for {TIMEOUT:.0f} s"
                raise ApiError(f"the API server {self.authority} cannot be reached: {words}") from error
        return _read(*answered)

    @property
    def authority(self) -> str:
        """HOST:PORT, an IPv6 address in brackets."""
        return f"[{self._host}]:{self._port}" if ":" in self._host else f"{self._host}:{self._port}"

    def _render(self, method: str, path: str, body: Mapping[str, Any] | None, content_type: str) -> bytes:
        content = b"" if body is None else json.dumps(body).encode()
        headers = {
            "Host": self.authority,
            "Authorization": f"Bearer {self._token}",
            "Accept": JSON,
            "User-Agent": "tpbox",
            "Connection": "close",
            "Content-Length": len(content),
            **({"Content-Type": content_type} if content else {}),
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + content

    async def _exchange(self, request: bytes) -> tuple[int, bytes]:
        """The answer's status and body."""
        async with asyncio.timeout(TIMEOUT):
            reader, writer = await asyncio.open_connection(self._host, self._port, ssl=self._tls)
            try:
                writer.write(request)
                answer = await reader.read()
            finally:
                writer.transport.abort()
        return _parse(answer)


class _Received:
    """What http.client takes for a socket."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


def _parse(answer: bytes) -> tuple[int, bytes]:
    """Raises http.client.HTTPException, also where the answer breaks off."""
    received: Any = _Received(answer)
    response = http.client.HTTPResponse(received)
    response.begin()
    return response.status, response.read()


def _read(status: int, body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    if status < 300 and isinstance(answer, dict):
        return answer
    words = answer.get("message") if isinstance(answer, dict) else body.decode(errors="replace")[:200]
    raise ApiError(f"{words or http.client.responses.get(status, '')} ({status})", status)
