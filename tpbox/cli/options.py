"""Options that several commands share, and what is made of them.

@options.add([*options.CLUSTER, *options.POD, *options.ENVIRONMENT])
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from tpbox.cli import completions
from tpbox.errors import UsageError
from tpbox.plan.request import parse_environment

Option = Callable[..., Any]

FILE = click.Path()  # for the shell's completion; what is wrong with a file is said by whoever opens it

CLUSTER: list[Option] = [
    click.option("--context", default="", metavar="NAME", help="`tpbox` is the embedded cluster's.",
                 shell_complete=completions.contexts),
    click.option("-n", "--namespace", default="", metavar="NAME", help="The namespace; else the context's.",
                 shell_complete=completions.namespaces),
    click.option("--kubeconfig", default="", metavar="FILE", type=FILE, help="Else $KUBECONFIG, else ~/.kube/config."),
]  # fmt: skip

POD: list[Option] = [
    click.option("--service-account", default="", metavar="NAME", help="The pod's service account."),
    click.option("--like", default="", metavar="KIND/NAME[:CONTAINER]", help="Env, volumes, account of that.",
                 shell_complete=completions.workloads),
    click.option("--pod-image", default="", envvar="TPBOX_POD_IMAGE", metavar="IMAGE", help="The proxy pod's."),
    click.option("--helper-image", default="", envvar="TPBOX_HELPER_IMAGE", metavar="IMAGE", help="The helper's."),
    click.option("--pull-secret", default="", metavar="NAME", help="The Secret that pulls the proxy pod's image."),
    click.option("--service-links/--no-service-links", default=True,
                 help="Whether the pod has the addresses of the namespace's Services as variables; on by default."),
    click.option("--pod-cpu", default="20m", show_default=True, metavar="CPU", help="The proxy pod's request."),
    click.option("--pod-memory", default="64Mi", show_default=True, metavar="QUANTITY", help="Its memory request."),
]  # fmt: skip

ENVIRONMENT: list[Option] = [
    click.option("-e", "--env", multiple=True, metavar="NAME[=VALUE]", help="Wins over --env-file and over the pod's."),
    click.option("--env-file", multiple=True, metavar="FILE", type=FILE,
                 help="Read variables, in docker's format; they win over the pod's."),
    click.option("--env-exclude", multiple=True, metavar="GLOB", help="Leave such variables of the pod out."),
]  # fmt: skip


def add(chosen: Sequence[Option]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator that adds the options, which are shown in this order."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(chosen):
            command = option(command)
        return command

    return decorate


def check_kubeconfig(path: str) -> None:
    """Raises UsageError when --kubeconfig names no file."""
    if path and not Path(path).is_file():
        raise UsageError(f"--kubeconfig: there is no file {path}")


def environment(options: dict[str, Any]) -> dict[str, str]:
    """The user's own variables: --env-file's, the later over the earlier, and -e's over both. Raises UsageError."""
    from tpbox.local import environment_file

    found: dict[str, str] = {}
    for path in options["env_file"]:
        found |= environment_file.read(path)
    return found | parse_environment(options["env"], os.environ)
