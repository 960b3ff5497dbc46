from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from tpbox.errors import UsageError
from tpbox.local import environment_file
from tpbox.plan import envfile

ENVIRONMENT = {"TPBOX_SESSION": "abcdefgh", "A": "two\nlines"}


def test_a_file_is_private_and_may_be_written_again(tmp_path: Path) -> None:
    path = tmp_path / "app.json"
    for environment in (ENVIRONMENT, {**ENVIRONMENT, "B": "2"}):
        environment_file.write("--write-env-json", str(path), envfile.json_file(environment).text)
        assert json.loads(path.read_text()) == environment
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("text", ["", "A=1\n", '{"A": "1"}'])
def test_a_file_of_somebody_elses_is_kept(tmp_path: Path, text: str) -> None:
    path = tmp_path / "app.env"
    path.write_text(text)
    with pytest.raises(UsageError, match="not written by tpbox"):
        environment_file.write("--write-env", str(path), envfile.file(ENVIRONMENT).text)
    assert path.read_text() == text


def test_a_missing_folder_a_folder_and_a_device_are_refused(tmp_path: Path) -> None:
    for path, words in ((tmp_path / "none" / "f", "no folder"), (tmp_path, "not a file"), (Path("/dev/null"), "not a")):
        with pytest.raises(UsageError, match=words):
            environment_file.check("--write-env", str(path))


def test_a_folder_that_holds_no_files_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        environment_file.check("--write-env", "/proc/self/app.env")


def test_an_env_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="missing cannot be read"):
        environment_file.read(str(tmp_path / "missing"))
    (tmp_path / "binary").write_bytes(b"A=\xff\xfe")
    with pytest.raises(UsageError, match="not UTF-8"):
        environment_file.read(str(tmp_path / "binary"))
