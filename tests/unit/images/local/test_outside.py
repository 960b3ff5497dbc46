from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from supervisor import netns, outside, protocol, questions
from supervisor.carried import Carried, Wanted, networks
from supervisor.outside import Outside, OutsideError
from supervisor.protocol import Configure

from tests.unit.images.local.test_questions import query

SetProgram = Callable[[str, str], Path]
INFO = {
    "podIP": "10.244.0.7",
    "resolvConf": "search shop.svc.cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n",
    "hosts": "127.0.0.1\tlocalhost\n",
}
SPLIT = {"only": ["10.96.0.0/16"], "also": ["db.corp"], "never": ["192.0.2.9"], "hosts": {"l.corp": ["192.0.2.9"]}}


def parsed(configure: dict[str, Any], **engine: object) -> Configure:
    configure["engine"] |= engine
    found = protocol.parse(json.dumps(configure).encode())
    assert isinstance(found, Configure)
    return found


def answer(program: SetProgram, addresses: dict[str, list[str]], **errors: str) -> None:
    """What the agent says to `resolve`."""
    program("forwarder", f"echo '{json.dumps({'addresses': addresses, 'errors': errors})}'")


def test_without_a_wish_everything_is_the_pods(program: SetProgram, configure: dict[str, Any]) -> None:
    found, wanted = Outside(), parsed(configure)
    assert asyncio.run(found.linked(wanted, INFO)) == Carried()
    assert found.resembled(INFO) == INFO


def test_only_the_cluster_what_the_pod_knows_included(
    program: SetProgram, configure: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.11\nnameserver 192.0.2.53\noptions ndots:0\n")
    answer(program, {"db.corp": ["10.9.0.1", "fd00::1", "10.9.0.2"]})
    found, wanted = Outside(), parsed(configure, **SPLIT, splitNames=True)
    found.configured(wanted.engine.outside)
    resolvers = (ip_address("192.0.2.53"),)  # the other is on the loopback
    assert found.carried == Carried(networks("10.96.0.0/16"), networks("192.0.2.9"), resolvers)
    learned = networks("10.96.0.0/16", "10.244.0.7", "10.96.0.10", "10.9.0.1", "10.9.0.2")
    assert asyncio.run(found.linked(wanted, INFO)) == Carried(learned, networks("192.0.2.9"), resolvers)
    found.configured(wanted.engine.outside)
    assert found.carried.only == learned, "kept while the link is down"
    assert found.resembled(INFO) == {
        "podIP": "10.244.0.7",
        "resolvConf": "nameserver 127.0.53.1\nsearch shop.svc.cluster.local\noptions ndots:5\n",
        "hosts": "10.9.0.1\tdb.corp\n10.9.0.2\tdb.corp\n192.0.2.9\tl.corp\n127.0.0.1\tlocalhost\n",
    }
    assert found.choose("web.shop.svc.cluster.local") == ["10.96.0.10"]
    assert found.choose("db.corp") == ["10.96.0.10"]
    assert found.choose("example.com") == ["127.0.0.11", "192.0.2.53"]


def test_never_alone_leaves_the_resolver_as_it_is(program: SetProgram, configure: dict[str, Any]) -> None:
    found, wanted = Outside(), parsed(configure, never=["192.0.2.9"], hosts={"l.corp": ["192.0.2.9"]})
    assert asyncio.run(found.linked(wanted, INFO)) == Carried(never=networks("192.0.2.9"))
    assert found.resembled(INFO) == {**INFO, "hosts": "192.0.2.9\tl.corp\n127.0.0.1\tlocalhost\n"}


def test_the_pods_name_server_must_be_carried() -> None:
    outside.check_nameservers(["10.96.0.10"], Wanted(never=networks("10.97.0.0/16")))
    with pytest.raises(OutsideError, match=r"--never-proxy 10\.96\.0\.0/16 covers the pod's name server 10\.96\.0\.10"):
        outside.check_nameservers(["10.96.0.10"], Wanted(never=networks("10.96.0.0/16")))


def test_a_compose_network_that_covers_it_is_named_as_what_it_is() -> None:
    wanted = Wanted(never=networks("10.96.0.0/16"), local_names=frozenset({"cache"}))
    with pytest.raises(
        OutsideError, match=r"the Compose network 10\.96\.0\.0/16 covers the pod's name server"
    ) as raised:
        outside.check_nameservers(["10.96.0.10"], wanted)
    assert "ipam" in raised.value.detail


def test_the_names_of_a_compose_project_are_dockers(
    program: SetProgram, configure: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.11\noptions ndots:0\n")
    found = Outside()
    wanted = parsed(
        configure, never=["172.20.0.0/16"], hosts={"db.corp": ["10.9.0.1"]}, localNames=["cache", "cache.shop_default"]
    )
    found.configured(wanted.engine.outside)
    assert asyncio.run(found.linked(wanted, INFO)) == Carried(never=networks("172.20.0.0/16"))
    assert found.carried.takes(ip_address("10.9.0.1")), "a name in the hosts file may be anywhere"
    assert found.resembled(INFO) == {
        "podIP": "10.244.0.7",
        "resolvConf": "nameserver 127.0.53.1\noptions ndots:5\nsearch compose.tpbox shop.svc.cluster.local\n",
        "hosts": "10.9.0.1\tdb.corp\n127.0.0.1\tlocalhost\n",
    }
    assert found.choose("cache") == ["127.0.0.11"]
    assert found.choose("3.0.20.172.in-addr.arpa") == ["127.0.0.11"]
    assert found.choose("cache.shop.svc.cluster.local") == ["10.96.0.10"]
    asked: list[tuple[str, str]] = []

    async def ask(server: str, message: bytes) -> bytes:
        asked.append((server, questions.name(message)))
        return questions.failure(message)

    answer = asyncio.run(found.answer(query("web.compose.tpbox"), ask))
    assert (answer[3] & 15, asked) == (questions.NO_SUCH_NAME, [])
    asyncio.run(found.answer(query("cache.compose.tpbox"), ask))
    asyncio.run(found.answer(query("web.shop.svc.cluster.local"), ask))
    assert asked == [*[("127.0.0.11", "cache")] * 2, ("10.96.0.10", "web.shop.svc.cluster.local")]


def test_a_resolv_conf_without_a_search_list_gets_one() -> None:
    assert outside.with_domain("nameserver 10.96.0.10\n") == "nameserver 10.96.0.10\nsearch compose.tpbox\n"


@pytest.mark.parametrize(
    ("addresses", "errors", "words"),
    [
        ({}, {"db.corp": "Name or service not known"}, "'db.corp' does not resolve in the pod"),
        ({"db.corp": ["fd00::1"]}, {}, "'db.corp' has IPv6 addresses alone"),
        ({"db.corp": ["172.30.0.2"]}, {}, "'db.corp' is the API server's address 172.30.0.2"),
    ],
)
def test_a_name_that_cannot_be_carried(addresses: dict[str, list[str]], errors: dict[str, str], words: str) -> None:
    with pytest.raises(OutsideError, match=words):
        outside.resolved(["db.corp"], {"addresses": addresses, "errors": errors}, [ip_address("172.30.0.2")])


def test_a_later_link_keeps_the_addresses_of_an_earlier_one(
    program: SetProgram, configure: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    found, wanted = Outside(), parsed(configure, **SPLIT)
    program("forwarder", "echo 'unknown arguments' >&2; exit 2")
    with pytest.raises(OutsideError, match=r"--also-proxy: the pod cannot be asked for db\.corp") as raised:
        asyncio.run(found.linked(wanted, INFO))
    assert "unknown arguments" in raised.value.detail
    answer(program, {"db.corp": ["10.9.0.1"]})
    first = asyncio.run(found.linked(wanted, INFO))
    answer(program, {}, **{"db.corp": "Temporary failure in name resolution"})
    assert asyncio.run(found.linked(wanted, INFO)) == first
    assert "addresses of the link before stay" in capsys.readouterr().err


def test_names_are_asked_for_in_the_pod() -> None:
    assert outside.resolve_argv(["db.corp", "x; y"])[-2:] == [
        "pod", "/usr/bin/python3 -I /opt/tpbox resolve db.corp 'x; y'",
    ]  # fmt: skip


def test_a_resolv_conf_that_is_not_there_names_no_resolver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netns, "RESOLV_CONF", tmp_path / "missing")
    assert outside.local_resolvers() == ()
