"""Rows 18 and 19, and where the engines differ: what a program sees is what docs/engines.md says, and with the exact
engine what a pod sees."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.e2e import reach, shop
from tests.e2e.launcher import ROOT, Launcher
from tests.e2e.reach import CLOSED, FILTERED, LISTENING, RESETTING, Outcome, Peer, Target

EACH_ENGINE = True
# The exact engine and the pod may differ by so many seconds.
SLACK = 1.0


def _table() -> dict[str, dict[str, str]]:
    """The table of docs/engines.md: what it says of each engine, by the words of its first column."""
    text = (ROOT / "docs" / "engines.md").read_text()
    rows = [
        [cell.strip() for cell in line.strip("| ").split("|")] for line in text.splitlines() if line.startswith("|")
    ]
    (_, *names), _, *rest = rows
    return {first: dict(zip(names, cells, strict=True)) for first, *cells in rest}


TABLE = _table()


def _targets(peer: Peer, nobody: str, without_endpoints: str) -> list[Target]:
    """By the words of the table."""
    return [
        ("an open port", "tcp", peer.address, LISTENING),
        ("an open port, by the Service", "tcp", peer.service, LISTENING),
        ("a closed port", "tcp", peer.address, CLOSED),
        ("a Service without endpoints", "tcp", without_endpoints, 80),
        ("a filtered address", "tcp", FILTERED, 80),
        ("an address that nobody has", "tcp", nobody, 80),
        ("a peer that resets", "tcp", peer.address, RESETTING),
        *(
            (f"UDP, {size} bytes, {kind}", f"udp{suffix}", peer.service, size)
            for size in (1400, 8000)
            for kind, suffix in (("connected", ""), ("not connected", " unconnected"))
        ),
        ("UDP, a closed port", "udp closed", peer.address, CLOSED),
        ("ICMP echo", "echo", peer.address, 1),
        ("ICMP echo, an address that nobody has", "echo", nobody, 2),
    ]


@pytest.fixture(scope="module")
def targets(peer: Peer, tpbox: Launcher) -> list[Target]:
    subnet = peer.address.rpartition(".")[0]
    taken = {pod["status"].get("podIP") for pod in shop.items("pods", "-A")}
    nobody = next(ip for n in range(250, 100, -1) if (ip := f"{subnet}.{n}") not in taken)
    return _targets(peer, nobody, shop.cluster_ip("nobody", tpbox.namespace))


@pytest.fixture(scope="module")
def peer(tpbox: Launcher) -> Iterator[Peer]:
    with reach.peer(tpbox.namespace) as found:
        yield found


@pytest.fixture(scope="module")
def in_pod(peer: Peer, targets: list[Target]) -> dict[str, Outcome]:
    return reach.in_pod(peer, targets)


@pytest.fixture(scope="module")
def in_session(tpbox: Launcher, targets: list[Target]) -> dict[str, Outcome]:
    return reach.in_session(tpbox, targets)


@pytest.mark.parametrize("name", TABLE)
def test_the_engine_does_what_the_docs_say(tpbox: Launcher, in_session: dict[str, Outcome], name: str) -> None:
    assert in_session[name].said == TABLE[name][tpbox.engine]


def test_the_docs_say_all_that_is_looked_at(targets: list[Target]) -> None:
    assert [name for name, *_ in targets] == list(TABLE)


@pytest.mark.row(18)
@pytest.mark.row(19)
@pytest.mark.parametrize("name", TABLE)
def test_the_exact_engine_does_what_a_pod_does_and_the_docs_say_where_the_other_does_not(
    tpbox: Launcher, in_session: dict[str, Outcome], in_pod: dict[str, Outcome], name: str
) -> None:
    exact, seen = TABLE[name]["netstack"], in_session[name]
    assert in_pod[name].said == exact
    if TABLE[name][tpbox.engine] == exact:
        assert seen.said == exact
        assert abs(seen.seconds - in_pod[name].seconds) < SLACK
    else:
        assert seen.said != exact


def test_the_readme_names_the_page() -> None:
    assert re.search(r"\(docs/engines\.md\)", (ROOT / "README.md").read_text())
