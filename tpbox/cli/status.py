"""`tpbox status` and `tpbox cleanup`."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import click

from tpbox import named, names, state
from tpbox.errors import EXIT_TPBOX, TpboxError
from tpbox.plan.lease import seconds_words
from tpbox.ui import Console

if TYPE_CHECKING:
    from tpbox.cluster.api import Api
    from tpbox.cluster.sessions import Seen
    from tpbox.local.docker import Docker
    from tpbox.sweep import Found

# Of --output json, besides session, state and objects.
UNKNOWN = (
    "name", "owner", "host", "target", "context", "namespace", "since", "pid", "pod", "helper", "link", "reconnects",
    "exposed", "renewedSecondsAgo",
)  # fmt: skip
COLUMNS = ("SESSION", "NAME", "STATE", "TARGET", "NAMESPACE", "SINCE", "POD", "HELPER", "LINK", "RECONNECTS", "PORTS")


@click.command()
@click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.option("--kubeconfig", default="", metavar="FILE", help="Where to look for sessions of other machines.")
@click.option("--context", default="", metavar="NAME", help="The kubeconfig's context.")
@click.option("-n", "--namespace", default="", metavar="NAME", help="Where to look if not all may be listed.")
@click.pass_context
def status(ctx: click.Context, output: str, kubeconfig: str, context: str, namespace: str) -> int:
    """Show your sessions: here, and what the cluster shows of them."""
    from tpbox import sweep

    console: Console = ctx.obj
    api = _api_at_hand(kubeconfig, context)
    shown = [_as_json(found, api) for found in sweep.find(None, api, namespace=namespace, warn=console.detail)]
    if output == "json":
        click.echo(json.dumps(shown, indent=1))
        return 0
    if not shown:
        click.echo("no sessions")
        return 0
    rows = [COLUMNS, *(_row(one) for one in shown)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


@click.command()
@click.option("--session", default="", metavar="ID", help="Only this one, whoever owns it.")
@click.option("--all", "everything", is_flag=True, help="Also sessions of yours that still run: they are ended.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed; remove nothing.")
@click.option("--kubeconfig", default="", metavar="FILE", help="Where to look besides the records' clusters.")
@click.option("--context", default="", metavar="NAME", help="The kubeconfig's context.")
@click.option("-n", "--namespace", default="", metavar="NAME", help="Where to look if not all may be listed.")
@click.pass_context
def cleanup(
    ctx: click.Context,
    session: str,
    everything: bool,
    dry_run: bool,
    kubeconfig: str,
    context: str,
    namespace: str,
) -> int:
    """Give back what dead sessions swapped and remove what they left, here and in the cluster.

    Sessions with a name that have ended are forgotten: their logs, and how to restart them.
    """
    from tpbox import sweep

    console: Console = ctx.obj
    docker = _docker_at_hand(console)
    api = _api_at_hand(kubeconfig, context)
    found = sweep.find(docker, api, session=session, namespace=namespace, warn=console.warn)
    chosen = sweep.choose(found, session, everything)
    failed = False
    for one in chosen:
        what = ", ".join(one.objects()) or "a record"
        click.echo(f"{'would remove' if dry_run else 'removing'} session {one.session}: {what}")
        for failure in [] if dry_run else sweep.remove(one, docker, lambda record: _api(record, api), click.echo):
            failed = True
            console.warn(f"{failure.step}: {failure.error.message}")
    folders = [] if session else named.ended()
    for folder in folders:
        click.echo(f"{'would forget' if dry_run else 'forgetting'} session {folder.name}, which has ended")
        if not dry_run:
            folder.remove()
    if not chosen and not folders:
        click.echo("nothing to remove")
    return EXIT_TPBOX if failed else 0


def _docker_at_hand(console: Console) -> Docker | None:
    from tpbox.local.docker import Docker

    try:
        return Docker.connect()
    except TpboxError as error:
        console.warn(f"only the cluster's side is looked at: {error.message}")
        return None


def _api_at_hand(kubeconfig: str, context: str) -> Api | None:
    """The cluster that `tpbox run` would use with the same options; None when there is none."""
    from tpbox import preflight
    from tpbox.cluster.api import Api

    try:
        return Api.connect(*preflight.choose_kubeconfig(kubeconfig, context))
    except TpboxError:
        if kubeconfig or context:
            raise
        return None


def _api(record: state.SessionRecord | None, at_hand: Api | None) -> Api:
    from tpbox.cluster.api import Api

    if record is not None:
        return Api.connect(record.kubeconfig, record.context)
    if at_hand is None:
        raise TpboxError("no cluster at hand")
    return at_hand


def _as_json(found: Found, api: Api | None) -> dict[str, Any]:
    """What there is to know of a session, from the cluster, its record and its launcher; null is not known."""
    shown: dict[str, Any] = {"session": found.session, "state": found.state, **dict.fromkeys(UNKNOWN), "objects": []}
    if found.seen and api:
        shown |= _seen(found.seen, api)
    if record := found.record:
        helpers = [o.name for o in record.objects if (o.kind, o.name) == ("container", names.of(record.session))]
        shown |= {
            "name": record.name or None,
            "owner": record.owner,
            "host": record.host,
            "target": record.target,
            "context": record.context,
            "namespace": record.namespace,
            "since": record.created,
            "pid": record.pid,
            "helper": helpers[0] if helpers else None,
            "objects": [dataclasses.asdict(o) for o in record.objects],
        }
    if found.alive and (live := state.live_state(found.session)):
        shown |= {**dataclasses.asdict(live), "pod": live.pod or None}
    return shown


def _seen(seen: Seen, api: Api) -> dict[str, Any]:
    renewed = seen.liveness and round((api.now() - seen.liveness.renewed).total_seconds())
    return {
        "owner": seen.owner,
        "target": ", ".join(f"swap {swap.workload}" for swap in seen.swaps) or None,
        "context": api.context,
        "namespace": seen.namespace,
        "since": seen.created,
        "renewedSecondsAgo": renewed,
    }


def _row(shown: dict[str, Any]) -> tuple[str, ...]:
    ports = (f"{p['local']}:{p['remote']}{'' if p['listening'] else ' (closed)'}" for p in shown["exposed"] or ())
    words = {**shown, "ports": ", ".join(ports)}
    if shown["link"] is None and shown["renewedSecondsAgo"] is not None:
        words["link"] = f"renewed {seconds_words(shown['renewedSecondsAgo'])} ago"
    cells = (words[column.lower()] for column in COLUMNS)
    return tuple("-" if cell in (None, "") else str(cell) for cell in cells)
