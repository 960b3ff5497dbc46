"""Real Docker, and an embedded cluster of the tests' own: the user's is never stopped or removed by a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tpbox.local import images
from tpbox.local.docker import Docker
from tpbox.local.embedded import Embedded


@pytest.fixture(scope="session")
def docker() -> Docker:
    return Docker.connect()


@pytest.fixture(scope="session")
def state_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A state directory of the tests' own."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("state")
        patch.setenv("XDG_STATE_HOME", str(home))
        yield home


@pytest.fixture(scope="module")
def cluster(docker: Docker, state_home: Path) -> Iterator[Embedded]:
    """A second embedded cluster, absent at first and removed at the end."""
    found = Embedded(docker, name="tpbox-cluster-test")
    found.down()
    yield found
    found.down()


@pytest.fixture(scope="session")
def image(docker: Docker) -> Callable[[str], str]:
    """The reference of one of tpbox's own images, by its folder's name."""
    return lambda name: images.ensure(docker, images.find(f"images/{name}", f"tpbox-{name}"), progress=lambda _: None)
