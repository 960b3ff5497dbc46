"""Environments as text: docker's env files are read, four formats are written. Pure.

    parse(text, "app.env", os.environ)              # {"NAME": "value"}
    rendered = render("dotenv", environment)        # .text, and .unsure: names that not every reader takes alike

The file of --write-env is dotenv with a comment as its first line; that of --write-env-json is a plain object whose
first key is TPBOX_SESSION, a variable of the process like the others. By these beginnings tpbox knows files of its own.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, assert_never

from tpbox.errors import UsageError

Format = Literal["sh", "json", "compose", "dotenv"]
FORMATS: tuple[Format, ...] = ("sh", "json", "compose", "dotenv")

HEADER = "# Written by tpbox, which may write it again."
_OWN = re.compile(rf'{re.escape(HEADER)}|\{{\s*"TPBOX_SESSION"')

_SH_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BARE = re.compile(r"[A-Za-z0-9_./:@%+,=-]*")  # one value to every reader, docker's --env-file included


@dataclass(frozen=True)
class Rendered:
    """The text. `left_out`: names that the format cannot hold. `unsure`: not every program reads their quotes alike."""

    text: str = field(repr=False)
    left_out: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()

    def doubts(self) -> list[str]:
        """What the user should know of it, a line each."""
        found = []
        if self.left_out:
            found.append(f"names that this format cannot hold are left out: {', '.join(self.left_out)}")
        if self.unsure:
            found.append(f"not every program reads these quotes alike, unlike JSON: {', '.join(self.unsure)}")
        return found


def parse(text: str, where: str, own: Mapping[str, str]) -> dict[str, str]:
    """docker's env file: NAME=VALUE a line, the value as it stands; NAME alone has the value that `own` has; lines
    that begin with # are comments. Raises UsageError with the line's number; no value is shown."""
    found = {}
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        line = line.removesuffix("\r").lstrip()
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not name or any(character.isspace() for character in name):
            raise UsageError(
                f"--env-file {where}: line {number} is not NAME=VALUE",
                hint="As docker has it: no blanks around the name, no `export`, no quotes around the value.",
            )
        if equals:
            found[name] = value
        elif name in own:
            found[name] = own[name]
    return found


def render(format: Format, environment: Mapping[str, str]) -> Rendered:
    """The environment in one of FORMATS, ending in a newline."""
    match format:
        case "sh":
            return _sh(environment)
        case "json":
            return Rendered(json.dumps(dict(environment), indent=1, ensure_ascii=False) + "\n")
        case "compose":
            return _compose(environment)
        case "dotenv":
            return _dotenv(environment)
        case _:
            assert_never(format)


def file(environment: Mapping[str, str]) -> Rendered:
    """What --write-env writes."""
    rendered = _dotenv(environment)
    return Rendered(f"{HEADER}\n{rendered.text}", rendered.left_out, rendered.unsure)


def json_file(environment: Mapping[str, str]) -> Rendered:
    """What --write-env-json writes."""
    own = {name: value for name, value in environment.items() if name == "TPBOX_SESSION"}
    return render("json", {**own, **environment})


def is_own(beginning: str) -> bool:
    """Whether a file that begins so was written by tpbox."""
    return _OWN.match(beginning) is not None


def _sh(environment: Mapping[str, str]) -> Rendered:
    good = {name: value for name, value in environment.items() if _SH_NAME.fullmatch(name)}
    text = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in good.items())
    return Rendered(text, tuple(name for name in environment if name not in good))


def _compose(environment: Mapping[str, str]) -> Rendered:
    """A service's `environment:`; JSON's strings are YAML's, and `$$` is compose's `$`."""
    quoted = {name: json.dumps(value, ensure_ascii=False).replace("$", "$$") for name, value in environment.items()}
    lines = (f"  {json.dumps(name)}: {value}\n" for name, value in quoted.items())
    return Rendered("environment:\n" + "".join(lines))


def _dotenv(environment: Mapping[str, str]) -> Rendered:
    """Bare where that is safe, else in single quotes, in which compose, sh and the dotenv libraries take every other
    character, newlines included, as it stands."""
    lines, left_out, unsure = [], [], []
    for name, value in environment.items():
        if "=" in name or any(c.isspace() for c in name) or name.startswith("#"):
            left_out.append(name)
        elif _BARE.fullmatch(value):
            lines.append(f"{name}={value}\n")
        elif "'" not in value and not value.endswith("\\"):
            lines.append(f"{name}='{value}'\n")
            if "\\\\" in value or "\r" in value:  # python-dotenv halves the first, compose drops the second
                unsure.append(name)
        else:
            # Within double quotes the readers agree on all but these.
            if re.search(r'["\\$`]', value):
                unsure.append(name)
            escaped = re.sub(r'(["\\$`])', r"\\\1", value)
            lines.append(f'{name}="{escaped}"\n')
    return Rendered("".join(lines), tuple(left_out), tuple(unsure))
