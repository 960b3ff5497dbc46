"""`tpbox status` and `tpbox cleanup`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from tpbox import state
from tpbox.errors import EXIT_TPBOX, TpboxError, UsageError
from tpbox.state import SessionRecord
from tpbox.ui import Console

if TYPE_CHECKING:
    from tpbox.cluster.api import Api

COLUMNS = ("SESSION", "STATE", "TARGET", "CONTEXT", "NAMESPACE", "SINCE", "PID")


@click.command()
@click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def status(output: str) -> int:
    """Show the sessions of this machine."""
    records = state.records()
    if output == "json":
        click.echo(json.dumps([_as_json(record) for record in records], indent=1))
        return 0
    if not records:
        click.echo("no sessions")
        return 0
    rows = [COLUMNS, *(_row(record) for record in records)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


@click.command()
@click.option("--session", default="", metavar="ID", help="Only this one.")
@click.option("--all", "everything", is_flag=True, help="Also sessions that still run: they are ended.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed; remove nothing.")
@click.option("--kubeconfig", default="", metavar="FILE", help="Where to look besides the records' clusters.")
@click.option("--context", default="", metavar="NAME", help="The kubeconfig's context.")
@click.pass_context
def cleanup(ctx: click.Context, session: str, everything: bool, dry_run: bool, kubeconfig: str, context: str) -> int:
    """Remove what dead sessions left behind, here and in the cluster."""
    from tpbox import sweep
    from tpbox.local.docker import Docker

    console: Console = ctx.obj
    docker = Docker.connect()
    api = _api_at_hand(kubeconfig, context)
    found = sweep.find(docker, api)
    if session:
        found = [f for f in found if f.session == session]
        if not found:
            raise UsageError(f"there is no session '{session}'", hint="See: tpbox status")
    if session and found[0].alive and not everything:
        raise UsageError(
            f"session {session} still runs (pid {found[0].record.pid if found[0].record else '?'})",
            hint=f"End it with Ctrl-C where it runs, or: tpbox cleanup --session {session} --all",
        )
    chosen = [f for f in found if everything or not f.alive]
    failed = False
    for one in chosen:
        what = ", ".join(one.objects()) or "a record"
        click.echo(f"{'would remove' if dry_run else 'removing'} session {one.session}: {what}")
        for failure in [] if dry_run else sweep.remove(one, docker, lambda record: _api(record, api)):
            failed = True
            console.warn(f"{failure.step}: {failure.error.message}")
    if not chosen:
        click.echo("nothing to remove")
    return EXIT_TPBOX if failed else 0


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


def _api(record: SessionRecord | None, at_hand: Api | None) -> Api:
    from tpbox.cluster.api import Api

    if record is not None:
        return Api.connect(record.kubeconfig, record.context)
    if at_hand is None:
        raise TpboxError("no cluster at hand")
    return at_hand


def _as_json(record: SessionRecord) -> dict[str, object]:
    return {
        "session": record.session,
        "state": "running" if record.alive() else "dead",
        "target": record.target,
        "context": record.context,
        "namespace": record.namespace,
        "since": record.created,
        "pid": record.pid,
        "objects": [{"kind": o.kind, "name": o.name} for o in record.objects],
    }


def _row(record: SessionRecord) -> tuple[str, ...]:
    shown = _as_json(record)
    return tuple(str(shown[column.lower()]) for column in COLUMNS)
