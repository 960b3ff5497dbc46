"""What the Pod's manifest asks of the agent, by environment variables.

    found = settings.parse({"TPBOX_SESSION": "abcdefgh", "TPBOX_AUTHORIZED_KEY": "ssh-ed25519 AAAA…"})

docs/architecture.md, "The agent", lists them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DIRECTORY = Path("/.tpbox")  # an emptyDir in memory; all else is read-only
PREFIX = "TPBOX_"


class SettingsError(Exception):
    """A variable is missing or means nothing."""


@dataclass(frozen=True)
class Settings:
    session: str
    authorized_key: str
    grace: int  # seconds
    ssh_port: int
    pod_ip: str
    mount_paths: tuple[str, ...]


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
        pod_ip=environment.get("TPBOX_POD_IP", ""),
        # Kubernetes allows no colon in a mountPath.
        mount_paths=tuple(filter(None, environment.get("TPBOX_MOUNT_PATHS", "").split(":"))),
    )


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name, str(default))
    if not text.isdecimal() or int(text) == 0:
        raise SettingsError(f"{name}: a whole number above 0 is needed, not {text!r}")
    return int(text)
