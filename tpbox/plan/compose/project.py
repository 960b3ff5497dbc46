"""The services of a Compose project that live in the cluster, and what is wrong with them. Pure.

found = plan(model)             # what `docker compose config` says
found.services[0].words         # of `tpbox up PROJECT-SERVICE …`
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tpbox.errors import UsageError
from tpbox.plan.compose.local_names import HELPER_SUFFIX, local_names, networks_of
from tpbox.plan.compose.request import EXAMPLE, FIELD, ServiceRequest, parse

# What a container in another one's network cannot have, and the pod decides.
_UNUSED = ("dns", "dns_search", "dns_opt", "domainname")
_UNUSED_REASON = "names are the pod's resolver's"

_GLOB = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class ClusterService:
    """A service with x-tpbox: what its session is to be, and what its helper takes over from it."""

    name: str
    project: str
    request: ServiceRequest
    model: Mapping[str, Any]  # as Compose has it
    local_names: tuple[str, ...]  # Docker's resolver answers for these, the pod's for all others
    hosts: Mapping[str, tuple[str, ...]]  # its extra_hosts: lines of the helper's hosts file
    internal: bool = False  # none of its networks leads out of this machine
    warnings: tuple[str, ...] = ()

    @property
    def session(self) -> str:
        """The name of its session."""
        return f"{self.project}-{self.name}"

    @property
    def helper(self) -> str:
        """The service of the override that is its helper."""
        return f"{self.name}{HELPER_SUFFIX}"

    @property
    def words(self) -> tuple[str, ...]:
        """Of `tpbox up SESSION …`. What the service's own environment says wins over the pod's."""
        own = (_GLOB.sub(r"[\g<0>]", name) for name in self.model.get("environment") or {})
        return (*self.request.words, *(word for name in own for word in ("--env-exclude", name)))


@dataclass(frozen=True)
class ComposePlan:
    """`followers` are services that share the network of one in the cluster: service, and whose helper's it is."""

    project: str
    services: tuple[ClusterService, ...]
    followers: Mapping[str, ClusterService]
    networks: Mapping[str, str]  # the project's: key, and name in Docker

    def only(self, names: Collection[str]) -> ComposePlan:
        """With these services alone."""
        followers = {name: leader for name, leader in self.followers.items() if leader.name in names}
        return replace(
            self, services=tuple(service for service in self.services if service.name in names), followers=followers
        )

    def wanted(self, names: Collection[str]) -> list[ClusterService]:
        """Of these services those that are in the cluster; not one of which the project is to have none."""
        return [service for service in self.services if service.name in names and 0 not in _numbers(service.model)]


def plan(model: Mapping[str, Any]) -> ComposePlan:
    """`model`: what `docker compose config` says. Raises UsageError for what cannot be."""
    project, services = model["name"], model.get("services") or {}
    model = {**model, "services": services}
    requests = {name: parse(name, service[FIELD]) for name, service in services.items() if FIELD in service}
    if not requests:
        raise UsageError(
            f"no service of the project {project} has {FIELD}: none is to live in the cluster",
            hint=f"Give one: {EXAMPLE}",
        )
    _check_workloads(requests)
    for name in requests:
        _check_service(name, services)
    found = {name: _service(model, name, request) for name, request in requests.items()}
    return ComposePlan(
        project=project,
        services=tuple(found.values()),
        followers=dict(_followers(services, found)),
        networks={key: (one or {}).get("name", key) for key, one in (model.get("networks") or {}).items()},
    )


def merged(model: Mapping[str, Any], chosen: Mapping[str, Any]) -> dict[str, Any]:
    """The project with a service that is chosen by its name and otherwise in no active profile."""
    keys = ("services", "networks", "volumes")
    return {**model, **{key: {**(model.get(key) or {}), **(chosen.get(key) or {})} for key in keys}}


def check_scale(plan: ComposePlan, arguments: Sequence[str]) -> None:
    """Raises UsageError when `--scale SERVICE=NUMBER` asks for several of a service in the cluster."""
    names = {service.name for service in plan.services} | {service.helper for service in plan.services}
    for place, word in enumerate(arguments):
        option, equals, value = word.partition("=")
        if option != "--scale":
            continue
        value = value if equals else "".join(arguments[place + 1 : place + 2])
        name, _, number = value.partition("=")
        if name in names and number.strip() != "1":
            raise _one_pod(name, f"--scale {value}", "Leave --scale out.")


def _service(model: Mapping[str, Any], name: str, request: ServiceRequest) -> ClusterService:
    service, known = model["services"][name], model.get("networks") or {}
    return ClusterService(
        name=name,
        project=model["name"],
        request=request,
        model=service,
        local_names=local_names(model, name, request),
        hosts=_hosts(name, service.get("extra_hosts") or ()),
        internal=all((known.get(network) or {}).get("internal") for network in networks_of(service)),
        warnings=tuple(f"service {name}: {key} is not used: {_UNUSED_REASON}" for key in _UNUSED if service.get(key)),
    )


def _check_workloads(requests: Mapping[str, ServiceRequest]) -> None:
    taken: dict[tuple[str, ...], str] = {}
    for name, request in requests.items():
        if not request.workload:
            continue
        if other := taken.get(request.workload):
            raise UsageError(
                f"services {other} and {name} both swap {request.swap}: only one can take its place",
                hint=f"Leave swap out of one of them; like: {request.swap} gives it the same environment.",
            )
        taken[request.workload] = name


def _check_service(name: str, services: Mapping[str, Any]) -> None:
    service = services[name]
    if mode := service.get("network_mode"):
        raise UsageError(
            f"service {name}: network_mode: {mode} and {FIELD} do not go together: in the cluster it has the network "
            "of its helper",
            hint=f"Leave network_mode or {FIELD} out of service {name}.",
        )
    for key, number in zip(("scale", "replicas"), _numbers(service), strict=True):
        if (number or 0) > 1:
            raise _one_pod(name, f"{key}: {number}", f"Leave {key} out of service {name}.")
    helper = f"{name}{HELPER_SUFFIX}"
    if helper in services:
        raise UsageError(
            f"there is a service {helper}: this is what the helper of service {name} is called",
            hint=f"Give service {helper} another name.",
        )


def _numbers(service: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """How many of it there are to be, in the two ways in which that is said."""
    return service.get("scale"), (service.get("deploy") or {}).get("replicas")


def _one_pod(name: str, said: str, hint: str) -> UsageError:
    return UsageError(f"service {name}: {said}: it stands for one pod, so there is one of it", hint=hint)


def _followers(
    services: Mapping[str, Any], found: Mapping[str, ClusterService]
) -> Iterator[tuple[str, ClusterService]]:
    for name, service in services.items():
        kind, _, other = (service.get("network_mode") or "").partition(":")
        if kind == "service" and other in found:
            yield name, found[other]


def _hosts(name: str, lines: Sequence[str] | Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """`HOST=ADDRESS`; Compose before 2.24 says `HOST:ADDRESS`."""
    found: dict[str, tuple[str, ...]] = {}
    pairs = lines.items() if isinstance(lines, Mapping) else (re.split("[=:]", line, maxsplit=1) for line in lines)
    for host, given in pairs:
        for address in [given] if isinstance(given, str) else given:
            if address == "host-gateway":
                raise UsageError(
                    f"service {name}: extra_hosts: {host}: host-gateway: in the cluster there is no gateway to this "
                    "machine",
                    hint=f"A port of this machine is 127.0.0.1:PORT of the service with "
                    f"{FIELD}: {{container-to-host: [PORT]}}",
                )
            found[host] = (*found.get(host, ()), address.strip("[]"))
    return found
