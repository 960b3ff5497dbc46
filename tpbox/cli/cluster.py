"""`tpbox cluster`: the embedded Kubernetes."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from tpbox.ui import Console

if TYPE_CHECKING:
    from tpbox.local.embedded import Embedded, Status


@click.group()
def cluster() -> None:
    """The embedded Kubernetes: one node in a container, for trying things, demos and tests."""


@cluster.command()
@click.pass_obj
def up(console: Console) -> None:
    """Start the cluster, and make it first if there is none; nothing to do when it is up."""
    _embedded().up(console)


@cluster.command()
@click.pass_obj
def down(console: Console) -> None:
    """Remove the cluster with all that is in it."""
    console.say("the embedded cluster is removed" if _embedded().down() else "there is no embedded cluster")


@cluster.command()
@click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def status(output: str) -> None:
    """Show whether the cluster is up, and where."""
    found = _embedded().status()
    if output == "json":
        click.echo(json.dumps(dataclasses.asdict(found), indent=1))
        return
    for name, value in _shown(found, datetime.now(UTC)):
        click.echo(f"{name:<12}{value}")


@cluster.command()
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True)
@click.pass_obj
def load(console: Console, images: tuple[str, ...]) -> None:
    """Copy images from Docker to the cluster. One that is there already is not copied again."""
    if not _embedded().load(images, console.say):
        console.say("nothing to load: the cluster has these images")


@cluster.command()
def kubeconfig() -> None:
    """Print the path of the cluster's kubeconfig, for instance for `export KUBECONFIG=$(tpbox cluster kubeconfig)`."""
    from tpbox.errors import ClusterError
    from tpbox.local.embedded import UP_HINT

    path = _embedded().kubeconfig_path()
    if not path.is_file():
        raise ClusterError("there is no embedded cluster", hint=UP_HINT)
    click.echo(path)


def _embedded() -> Embedded:
    from tpbox.local.docker import Docker
    from tpbox.local.embedded import Embedded

    return Embedded(Docker.connect())


def _shown(status: Status, now: datetime) -> list[tuple[str, str]]:
    """The lines of the table; what is not known has none."""
    lines = [
        ("state", status.state),
        ("version", status.version),
        ("server", status.server),
        ("address", status.address),
        ("up for", _age(status.started, now) if status.started else ""),
        ("kubeconfig", status.kubeconfig),
        ("images", str(len(status.images)) if status.images else ""),
    ]
    return [(name, value) for name, value in lines if value]


def _age(started: str, now: datetime) -> str:
    """The time since `started` in its two largest units, as kubectl shows ages."""
    # Docker's nine digits of a second are more than Python reads.
    seconds = int((now - datetime.fromisoformat(f"{started[:19]}+00:00")).total_seconds())
    days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days}d{hours}h"
    if hours:
        return f"{hours}h{minutes}m"
    return f"{minutes}m{seconds % 60}s" if minutes else f"{seconds}s"
