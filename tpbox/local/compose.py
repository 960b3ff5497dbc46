"""`docker compose`: what it says of a project, and the words that run it.

    compose = Compose(["-f", "compose.yaml", "--profile", "dev"])     # Compose's own global options
    compose.check_version()
    model = compose.model()
    subprocess.call(compose.argv("up", "--build", override="/…/override.yaml"))

With `-f override.yaml` Compose no longer looks for the user's own files, so they are found here as Compose does it.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tpbox import process
from tpbox.errors import DockerError, UsageError
from tpbox.process import ProcessError

OLDEST = (2, 20)  # the first that knows `!reset` and `depends_on: {restart: true}`
INSTALL_HINT = "Install Docker's plugin: https://docs.docker.com/compose/install/"

# https://github.com/compose-spec/compose-go/blob/v2.0.2/cli/options.go
_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
_OVERRIDES = (
    "compose.override.yml", "compose.override.yaml", "docker-compose.override.yml", "docker-compose.override.yaml",
)  # fmt: skip

# logrus, when Compose's stderr is no terminal: time="…" level=warning msg="…"
_LOG_LINE = re.compile(r'time="[^"]*" level=(?P<level>\w+) msg=(?:"(?P<quoted>.*)"|(?P<bare>.*))')


class _Loader(yaml.SafeLoader):
    """YAML 1.1 has a meaning for a value that is `=` alone; Compose writes 1.2, where it is a text."""


_Loader.add_constructor("tag:yaml.org,2002:value", lambda _, node: node.value)


class Compose:
    """One project, as Compose's global options name it."""

    def __init__(self, options: Sequence[str] = ()) -> None:
        self.options = tuple(options)

    def check_version(self) -> None:
        """Raises DockerError when Compose is not there, or too old."""
        try:
            said = process.run(["docker", "compose", "version", "--short"]).strip()
        except ProcessError as error:
            raise DockerError("docker compose is not there", detail=error.detail, hint=INSTALL_HINT) from error
        found = re.match(r"v?(\d+)\.(\d+)", said)
        if not found or (int(found[1]), int(found[2])) < OLDEST:
            wanted = ".".join(map(str, OLDEST))
            raise DockerError(f"docker compose is {said}; {wanted} or later is needed", hint=INSTALL_HINT)

    def model(self, services: Sequence[str] = ()) -> dict[str, Any]:
        """The project, resolved: all services of the active profiles, or the named ones with what they depend on.

        Raises UsageError with Compose's own words.
        """
        # As JSON it would lack each x-tpbox: https://github.com/docker/compose/issues/11528
        argv = self.argv("config", "--format", "yaml", *services)
        try:
            said = process.run(argv)
        except ProcessError as error:
            raise UsageError(
                "docker compose cannot read the project",
                detail=own_words(error.detail),
                hint=f"To see what it says alone: {shlex.join(argv)}",
            ) from error
        # What `config` prints is a Compose file again, in which each $ is written twice.
        return dict(yaml.load(said.replace("$$", "$"), Loader=_Loader) or {})

    def argv(self, *words: str, override: str = "") -> list[str]:
        """`docker compose … WORDS`, with the override behind the user's own files. Raises UsageError where there are
        none."""
        files = [word for file in self.files() for word in ("-f", file)] if override else []
        options = without_files(self.options) if override else self.options
        return ["docker", "compose", *options, *files, *(("-f", override) if override else ()), *words]

    def directory(self) -> Path:
        """The project's, to which paths in its files are relative. Raises UsageError when there is no file."""
        given = [*values(self.options, "", "--project-directory")]
        return (Path(given[-1]) if given else Path(self.files()[0]).parent).resolve()

    def foreground(self, *words: str) -> int:
        """Runs it as it is, with our terminal, and returns its exit code."""
        return subprocess.call(self.argv(*words))

    def files(self) -> tuple[str, ...]:
        """The project's Compose files. Raises UsageError when there is none."""
        return find_files(self.options, Path.cwd(), os.environ, read=_text)


def find_files(
    options: Sequence[str], directory: Path, environment: Mapping[str, str], read: Callable[[Path], str | None]
) -> tuple[str, ...]:
    """The files that Compose would read: those of -f, else of COMPOSE_FILE, else the default ones in the directory or
    the nearest one above. `read` gives a file's text, None where there is none. Raises UsageError."""
    given = tuple(values(options, "-f", "--file"))
    if "-" in given:
        raise UsageError(
            "-f -: tpbox reads the project more than once, and the standard input only once",
            hint="Name a file: -f compose.yaml",
        )
    if given:
        return given
    own = next(reversed(list(values(options, "", "--project-directory"))), "")
    variables = {**_dotenv(options, directory, own, environment, read), **environment}
    if listed := variables.get("COMPOSE_FILE"):
        return tuple(filter(None, listed.split(variables.get("COMPOSE_PATH_SEPARATOR") or os.pathsep)))
    directory = directory / own
    for folder in (directory, *directory.parents):
        found = _first(folder, _NAMES, read)
        if found:
            return (*found, *_first(folder, _OVERRIDES, read))
    raise UsageError(
        f"there is no {_NAMES[0]} in {directory}, nor above", hint="Name the file: tpbox compose -f FILE up"
    )


def values(options: Sequence[str], short: str, long: str) -> Iterator[str]:
    """The values of one option, whichever way they are written: -f F, -fF, --file F, --file=F."""
    words = iter(options)
    for word in words:
        if word in (short, long):
            yield next(words, "")
        elif word.startswith(f"{long}="):
            yield word.partition("=")[2]
        elif short and word.startswith(short) and not word.startswith("--"):
            yield word.removeprefix(short).removeprefix("=")


def without_files(options: Sequence[str]) -> list[str]:
    """The options less -f, which is said anew."""
    kept, words = [], iter(options)
    for word in words:
        if word in ("-f", "--file"):
            next(words, None)
        elif not word.startswith("--file=") and not re.match(r"-f.", word):
            kept.append(word)
    return kept


def own_words(text: str) -> str:
    """What Compose says is wrong, without its warnings, times and levels."""
    lines = []
    for line in text.splitlines():
        logged = _LOG_LINE.fullmatch(line.strip())
        if not logged:
            lines.append(line)
        elif logged["level"] not in ("warning", "info", "debug"):
            lines.append(re.sub(r"\\(.)", r"\1", logged["quoted"] or logged["bare"]))
    return "\n".join(lines)


def _dotenv(
    options: Sequence[str],
    directory: Path,
    own: str,
    environment: Mapping[str, str],
    read: Callable[[Path], str | None],
) -> dict[str, str]:
    """What --env-file, else the project directory's .env, says of the files."""
    listed = [*values(options, "", "--env-file")] or environment.get("COMPOSE_ENV_FILES", "").split(",")
    found: dict[str, str] = {}
    for file in [directory / name for name in listed if name] or [directory / own / ".env"]:
        for line in (read(file) or "").splitlines():
            variable, equals, value = line.strip().removeprefix("export ").partition("=")
            if equals and variable.strip() in ("COMPOSE_FILE", "COMPOSE_PATH_SEPARATOR"):
                found[variable.strip()] = value.strip().strip("\"'")
    return found


def _first(folder: Path, names: Sequence[str], read: Callable[[Path], str | None]) -> tuple[str, ...]:
    return next(((str(folder / name),) for name in names if read(folder / name) is not None), ())


def _text(file: Path) -> str | None:
    try:
        return file.read_text(errors="replace") if file.is_file() else None
    except OSError:
        return None
