"""The root of the command line. Commands are imported when they are used, so that `tpbox --help` is quick.

main() prints and exits; run() raises, and is what tests call.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence

import click

from tpbox import __version__, state, steps
from tpbox.errors import EXIT_TPBOX, TpboxError, UsageError
from tpbox.ui import DEBUG, NORMAL, QUIET, Console, Mode, setup_logging

# name: (module, attribute, one line for --help)
COMMANDS = {
    "run": ("tpbox.cli.run", "run", "Run a program in a container that lives in the cluster."),
    "shell": ("tpbox.cli.run", "shell", "Open a shell in a container that lives in the cluster."),
    "up": ("tpbox.cli.up", "up", "Start a session that stays, for processes to come."),
    "exec": ("tpbox.cli.exec", "exec_", "Run a program in a session that tpbox up has started."),
    "logs": ("tpbox.cli.up", "logs", "Print what such a session has said."),
    "restart": ("tpbox.cli.up", "restart", "End such a session and start it anew."),
    "down": ("tpbox.cli.up", "down", "End such a session."),
    "compose": ("tpbox.cli.compose", "compose", "Run docker compose with some services in the cluster."),
    "status": ("tpbox.cli.status", "status", "Show your sessions: here, and what the cluster shows of them."),
    "cleanup": ("tpbox.cli.status", "cleanup", "Give back what dead sessions swapped; remove what they left."),
    "env": ("tpbox.cli.env", "env", "Print the environment that a process would get."),
    "doctor": ("tpbox.cli.doctor", "doctor", "Check Docker, the cluster and your rights, and say what mends them."),
    "images": ("tpbox.cli.images", "images", "tpbox's own images: list, build, push, load."),
    "cluster": ("tpbox.cli.cluster", "cluster", "The embedded Kubernetes: up, down, status, load, kubeconfig."),
    "completion": ("tpbox.cli.completion", "completion", "Print what makes bash, zsh or fish complete tpbox's words."),
}
# They look, or speak to a shell that waits: no sweep first.
NOT_SWEEPING = {"cleanup", "doctor", "completion"}


class LazyGroup(click.Group):
    """A group that knows its commands' names and first lines without importing them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta["tpbox.words"] = tuple(args)  # a session that stays is this command line in a process of its own
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in COMMANDS.items()])


def _set_mode(ctx: click.Context, _: click.Parameter, value: Mode) -> None:
    """At once: what is wrong with the words behind it is said in the mode already."""
    if isinstance(ctx.obj, Console) and not isinstance(ctx.obj, steps.RelayedConsole):  # that one has a log
        ctx.obj.mode = value


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="tpbox")
@click.option("-v", "--verbose", count=True, help="Say more; -vv logs every step.")
@click.option("-q", "--quiet", is_flag=True, help="Say only warnings and errors.")
@click.option("--log", "log_file", metavar="FILE", type=click.Path(dir_okay=False), help="Write the log to FILE.")
@click.option(
    "--progress",
    type=click.Choice(["auto", "plain", "json"]),
    default="auto",
    show_default=True,
    is_eager=True,
    expose_value=False,
    callback=_set_mode,
    help="How steps are shown on stderr: a live line on a terminal, lines, or JSON lines.",
)
@click.pass_context
def root(ctx: click.Context, verbose: int, quiet: bool, log_file: str | None) -> None:
    """One local process lives in a Kubernetes cluster; nothing else on this machine changes.

    \b
    tpbox run --image myapp -- python app.py
    tpbox run -n shop --like deploy/web --image myapp -- curl -s http://web/
    tpbox run -n shop --swap deploy/web --image myweb
    tpbox shell -n shop --image myapp
    """
    console: Console = ctx.obj
    console.verbosity = QUIET if quiet else NORMAL + verbose
    _log(console, log_file)
    if ctx.invoked_subcommand not in NOT_SWEEPING and any(not record.alive() for record in state.records()):
        from tpbox import sweep  # with the SDKs, which a command that finds nothing to sweep need not wait for

        sweep.remove_all_dead(console.warn)


def _log(console: Console, file: str | None) -> None:
    try:
        setup_logging(console.verbosity, file, console.mode)
    except OSError as error:
        raise UsageError(f"--log: {file} cannot be written", detail=error.strerror or "") from error


def run(argv: Sequence[str], console: Console) -> int:
    """Runs one command line and returns its exit code; `console` takes its verbosity and mode from the line.

    Raises TpboxError, and KeyboardInterrupt after a Ctrl-C that nobody else has heard.
    """
    if "_TPBOX_COMPLETE" in os.environ:
        importlib.import_module("tpbox.cli.completion")  # it knows how bash splits words
    try:
        result = root.main(args=list(argv), prog_name="tpbox", standalone_mode=False, obj=console)
    except click.exceptions.Abort as error:
        if isinstance(error.__cause__, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        raise TpboxError("aborted") from error
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "tpbox"
        raise UsageError(error.format_message(), hint=f"See: {command} --help") from error
    except click.ClickException as error:
        raise UsageError(error.format_message()) from error
    return result if isinstance(result, int) else 0


def _console() -> Console:
    """Of a process in the background, what is said goes to whoever has started it too: wrong words as well."""
    if steps.PIPE not in os.environ:
        return Console()
    pipe = steps.in_background()
    assert pipe, "it is there"
    return steps.RelayedConsole(Console(), pipe)


def main() -> None:
    """The entry point: says errors on stderr and exits."""
    console = _console()
    try:
        code = run(sys.argv[1:], console)
    except TpboxError as error:
        console.error(error)
        code = error.exit_code
    except KeyboardInterrupt:
        code = 130
    except SystemExit as end:  # how click ends after a shell's completion
        code = end.code if isinstance(end.code, int) else 0
    except Exception as error:
        if console.verbosity >= DEBUG or os.environ.get("TPBOX_DEBUG"):
            traceback.print_exc()
        hint = "This is a fault in tpbox. TPBOX_DEBUG=1 shows where; `tpbox cleanup` removes what is left."
        console.error(TpboxError(f"{type(error).__name__}: {error}", hint=hint))
        code = EXIT_TPBOX
    sys.stdout.flush()
    # Not sys.exit: a thread that still waits on a dead connection must not keep the shell waiting.
    sys.stderr.flush()
    os._exit(code)
