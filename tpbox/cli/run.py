"""`tpbox run` and `tpbox shell`."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from tpbox.cli import docker_options, options
from tpbox.errors import UsageError
from tpbox.plan.request import (
    DEFAULT_GRACE,
    DEFAULT_RESTORE_WAIT,
    ProcessOptions,
    SessionRequest,
    parse_ports,
    parse_service_name,
    parse_workload,
)
from tpbox.plan.volumes import VolumeOptions, parse_volumes
from tpbox.ui import Console

# `command -v` is POSIX; an image without any shell says so through docker: "sh: executable file not found".
SHELL = ("-c", "if command -v bash >/dev/null 2>&1; then exec bash; else exec sh; fi")

NATIVE_LATER = "native processes come in a later version; for now a process runs in a container"

_OPTIONS: list[Callable[..., Any]] = [
    *options.CLUSTER,
    *options.SWAP,
    *options.INBOUND,
    *options.OUTSIDE,
    *options.POD,
    click.option("--engine", default="auto", metavar="auto|netstack|sshuttle",
                 help="What carries the traffic; auto: netstack, where it can work."),
    click.option("--method", default="auto", metavar="auto|container", help="How the process meets the cluster."),
    click.option("--grace", type=click.IntRange(5, 3600), default=DEFAULT_GRACE, show_default=True, metavar="SECONDS",
                 help="The pod ends by itself when nobody speaks to it for so long."),
    click.option("--image", default="", metavar="IMAGE", help="The process's image."),
    click.option("-p", "--publish", multiple=True, metavar="[IP:]HOST:PORT", help="A port of this machine."),
    click.option("--volume", "-v", "volume", multiple=True, metavar="SRC:DST|PATH=MODE",
                 help="As docker's -v; or how one volume of the pod is seen: live, copy, off."),
    click.option("--volumes", type=click.Choice(["auto", "live", "copy", "off"]), default="auto", show_default=True,
                 help="How the pod's volumes are seen: the pod's own files, a copy of them, or not at all."),
    *options.ENVIRONMENT,
    click.option("--write-env", default="", metavar="FILE", type=options.FILE,
                 help="Write the process's environment to FILE, as dotenv, 0600."),
    click.option("--write-env-json", default="", metavar="FILE", type=options.FILE, help="The same as JSON."),
    click.option("-u", "--user", default="", metavar="USER", help="As docker's -u."),
    click.option("-w", "--workdir", default="", metavar="DIR", help="As docker's -w."),
    click.option("--entrypoint", default=None, metavar="COMMAND", help="As docker's."),
    click.option("--name", default="", metavar="NAME", help="The container's name."),
    click.option("--platform", default="", metavar="PLATFORM", help="As docker's."),
    click.option("--init/--no-init", default=True, help="An init process that reaps; on by default."),
    click.option("--rm", is_flag=True, expose_value=False, help="Always so."),
    click.option("-i", "--interactive", is_flag=True, expose_value=False, help="Always so."),
    click.option("-t", "--tty", is_flag=True, help="Give the process a terminal."),
    click.option("--report", default="", metavar="FILE", type=options.FILE, help="Write a JSON report at the end."),
    click.option("--events", default="", metavar="FILE", type=options.FILE, help="Write JSON lines while it runs."),
    click.option("--dry-run", is_flag=True, help="Print the plan and change nothing."),
    click.option("--keep", is_flag=True, help="At the end leave everything for a look, until Ctrl-C."),
    docker_options.passed_on,
]  # fmt: skip

# Behind the first word of the program all options are the program's.
_SETTINGS = {"allow_interspersed_args": False}


@click.command(context_settings=_SETTINGS)
@options.add(_OPTIONS)
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def run(ctx: click.Context, /, command: tuple[str, ...], **chosen: Any) -> int:
    """Run COMMAND in a container of IMAGE that lives in the cluster.

    It has the names, network and environment of a pod; its output, input, signals and exit code are its own.
    Other options of `docker create` (--memory, --mount, --cap-add, …) pass to docker unchanged.

    \b
    tpbox run --image myapp -- python app.py
    tpbox run -n shop --image myapp -- curl -s http://web/
    tpbox run --like deploy/web -p 8080:8080 -v "$PWD:/app" --image myweb
    tpbox run --expose 8080 --image myapp            # new pod with a Service
    tpbox run --swap deploy/web --image myweb -p 8080:8080
    tpbox run --swap sts/cache:redis --expose 6380:6379 --image mycache
    """
    return _start(ctx, _request(ctx, command, chosen), chosen)


@click.command(context_settings=_SETTINGS)
@options.add(_OPTIONS)
@click.pass_context
def shell(ctx: click.Context, /, **chosen: Any) -> int:
    """Open a shell (bash, else sh) in a container of IMAGE that lives in the cluster.

    \b
    tpbox shell -n shop --image myapp
    """
    request = _request(ctx, SHELL, {**chosen, "entrypoint": "sh"})
    return _start(ctx, replace(request, process=replace(request.process, tty=os.isatty(0))), chosen)


def _request(ctx: click.Context, command: tuple[str, ...], chosen: dict[str, Any]) -> SessionRequest:
    """The request that the words make. Raises UsageError."""
    if not chosen["image"]:
        raise UsageError(NATIVE_LATER, hint="Name its image: --image IMAGE")
    if chosen["tty"] and not os.isatty(0):
        raise UsageError("-t: the standard input is not a terminal", hint="Leave -t out.")
    options.check_kubeconfig(chosen["kubeconfig"])
    options.check_together(chosen)
    ours, dockers = parse_volumes(chosen["volume"])
    return SessionRequest(
        process=_process(ctx, command, chosen, dockers),
        kubeconfig=chosen["kubeconfig"],
        context=chosen["context"],
        namespace=chosen["namespace"],
        service_account=chosen["service_account"],
        like=parse_workload(chosen["like"]) if chosen["like"] else None,
        swap=parse_workload(chosen["swap"], "--swap") if chosen["swap"] else None,
        now=chosen["now"],
        take_over=chosen["take_over"],
        restore_wait=DEFAULT_RESTORE_WAIT if chosen["restore_wait"] is None else chosen["restore_wait"],
        inbound=options.inbound(chosen),
        outside=options.outside(chosen),
        as_name=parse_service_name(chosen["as_name"]) if chosen["as_name"] else "",
        engine=_choice("--engine", chosen["engine"], {"auto", "netstack", "sshuttle"}, set()),
        method=_choice("--method", chosen["method"], {"auto", "container"}, {"namespace", "shim"}),
        grace=chosen["grace"],
        helper_image=chosen["helper_image"],
        pod_image=chosen["pod_image"],
        pod_cpu=chosen["pod_cpu"],
        pod_memory=chosen["pod_memory"],
        pull_secret=chosen["pull_secret"],
        service_links=chosen["service_links"],
        env_exclude=chosen["env_exclude"],
        keep=chosen["keep"],
        volumes=VolumeOptions(chosen["volumes"], ours),
    )


def _process(
    ctx: click.Context, command: tuple[str, ...], chosen: dict[str, Any], volumes: tuple[str, ...]
) -> ProcessOptions:
    return ProcessOptions(
        image=chosen["image"],
        command=command,
        environment=options.environment(chosen),
        ports=tuple(port for text in chosen["publish"] for port in parse_ports(text)),
        volumes=volumes,
        user=chosen["user"],
        workdir=chosen["workdir"],
        entrypoint=chosen["entrypoint"],
        platform=chosen["platform"],
        name=chosen["name"],
        init=chosen["init"],
        tty=chosen["tty"],
        extra=docker_options.taken(ctx),
    )


def _choice(option: str, value: str, here: set[str], later: set[str]) -> Any:
    known = ", ".join(sorted(here))
    if value in later:
        raise UsageError(f"{option} {value} comes in a later version", hint=f"For now: {option} {known}")
    if value not in here:
        raise UsageError(f"{option} '{value}' is not known", hint=f"Choose one of: {known}")
    return value


def _start(ctx: click.Context, request: SessionRequest, chosen: dict[str, Any]) -> int:
    from tpbox import session  # the SDKs take 0.4 s to import: not for --help, nor for a wrong option
    from tpbox.local import environment_file

    console: Console = ctx.obj
    if chosen["dry_run"]:
        for line in session.plan(request).describe():
            click.echo(line)
        return 0
    for option in ("report", "events"):
        folder = Path(chosen[option]).parent
        if chosen[option] and not os.access(folder, os.W_OK):
            raise UsageError(f"--{option}: {folder} is not a folder that can be written")
    if chosen["write_env"] and chosen["write_env"] == chosen["write_env_json"]:
        raise UsageError("--write-env and --write-env-json name the same file", hint="Give each a file of its own.")
    for option in ("write_env", "write_env_json"):
        if chosen[option]:
            environment_file.check(f"--{option.replace('_', '-')}", chosen[option])
    outputs = session.Outputs(
        events=chosen["events"],
        report=chosen["report"],
        write_env=chosen["write_env"],
        write_env_json=chosen["write_env_json"],
    )
    return session.run(request, console, outputs)
