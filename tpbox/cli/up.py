"""`tpbox up`, `down`, `restart`, `logs`: sessions that outlive a process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from tpbox import background, named, steps
from tpbox.cli import completions, options, requests
from tpbox.errors import InterruptedSession, TpboxError, UsageError
from tpbox.named import NamedSession, Start
from tpbox.plan.request import SessionRequest, parse_session_name
from tpbox.ui import Console

if TYPE_CHECKING:
    from tpbox.session import Outputs

NAME = click.argument("name", shell_complete=completions.sessions)


@click.command()
@options.add([*options.SESSION, options.IMAGE, options.PUBLISH, options.VOLUMES, *options.ENVIRONMENT, *options.FILES])
@click.option("--foreground", is_flag=True, help="Hold it here, until Ctrl-C.")
@click.option("--composed", default="", hidden=True)
@click.argument("name")
@click.pass_context
def up(ctx: click.Context, /, name: str, foreground: bool, **chosen: Any) -> int:
    """Start session NAME, which stays until `tpbox down NAME`. Processes come with `tpbox exec` and `tpbox shell`.

    It lives in a process of its own. --image and -e are those of each process that names no other.

    \b
    tpbox up dev --swap deploy/web --image myweb -p 8080:8080
    tpbox exec dev -- python app.py
    tpbox down dev
    """
    request = requests.of_up(parse_session_name(name), chosen)
    session, console = NamedSession(name), ctx.obj
    outputs = requests.outputs(chosen)
    if chosen["dry_run"]:
        from tpbox.session import plan

        click.echo("\n".join(plan(request).describe()))
        return 0
    if isinstance(console, steps.RelayedConsole):
        relayed: steps.RelayedConsole = console
        relayed.end_with_starter()
        outputs = replace(outputs, on_planned=lambda planned: _tell_plan(session, planned, relayed))
        return _hold(session, request, console, outputs, _words(ctx))
    if session.alive():
        raise session.taken()
    if foreground:
        return _hold(session, request, console, outputs, _words(ctx))
    try:
        background.begin(session, Start.here(_words(ctx)), console)
    except InterruptedSession:
        session.remove()
        raise
    console.say(f"session {name} is up; it stays until: tpbox down {name}")
    return 0


def _hold(
    session: NamedSession, request: SessionRequest, console: Console, outputs: Outputs, words: tuple[str, ...]
) -> int:
    """This process is the session."""
    from tpbox import session as sessions
    from tpbox.session import held

    def ready() -> None:
        if isinstance(console, steps.RelayedConsole) and not console.tell_last(up=session.name):
            raise TpboxError("whoever started it has gone")

    with session.held():
        if isinstance(console, steps.RelayedConsole):
            session.take_log()
        else:
            session.log.unlink(missing_ok=True)
        session.save(Start.here(words))
        return sessions.run(request, console, outputs, lambda live: held.hold(live, session, ready))


def _tell_plan(session: NamedSession, planned: Mapping[str, Any], console: steps.RelayedConsole) -> None:
    """To `tpbox compose`, now and later: its override is made of it."""
    session.save_plan(planned)
    console.tell(planned=planned)


@click.command()
@click.argument("names", nargs=-1, metavar="NAME", shell_complete=completions.sessions)
@click.option("--all", "everything", is_flag=True, help="All that have a name.")
@click.pass_context
def down(ctx: click.Context, names: tuple[str, ...], everything: bool) -> int:
    """End session NAME: what it swapped is back and Ready before its processes are told to end."""
    if bool(names) == everything:
        raise UsageError("name a session, or say --all", hint="See: tpbox status")
    chosen = named.every() if everything else [NamedSession(parse_session_name(name)) for name in names]
    failures = []
    for session in chosen:
        try:
            _down(session, ctx.obj)
        except TpboxError as error:
            failures.append(error)
    if not chosen:
        ctx.obj.say("there is no session with a name")
    for failure in failures[:-1]:
        ctx.obj.error(failure)
    if failures:
        raise failures[-1]
    return 0


def _down(session: NamedSession, console: Console) -> None:
    if session.alive():
        background.end(session, console)
        console.say(f"session {session.name} has ended")
    elif session.folder.exists():
        console.say(f"session {session.name} had ended before")
    else:
        raise session.missing()
    session.remove()


@click.command()
@NAME
@click.pass_context
def restart(ctx: click.Context, name: str) -> int:
    """End session NAME, if it lives, and start it as it was started: also one of another version of tpbox."""
    session, console = NamedSession(parse_session_name(name)), ctx.obj
    alive, start = session.alive(), session.start()
    if start is None:
        raise session.missing()
    if session.composed():
        raise UsageError(
            f"session '{name}' is of a Compose project: Compose has to make its helper too",
            hint="In the project's folder: tpbox compose down, then tpbox compose up -d",
        )
    if alive:
        background.end(session, console)
    background.begin(session, start, console)
    console.say(f"session {name} is up; it stays until: tpbox down {name}")
    return 0


@click.command()
@NAME
@click.option("-f", "--follow", is_flag=True, help="Go on until the session ends.")
@click.option("-n", "--tail", type=click.IntRange(0), default=None, metavar="LINES", help="Only the last ones.")
def logs(name: str, follow: bool, tail: int | None) -> None:
    """Print what session NAME has said, also after its end."""
    session = NamedSession(parse_session_name(name))
    if not session.log.exists():
        if session.alive():
            raise UsageError(f"session '{name}' is held in the foreground", hint="What it says is at its terminal.")
        raise session.missing()
    with session.log.open(errors="replace") as log:
        lines = log.readlines()
        click.echo("".join(lines[-tail:] if tail else lines if tail is None else ()), nl=False)
        for text in background.followed(log, session) if follow else ():
            click.echo(text, nl=False)


def _words(ctx: click.Context) -> tuple[str, ...]:
    words: tuple[str, ...] = ctx.meta["tpbox.words"]
    return words
