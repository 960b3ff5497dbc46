"""`tpbox exec`."""

from __future__ import annotations

from typing import Any

import click

from tpbox.cli import completions, docker_options, options, requests
from tpbox.errors import UsageError
from tpbox.plan.request import parse_session_name


class _NameFirst(click.Command):
    """Options stand behind NAME, and yet all options behind the program's first word are the program's: two parsers."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and not args[0].startswith("-"):
            ctx.meta[completions.SESSION], args = args[0], args[1:]
        return super().parse_args(ctx, args)


@click.command("exec", cls=_NameFirst, context_settings={"allow_interspersed_args": False})
@options.add([options.IMAGE, options.PUBLISH, *options.PROCESS, *options.ENVIRONMENT, docker_options.passed_on])
@click.argument(
    "words", nargs=-1, type=click.UNPROCESSED, metavar="NAME COMMAND...", shell_complete=completions.living_sessions
)
@click.pass_context
def exec_(ctx: click.Context, /, words: tuple[str, ...], **chosen: Any) -> int:
    """Run COMMAND in a container of IMAGE, in session NAME, which `tpbox up` has started.

    Without --image it is the session's. Several run at once, each in a container of its own; all of them share the
    session's network. Other options of `docker create` pass to docker unchanged.

    \b
    tpbox exec dev --image myapp -- curl -s http://web/
    """
    from tpbox import door
    from tpbox.named import NamedSession

    name, command = _split(ctx, words)
    if chosen["publish"]:
        raise UsageError(
            f"-p {chosen['publish'][0]}: a session's ports are fixed when it begins",
            hint=f"Say it there: tpbox up {name} -p {chosen['publish'][0]} …",
        )
    return door.execute(NamedSession(name), requests.process(ctx, command, chosen), ctx.obj)


def _split(ctx: click.Context, words: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """NAME, and COMMAND without the `--` that may stand before it. Raises UsageError."""
    name = ctx.meta.get(completions.SESSION)
    if name is None:
        name, *rest = words or ("",)
        words = tuple(rest[1:] if rest[:1] == ["--"] else rest)
    if not name:
        raise UsageError("name the session", hint="For instance: tpbox exec dev -- python app.py")
    return parse_session_name(name), words
