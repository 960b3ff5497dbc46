"""Which names a service in the cluster resolves as Compose's own, before the pod's resolver is asked. Pure.

Docker's resolver knows each container on a shared network by its service, its own name and its aliases, each also as
NAME.NETWORK; and a service's links by the names that it gave them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tpbox.errors import UsageError
from tpbox.plan.compose.request import FIELD, ServiceRequest, nearest

HELPER_SUFFIX = "-tpbox"


def networks_of(service: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Its networks with their settings; a service that names none is on the default one."""
    given = service.get("networks") or {"default": None}
    return {name: settings or {} for name, settings in given.items()}


def container_names(project: str, name: str, service: Mapping[str, Any]) -> list[str]:
    """Of the service's containers, as Compose gives them."""
    if service.get("container_name"):
        return [service["container_name"]]
    replicas = service.get("scale") or (service.get("deploy") or {}).get("replicas") or 1
    return [f"{project}-{name}-{number}" for number in range(1, replicas + 1)]


def local_names(model: Mapping[str, Any], name: str, request: ServiceRequest) -> tuple[str, ...]:
    """The names, sorted. Raises UsageError for a `prefer-cluster` that is not among them."""
    found = set(_shared(model, name))
    for preferred in request.prefer_cluster:
        if preferred not in found:
            raise UsageError(
                f"service {name}: {FIELD}: prefer-cluster: no Compose service that it shares a network with is called "
                f"'{preferred}': the cluster has that name to itself",
                hint=nearest(preferred, found, "The names"),
            )
    return tuple(sorted(found - set(request.prefer_cluster)))


def _shared(model: Mapping[str, Any], name: str) -> Iterator[str]:
    services = model["services"]
    mine = networks_of(services[name])
    links = [link.rpartition(":")[2] for key in ("links", "external_links") for link in services[name].get(key) or ()]
    for network in mine:
        full = ((model.get("networks") or {}).get(network) or {}).get("name", network)
        names = [*links, *(known for other in services for known in _known(model, other, network))]
        for known in names:
            yield known
            yield f"{known}.{full}"


def _known(model: Mapping[str, Any], name: str, network: str) -> Iterator[str]:
    """The names of one service on a network."""
    project, service = model["name"], model["services"][name]
    networks = networks_of(service)
    if service.get("network_mode") or network not in networks:
        return
    yield name
    yield from container_names(project, name, service)
    yield from networks[network].get("aliases") or ()
    if FIELD in service:
        yield f"{name}{HELPER_SUFFIX}"
