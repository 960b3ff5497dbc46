"""`tpbox images`: tpbox's own images, and how the proxy pod's gets to a cluster."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from tpbox.cli import options
from tpbox.errors import ClusterError, TpboxError
from tpbox.plan import distribution
from tpbox.ui import Console

if TYPE_CHECKING:
    from tpbox.local.docker import Docker

HELPER = ("images/local", "tpbox-local")
POD = ("images/proxy-pod", "tpbox-proxy-pod")
PUSH_TIMEOUT = 900  # seconds; 140 MB over a slow line


@click.group()
def images() -> None:
    """tpbox's own images: the helper's, which stays here, and the proxy pod's, which the cluster needs.

    \b
    tpbox images push registry.example.com/team/tpbox-proxy-pod
    tpbox images load --context kind-dev
    """


@images.command("list")
@click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def list_(output: str) -> None:
    """Show the images of this version, and whether they are built."""
    from tpbox.local import images as own
    from tpbox.local.docker import Docker

    docker = Docker.connect()
    sizes = {}
    for folder, repository in (HELPER, POD):
        reference = own.find(folder, repository).reference
        found = docker.image(reference)
        sizes[reference] = found["Size"] if found else None
    if output == "json":
        shown = [{"image": image, "built": size is not None, "bytes": size} for image, size in sizes.items()]
        click.echo(json.dumps(shown, indent=1))
        return
    for image, size in sizes.items():
        click.echo(f"{image:<32}  " + ("not built yet" if size is None else f"{size / 1e6:.0f} MB"))


@images.command()
@click.pass_obj
def build(console: Console) -> None:
    """Build the images that are not there yet; print their names."""
    from tpbox.local.docker import Docker

    docker = Docker.connect()
    for image in (HELPER, POD):
        click.echo(_built(docker, image, console))


@images.command()
@click.argument("repository")
@click.pass_obj
def push(console: Console, repository: str) -> None:
    """Push the proxy pod's image to REPOSITORY, and print the option that names it.

    Docker pushes, with the login that `docker login` has made.
    """
    distribution.pushed_name(repository, "tag")  # a wrong word is said before anything is built
    from tpbox import process
    from tpbox.local.docker import Docker

    docker = Docker.connect()
    image = _built(docker, POD, console)
    name = distribution.pushed_name(repository, image.rpartition(":")[2])
    docker.tag(image, name)
    try:
        process.stream(["docker", "-H", docker.host, "push", name], console.progress, timeout=PUSH_TIMEOUT)
    except process.ProcessError as error:
        raise TpboxError(
            f"{name} could not be pushed", detail=error.tail, hint="Log in first: docker login REGISTRY"
        ) from error
    finally:
        docker.remove_image(name)  # the name alone: the image keeps its own
    console.say(f"pushed {name}; use it with this option, or once and for all in TPBOX_POD_IMAGE:")
    click.echo(f"--pod-image {name}")


@images.command()
@options.add(options.CLUSTER[:1] + options.CLUSTER[2:])
@click.pass_obj
def load(console: Console, context: str, kubeconfig: str) -> None:
    """Copy the proxy pod's image to a local cluster: the embedded one, kind, k3d or minikube, by its context's name."""
    options.check_kubeconfig(kubeconfig)
    from tpbox import preflight
    from tpbox.cluster.api import Api
    from tpbox.local.docker import Docker
    from tpbox.local.embedded import Embedded, kubeconfig_path

    docker = Docker.connect()
    file, chosen = preflight.choose_kubeconfig(kubeconfig, context)
    chosen = Api.connect(file, chosen).context
    image = _built(docker, POD, console)
    if file == str(kubeconfig_path()):
        loaded = Embedded(docker).load([image], console.progress)
        console.say(f"{image} is in the embedded cluster" + ("" if loaded else " already"))
        return
    _load_by_its_tool(chosen, image, console)
    console.say(f"{image} is in the cluster of context {chosen}; use it with this option:")
    click.echo(f"--pod-image {image}")


def _load_by_its_tool(context: str, image: str, console: Console) -> None:
    from tpbox import process

    command = distribution.load_command(context, image)
    if command is None:
        raise ClusterError(
            f"context '{context}' is no cluster of kind, k3d or minikube, nor the embedded one",
            hint="Push the image where the cluster can pull it: tpbox images push REPOSITORY",
        )
    try:
        process.stream(command, console.progress, timeout=PUSH_TIMEOUT)
    except process.ProcessError as error:
        hint = f"Install {command[0]}, or push the image: tpbox images push REPOSITORY" if error.code == 127 else ""
        raise ClusterError(f"{image} could not be loaded: {error.message}", detail=error.tail, hint=hint) from error


def _built(docker: Docker, image: tuple[str, str], console: Console) -> str:
    from tpbox.local import images as own

    with console.running(f"image {image[1]}"):
        return own.ensure(docker, own.find(*image), console.progress)
