from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from agent import snapshot

LIMIT = 1000


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A ConfigMap as kubelet mounts it."""
    data = tmp_path / "map" / "..2026_01"
    data.mkdir(parents=True)
    (data / "greeting").write_text("hello")
    (tmp_path / "map" / "..data").symlink_to("..2026_01")
    (tmp_path / "map" / "greeting").symlink_to("..data/greeting")
    return tmp_path / "map"


def ask(path: Path, digest: str = "") -> tuple[dict[str, Any], tarfile.TarFile | None]:
    answers = io.BytesIO()
    request = json.dumps({"path": str(path), "digest": digest, "limit": LIMIT}).encode()
    assert snapshot.serve([request], answers) == 0
    answers.seek(0)
    header = json.loads(answers.readline())
    data = b""
    while length := int.from_bytes(answers.read(4), "big"):
        data += answers.read(length)
    return header, tarfile.open(fileobj=io.BytesIO(data)) if header["changed"] else None


def test_links_come_last_in_the_archive(tree: Path) -> None:
    header, archive = ask(tree)
    assert archive and header["note"] == ""
    assert archive.getnames() == [".", "..2026_01", "..2026_01/greeting", "..data", "greeting"]
    content = archive.extractfile("..2026_01/greeting")
    assert content and content.read() == b"hello"
    assert archive.getmember("..data").linkname == "..2026_01"


def test_an_unchanged_tree_is_not_sent_again(tree: Path) -> None:
    header, _ = ask(tree)
    assert ask(tree, header["digest"]) == (header | {"changed": False}, None)
    (tree / "..2026_02").mkdir()
    (tree / "..data").unlink()
    (tree / "..data").symlink_to("..2026_02")
    assert ask(tree, header["digest"])[0]["changed"]


def test_a_file_by_itself_is_a_tree_of_one(tree: Path) -> None:
    _, archive = ask(tree / "..2026_01" / "greeting")
    assert archive and archive.getnames() == ["greeting"]


def test_what_is_too_large_is_named_and_left_out(tree: Path) -> None:
    (tree / "large").write_bytes(b"x" * (LIMIT + 1))
    header, archive = ask(tree)
    assert archive is None
    assert "more than" in header["note"]


def test_what_cannot_be_read_is_named(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "greeting")
    header, archive = ask(tree)
    assert "..2026_01/greeting" in header["note"]
    assert archive and "..2026_01/greeting" not in archive.getnames()


def test_nothing_at_the_path_is_said(tmp_path: Path) -> None:
    assert "No such file" in ask(tmp_path / "nowhere")[0]["note"]


def test_a_file_that_shrinks_meanwhile_keeps_the_size_that_was_said() -> None:
    assert snapshot.Padded(io.BytesIO(b"abc"), 5).read(10) == b"abc\0\0"
