from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from tpbox.errors import ImageError
from tpbox.local import images
from tpbox.local.images import Context


@pytest.fixture
def context(tmp_path: Path) -> Context:
    (tmp_path / "files" / "opt").mkdir(parents=True)
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "files" / "opt" / "tool").write_text("#!/bin/sh\n")
    (tmp_path / "files" / "opt" / "tool").chmod(0o755)
    (tmp_path / "files" / "link").symlink_to("opt/tool")
    return Context(tmp_path, "tpbox-test")


def test_hash_is_twelve_hex_digits_and_the_tag(context: Context) -> None:
    assert len(context.hash()) == 12
    assert set(context.hash()) <= set("0123456789abcdef")
    assert context.reference == f"tpbox-test:{context.hash()}"


def test_hash_stays_when_only_times_change(context: Context) -> None:
    before = context.hash()
    os.utime(context.path / "Dockerfile", (1, 1))
    assert context.hash() == before


def test_hash_stays_for_what_is_beside_the_build(context: Context) -> None:
    before = context.hash()
    (context.path / "README.md").write_text("words\n")
    (context.path / "ca").mkdir()
    (context.path / "ca" / "company.crt").write_text("certificate\n")
    (context.path / "files" / "__pycache__").mkdir()
    (context.path / "files" / "__pycache__" / "tool.pyc").write_bytes(b"code")
    assert context.hash() == before


@pytest.mark.parametrize("change", ["content", "name", "run bit", "new file", "link", "empty folder"])
def test_hash_changes_with_the_context(context: Context, change: str) -> None:
    before = context.hash()
    tool = context.path / "files" / "opt" / "tool"
    match change:
        case "content":
            tool.write_text("#!/bin/bash\n")
        case "name":
            tool.rename(tool.with_name("other"))
        case "run bit":
            tool.chmod(0o644)
        case "new file":
            tool.with_name("more").touch()
        case "link":
            (context.path / "files" / "link").unlink()
            (context.path / "files" / "link").symlink_to("opt/other")
        case "empty folder":
            (context.path / "files" / "srv").mkdir()
    assert context.hash() != before


def test_hash_covers_the_arguments(context: Context) -> None:
    with_argument = Context(context.path, context.repository, {"BINARY": "tpbox-cluster-binary:1"})
    with_other = Context(context.path, context.repository, {"BINARY": "tpbox-cluster-binary:2"})
    assert len({context.hash(), with_argument.hash(), with_other.hash()}) == 3


def test_hash_keeps_apart_what_moves_between_name_and_content(tmp_path: Path) -> None:
    for name, content in (("ab", "c"), ("a", "bc")):
        (tmp_path / f"context-{name}").mkdir()
        (tmp_path / f"context-{name}" / name).write_text(content)
    assert Context(tmp_path / "context-ab", "r").hash() != Context(tmp_path / "context-a", "r").hash()


def test_archive_has_the_context_and_the_certificates(context: Context) -> None:
    with tarfile.open(fileobj=images.archive(context, {"company.crt": b"certificate"})) as tar:
        members = {m.name: (m.mode, m.mtime, m.uid, m.linkname) for m in tar}
        certificate = tar.extractfile("ca/company.crt")
        assert certificate is not None
        assert certificate.read() == b"certificate"
    assert members == {
        "Dockerfile": (0o644, 0, 0, ""),
        "files": (0o755, 0, 0, ""),
        "files/link": (0o777, 0, 0, "opt/tool"),
        "files/opt": (0o755, 0, 0, ""),
        "files/opt/tool": (0o755, 0, 0, ""),
        "ca": (0o755, 0, 0, ""),
        "ca/company.crt": (0o644, 0, 0, ""),
    }


def test_archive_has_an_empty_certificate_folder_where_there_are_none(context: Context) -> None:
    with tarfile.open(fileobj=images.archive(context, {})) as tar:
        assert [m.name for m in tar if m.name.startswith("ca")] == ["ca"]


def test_archive_is_the_same_for_the_same_content(context: Context) -> None:
    first = images.archive(context, {}).read()
    os.utime(context.path / "Dockerfile", (1, 1))
    (context.path / "Dockerfile").chmod(0o600)
    assert images.archive(context, {}).read() == first


def test_host_certificates_are_those_of_all_folders_that_exist(tmp_path: Path) -> None:
    (tmp_path / "debian" / "sub").mkdir(parents=True)
    (tmp_path / "debian" / "a.crt").write_bytes(b"a")
    (tmp_path / "debian" / "sub" / "b.crt").write_bytes(b"b")
    (tmp_path / "debian" / "notes.txt").write_bytes(b"-")
    found = images.host_certificates((tmp_path / "debian", tmp_path / "missing"))
    assert found == {"a.crt": b"a", "b.crt": b"b"}


def test_proxy_arguments_are_the_set_ones() -> None:
    environment = {"HTTPS_PROXY": "http://proxy:3128", "no_proxy": "", "HOME": "/root"}
    assert images.proxy_arguments(environment) == {"HTTPS_PROXY": "http://proxy:3128"}


@pytest.mark.parametrize("folder", ["images/local", "images/proxy-pod", "cluster/binary", "cluster/node"])
def test_find_has_every_context(folder: str) -> None:
    assert (images.find(folder, "r").path / "Dockerfile").is_file()


def test_find_names_a_context_that_is_missing() -> None:
    with pytest.raises(ImageError, match="no build context images/nosuch"):
        images.find("images/nosuch", "r")
