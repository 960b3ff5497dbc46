"""Options that several commands share, and what is made of them.

@options.add([*options.CLUSTER, *options.POD, *options.ENVIRONMENT])

and, for `run` and `shell`:

@options.add([*options.SWAP, *options.INBOUND, *options.OUTSIDE])
options.check_together(chosen); options.inbound(chosen); options.outside(chosen)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from tpbox.cli import completions
from tpbox.errors import UsageError
from tpbox.plan import inbound as ports
from tpbox.plan import outside as networks
from tpbox.plan.inbound import Inbound
from tpbox.plan.outside import Outside
from tpbox.plan.request import DEFAULT_GRACE, DEFAULT_RESTORE_WAIT, parse_environment

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

SWAP: list[Option] = [
    click.option("--swap", default="", metavar="KIND/NAME[:CONTAINER]",
                 help="Take its place: deploy, sts, rs or pod; a bare NAME is a deployment.",
                 shell_complete=completions.workloads),
    click.option("--now", is_flag=True, help="Scale it down at once, not when the process listens."),
    click.option("--take-over", is_flag=True, help="Also where another session has taken its place."),
    click.option("--restore-wait", type=click.IntRange(0, 3600), default=None, metavar="SECONDS",
                 help=f"At the end wait so long for it to be Ready; {DEFAULT_RESTORE_WAIT}."),
]  # fmt: skip

INBOUND: list[Option] = [
    click.option("--expose", multiple=True, metavar="LOCAL[:REMOTE]",
                 help="The cluster reaches the process's port LOCAL as the pod's REMOTE. A new pod gets a Service."),
    click.option("--as", "as_name", default="", metavar="NAME", help="The name of that Service; else tpbox-SESSION."),
    click.option("--to-pod", multiple=True, metavar="PORT", help="127.0.0.1:PORT is the pod's: a sidecar's."),
    click.option("--from-pod", multiple=True, metavar="PORT",
                 help="The pod's sidecars reach the process at their 127.0.0.1:PORT."),
    click.option("--container-to-host", multiple=True, metavar="C[:H]",
                 help="127.0.0.1:C of the process is 127.0.0.1:H of this machine."),
]  # fmt: skip

OUTSIDE: list[Option] = [
    click.option("--only-cluster", is_flag=True,
                 help="Only the cluster's addresses and names go through the pod; the rest as from this machine."),
    click.option("--also-proxy", multiple=True, metavar="CIDR|HOST",
                 help="With --only-cluster: this goes through the pod too; a HOST is what the pod knows it as."),
    click.option("--never-proxy", multiple=True, metavar="CIDR|HOST",
                 help="This leaves by this machine's network, whatever else is said; a HOST is what it is here."),
]  # fmt: skip

# (option, the other, why they do not go together)
_EXCLUDED = (
    ("swap", "like", "the pod in a workload's place is like it in all things"),
    ("swap", "service_account", "the pod in a workload's place keeps its service account"),
    ("swap", "as_name", "the workload's own Services lead to the pod in its place"),
)
# (option, what it says more of, an example)
_PART_OF = (
    ("now", "swap", "--swap deploy/web --now"),
    ("take_over", "swap", "--swap deploy/web --take-over"),
    ("restore_wait", "swap", "--swap deploy/web --restore-wait 120"),
    ("as_name", "expose", "--expose 8080 --as my-web"),
    # Without it everything goes through the pod; who takes it for the switch must not think that the rest stays local.
    ("also_proxy", "only_cluster", "--only-cluster --also-proxy 10.1.0.0/16"),
)

ENVIRONMENT: list[Option] = [
    click.option("-e", "--env", multiple=True, metavar="NAME[=VALUE]", help="Wins over --env-file and over the pod's."),
    click.option("--env-file", multiple=True, metavar="FILE", type=FILE,
                 help="Read variables, in docker's format; they win over the pod's."),
    click.option("--env-exclude", multiple=True, metavar="GLOB", help="Leave such variables of the pod out."),
]  # fmt: skip


IMAGE: Option = click.option("--image", default="", metavar="IMAGE", help="The process's image.")
PUBLISH: Option = click.option(
    "-p", "--publish", multiple=True, metavar="[IP:]HOST:PORT", help="A port of this machine."
)
VOLUMES: Option = click.option(
    "--volume", "-v", "volume", multiple=True, metavar="SRC:DST|PATH=MODE",
    help="As docker's -v; or how one volume of the pod is seen: live, copy, off.",
)  # fmt: skip

# A session's own, whichever process is in it.
SESSION: list[Option] = [
    *CLUSTER,
    *SWAP,
    *INBOUND,
    *OUTSIDE,
    *POD,
    click.option("--engine", default="auto", metavar="auto|netstack|sshuttle",
                 help="What carries the traffic; auto: netstack, where it can work."),
    click.option("--method", default="auto", metavar="auto|container", help="How the process meets the cluster."),
    click.option("--grace", type=click.IntRange(5, 3600), default=DEFAULT_GRACE, show_default=True, metavar="SECONDS",
                 help="The pod ends by itself when nobody speaks to it for so long."),
    click.option("--volumes", type=click.Choice(["auto", "live", "copy", "off"]), default="auto", show_default=True,
                 help="How the pod's volumes are seen: the pod's own files, a copy of them, or not at all."),
]  # fmt: skip

# Of one process, as docker names them.
PROCESS: list[Option] = [
    VOLUMES,
    click.option("-u", "--user", default="", metavar="USER", help="As docker's -u."),
    click.option("-w", "--workdir", default="", metavar="DIR", help="As docker's -w."),
    click.option("--entrypoint", default=None, metavar="COMMAND", help="As docker's."),
    click.option("--name", default="", metavar="NAME", help="The container's name."),
    click.option("--platform", default="", metavar="PLATFORM", help="As docker's."),
    click.option("--init/--no-init", default=True, help="An init process that reaps; on by default."),
    click.option("--rm", is_flag=True, expose_value=False, help="Always so."),
    click.option("-i", "--interactive", is_flag=True, expose_value=False, help="Always so."),
    click.option("-t", "--tty", is_flag=True, help="Give the process a terminal."),
]  # fmt: skip

# Where a session is written down.
FILES: list[Option] = [
    click.option("--write-env", default="", metavar="FILE", type=FILE,
                 help="Write the process's environment to FILE, as dotenv, 0600."),
    click.option("--write-env-json", default="", metavar="FILE", type=FILE, help="The same as JSON."),
    click.option("--report", default="", metavar="FILE", type=FILE, help="Write a JSON report at the end."),
    click.option("--events", default="", metavar="FILE", type=FILE, help="Write JSON lines while it runs."),
    click.option("--dry-run", is_flag=True, help="Print the plan and change nothing."),
]  # fmt: skip


def names(chosen: Sequence[Option]) -> set[str]:
    """The names by which commands get them."""
    return {parameter.name or "" for parameter in click.command()(add(chosen)(lambda: None)).params}


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


def check_together(chosen: dict[str, Any]) -> None:
    """Raises UsageError for options of SWAP, INBOUND, OUTSIDE and POD that do not go together."""
    for option, other, reason in _EXCLUDED:
        if chosen[option] and chosen[other]:
            raise UsageError(f"{_flag(option)} and {_flag(other)} do not go together: {reason}", hint="Leave one out.")
    for option, whole, example in _PART_OF:
        value = chosen[option]
        given = value is not None and value is not False and value not in ("", ())  # `--restore-wait 0` is
        if given and not chosen[whole]:
            raise UsageError(f"{_flag(option)} means nothing without {_flag(whole)}", hint=f"For instance: {example}")


def _flag(name: str) -> str:
    return "--as" if name == "as_name" else f"--{name.replace('_', '-')}"


def inbound(chosen: dict[str, Any]) -> Inbound:
    """What the options of INBOUND say. Raises UsageError."""
    return ports.parse(chosen["expose"], chosen["to_pod"], chosen["from_pod"], chosen["container_to_host"])


def outside(chosen: dict[str, Any]) -> Outside:
    """What the options of OUTSIDE say. Raises UsageError."""
    return networks.parse(chosen["also_proxy"], chosen["never_proxy"], chosen["only_cluster"])


def environment(options: dict[str, Any]) -> dict[str, str]:
    """The user's own variables: --env-file's, the later over the earlier, and -e's over both. Raises UsageError."""
    from tpbox.local import environment_file

    found: dict[str, str] = {}
    for path in options["env_file"]:
        found |= environment_file.read(path)
    return found | parse_environment(options["env"], os.environ)
