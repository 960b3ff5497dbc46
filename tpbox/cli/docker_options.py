"""docker's own options on tpbox's command line.

Those that tpbox reads are options of `run` like any other. The rest of `docker create`'s pass to docker unchanged;
those that cannot work where a network namespace is shared are refused with the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from tpbox.errors import UsageError

_KEY = "tpbox.docker_options"

# `docker create --help`, v28, less what tpbox reads itself and what is refused.
_WITH_VALUE = (
    "annotation attach blkio-weight blkio-weight-device cap-add cap-drop cgroup-parent cgroupns cidfile cpu-period "
    "cpu-quota cpu-rt-period cpu-rt-runtime cpu-shares cpus cpuset-cpus cpuset-mems device device-cgroup-rule "
    "device-read-bps device-read-iops device-write-bps device-write-iops gpus group-add health-cmd "
    "health-interval health-retries health-start-interval health-start-period health-timeout ipc isolation "
    "kernel-memory label label-file log-driver log-opt memory memory-reservation memory-swap memory-swappiness mount "
    "oom-score-adj pid pids-limit pull restart runtime security-opt shm-size stop-signal stop-timeout storage-opt "
    "sysctl tmpfs ulimit userns uts volume-driver volumes-from"
).split()
_SHORT = {"attach": "-a", "cpu-shares": "-c", "label": "-l", "memory": "-m"}
_FLAGS = ("disable-content-trust", "no-healthcheck", "oom-kill-disable", "privileged", "read-only")

_SHARED = "the process lives in the helper's network namespace, which has the pod's"
_REFUSED = {
    "network": f"{_SHARED} network",
    "net": f"{_SHARED} network",
    "network-alias": f"{_SHARED} network",
    "ip": f"{_SHARED} address",
    "ip6": f"{_SHARED} address",
    "mac-address": f"{_SHARED} network",
    "dns": f"{_SHARED} resolver",
    "dns-option": f"{_SHARED} resolver",
    "dns-search": f"{_SHARED} resolver",
    "hostname": f"{_SHARED} hostname",
    "domainname": f"{_SHARED} hostname",
    "add-host": f"{_SHARED} hosts file",
    "link": f"{_SHARED} network",
    "link-local-ip": f"{_SHARED} network",
}
_REFUSED_FLAGS = {
    "publish-all": "name each port: -p 8080",
    "detach": "tpbox run stays in the foreground; let the shell put it into the background with &",
}
_REFUSED_SHORT = {"publish-all": "-P", "detach": "-d"}


def _names(name: str, short: str) -> list[str]:
    return [f"--{name}", *([short] if short else [])]


def _keep(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    kept: list[str] = ctx.meta.setdefault(_KEY, [])
    option = max(param.opts, key=len)
    if value is True:
        kept.append(option)
    elif value:
        for one in value:
            kept += [option, one]


def _refuse(reason: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def check(_: click.Context, param: click.Parameter, value: Any) -> None:
        if value:
            raise UsageError(f"{max(param.opts, key=len)} cannot work here: {reason}", hint="Leave it out.")

    return check


def passed_on(command: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator: the command takes docker's other options, unseen in its help; taken() gives them."""
    hidden: dict[str, Any] = {"hidden": True, "expose_value": False}
    for name in _WITH_VALUE:
        command = click.option(*_names(name, _SHORT.get(name, "")), multiple=True, callback=_keep, **hidden)(command)
    for name in _FLAGS:
        command = click.option(f"--{name}", is_flag=True, callback=_keep, **hidden)(command)
    for name, reason in _REFUSED.items():
        names = _names(name, _REFUSED_SHORT.get(name, ""))
        command = click.option(*names, multiple=True, callback=_refuse(reason), **hidden)(command)
    for name, reason in _REFUSED_FLAGS.items():
        names = _names(name, _REFUSED_SHORT.get(name, ""))
        command = click.option(*names, is_flag=True, callback=_refuse(reason), **hidden)(command)
    return command


def taken(ctx: click.Context) -> tuple[str, ...]:
    """The options that pass_on() kept, as words for `docker create`."""
    return tuple(ctx.meta.get(_KEY, ()))
