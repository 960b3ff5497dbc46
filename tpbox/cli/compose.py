"""`tpbox compose`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from tpbox.errors import UsageError
from tpbox.ui import Console

if TYPE_CHECKING:
    from tpbox.local.compose import Compose
    from tpbox.plan.compose.project import ClusterService, ComposePlan
    from tpbox.project import Project

# Options of `docker compose` itself, and of its commands, that have a value behind them.
_GLOBAL = ("-f", "--file", "-p", "--project-name", "--profile", "--env-file", "--project-directory", "--ansi",
           "--parallel", "--progress")  # fmt: skip
_WITH_VALUE = {
    "up": ("-t", "--timeout", "--scale", "--attach", "--no-attach", "--exit-code-from", "--wait-timeout", "--pull"),
    "run": ("-e", "--env", "--env-from-file", "--entrypoint", "--name", "-p", "--publish", "-u", "--user", "-v",
            "--volume", "-w", "--workdir", "-l", "--label", "--cap-add", "--cap-drop", "--pull"),
    "down": ("-t", "--timeout", "--rmi"),
}  # fmt: skip
_DETACHING = ("--detach", "--wait", "--no-start")
_HELP = ("-h", "--help")
# Without click's own help: it would find -h in -fshop.yaml.
_SETTINGS = {"ignore_unknown_options": True, "allow_interspersed_args": False, "help_option_names": []}


@click.command(context_settings=_SETTINGS)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS] COMMAND [ARGS]...")
@click.pass_context
def compose(ctx: click.Context, words: tuple[str, ...]) -> int:
    """Run docker compose with some services in the cluster: those that have x-tpbox.

    \b
      web:
        build: .
        x-tpbox: {swap: deploy/web, namespace: shop, expose: [8080]}

    up, run begin a session for each such service that is wanted, and docker compose does the rest, with an override
    that tpbox writes; down ends the sessions first, and their workloads are back. `hold` only begins them: then plain
    docker compose works, with the override that `config` prints. All other commands are docker compose's. Options of
    docker compose stand before the command, as they do there. docs/compose.md has the keys of x-tpbox.

    \b
    tpbox compose up --build
    tpbox compose -f compose.yaml --profile dev up -d web
    tpbox compose run web python manage.py migrate
    tpbox compose down
    """
    options, rest = split(words)
    if not rest or set(options) & set(_HELP):
        click.echo(ctx.get_help())
        return 0
    from tpbox.local.compose import Compose  # not for --help: it knows YAML

    docker_compose = Compose(options)
    docker_compose.check_version()
    if rest[0] not in _COMMANDS or wants_help(rest):
        return _other(docker_compose, rest, ctx.obj)
    if "--dry-run" in [*options, *own_options(rest)]:
        raise UsageError(
            f"--dry-run: tpbox compose {rest[0]} is for real: without sessions there is nothing to show",
            hint="One service's session alone: tpbox up NAME … --dry-run",
        )
    return _COMMANDS[rest[0]](docker_compose, rest, ctx.obj)


def split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """docker compose's own options, and what begins with the command."""
    at = 0
    while at < len(words) and words[at].startswith("-"):
        at += 2 if words[at] in _GLOBAL else 1
    return list(words[:at]), list(words[at:])


def services(command: str, arguments: Sequence[str]) -> list[str]:
    """The services that `up`, `run` or `down` names; of `run` it is one, with its program behind it."""
    found, words = [], iter(arguments)
    for word in words:
        if takes_value(command, word):
            next(words, None)
        elif not word.startswith("-"):
            found.append(word)
            if command == "run":
                break
    return found


def takes_value(command: str, word: str) -> bool:
    """Whether the next word is this option's: also of joined short ones, `-itu root`."""
    joined = re.fullmatch(r"-[a-zA-Z]+", word)
    return word in _WITH_VALUE[command] or bool(joined and f"-{word[-1]}" in _WITH_VALUE[command])


def own_options(words: Sequence[str]) -> list[str]:
    """The command's, without those of a program that `run` is to run."""
    command, *arguments = words
    if command == "run" and (named := services(command, arguments)):
        arguments = arguments[: arguments.index(named[0])]
    return [word for word in arguments if word.startswith("-")]


def wants_help(words: Sequence[str]) -> bool:
    return bool(set(own_options(words)) & set(_HELP))


def detaches(options: Sequence[str]) -> bool:
    """Whether Compose is to return while the services run."""
    for word in options:
        option, _, value = word.partition("=")
        short = re.fullmatch(r"-[a-zA-Z]*d[a-zA-Z]*", option)
        if (short or option in _DETACHING) and value.lower() not in ("false", "0", "f"):
            return True
    return False


def _up(compose: Compose, words: Sequence[str], console: Console) -> int:
    project, plan, wanted = _planned(compose, words, console)
    if detaches(own_options(words)):
        project.begin(plan, wanted, tied=False)
        code = project.foreground(*words)
        if code != 0:
            project.end(project.begun())
        return code
    project.begin(plan, wanted, tied=True)
    ending = project.sessions([service.name for service in wanted]) if wanted else []
    try:
        return project.foreground(*words, ending=ending)
    finally:
        project.end(ending)


def _run(compose: Compose, words: Sequence[str], console: Console) -> int:
    project, plan, wanted = _planned(compose, words, console)
    if detaches(own_options(words)):
        project.begin(plan, wanted, tied=False)
        return project.foreground(*words)
    project.begin(plan, wanted, tied=True)
    try:
        return project.foreground(*words, ending=project.begun())
    finally:
        project.end(project.begun())


def _hold(compose: Compose, words: Sequence[str], console: Console) -> int:
    project, plan, wanted = _planned(compose, ["up", *words[1:]], console)
    project.begin(plan, wanted, tied=False)
    console.say(f"held until tpbox compose down; for docker compose: -f {project.override}")
    return 0


def _down(compose: Compose, words: Sequence[str], console: Console) -> int:
    project = _there(compose, console)
    project.end(project.sessions(services("down", words[1:])))
    return project.foreground(*words)


def _config(compose: Compose, words: Sequence[str], console: Console) -> int:
    if words[1:]:
        return _other(compose, words, console)
    click.echo(_there(compose, console).text(), nl=False)
    return 0


def _other(compose: Compose, words: Sequence[str], console: Console) -> int:
    """Compose says itself what is wrong with the project, if it needs one: `version` and `ls` do not."""
    try:
        project = _there(compose, console)
    except UsageError:
        return compose.foreground(*words)
    return project.foreground(*words)


def _planned(
    compose: Compose, words: Sequence[str], console: Console
) -> tuple[Project, ComposePlan, list[ClusterService]]:
    """The project, and those of its services in the cluster that are wanted. Raises UsageError."""
    from tpbox.plan.compose import project as planning
    from tpbox.project import Project

    command, *arguments = words
    named, model = services(command, arguments), compose.model()
    chosen = compose.model(named) if named else model
    plan = planning.plan(planning.merged(model, chosen))
    planning.check_scale(plan, arguments)
    wanted = plan.wanted(named if "--no-deps" in arguments and named else chosen.get("services") or {})
    return Project(compose, plan.project, console), plan, wanted


def _there(compose: Compose, console: Console) -> Project:
    from tpbox.project import Project

    return Project(compose, compose.model()["name"], console)


_COMMANDS = {"up": _up, "run": _run, "hold": _hold, "down": _down, "config": _config}
