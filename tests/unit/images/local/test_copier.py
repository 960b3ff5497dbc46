"""The copier against the real agent: what `ssh` would run in the pod runs here."""

from __future__ import annotations

import io
import shutil
import sys
import tarfile
from pathlib import Path

import copier
import pytest
from copier import Tree

ROOT = Path(__file__).resolve().parents[4]
AGENT = [sys.executable, "-I", str(ROOT / "images/proxy-pod/files/opt/tpbox"), "snapshot"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A ConfigMap as kubelet mounts it."""
    publish(tmp_path / "map", "..1", "hello")
    (tmp_path / "map" / "greeting").symlink_to("..data/greeting")
    (tmp_path / "copy").mkdir()
    return tmp_path / "map"


def publish(folder: Path, name: str, greeting: str) -> None:
    """As kubelet does: a new directory, `..data` in one step, the old one away."""
    old = [path for path in folder.glob("..[0-9]*") if path.is_dir()]
    (folder / name).mkdir(parents=True)
    (folder / name / "greeting").write_text(greeting)
    (folder / "..next").symlink_to(name)
    (folder / "..next").replace(folder / "..data")
    for path in old:
        shutil.rmtree(path)


def follow(tree: Tree) -> list[str]:
    """One round; returns the notes."""
    notes: list[str] = []
    copier.follow(AGENT, [tree], notes.append, lambda: None, rounds=1)
    return notes


def test_a_tree_is_copied_with_its_links(source: Path, tmp_path: Path) -> None:
    tree = Tree(str(source), tmp_path / "copy")
    assert follow(tree) == []
    assert (tmp_path / "copy" / "greeting").read_text() == "hello"
    assert (tmp_path / "copy" / "..data").readlink() == Path("..1")


def test_a_change_is_followed_and_the_old_goes(source: Path, tmp_path: Path) -> None:
    tree = Tree(str(source), tmp_path / "copy")
    follow(tree)
    publish(source, "..2", "changed")
    follow(tree)
    assert (tmp_path / "copy" / "greeting").read_text() == "changed"
    assert sorted(path.name for path in (tmp_path / "copy").iterdir()) == ["..2", "..data", "greeting"]


def test_what_is_written_here_stays_unless_the_pod_changes_it(source: Path, tmp_path: Path) -> None:
    tree = Tree(str(source), tmp_path / "copy")
    (source / "kept").write_text("the pod's")
    follow(tree)
    (tmp_path / "copy" / "kept").write_text("mine")
    (tmp_path / "copy" / "new").write_text("mine too")
    publish(source, "..2", "changed")
    follow(tree)
    assert (tmp_path / "copy" / "kept").read_text() == "mine"
    assert (tmp_path / "copy" / "new").read_text() == "mine too"


def test_an_unchanged_tree_is_left_alone(source: Path, tmp_path: Path) -> None:
    tree = Tree(str(source), tmp_path / "copy")
    follow(tree)
    (tmp_path / "copy" / "..1" / "greeting").unlink()
    follow(tree)
    assert not (tmp_path / "copy" / "..1" / "greeting").exists()


def test_whoever_runs_in_the_container_may_read_it(source: Path, tmp_path: Path) -> None:
    (source / "..1" / "greeting").chmod(0o440)
    follow(Tree(str(source), tmp_path / "copy"))
    assert (tmp_path / "copy" / "..1" / "greeting").stat().st_mode & 0o777 == 0o444


def test_what_is_left_out_is_noted_once(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copier, "LIMIT", 3)
    tree = Tree(str(source), tmp_path / "copy")
    [note] = follow(tree)
    assert note.startswith(f"{source}: ") and "more than" in note
    assert follow(tree) == []


def test_an_agent_that_hangs_up_is_an_error(tmp_path: Path) -> None:
    with pytest.raises((EOFError, BrokenPipeError)):
        copier.follow(["true"], [Tree("/x", tmp_path)], lambda _: None, lambda: None)


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd"])
def test_a_member_that_leads_out_is_refused(name: str, tmp_path: Path) -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    made.seek(0)
    with pytest.raises(OSError, match="has a member"):
        copier.extract(made, tmp_path, {})
