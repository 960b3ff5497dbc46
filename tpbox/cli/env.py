"""`tpbox env`."""

from __future__ import annotations

from typing import Any

import click

from tpbox.cli import options
from tpbox.plan import envfile
from tpbox.plan.request import ProcessOptions, SessionRequest, parse_workload
from tpbox.ui import Console

# Those name a session that is over when its environment is read.
OF_THE_SESSION = ("TPBOX_SESSION", "TPBOX_POD")


@click.command()
@options.add([*options.CLUSTER, *options.POD, *options.ENVIRONMENT])
@click.option("--format", "format_", type=click.Choice(envfile.FORMATS), default="sh", show_default=True)
@click.pass_context
def env(ctx: click.Context, /, format_: envfile.Format, **chosen: Any) -> None:
    """Print the environment that a process would get, for a debugger, an editor or docker compose.

    A short session without a process reads it; what the downward API says (the pod's name and address) is that
    session's. `tpbox run --write-env FILE` writes the environment of a session that stays.

    \b
    eval "$(tpbox env --like deploy/web)"
    (umask 077; tpbox env --like deploy/web --format dotenv > .env)
    """
    options.check_kubeconfig(chosen["kubeconfig"])
    request = SessionRequest(
        ProcessOptions(image="", environment=options.environment(chosen)),
        **{name: chosen[name] for name in ("kubeconfig", "context", "namespace", "service_account", "env_exclude")},
        like=parse_workload(chosen["like"]) if chosen["like"] else None,
        **{name: chosen[name] for name in ("pod_image", "helper_image", "pull_secret", "service_links")},
        pod_cpu=chosen["pod_cpu"],
        pod_memory=chosen["pod_memory"],
    )
    from tpbox import session  # not for --help, nor for a wrong option

    console: Console = ctx.obj
    found = session.environment_of(request, console)
    rendered = envfile.render(format_, {name: value for name, value in found.items() if name not in OF_THE_SESSION})
    for words in rendered.doubts():
        console.warn(words)
    click.echo(rendered.text, nl=False)
