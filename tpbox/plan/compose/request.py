"""`x-tpbox` of one service: words of `tpbox up`, and what Compose alone has. Pure.

parse("web", {"swap": "deploy/web", "expose": [8080]}).words      # ("--swap", "deploy/web", "--expose", "8080", …)
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tpbox.errors import UsageError
from tpbox.plan.request import WorkloadRef, parse_workload

FIELD = "x-tpbox"
EXAMPLE = "x-tpbox: {swap: deploy/web, namespace: shop, expose: [8080]}"

_TEXTS = (
    "swap", "like", "context", "namespace", "kubeconfig", "service-account", "as", "engine", "restore-wait", "grace",
    "pod-image", "helper-image", "pull-secret", "pod-cpu", "pod-memory",
)  # fmt: skip
_LISTS = ("expose", "to-pod", "from-pod", "container-to-host", "env-exclude", "also-proxy", "never-proxy")
_FLAGS = ("now", "take-over", "only-cluster", "service-links")
_ON = frozenset({"service-links"})  # said only where it is not so
_VOLUMES = "volumes"
_PREFER_CLUSTER = "prefer-cluster"
KEYS = (*_TEXTS, *_LISTS, *_FLAGS, _VOLUMES, _PREFER_CLUSTER)

# Compose makes and starts the containers: nobody is there to move a mount into one before its program runs.
_COPIES = {"auto": "copy", "copy": "copy", "off": "off"}
_NOT_LIVE = "Compose starts the container itself, so the pod's volumes cannot be put into it live: they are copies"


@dataclass(frozen=True)
class ServiceRequest:
    """What one x-tpbox asks for. `words` are those of `tpbox up NAME …`."""

    words: tuple[str, ...]
    prefer_cluster: tuple[str, ...] = ()
    swap: WorkloadRef | None = None
    cluster: tuple[str, ...] = ("", "", "")  # kubeconfig, context, namespace; "" is the default one

    @property
    def workload(self) -> tuple[str, ...] | None:
        """Whose place it takes, whichever way that is spelled; None: nobody's."""
        return (*self.cluster, self.swap.kind, self.swap.name) if self.swap else None


def parse(service: str, given: object) -> ServiceRequest:
    """What x-tpbox of this service says; `x-tpbox:` alone is a new pod. Raises UsageError."""
    if given is None:
        given = {}
    if not isinstance(given, Mapping):
        raise UsageError(f"service {service}: {FIELD} is not a mapping", hint=f"For instance: {EXAMPLE}")
    for key in given:
        if key not in KEYS:
            raise UsageError(f"service {service}: {FIELD} has no key '{key}'", hint=nearest(str(key), KEYS, "The keys"))
    words: list[str] = []
    for key, value in given.items():
        words += _words(service, key, value)
    texts = {key: _text(service, key, given[key]) for key in ("kubeconfig", "context", "namespace") if key in given}
    return ServiceRequest(
        words=(*words, "--volumes", _volumes(service, given.get(_VOLUMES, "auto"))),
        prefer_cluster=tuple(_texts(service, _PREFER_CLUSTER, given.get(_PREFER_CLUSTER, []))),
        swap=_swap(service, given),
        cluster=tuple(texts.get(key, "") for key in ("kubeconfig", "context", "namespace")),
    )


def nearest(word: str, known: Iterable[str], all_of_them: str) -> str:
    """A hint: the known word that is like it, else all of them."""
    known = sorted(known)
    near = difflib.get_close_matches(word, known, n=1)
    return f"Did you mean '{near[0]}'?" if near else f"{all_of_them}: {', '.join(known) or 'none'}"


def _words(service: str, key: str, value: object) -> list[str]:
    option = f"--{key}"
    if key in _TEXTS:
        return [option, _text(service, key, value)]
    if key in _LISTS:
        return [word for text in _texts(service, key, value) for word in (option, text)]
    if key in _FLAGS:
        if not isinstance(value, bool):
            raise _wrong(service, key, "true or false", value)
        if key in _ON:
            return [] if value else [f"--no-{key}"]
        return [option] if value else []
    return []


def _text(service: str, key: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
        raise _wrong(service, key, "a text or a number", value)
    return str(value)


def _texts(service: str, key: str, value: object) -> list[str]:
    """A list, or its only member alone."""
    if isinstance(value, Mapping) or value is None:
        raise _wrong(service, key, "a list", value)
    members = value if isinstance(value, list | tuple) else [value]
    return [_text(service, key, member) for member in members]


def _volumes(service: str, value: object) -> str:
    if value == "live":
        raise UsageError(f"service {service}: {FIELD}: volumes: live: {_NOT_LIVE}", hint="What can: volumes: copy")
    if not isinstance(value, str) or value not in _COPIES:
        raise _wrong(service, _VOLUMES, f"one of {', '.join(_COPIES)}", value)
    return _COPIES[value]


def _swap(service: str, given: Mapping[str, object]) -> WorkloadRef | None:
    if "swap" not in given:
        return None
    try:
        return parse_workload(str(given["swap"]), "--swap")
    except UsageError as error:
        raise UsageError(f"service {service}: {error.message}", detail=error.detail, hint=error.hint) from error


def _wrong(service: str, key: str, wanted: str, value: object) -> UsageError:
    kinds = {dict: "a mapping", list: "a list", bool: str(value).lower(), type(None): "nothing"}
    found = kinds.get(type(value), f"'{value}'")
    return UsageError(f"service {service}: {FIELD}: {key} is {wanted}, not {found}", hint=f"For instance: {EXAMPLE}")
