"""What a container that tpbox itself makes is to be, in Docker's terms."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class PortBinding:
    """`-p`: a port of the host that leads to one in the container."""

    host_ip: str
    host_port: int | None  # None: Docker chooses
    container_port: int
    protocol: str = "tcp"

    def __str__(self) -> str:
        return f"{self.host_ip}:{self.host_port or ''}:{self.container_port}/{self.protocol}"


@dataclass(frozen=True)
class ContainerSpec:
    """A container, complete: created from this and nothing else. Named capabilities only, never privileged."""

    name: str
    image: str
    labels: Mapping[str, str]
    command: tuple[str, ...] = ()
    hostname: str = ""
    network: str = ""
    pid_namespace: Literal["", "host"] = ""
    cgroup_namespace: Literal["", "private", "host"] = ""  # "": the engine's default
    ip_address: str = ""
    cap_drop: tuple[str, ...] = ()
    cap_add: tuple[str, ...] = ()
    security_opt: tuple[str, ...] = ()
    system_paths_masked: bool = True
    devices: tuple[str, ...] = ()
    device_cgroup_rules: tuple[str, ...] = ()
    tmpfs: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[str, ...] = ()  # as `docker run -v`: SOURCE:TARGET[:MODE]
    sysctls: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[PortBinding, ...] = ()
    stdin: bool = False
    remove_when_ended: bool = False
    logged: bool = True


def port_bindings(ports: tuple[PortBinding, ...]) -> dict[int | str, list[tuple[str, int | None]]]:
    """The ports as the Docker SDK takes them: each port of the container with its addresses on the host."""
    found: dict[int | str, list[tuple[str, int | None]]] = {}
    for port in ports:
        found.setdefault(f"{port.container_port}/{port.protocol}", []).append((port.host_ip, port.host_port))
    return found


def pull_words(reference: str, part: Mapping[str, Any], layers: dict[str, tuple[int, int]]) -> str:
    """How far a pull is, after one more part of the engine's answer; "" where it says nothing of it. `layers` keeps
    the bytes of each layer, here and in all, from part to part."""
    detail = part.get("progressDetail") or {}
    if part.get("status") != "Downloading" or "total" not in detail:
        return ""
    layers[str(part["id"])] = (int(detail["current"]), int(detail["total"]))
    here, whole = (sum(numbers) / 1e6 for numbers in zip(*layers.values(), strict=True))
    return f"pulling {reference}: {here:.1f} of {whole:.1f} MB"


def renamed(archive: bytes, path: str) -> bytes:
    """A tar archive with its one file at `path`, as Docker takes it."""
    made = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(archive)) as source, tarfile.open(fileobj=made, mode="w") as target:
        member = source.next()
        assert member is not None
        content = source.extractfile(member)
        member.name = path.lstrip("/")
        target.addfile(member, content)
    return made.getvalue()


def split_tag(reference: str) -> tuple[str, str | None]:
    """`host:5000/name:tag` is (`host:5000/name`, `tag`); a digest stays with the name."""
    if "@" in reference:
        return reference, None
    head, colon, tag = reference.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (reference, "latest")
