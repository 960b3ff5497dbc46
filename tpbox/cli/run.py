"""`tpbox run` and `tpbox shell`."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click

from tpbox.cli import completions, docker_options, options, requests
from tpbox.plan.request import SessionRequest, parse_session_name
from tpbox.ui import Console

# `command -v` is POSIX; an image without any shell says so through docker: "sh: executable file not found".
SHELL = ("-c", "if command -v bash >/dev/null 2>&1; then exec bash; else exec sh; fi")

_OPTIONS: list[Callable[..., Any]] = [
    *options.SESSION,
    options.IMAGE,
    options.PUBLISH,
    *options.PROCESS,
    *options.ENVIRONMENT,
    *options.FILES,
    click.option("--keep", is_flag=True, help="At the end leave everything for a look, until Ctrl-C."),
    docker_options.passed_on,
]

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
    return _start(ctx, requests.of_run(ctx, command, chosen), chosen)


@click.command(context_settings=_SETTINGS)
@options.add(_OPTIONS)
@click.option(
    "--session",
    default="",
    metavar="NAME",
    help="In this session, which tpbox up has started.",
    shell_complete=completions.living_sessions,
)
@click.pass_context
def shell(ctx: click.Context, /, **chosen: Any) -> int:
    """Open a shell (bash, else sh) in a container of IMAGE that lives in the cluster.

    \b
    tpbox shell -n shop --image myapp
    tpbox shell --session dev --image myapp
    """
    session, chosen = chosen.pop("session"), {**chosen, "entrypoint": "sh"}
    if session:
        return _shell_in(ctx, parse_session_name(session), chosen)
    request = requests.of_run(ctx, SHELL, chosen)
    return _start(ctx, replace(request, process=replace(request.process, tty=os.isatty(0))), chosen)


def _shell_in(ctx: click.Context, name: str, chosen: dict[str, Any]) -> int:
    from tpbox import door
    from tpbox.named import NamedSession

    requests.check_of_process(ctx)
    process = replace(requests.process(ctx, SHELL, chosen), tty=os.isatty(0))
    return door.execute(NamedSession(name), process, ctx.obj)


def _start(ctx: click.Context, request: SessionRequest, chosen: dict[str, Any]) -> int:
    from tpbox import session  # the SDKs take 0.4 s to import: not for --help, nor for a wrong option

    console: Console = ctx.obj
    if chosen["dry_run"]:
        for line in session.plan(request).describe():
            click.echo(line)
        return 0
    return session.run(request, console, requests.outputs(chosen))
