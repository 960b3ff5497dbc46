"""The embedded cluster with the example namespace in it, and after every test a look for what it left behind."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import host, shop
from tests.e2e.launcher import CLIENTS, MYAPP, RUNTIMES, SHOP, Launcher

HERE = Path(__file__).parent
ENGINES = ("netstack", "sshuttle")
TEST_LIMIT = 240  # seconds, the set-up of the first test included


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TEST_LIMIT))


@pytest.fixture(scope="session")
def unbound(tmp_path_factory: pytest.TempPathFactory) -> Launcher:
    """The command line with the embedded cluster up and no namespace chosen."""
    missing = [image for image in (SHOP, MYAPP, CLIENTS, RUNTIMES) if not _has_image(image)]
    if missing:
        pytest.fail(f"there is no image {', '.join(missing)}; build it first: make setup", pytrace=False)
    launcher = Launcher("default", tmp_path_factory.mktemp("tpbox"))
    launcher("cluster", "up", timeout=120).ok()
    launcher("cluster", "load", SHOP, timeout=120).ok()
    return launcher


@pytest.fixture(scope="session")
def namespace(unbound: Launcher) -> Iterator[str]:
    """A namespace with the example in it, all of it ready."""
    shop.remove_namespaces()
    name = f"e2e-{secrets.token_hex(2)}"
    shop.make_namespace(name)
    shop.install(name)
    yield name
    shop.remove_namespaces()


@pytest.fixture(scope="session")
def restricted(namespace: str) -> str:
    """A second namespace: empty, and with Pod Security `restricted` enforced."""
    name = f"{namespace}-restricted"
    shop.make_namespace(name, **{"pod-security.kubernetes.io/enforce": "restricted"})
    return name


@pytest.fixture(scope="session")
def tpbox(request: pytest.FixtureRequest, unbound: Launcher, namespace: str) -> Launcher:
    """The command line; `run` and `start` are in the example's namespace. Where the module has EACH_ENGINE, once with
    each engine."""
    return Launcher(namespace, unbound.folder, getattr(request, "param", ""))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if getattr(metafunc.module, "EACH_ENGINE", False):
        metafunc.parametrize("tpbox", ENGINES, indirect=True, scope="session")


@pytest.fixture(autouse=True)
def nothing_left(tpbox: Launcher) -> Iterator[None]:
    """Row 32: after each test no container, volume, object in the cluster or record of its sessions is left."""
    yield
    host.expect_nothing_of(tpbox.take_sessions())


def _has_image(image: str) -> bool:
    return subprocess.run(["docker", "image", "inspect", image], capture_output=True, check=False).returncode == 0
