from __future__ import annotations

import pytest

from tpbox.errors import DockerError, UsageError
from tpbox.local.app import _create_error

USAGE = "\n\nUsage:  docker create [OPTIONS] IMAGE [COMMAND]\n\nRun 'docker create --help' for more information\n"


@pytest.mark.parametrize(
    ("code", "words", "kind", "detail"),
    [
        (125, f'invalid argument "zz" for "-m, --memory" flag: invalid size: \'zz\'{USAGE}', UsageError,
         'invalid argument "zz" for "-m, --memory" flag: invalid size: \'zz\''),
        (125, "unknown flag: --nosuch\nSee 'docker create --help'.\n", UsageError, "unknown flag: --nosuch"),
        (1, "Error response from daemon: No command specified\n", DockerError, "No command specified"),
        (1, "WARNING: no swap limit\nError response from daemon: bad mode\n", DockerError, "bad mode"),
        (1, "", DockerError, "docker create failed"),
    ],
)  # fmt: skip
def test_dockers_words_are_kept_without_its_usage(code: int, words: str, kind: type, detail: str) -> None:
    error = _create_error(code, words)
    assert (type(error), error.detail) == (kind, detail)
