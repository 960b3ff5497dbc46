"""The environment of the user's process, and how it is handed to docker without a value on a command line.

variables = of_process(pod, identity, given, exclude=("KUBERNETES_*",))
fitted = fit(variables, first={*identity, *given})     # .environment, and .left_out by name
transport(fitted.environment)                          # for `docker create`
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

# The process's own: what its image, its user and its terminal say. The pod's would break it.
OWN_NAMES = frozenset({"PATH", "HOME", "HOSTNAME", "PWD", "OLDPWD", "SHLVL", "USER", "LOGNAME", "SHELL", "TERM", "_"})

# docker reads an env file line by line, at most 64 KiB each, and wants plain names:
# https://github.com/docker/cli/blob/v28.2.2/pkg/kvfile/kvfile.go
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_LINE_LIMIT = 60_000
_LONGEST = 128 * 1024 - 1  # the kernel's MAX_ARG_STRLEN, execve(2)

# execve(2): arguments and environment, each with its NUL and its pointer, have a quarter of the stack's limit, which
# is 8 MiB in containers. Measured: 2 090 000 bytes of environment start, 2 097 000 do not.
_EXEC_LIMIT = 2 * 1024 * 1024
_POINTER = 8
# For the program's arguments, the image's own variables, and what the program adds when it starts others.
_ROOM = 256 * 1024
LIMIT = _EXEC_LIMIT - _ROOM  # bytes

# What Kubernetes puts into a pod for each Service: https://kubernetes.io/docs/concepts/services-networking/service/
_ADDRESS = re.compile(r"(.+?)_SERVICE_(?:HOST|PORT(?:_\w+)?)")
_DOCKER_LINK = re.compile(r"(.+?)_PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?")
_API_SERVER = "KUBERNETES"


def of_process(
    pod: Mapping[str, str], identity: Mapping[str, str], given: Mapping[str, str], exclude: Collection[str] = ()
) -> dict[str, str]:
    """tpbox's own variables, the pod's less OWN_NAMES and less those that match a glob of `exclude`, and the user's,
    which win."""
    taken = {
        name: value
        for name, value in pod.items()
        if name not in OWN_NAMES and name not in identity and not any(fnmatchcase(name, glob) for glob in exclude)
    }
    return {**identity, **taken, **given}


@dataclass(frozen=True)
class Fitted:
    """An environment that a process can be started with, and the names of what had no room in it."""

    environment: Mapping[str, str] = field(repr=False)
    left_out: tuple[str, ...] = ()


def fit(variables: Mapping[str, str], first: Collection[str], limit: int = LIMIT) -> Fitted:
    """The variables that fit into `limit` bytes, in their order.

    Those of `first` go first, then what the pod's manifest says, then the API server's address, then the addresses of
    the namespace's Services, then the forms of them that only old Docker links knew. Of a Service either all variables
    of one kind go or none.
    """
    services = {found[1] for name in variables if (found := _ADDRESS.fullmatch(name))}
    groups: dict[tuple[int, str], list[str]] = {}
    for name in variables:
        groups.setdefault((0, name) if name in first else _group(name, services), []).append(name)
    taken: set[str] = set()
    for _, names in sorted(groups.items(), key=lambda group: group[0][0]):
        size = sum(_size(name, variables[name]) for name in names)
        if size <= limit:
            limit -= size
            taken.update(names)
    return Fitted(
        {name: value for name, value in variables.items() if name in taken},
        tuple(name for name in variables if name not in taken),
    )


def left_out_words(fitted: Fitted, total: int) -> str:
    """One line for the user, "" when nothing is left out."""
    left, shown = len(fitted.left_out), ", ".join(fitted.left_out[:3])
    if not left:
        return ""
    return (
        f"{left} of {total} environment variables are left out ({shown}{', …' if left > 3 else ''}): all of them are "
        "more than the kernel lets a program start with (2 MiB). Choose with --env-exclude 'GLOB'"
    )


def _group(name: str, services: Collection[str]) -> tuple[int, str]:
    for rank, pattern in ((3, _ADDRESS), (4, _DOCKER_LINK)):
        found = pattern.fullmatch(name)
        if found and found[1] in services:
            return (2 if found[1] == _API_SERVER else rank, found[1])
    return (1, name)


def _size(name: str, value: str) -> int:
    return _bytes((name, value)) + len("=\0") + _POINTER


def _bytes(parts: Iterable[str]) -> int:
    return sum(len(part.encode(errors="surrogateescape")) for part in parts)


@dataclass(frozen=True)
class Transport:
    """How an environment reaches `docker create`: single lines through --env-file on a pipe; the others by name, the
    value in docker's own environment. `dropped` fits neither way."""

    file: str = field(repr=False)
    by_name: Mapping[str, str] = field(repr=False)
    dropped: tuple[str, ...] = ()


def transport(environment: Mapping[str, str]) -> Transport:
    """Sorts the variables by the way they can go. Their number and the size of their sum do not matter here."""
    lines, by_name, dropped = [], {}, []
    for name, value in environment.items():
        size = _bytes((name, value)) + len("=")
        if _PLAIN_NAME.fullmatch(name) and not re.search(r"[\r\n\0\udc80-\udcff]", value) and size < _LINE_LIMIT:
            lines.append(f"{name}={value}\n")
        elif "\0" in value or size > _LONGEST or name.startswith("DOCKER_"):
            dropped.append(name)  # a DOCKER_ variable of several lines would change what the docker command does
        else:
            by_name[name] = value
    return Transport("".join(lines), by_name, tuple(dropped))
