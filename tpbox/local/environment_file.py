"""Files that environments are read from and written to. What is written is the user's secrets: 0600, whole or not at
all, and never over a file that tpbox did not write.

    environment_file.check("--write-env", path)      # before anything is made
    environment_file.write("--write-env", path, text)
    environment_file.read(path)
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from tpbox import state
from tpbox.errors import TpboxError, UsageError
from tpbox.plan import envfile

_BEGINNING = 200  # bytes


def check(option: str, path: str) -> None:
    """Raises UsageError when the file could not be written, or is somebody else's."""
    file = Path(path)
    if not file.parent.is_dir():
        raise UsageError(f"{option}: there is no folder {file.parent}", hint=f"Make it: mkdir -p {file.parent}")
    try:
        _check_own(option, file)
        with tempfile.TemporaryFile(dir=file.parent):
            pass  # os.access would say yes to root on a read-only file system
    except OSError as error:
        raise UsageError(f"{option}: {path} cannot be written", detail=error.strerror or str(error)) from error


def write(option: str, path: str, text: str) -> None:
    """Writes the file. Raises UsageError as check() does, for what has changed since; TpboxError when it fails."""
    check(option, path)
    try:
        state.write_private(Path(path), text)
    except OSError as error:
        raise TpboxError(f"{option}: {path} cannot be written", detail=error.strerror or str(error)) from error


def read(path: str) -> dict[str, str]:
    """A file of --env-file. Raises UsageError."""
    try:
        text = Path(path).read_bytes().decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"--env-file {path} is not UTF-8 text", detail=error.reason) from error
    except OSError as error:
        raise UsageError(f"--env-file {path} cannot be read", detail=error.strerror or str(error)) from error
    return envfile.parse(text, path, os.environ)


def _check_own(option: str, file: Path) -> None:
    if not os.path.lexists(file):
        return
    if not file.is_file():
        raise UsageError(f"{option}: {file} is not a file", hint="Name another.")
    with file.open("rb") as stream:
        beginning = stream.read(_BEGINNING)
    if not envfile.is_own(beginning.decode(errors="replace")):
        raise UsageError(
            f"{option}: {file} is there already and was not written by tpbox", hint="Name another, or remove it."
        )
