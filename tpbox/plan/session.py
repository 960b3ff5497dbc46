"""The plan of a session: everything that will be made, before anything is made. Pure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from tpbox import names
from tpbox.plan import engine, kubeconfig
from tpbox.plan.clone import NEW, Clone, Swapped
from tpbox.plan.containers import ContainerSpec
from tpbox.plan.guard import Guard
from tpbox.plan.inbound import SSH_PORT, Inbound
from tpbox.plan.kubeconfig import ApiServer, Credential
from tpbox.plan.outside import Found
from tpbox.plan.process import ProcessPlan
from tpbox.plan.proxy_pod import ProxyPod, job, service_of
from tpbox.plan.request import Composed, ProcessOptions, SessionRequest
from tpbox.plan.swap import record_name
from tpbox.plan.volumes import (
    COPIES,
    GATE_IN_HELPER,
    Mounted,
    VolumeOptions,
    Volumes,
    decide,
    own_targets,
)

METHOD = "container"

# What the supervisor needs: addresses, routes and iptables of its own network namespace.
HELPER_CAPABILITIES = ("NET_ADMIN",)
HELPER_RUNTIME_DIR = "/run/tpbox"
# What it needs besides where volumes are live: FUSE.
MOUNTING_CAPABILITIES = ("SYS_ADMIN",)
FUSE_DEVICE = "/dev/fuse"
STANDING = ("stand",)  # it waits for its supervisor, where Docker Compose starts it
MOVER_CAPABILITIES = ("SYS_ADMIN", "SYS_CHROOT", "SYS_PTRACE")
UNCONFINED = "apparmor=unconfined"  # Docker's own profile forbids every mount


@dataclass(frozen=True)
class Facts:
    """What preflight found: the Docker engine, the cluster, and what the request's words mean there."""

    owner: str
    docker_host: str
    context: str
    namespace: str
    kubeconfig: str
    credential: Credential
    server: ApiServer
    embedded: bool
    like: Clone | None = None
    swap: Swapped | None = None
    remarks: tuple[str, ...] = ()  # what the user is to know before anything is made
    outside: Found = field(default_factory=Found)
    not_live: str = ""  # why volumes cannot be live with this Docker engine
    not_exact: str = ""  # why the engine netstack cannot be had
    ipv6: bool = False  # whether the Docker engine's kernel has IPv6, as far as one can tell


@dataclass(frozen=True)
class SessionPlan:
    """A session, complete but for the images' tags (found by building them) and the keys (made in memory)."""

    session: str
    request: SessionRequest
    facts: Facts

    @property
    def name(self) -> str:
        return names.of(self.session)

    @property
    def app_name(self) -> str:
        return self.request.process.name or names.of(self.session, "app")

    @property
    def mover_name(self) -> str:
        return names.of(self.session, "mover")

    @property
    def target(self) -> str:
        """The request's, with what was found for its words."""
        found = self.facts.swap.ref if self.facts.swap else None
        return replace(self.request, swap=found, as_name=self.service_name).target

    @property
    def clone(self) -> Clone:
        """What the proxy pod takes from a workload."""
        return self.facts.swap.clone if self.facts.swap else self.facts.like or NEW

    @property
    def hostname(self) -> str:
        """The proxy pod's, which is the helper's too."""
        return self.clone.hostname or self.name

    @property
    def inbound(self) -> Inbound:
        """What the user named, and the swapped container's own ports."""
        asked = self.request.inbound
        return asked.with_own(self.facts.swap.ports) if self.facts.swap else asked

    @property
    def service_name(self) -> str:
        """Of a new pod's Service; empty where there is none: a workload has its own."""
        if self.facts.swap or not self.request.inbound.exposed:
            return ""
        return self.request.as_name or self.name

    @property
    def engine(self) -> engine.Engine:
        return engine.choose(self.request.engine, self.facts.not_exact)

    @property
    def volumes(self) -> Volumes:
        """Raises DockerError when they were to be live, and cannot be."""
        process = self.request.process
        return decide(
            self.session,
            VolumeOptions("off") if self.request.looks_only else self.request.volumes,
            own_targets(process.volumes, process.extra),
            self.clone.mount_paths(),
            self.facts.not_live,
        )

    def with_copies(self, reason: str) -> SessionPlan:
        """The same plan where it has turned out that volumes cannot be live."""
        return replace(self, facts=replace(self.facts, not_live=reason))

    def with_sshuttle(self, reason: str) -> SessionPlan:
        """The same plan where it has turned out that the engine netstack cannot work. Raises TunnelError when it was
        to be that one."""
        engine.check(self.request.engine, reason)
        return replace(self, facts=replace(self.facts, not_exact=reason))

    def objects(self) -> list[tuple[str, str]]:
        """All that will be made, by kind and name, in this order."""
        volumes = [("volume", name) for name in self.volumes.copies().values()]
        mover = [("container", self.mover_name)] if self.volumes.live else []
        swapped = [("lease", record_name(taken.ref.kind, taken.ref.name))] if (taken := self.facts.swap) else []
        service = [("service", self.service_name)] if self.service_name else []
        app = [("container", self.app_name)] if self.request.process.image and not self.request.session_name else []
        containers = [("container", self.name), *app]
        files = [("file", composed.env_file)] if (composed := self.request.composed) else []
        return [*swapped, ("job", self.name), *service, *volumes, *mover, *containers, *files]

    def proxy_pod(self, image: str, authorized_key: str) -> ProxyPod:
        request = self.request
        return ProxyPod(
            session=self.session,
            owner=self.facts.owner,
            namespace=self.facts.namespace,
            image=image,
            authorized_key=authorized_key,
            grace=request.grace,
            cpu=request.pod_cpu,
            memory=request.pod_memory,
            service_account=request.service_account,
            pull_secret=request.pull_secret,
            service_links=request.service_links,
            clone=self.clone,
            inbound=self.inbound,
            # Whoever is swapped goes when the pod is Ready; and a Service leads to no pod that is not.
            probed=bool(self.facts.swap or self.inbound.exposed),
            engine_port=engine.PORT if self.engine == "netstack" else 0,
        )

    def service(self, job_uid: str) -> dict[str, Any]:
        """The manifest of the Service that service_name names, once its owner is there."""
        facts = self.facts
        return service_of(self.service_name, self.session, facts.owner, facts.namespace, self.inbound, job_uid)

    def guard(self, job_uid: str) -> Guard | None:
        """What lets the agent give the workload back by itself, once its owner is there."""
        if not (taken := self.facts.swap):
            return None
        return Guard(
            session=self.session,
            owner=self.facts.owner,
            namespace=self.facts.namespace,
            grace=self.request.grace,
            job_uid=job_uid,
            kind=taken.ref.kind,
            workload=taken.ref.name,
        )

    def helper(self, image: str, gate: str = "") -> ContainerSpec:
        """The helper: named capabilities, nothing written to a disk, gone when it ends. `gate`: a Docker volume that
        Docker fills from the image."""
        live, exact = self.volumes.live, self.engine == "netstack"
        return ContainerSpec(
            name=self.name,
            image=image,
            labels=names.labels(names.Role.HELPER, self.session, self.facts.owner),
            command=STANDING if self.request.composed else (),
            hostname=self.hostname,
            network=self.facts.server.network,
            cap_drop=("ALL",),
            cap_add=(*HELPER_CAPABILITIES, *(MOUNTING_CAPABILITIES if live else ())),
            security_opt=("no-new-privileges", *((UNCONFINED,) if live else ())),
            devices=(*((FUSE_DEVICE,) if live else ()), *((engine.TUN_DEVICE,) if exact else ())),
            mounts=(
                *((f"{gate}:{GATE_IN_HELPER}",) if gate else ()),
                *(f"{name}:{COPIES}/{name}" for name in self.volumes.copies().values()),
            ),
            tmpfs={HELPER_RUNTIME_DIR: "mode=0700"},
            sysctls=engine.sysctls(self.facts.ipv6) if exact else {},
            ports=self.request.process.ports,
            stdin=True,
            remove_when_ended=True,
            logged=bool(self.request.composed),  # `docker compose logs` reads all of them; this one says nothing
        )

    def mover(self, image: str) -> ContainerSpec:
        """What moves mounts from the helper to the user's container: for a moment, and with the host's pids."""
        return ContainerSpec(
            name=self.mover_name,
            image=image,
            labels=names.labels(names.Role.MOVER, self.session, self.facts.owner),
            command=("move",),
            network="none",
            pid_namespace="host",
            cap_drop=("ALL",),
            cap_add=MOVER_CAPABILITIES,
            security_opt=("no-new-privileges", UNCONFINED, "seccomp=unconfined"),
            stdin=True,
            remove_when_ended=True,
            logged=False,
        )

    def configuration(
        self, pod: str, private_key: str, host_key: str, local_networks: Iterable[str] = ()
    ) -> dict[str, Any]:
        """The `configure` command of the control channel (docs/architecture.md). `local_networks`: the helper's own,
        of a Compose project."""
        return {
            "command": "configure",
            "session": self.session,
            "namespace": self.facts.namespace,
            "pod": pod,
            "ssh": {"port": SSH_PORT, "user": "tpbox", "privateKey": private_key, "hostKey": host_key},
            "kubeconfig": kubeconfig.minimal(self.facts.credential, self.facts.server),
            "engine": {
                "name": self.engine,
                "port": engine.PORT,
                "bypass": [self.facts.server.endpoint],
                **self._outside(local_networks),
            },
            "volumes": self.volumes.configuration(),
            "inbound": self.inbound.configuration(),
        }

    def _outside(self, local_networks: Iterable[str]) -> dict[str, Any]:
        composed = self.request.composed or Composed()
        found = self.request.outside.configuration(self.facts.outside, composed.local_names)
        hosts = {name: list(addresses) for name, addresses in composed.hosts.items()}
        return {**found, "never": [*found["never"], *local_networks], "hosts": {**found["hosts"], **hosts}}

    def identity(self, pod: str) -> dict[str, str]:
        """The variables by which the process knows where it lives."""
        return {
            "TPBOX_SESSION": self.session,
            "TPBOX_POD": pod,
            "TPBOX_NAMESPACE": self.facts.namespace,
            "TPBOX_CONTAINER": self.clone.container["name"],
        }

    def process(self, options: ProcessOptions, name: str = "") -> ProcessPlan:
        """A container in this session; without a name it is that of `tpbox run`."""
        return ProcessPlan(self.session, self.facts.owner, self.name, options, name or self.app_name, self.request.keep)

    def describe(self) -> list[str]:
        """For --dry-run: what would be made, in the order in which it would be."""
        facts, process = self.facts, self.request.process
        helper = self.helper("tpbox-local:HASH")
        pod = job(self.proxy_pod("tpbox-proxy-pod:HASH", "ssh-ed25519 …"))
        return [
            f"cluster   context {facts.context}, namespace {facts.namespace}, API server {facts.server.endpoint}",
            f"target    {self.target}",
            f"engine    {engine.words(self.request.engine, self.facts.not_exact)}; method {METHOD}",
            f"pod       {json.dumps(pod, indent=1)}",
            *([f"service   {json.dumps(self.service('UID'), indent=1)}"] if self.service_name else []),
            f"inbound   {self.inbound.words()}",
            f"outbound  {self.request.outside.words(facts.outside)}",
            *(f"swap      {words}" for words in (facts.swap.words(self.request.now) if facts.swap else ())),
            f"helper    {helper.name}: hostname {helper.hostname}; capabilities {', '.join(helper.cap_add)}; "
            f"network {helper.network or 'bridge'}; ports {', '.join(map(str, process.ports)) or 'none'}",
            f"volumes   {self.volumes.words()}",
            *self._described_process(),
        ]

    def _described_process(self) -> list[str]:
        if self.request.session_name:
            return [f"process   tpbox exec {self.request.session_name} starts them"]
        return [f"process   {shlex.join(self.process(self.request.process).create_command('', (), Mounted()))}"]
