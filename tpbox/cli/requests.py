"""What the words of `run`, `shell`, `up` and `exec` ask for. Each raises UsageError.

request = requests.of_run(ctx, command, chosen)
request = requests.of_up("dev", chosen)
process = requests.process(ctx, command, chosen)
session.run(request, console, requests.outputs(chosen))
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tpbox import names
from tpbox.cli import docker_options, options
from tpbox.errors import UsageError
from tpbox.plan.request import (
    DEFAULT_RESTORE_WAIT,
    NATIVE_LATER,
    Composed,
    ProcessOptions,
    SessionRequest,
    parse_ports,
    parse_service_name,
    parse_workload,
)
from tpbox.plan.volumes import VolumeOptions, parse_volumes

if TYPE_CHECKING:
    from tpbox.session import Outputs


def of_run(ctx: click.Context, command: tuple[str, ...], chosen: dict[str, Any]) -> SessionRequest:
    """A session with its one process."""
    if not chosen["image"]:
        raise UsageError(NATIVE_LATER, hint="Name its image: --image IMAGE")
    return _request(process(ctx, command, chosen, with_modes=True), chosen)


def of_up(name: str, chosen: dict[str, Any]) -> SessionRequest:
    """A named session; its process is what all processes in it have in common."""
    _, dockers = parse_volumes(chosen["volume"])
    if dockers:
        raise UsageError(f"-v {dockers[0]}: a session has no volumes of its own", hint="Name them with `tpbox exec`.")
    common = ProcessOptions(
        image=chosen["image"], environment=options.environment(chosen), ports=_ports(chosen["publish"])
    )
    return replace(_request(common, {**chosen, "keep": False}, name), composed=_composed(chosen["composed"]))


def process(
    ctx: click.Context, command: tuple[str, ...], chosen: dict[str, Any], *, with_modes: bool = False
) -> ProcessOptions:
    """A process in a session. `with_modes`: how the pod's volumes are seen may be said with it."""
    if chosen["tty"] and not os.isatty(0):
        raise UsageError("-t: the standard input is not a terminal", hint="Leave -t out.")
    if chosen["name"].startswith(names.of("")):
        raise UsageError(f"--name {chosen['name']}: names that begin so are tpbox's own", hint="Choose another name.")
    ours, dockers = parse_volumes(chosen["volume"])
    if ours and not with_modes:
        path, mode = next(iter(ours.items()))
        raise UsageError(f"--volume {path}={mode} is said when the session begins", hint="See: tpbox up --help")
    return ProcessOptions(
        image=chosen["image"],
        command=command,
        environment=options.environment(chosen),
        ports=_ports(chosen["publish"]),
        volumes=dockers,
        user=chosen["user"],
        workdir=chosen["workdir"],
        entrypoint=chosen["entrypoint"],
        platform=chosen["platform"],
        name=chosen["name"],
        init=chosen["init"],
        tty=chosen["tty"],
        extra=docker_options.taken(ctx),
    )


def check_of_process(ctx: click.Context) -> None:
    """What is the session's was said when that began. Raises UsageError."""
    common = {*options.names([*options.PROCESS, *options.ENVIRONMENT, options.IMAGE]), "session", "command"}
    for parameter in ctx.command.params:
        given = ctx.get_parameter_source(parameter.name or "") is click.core.ParameterSource.COMMANDLINE
        if given and parameter.expose_value and parameter.name not in common:
            option = max(parameter.opts, key=len)
            raise UsageError(
                f"{option} is said when the session begins", hint=f"For instance: tpbox up NAME {option} …"
            )


def outputs(chosen: dict[str, Any], **more: Any) -> Outputs:
    """Where the session is written down, looked at beforehand."""
    from tpbox.local import environment_file
    from tpbox.session import Outputs

    for option in ("report", "events"):
        folder = Path(chosen[option]).parent
        if chosen[option] and not os.access(folder, os.W_OK):
            raise UsageError(f"--{option}: {folder} is not a folder that can be written")
    if chosen["write_env"] and chosen["write_env"] == chosen["write_env_json"]:
        raise UsageError("--write-env and --write-env-json name the same file", hint="Give each a file of its own.")
    for option in ("write_env", "write_env_json"):
        if chosen[option]:
            environment_file.check(f"--{option.replace('_', '-')}", chosen[option])
    wanted = {name: chosen[name] for name in ("events", "report", "write_env", "write_env_json")}
    return Outputs(**wanted, **more)


def _request(common: ProcessOptions, chosen: dict[str, Any], name: str = "") -> SessionRequest:
    options.check_kubeconfig(chosen["kubeconfig"])
    options.check_together(chosen)
    return SessionRequest(
        process=common,
        session_name=name,
        kubeconfig=chosen["kubeconfig"] and str(Path(chosen["kubeconfig"]).absolute()),
        like=parse_workload(chosen["like"]) if chosen["like"] else None,
        swap=parse_workload(chosen["swap"], "--swap") if chosen["swap"] else None,
        restore_wait=DEFAULT_RESTORE_WAIT if chosen["restore_wait"] is None else chosen["restore_wait"],
        inbound=options.inbound(chosen),
        outside=options.outside(chosen),
        as_name=parse_service_name(chosen["as_name"]) if chosen["as_name"] else "",
        engine=_choice("--engine", chosen["engine"], {"auto", "netstack", "sshuttle"}, set()),
        method=_choice("--method", chosen["method"], {"auto", "container"}, {"namespace", "shim"}),
        volumes=VolumeOptions(chosen["volumes"], parse_volumes(chosen["volume"])[0]),
        **{name: chosen[name] for name in _AS_THEY_ARE},
    )


def _composed(path: str) -> Composed | None:
    """What `tpbox compose` has written for the session that it starts."""
    return Composed.of(json.loads(Path(path).read_text())) if path else None


# Of SessionRequest: what the option says is what it holds.
_AS_THEY_ARE = (
    "context", "namespace", "service_account", "now", "take_over", "grace", "helper_image", "pod_image", "pod_cpu",
    "pod_memory", "pull_secret", "service_links", "env_exclude", "keep",
)  # fmt: skip


def _ports(given: tuple[str, ...]) -> Any:
    return tuple(port for text in given for port in parse_ports(text))


def _choice(option: str, value: str, here: set[str], later: set[str]) -> Any:
    known = ", ".join(sorted(here))
    if value in later:
        raise UsageError(f"{option} {value} comes in a later version", hint=f"For now: {option} {known}")
    if value not in here:
        raise UsageError(f"{option} '{value}' is not known", hint=f"Choose one of: {known}")
    return value
