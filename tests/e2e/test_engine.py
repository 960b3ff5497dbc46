"""Which engine carries a session: the exact one where it can work, else sshuttle, and which one is said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import shop
from tests.e2e.launcher import CLIENTS, Launcher, Result, error_lines
from tpbox.local import images

WITHOUT_FAR = "tpbox-e2e-without-far:1"
PAGE = ("--image", CLIENTS, "--", "curl", "-sS", "--max-time", "5", "http://web/")


@pytest.fixture(scope="module")
def without_far(tpbox: Launcher) -> Iterator[str]:
    """An older proxy-pod image, or somebody's own: it knows nothing of netstack."""
    current = images.find("images/proxy-pod", "tpbox-proxy-pod").reference
    dockerfile = f"FROM {current}\nUSER 0\nRUN rm -r /opt/netstack\nUSER 65532:65532\n"
    shop.docker("build", "--tag", WITHOUT_FAR, "-", stdin=dockerfile)
    tpbox("cluster", "load", WITHOUT_FAR, timeout=120).ok()
    yield WITHOUT_FAR
    shop.docker("image", "rm", WITHOUT_FAR)


def _run(tpbox: Launcher, folder: Path, *options: str) -> tuple[Result, str]:
    """What the session did, and the engine that its report names."""
    path = folder / "report.json"
    done = tpbox.run("--report", str(path), *options, *PAGE, verbosity="-v")
    return done, str(json.loads(path.read_text())["engine"])


def test_the_exact_engine_is_the_default(tpbox: Launcher, tmp_path: Path) -> None:
    done, engine = _run(tpbox, tmp_path)
    assert done.ok().stdout == shop.PAGE
    assert engine == "netstack"
    assert "engine netstack: " in done.stderr


def test_the_one_that_is_asked_for(tpbox: Launcher, tmp_path: Path) -> None:
    done, engine = _run(tpbox, tmp_path, "--engine", "sshuttle")
    assert done.ok().stdout == shop.PAGE
    assert engine == "sshuttle"
    assert "engine sshuttle: as asked" in done.stderr


def test_a_pod_without_its_far_end_has_the_other_engine(tpbox: Launcher, tmp_path: Path, without_far: str) -> None:
    done, engine = _run(tpbox, tmp_path, "--pod-image", without_far)
    assert done.ok().stdout == shop.PAGE
    assert engine == "sshuttle"
    assert "engine sshuttle: the proxy pod has no far end for it" in done.stderr


def test_a_pod_without_its_far_end_is_an_error_where_it_was_asked_for(
    tpbox: Launcher, tmp_path: Path, without_far: str
) -> None:
    done, _ = _run(tpbox, tmp_path, "--engine", "netstack", "--pod-image", without_far)
    assert done.code == 125
    message = " ".join(error_lines(done.stderr))
    assert "--engine netstack cannot work here: the proxy pod has no far end for it" in message
    assert "--engine sshuttle" in message
