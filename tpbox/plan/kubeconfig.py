"""The kubeconfig that the helper gets: one cluster by address, one credential, nothing else of the user's file."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Credential:
    """How an API server is reached, resolved: files are read, exec plugins have run. Secrets stay out of repr()."""

    server: str
    ca: bytes = b""
    insecure: bool = False
    tls_server_name: str = ""
    proxy: str = ""
    client_certificate: bytes = field(default=b"", repr=False)
    client_key: bytes = field(default=b"", repr=False)
    token: str = field(default="", repr=False)


@dataclass(frozen=True)
class ApiServer:
    """The API server as the helper reaches it: an address, never a name, so that it needs no resolver of its own."""

    address: str
    port: int
    tls_server_name: str
    network: str = ""  # the Docker network to join, where the server is itself a container

    @property
    def endpoint(self) -> str:
        return f"{self.address}:{self.port}"


def minimal(credential: Credential, server: ApiServer) -> dict[str, Any]:
    """A kubeconfig as an object, in the v1 Config format."""
    cluster: dict[str, Any] = {"server": f"https://{_url_host(server.address)}:{server.port}"}
    if credential.insecure:
        cluster["insecure-skip-tls-verify"] = True
    else:
        cluster["tls-server-name"] = server.tls_server_name
        if credential.ca:
            cluster["certificate-authority-data"] = _encode(credential.ca)
    user = {"token": credential.token} if credential.token else {}
    if credential.client_certificate:
        user["client-certificate-data"] = _encode(credential.client_certificate)
        user["client-key-data"] = _encode(credential.client_key)
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "cluster", "cluster": cluster}],
        "users": [{"name": "user", "user": user}],
        "contexts": [{"name": "session", "context": {"cluster": "cluster", "user": "user"}}],
        "current-context": "session",
    }


def _url_host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()
