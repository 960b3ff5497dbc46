"""The Docker Engine, as far as tpbox needs it. The only module that imports the docker SDK.

    engine = Docker.connect()
    engine.create(spec)
    with engine.attach(spec.name) as channel:
        engine.start(spec.name)
        channel.send(b"…")

Every refusal is a DockerError with the engine's own words.
"""

from __future__ import annotations

import contextlib
import ipaddress
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

import docker
import docker.errors
import requests
from docker.context import ContextAPI
from docker.types import LogConfig
from docker.utils.socket import frames_iter

from tpbox import names
from tpbox.errors import DockerError, ImageError
from tpbox.local.channel import Channel as Channel
from tpbox.plan.containers import ContainerSpec, port_bindings, pull_words, renamed, split_tag

Progress = Callable[[str], None]

API_TIMEOUT = 60  # seconds; builds and pulls stream, so they may take longer
START_HINT = "Start Docker (on Linux: `sudo systemctl start docker`), or point DOCKER_HOST at a running engine."


@dataclass(frozen=True)
class Container:
    """A container as the engine lists it."""

    id: str
    name: str
    state: str
    labels: Mapping[str, str]


class Docker:
    def __init__(self, client: docker.DockerClient, host: str) -> None:
        self._client = client
        self.host = host

    @classmethod
    def connect(cls) -> Docker:
        """The engine that the `docker` command would use: $DOCKER_HOST, else the current Docker context.

        Raises DockerError when none answers.
        """
        host = os.environ.get("DOCKER_HOST") or _context_host()
        try:
            client = docker.DockerClient(base_url=host, version="auto", timeout=API_TIMEOUT)
        except (docker.errors.DockerException, requests.RequestException) as error:
            raise DockerError(
                f"Docker does not answer at {host}", detail=_root_cause(error), hint=START_HINT
            ) from error
        return cls(client, host)

    def info(self) -> dict[str, Any]:
        """What the engine says of itself and its machine: `docker info`."""
        with _translated("ask for its information"):
            return dict(self._client.info())

    def version(self) -> str:
        with _translated("ask for its version"):
            return str(self._client.version()["Version"])

    # Images

    def image(self, reference: str) -> dict[str, Any] | None:
        """`docker image inspect`, or None when the engine does not have it."""
        with _translated(f"inspect image {reference}"):
            try:
                return dict(self._client.images.get(reference).attrs)
            except docker.errors.ImageNotFound:
                return None

    def pull(self, reference: str, platform: str | None = None, progress: Progress = lambda _: None) -> None:
        """Pulls an image; `progress` gets how far it is. Raises ImageError with the registry's words."""
        repository, tag = split_tag(reference)
        layers: dict[str, tuple[int, int]] = {}
        try:
            for part in self._client.api.pull(repository, tag=tag, platform=platform, stream=True, decode=True):
                if "error" in part:
                    raise docker.errors.APIError(part["error"])
                if words := pull_words(reference, part, layers):
                    progress(words)
        except (docker.errors.APIError, requests.RequestException) as error:
            raise ImageError(
                f"image {reference} is not here and cannot be pulled",
                detail=_words(error),
                hint=f"Check the name, or build it first: docker build -t {reference} .",
            ) from error

    def build(
        self,
        context: IO[bytes],
        tags: list[str],
        *,
        labels: Mapping[str, str],
        buildargs: Mapping[str, str],
        progress: Progress,
        target: str = "",
    ) -> None:
        """Builds a context (an uncompressed tar archive) and gives the image its tags.

        `progress` gets each line that the build prints. Raises ImageError with the build's last words.
        """
        tail: list[str] = []
        try:
            for part in self._client.api.build(
                fileobj=context,
                custom_context=True,
                tag=tags[0],
                rm=True,
                forcerm=True,
                labels=dict(labels),
                buildargs=dict(buildargs),
                target=target,
                decode=True,
            ):
                if "error" in part:
                    raise ImageError(f"building {tags[0]} failed", detail="\n".join([*tail[-1:], part["error"]]))
                for line in part.get("stream", "").splitlines():
                    if line.strip():
                        tail = [*tail[-4:], line]
                        progress(line)
            for tag in tags[1:]:
                self.tag(tags[0], tag)
        except (docker.errors.APIError, requests.RequestException) as error:
            raise ImageError(f"building {tags[0]} failed", detail=_words(error)) from error

    def tag(self, reference: str, tag: str) -> None:
        repository, name = split_tag(tag)
        with _translated(f"tag {reference} as {tag}"):
            self._client.images.get(reference).tag(repository, tag=name)

    def images(
        self, labels: Mapping[str, str], *, dangling: bool = False, built_before: float = math.inf
    ) -> dict[str, list[str]]:
        """The images that carry these labels, ids with their tags; with `dangling` only those without a tag.

        `built_before` is in seconds since the epoch."""
        filters = {"label": _selector(labels), "dangling": dangling}
        with _translated("list images"):
            found = self._client.api.images(filters=filters)
        return {i["Id"]: i["RepoTags"] or [] for i in found if i["Created"] <= built_before}

    def remove_image(self, reference: str) -> bool:
        """Removes a tag, and the image with its last one. Returns False when a container uses it."""
        with _translated(f"remove image {reference}"):
            try:
                self._client.api.remove_image(reference)
            except docker.errors.NotFound:
                return True
            except docker.errors.APIError as error:
                if error.status_code != 409:  # conflict
                    raise
                return False
        return True

    # Networks and volumes

    def networks(self, name: str) -> list[dict[str, Any]]:
        """The networks of exactly this name."""
        with _translated("list networks"):
            return [dict(n.attrs) for n in self._client.networks.list(names=[name]) if n.name == name]

    def create_network(self, name: str, subnet: str, labels: Mapping[str, str], dynamic: str | None = None) -> None:
        """A bridge network. Containers that name no address get one out of `dynamic`, a part of the subnet."""
        pool = docker.types.IPAMPool(subnet=subnet, iprange=dynamic)
        with _translated(f"create network {name} {subnet}"):
            self._client.networks.create(
                name, driver="bridge", ipam=docker.types.IPAMConfig(pool_configs=[pool]), labels=dict(labels)
            )

    def remove_network(self, name: str) -> None:
        for network in self.networks(name):
            with _translated(f"remove network {name}"):
                self._client.networks.get(network["Id"]).remove()

    def volumes(self, labels: Mapping[str, str]) -> list[str]:
        with _translated("list volumes"):
            return [v.name for v in self._client.volumes.list(filters={"label": _selector(labels)})]

    def create_volume(self, name: str, labels: Mapping[str, str]) -> None:
        with _translated(f"create volume {name}"):
            self._client.volumes.create(name, labels=dict(labels))

    def remove_volume(self, name: str) -> None:
        """Removes a volume; one that is not there is removed already."""
        with _translated(f"remove volume {name}"), contextlib.suppress(docker.errors.NotFound):
            self._client.volumes.get(name).remove(force=True)

    # Containers

    def copy_file(self, source: str, path: str, container: str, target: str) -> None:
        """Copies one file from a container to another, which need not run."""
        with _translated(f"copy {path} to {target}"):
            chunks, _ = self._client.api.get_archive(source, path)
            self._client.api.put_archive(container, "/", renamed(b"".join(chunks), target))

    def containers(self, labels: Mapping[str, str]) -> list[Container]:
        """All containers, running or not, that carry these labels; an empty value stands for any."""
        with _translated("list containers"):
            found = self._client.containers.list(all=True, filters={"label": _selector(labels)}, sparse=True)
        return [
            Container(str(c.id), c.name or _sparse_name(c.attrs), c.attrs["State"], c.attrs["Labels"]) for c in found
        ]

    def inspect(self, name: str) -> dict[str, Any] | None:
        """`docker inspect`, or None when there is no such container."""
        with _translated(f"inspect {name}"):
            try:
                return dict(self._client.api.inspect_container(name))
            except docker.errors.NotFound:
                return None

    def state(self, name: str) -> Mapping[str, Any]:
        """`State` of `docker inspect`; empty when there is no such container."""
        return (self.inspect(name) or {}).get("State") or {}

    def published(self, port: int) -> dict[str, Any] | None:
        """The running container (as `docker inspect`) that publishes this TCP port of the host, or None."""
        with _translated("list containers"):
            found = self._client.containers.list(filters={"publish": str(port)}, sparse=True)
        return self.inspect(str(found[0].id)) if found else None

    def create(self, spec: ContainerSpec) -> str:
        """Creates a container and returns its id. It does not run yet."""
        api = self._client.api
        networking = None
        if spec.ip_address:
            endpoint = api.create_endpoint_config(ipv4_address=spec.ip_address)
            networking = api.create_networking_config({spec.network: endpoint})  # type: ignore[arg-type]
        with _translated(f"create container {spec.name}"):
            created = api.create_container(
                spec.image,
                command=list(spec.command) or None,
                name=spec.name,
                hostname=spec.hostname or None,
                labels=dict(spec.labels),
                ports=[(p.container_port, p.protocol) for p in spec.ports],
                stdin_open=spec.stdin,
                host_config=_host_config(api, spec),
                networking_config=networking,
                use_config_proxy=False,  # a proxy of ~/.docker/config.json must not reach the helper's environment
            )
        return str(created["Id"])

    def start(self, name: str) -> None:
        with _translated(f"start container {name}"):
            self._client.api.start(name)

    def stop(self, name: str, seconds: int) -> None:
        with _translated(f"stop container {name}"), contextlib.suppress(docker.errors.NotFound):
            self._client.api.stop(name, timeout=seconds)

    def restart(self, name: str, seconds: int) -> None:
        """`seconds` between SIGTERM and SIGKILL."""
        with _translated(f"restart container {name}"), contextlib.suppress(docker.errors.NotFound):
            self._client.api.restart(name, timeout=seconds)

    def started(self, name: str) -> str:
        """When a container was last started; later is greater. "" when there is no such container."""
        return str(self.state(name).get("StartedAt", "")).rstrip("Z")

    def sharing_network(self, name: str) -> list[str]:
        """The running containers whose network namespace is this container's."""
        mode = f"container:{(self.inspect(name) or {}).get('Id')}"
        with _translated("list containers"):
            found = self._client.api.containers()
        return [_sparse_name(c) for c in found if (c.get("HostConfig") or {}).get("NetworkMode") == mode]

    def kill(self, name: str, signal: int) -> bool:
        """Sends a signal to a container's first process, and returns whether it runs."""
        try:
            with _translated(f"signal {name}"):
                self._client.api.kill(name, signal)
        except DockerError:
            return False
        return True

    def remove(self, name: str) -> None:
        """Kills and removes a container with its anonymous volumes; one that is not there is removed already."""
        with _translated(f"remove container {name}"):
            try:
                self._client.api.remove_container(name, v=True, force=True)
            except docker.errors.NotFound:
                return
            except docker.errors.APIError as error:
                if "is already in progress" not in _words(error):
                    raise

    def remove_own(self, name: str, session: str) -> None:
        """remove(), but only of a container of this session: a name that the user chose may be somebody else's."""
        found = self.inspect(name)
        if found and found["Config"]["Labels"].get(names.SESSION) == session:
            self.remove(name)

    def attach(self, name: str) -> Channel:
        """Attaches to a created container's standard streams. Attach before start, and no line is missed."""
        with _translated(f"attach to {name}"):
            params = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
            connection = self._client.api.attach_socket(name, params=params)
        return Channel(connection, frames_iter(connection, tty=False))  # type: ignore[no-untyped-call]

    def execute(self, name: str, command: Sequence[str]) -> Channel:
        """Starts a program in a running container; its stdin ends with the channel."""
        with _translated(f"start a program in {name}"):
            made = self._client.api.exec_create(name, list(command), stdin=True)
            connection = self._client.api.exec_start(made["Id"], socket=True)
        return Channel(connection, frames_iter(connection, tty=False))  # type: ignore[no-untyped-call]

    def subnets(self, name: str) -> list[tuple[str, str]]:
        """The networks that a container is on, by their names in Docker, with their subnets of IPv4 and IPv6."""
        networks = ((self.inspect(name) or {}).get("NetworkSettings") or {}).get("Networks") or {}
        return [
            (network, str(ipaddress.ip_interface(f"{found[address]}/{found[length]}").network))
            for network, found in networks.items()
            for address, length in (("IPAddress", "IPPrefixLen"), ("GlobalIPv6Address", "GlobalIPv6PrefixLen"))
            if found.get(address)
        ]


def _context_host() -> str:
    """The endpoint of the current Docker context. The SDK alone reads $DOCKER_HOST and no context:
    https://github.com/docker/docker-py/issues/2716"""
    with contextlib.suppress(Exception):
        context = ContextAPI.get_current_context()
        if context is not None and context.Host:
            return str(context.Host)
    return "unix:///var/run/docker.sock"


def _host_config(api: docker.APIClient, spec: ContainerSpec) -> dict[str, Any]:
    found: dict[str, Any] = api.create_host_config(
        cap_drop=list(spec.cap_drop),
        cap_add=list(spec.cap_add),
        security_opt=list(spec.security_opt),
        devices=list(spec.devices),
        device_cgroup_rules=list(spec.device_cgroup_rules),
        tmpfs=dict(spec.tmpfs),
        binds=list(spec.mounts),
        sysctls=dict(spec.sysctls),
        port_bindings=port_bindings(spec.ports),
        network_mode=spec.network or "default",
        pid_mode=spec.pid_namespace or None,
        auto_remove=spec.remove_when_ended,
        cgroupns=spec.cgroup_namespace or None,
        log_config=None if spec.logged else LogConfig(type=LogConfig.types.NONE),
    )
    if not spec.system_paths_masked:  # what the command line calls --security-opt systempaths=unconfined
        found |= {"MaskedPaths": [], "ReadonlyPaths": []}
    return found


@contextlib.contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except docker.errors.DockerException as error:
        raise DockerError(f"Docker could not {what}", detail=_words(error)) from error
    except requests.RequestException as error:
        raise DockerError("Docker does not answer any more", detail=_root_cause(error), hint=START_HINT) from error


def _words(error: BaseException) -> str:
    return str(getattr(error, "explanation", None) or error)


def _root_cause(error: BaseException) -> str:
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return str(error)


def _selector(labels: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" if value else name for name, value in labels.items()]


def _sparse_name(attrs: Mapping[str, Any]) -> str:
    return str(attrs.get("Names", ["/"])[0]).lstrip("/")
