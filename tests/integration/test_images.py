from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tpbox.errors import ImageError
from tpbox.local import images
from tpbox.local.docker import Docker
from tpbox.local.images import BASE, Context

REPOSITORY = "tpbox-integration-test"

pytestmark = pytest.mark.usefixtures("state_home")


@pytest.fixture(autouse=True)
def nothing_is_young(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "OUTDATED_AFTER", -10)  # seconds; Docker counts whole ones


@pytest.fixture
def context(docker: Docker, tmp_path: Path) -> Iterator[Context]:
    write(tmp_path, f"FROM {BASE}\nCOPY ca/ /ca/\nCOPY tool /tool\n")
    (tmp_path / "tool").write_text("#!/bin/sh\necho one\n")
    (tmp_path / "tool").chmod(0o755)
    yield Context(tmp_path, REPOSITORY)
    images.remove_outdated(docker, REPOSITORY, current="")


def write(path: Path, dockerfile: str) -> None:
    (path / "Dockerfile").write_text(dockerfile)


def run(reference: str, *argv: str) -> str:
    argv = ("docker", "run", "--rm", "--network", "none", reference, *argv)
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout


def tags(docker: Docker) -> set[str]:
    found = docker.images({images.CONTEXT_LABEL: ""}).values()
    return {tag for image in found for tag in image if tag.startswith(REPOSITORY)}


def test_an_image_is_built_once(docker: Docker, context: Context) -> None:
    first: list[str] = []
    reference = images.ensure(docker, context, first.append)
    assert reference == context.reference
    assert first[0] == f"building {reference}"
    assert run(reference, "/tool") == "one\n"
    again: list[str] = []
    assert images.ensure(docker, context, again.append) == reference
    assert again == []


def test_the_hosts_certificates_are_there_for_the_build(docker: Docker, context: Context) -> None:
    reference = images.ensure(docker, context, lambda _: None)
    assert set(run(reference, "ls", "/ca").split()) == set(images.host_certificates())


def test_an_older_image_goes_when_nothing_uses_it(docker: Docker, context: Context) -> None:
    old = images.ensure(docker, context, lambda _: None)
    (context.path / "tool").write_text("#!/bin/sh\necho two\n")
    new = images.ensure(docker, context, lambda _: None)
    assert new != old
    assert tags(docker) == {new}


def test_an_older_image_that_another_checkout_may_use_stays(
    docker: Docker, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = images.ensure(docker, context, lambda _: None)
    (context.path / "tool").write_text("#!/bin/sh\necho two\n")
    with monkeypatch.context() as young:
        young.setattr(images, "OUTDATED_AFTER", 3600)
        new = images.ensure(docker, context, lambda _: None)
    assert tags(docker) == {old, new}


def test_an_older_image_stays_while_a_container_uses_it(docker: Docker, context: Context) -> None:
    old = images.ensure(docker, context, lambda _: None)
    container = subprocess.check_output(["docker", "create", old, "/tool"], text=True).strip()
    try:
        (context.path / "tool").write_text("#!/bin/sh\necho two\n")
        new = images.ensure(docker, context, lambda _: None)
        assert tags(docker) == {old, new}
    finally:
        docker.remove(container)
    images.remove_outdated(docker, REPOSITORY, new)
    assert tags(docker) == {new}


def test_a_named_image_is_built_again_when_its_context_changes(docker: Docker, context: Context) -> None:
    tag = f"{REPOSITORY}:named"
    assert images.ensure(docker, context, lambda _: None, tag=tag) == tag
    again: list[str] = []
    images.ensure(docker, context, again.append, tag=tag)
    assert again == []
    old = docker.image(tag)
    assert old is not None
    (context.path / "tool").write_text("#!/bin/sh\necho two\n")
    images.ensure(docker, context, again.append, tag=tag)
    assert again[0] == f"building {tag}"
    assert tags(docker) == {tag}
    assert docker.image(old["Id"]) is None


def test_a_build_stage_that_says_so_does_not_stay(docker: Docker, context: Context) -> None:
    write(
        context.path,
        f"FROM {BASE} AS build\nRUN echo large > /large\nLABEL {images.STAGE_LABEL}=build\n"
        f"FROM {BASE}\nCOPY --from=build /large /large\n",
    )
    reference = images.ensure(docker, context, lambda _: None)
    assert run(reference, "cat", "/large") == "large\n"
    assert docker.images({images.STAGE_LABEL: "build"}) == {}


def test_a_build_argument_reaches_the_build(docker: Docker, context: Context) -> None:
    write(context.path, f"FROM {BASE}\nARG WORD\nRUN echo $WORD > /word\n")
    reference = images.ensure(docker, Context(context.path, REPOSITORY, {"WORD": "hello"}), lambda _: None)
    assert run(reference, "cat", "/word") == "hello\n"


def test_a_build_that_fails_says_the_builds_words(docker: Docker, context: Context) -> None:
    write(context.path, f"FROM {BASE}\nRUN echo it broke >&2; exit 3\n")
    with pytest.raises(ImageError) as raised:
        images.ensure(docker, context, lambda _: None)
    assert f"building {context.reference} failed" in raised.value.message
    assert "it broke" in raised.value.detail
    assert docker.image(context.reference) is None
