"""What the Pod's manifest asks of the agent, by environment variables.

    found = settings.parse({"TPBOX_SESSION": "abcdefgh", "TPBOX_AUTHORIZED_KEY": "ssh-ed25519 AAAA…"})

docs/architecture.md, "The agent", lists them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DIRECTORY = Path("/.tpbox")  # an emptyDir in memory; all else is read-only
PREFIX = "TPBOX_"
# As sshd writes it: an IPv6 address in brackets; `*` is any address.
ENDPOINT = re.compile(r"(\*|[0-9.]+|\[[0-9a-f:.]+\]):[1-9][0-9]{0,4}")


class SettingsError(Exception):
    """A variable is missing or means nothing."""


@dataclass(frozen=True)
class Settings:
    session: str
    authorized_key: str
    grace: int  # seconds
    ssh_port: int
    engine_port: int  # of the engine netstack's far end; 0: it is not wanted
    pod_ips: tuple[str, ...]
    mount_paths: tuple[str, ...]
    listen: tuple[str, ...]  # where the client may have sshd listen: "*:80"
    open: tuple[str, ...]  # what the client may have sshd connect to: "127.0.0.1:5432"


def parse(environment: Mapping[str, str]) -> Settings:
    """Raises SettingsError."""
    key = environment.get("TPBOX_AUTHORIZED_KEY", "").strip()
    if not key or "\n" in key:
        raise SettingsError("TPBOX_AUTHORIZED_KEY: one authorized_keys line is needed")
    return Settings(
        session=environment.get("TPBOX_SESSION", ""),
        authorized_key=key,
        grace=_number(environment, "TPBOX_GRACE", 30),
        ssh_port=_number(environment, "TPBOX_SSH_PORT", 20022),
        engine_port=_number(environment, "TPBOX_ENGINE_PORT", 0) if environment.get("TPBOX_ENGINE_PORT") else 0,
        pod_ips=tuple(filter(None, environment.get("TPBOX_POD_IPS", "").split(","))),
        # Kubernetes allows no colon in a mountPath.
        mount_paths=tuple(filter(None, environment.get("TPBOX_MOUNT_PATHS", "").split(":"))),
        listen=_endpoints(environment, "TPBOX_LISTEN"),
        open=_endpoints(environment, "TPBOX_OPEN"),
    )


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name, str(default))
    if not text.isdecimal() or int(text) == 0:
        raise SettingsError(f"{name}: a whole number above 0 is needed, not {text!r}")
    return int(text)


def _endpoints(environment: Mapping[str, str], name: str) -> tuple[str, ...]:
    found = environment.get(name, "").split()
    if wrong := [endpoint for endpoint in found if not ENDPOINT.fullmatch(endpoint)]:
        raise SettingsError(f"{name}: ADDRESS:PORT is needed, not {wrong[0]!r}")
    return tuple(found)
