"""The override: a Compose file beside the user's own, in which helpers hold the networks of the services in the
cluster. Pure.

    written = override(plan, {"web": Planned(…)})      # plain data, RESET where the user's own is to go
    dump(written)                                      # as Compose reads it, from 2.20 on (`!reset`)

`docker compose -f compose.yaml -f override.yaml up` then does the rest.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from tpbox.plan.compose.local_names import container_names, networks_of
from tpbox.plan.compose.project import ClusterService, ComposePlan
from tpbox.plan.containers import ContainerSpec

OUTWARD = "tpbox-outward"  # the override's own network
HEALTHY = "/run/tpbox/healthy"  # the helper has it while the service can run

# These belong to the network namespace, which is the helper's: Docker refuses them beside `network_mode: service:…`.
# https://github.com/moby/moby/blob/v28.2.2/runconfig/hostconfig_unix.go
_MOVED = ("ports", "expose", "links", "external_links", "mac_address")
_RESET = (*_MOVED, "networks", "hostname", "domainname", "dns", "dns_search", "dns_opt", "extra_hosts")
_HELPERS_OWN = ("profiles", "hostname")  # the user's word, where there is one

# Engines before 25 do not know start_interval; a failed test within start_period does not count.
_HEALTHCHECK = {
    "test": ["CMD", "test", "-e", HEALTHY],
    "interval": "2s",
    "timeout": "5s",
    "retries": 60,
    "start_period": "60s",
}


class Reset:
    """What the user's own file says here is to go."""


RESET = Reset()


@dataclass(frozen=True)
class Copy:
    """A Docker volume that the helper fills with the pod's."""

    volume: str
    read_only: bool = False


@dataclass(frozen=True)
class Planned:
    """What the session of a service came to. `network`: a Docker network by which the API server is reached, if any."""

    session: str
    helper: ContainerSpec
    app_labels: Mapping[str, str]
    env_file: str
    copies: Mapping[str, Copy] = field(default_factory=dict)  # by path in the service's container
    network: str = ""


def planned(data: Mapping[str, Any]) -> Planned:
    """Out of the JSON that the session has told. Raises KeyError or TypeError when it is something else."""
    spec: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in data["helper"].items()}
    copies = {path: Copy(**copy) for path, copy in data["copies"].items()}
    return Planned(**{**data, "helper": ContainerSpec(**spec), "copies": copies})


def override(plan: ComposePlan, sessions: Mapping[str, Planned]) -> dict[str, Any]:
    """The file as data. `sessions` has one for each service of the plan."""
    services: dict[str, Any] = {}
    networks: dict[str, Any] = {}
    volumes: dict[str, Any] = {}
    for service in plan.services:
        planned = sessions[service.name]
        way_out = _way_out(plan, service, planned)
        networks |= {name: settings for name, settings in way_out.items() if name not in plan.networks}
        mounted = [*_mounts(planned.helper), *_copies(service, planned)]
        volumes |= {m["source"]: {"external": True, "name": m["source"]} for m in mounted if m["type"] == "volume"}
        services[service.helper] = _helper(service, planned, way_out)
        services[service.name] = _app(service, planned)
    services |= {name: _follower(leader) for name, leader in plan.followers.items()}
    return {"services": services, **_filled(networks=networks, volumes=volumes)}


def _way_out(plan: ComposePlan, service: ClusterService, planned: Planned) -> dict[str, Any]:
    """The network, if any, that the helper needs besides the service's own to reach the API server."""
    if planned.network:
        # The project may have the same one under a name of its own.
        key = next((key for key, name in plan.networks.items() if name == planned.network), planned.network)
        return {key: {"external": True, "name": planned.network}}
    # Networks that lead nowhere stay so for the service: the helper's filter lets nothing but its own traffic out.
    return {OUTWARD: {}} if service.internal else {}


def _helper(service: ClusterService, planned: Planned, way_out: Mapping[str, Any]) -> dict[str, Any]:
    spec, model = planned.helper, service.model
    sysctls = {name: value for name, value in (model.get("sysctls") or {}).items() if name.startswith("net.")}
    own = {key: model.get(key) for key in (*_HELPERS_OWN, *_MOVED)}
    return {
        "container_name": spec.name,
        "image": spec.image,
        # tpbox has built or pulled it; its own ones are in no registry.
        **_filled(pull_policy="never" if "/" not in spec.image else ""),
        **_filled(command=list(spec.command), hostname=spec.hostname),
        "labels": dict(spec.labels),
        "restart": "no",
        "attach": False,  # `up` shows what the user's services print
        **_filled(
            cap_drop=list(spec.cap_drop),
            cap_add=list(spec.cap_add),
            security_opt=list(spec.security_opt),
            devices=list(spec.devices),
            sysctls={**spec.sysctls, **sysctls},
            tmpfs=[f"{path}:{options}" if options else path for path, options in spec.tmpfs.items()],
            volumes=list(_mounts(spec)),
            logging={} if spec.logged else {"driver": "none"},
        ),
        "healthcheck": dict(_HEALTHCHECK),
        "networks": {**dict.fromkeys(way_out), **_networks(service)},
        **_filled(**own),
    }


def _networks(service: ClusterService) -> dict[str, Any]:
    """The service's networks, on which the helper answers to its names too."""
    names = [service.name, *container_names(service.project, service.name, service.model)]
    return {
        name: {**settings, "aliases": list(dict.fromkeys([*(settings.get("aliases") or ()), *names]))}
        for name, settings in networks_of(service.model).items()
    }


def _app(service: ClusterService, planned: Planned) -> dict[str, Any]:
    return {
        **_behind(service),
        **{key: RESET for key in _RESET if service.model.get(key)},
        **_filled(
            sysctls=_without_networks(service.model.get("sysctls") or {}),
            env_file=[planned.env_file] if planned.env_file else [],
            labels=dict(planned.app_labels),
            volumes=list(_copies(service, planned)),
        ),
    }


def _behind(leader: ClusterService) -> dict[str, Any]:
    """In the leader's helper's network, and only once it leads to the cluster."""
    return {
        "network_mode": f"service:{leader.helper}",
        "depends_on": {leader.helper: {"condition": "service_healthy", "restart": True}},
    }


def _follower(leader: ClusterService) -> dict[str, Any]:
    """`network_mode: service:LEADER`, which is now its helper's, has been a reason to start the leader."""
    behind = _behind(leader)
    return {**behind, "depends_on": {**behind["depends_on"], leader.name: {"condition": "service_started"}}}


def _without_networks(sysctls: Mapping[str, str]) -> dict[str, Reset] | Reset | None:
    """net.* go to the helper. Compose resets single keys only where the user has written a mapping, so all go at once
    where that is the same."""
    moved = [name for name in sysctls if name.startswith("net.")]
    if not moved:
        return None
    return RESET if len(moved) == len(sysctls) else dict.fromkeys(moved, RESET)


def _mounts(spec: ContainerSpec) -> Iterator[dict[str, Any]]:
    for mount in spec.mounts:
        source, target, *mode = mount.split(":")
        kind = "bind" if source.startswith("/") else "volume"
        read_only = "ro" in "".join(mode).split(",")
        yield {"type": kind, "source": source, "target": target, **({"read_only": True} if read_only else {})}


def _copies(service: ClusterService, planned: Planned) -> Iterator[dict[str, Any]]:
    """The pod's volumes; not those that the service covers with something of its own."""
    model = service.model
    own = [volume["target"] for volume in model.get("volumes") or ()]
    own += [text.partition(":")[0] for text in _listed(model.get("tmpfs"))]
    for path, copy in planned.copies.items():
        if any(f"{path}/".startswith(f"{posixpath.normpath(target).rstrip('/')}/") for target in own):
            continue
        mount = {"type": "volume", "source": copy.volume, "target": path, "volume": {"nocopy": True}}
        yield {**mount, **({"read_only": True} if copy.read_only else {})}


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())


def _filled(**values: Any) -> dict[str, Any]:
    """Those that say something."""
    return {key: value for key, value in values.items() if value}


class _Dumper(yaml.SafeDumper):
    """YAML as Compose reads it."""

    def ignore_aliases(self, _: Any) -> bool:
        """Each thing is written out where it stands."""
        return True

    def text(self, value: str) -> yaml.Node:
        """PyYAML knows YAML 1.1 and Compose 1.2, to which 1e3 and 0o17 are numbers: quotes for all that begins so."""
        plain = value[:1].isalpha() or value.startswith("/")
        return self.represent_scalar("tag:yaml.org,2002:str", value, style=None if plain else '"')


_Dumper.add_representer(str, _Dumper.text)
_Dumper.add_representer(Reset, lambda dumper, _: dumper.represent_sequence("!reset", [], flow_style=True))

_HEADER = "# Written by tpbox compose, which writes it again; without the sessions it is of no use.\n"


def dump(written: Mapping[str, Any]) -> str:
    """The text of the file; `$$` is Compose's `$`."""
    text: str = yaml.dump(_escaped(written), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)
    return _HEADER + text


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, Mapping):
        return {key: _escaped(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_escaped(inner) for inner in value]
    return value
