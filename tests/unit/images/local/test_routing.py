from __future__ import annotations

import asyncio
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from supervisor import netstack, routing
from supervisor.carried import Carried, networks
from supervisor.children import CommandError, EngineError
from supervisor.protocol import endpoint

SetProgram = Callable[[str, str], Path]
INFO = {"podIP": "10.244.0.7", "podIPs": ["10.244.0.7"]}
BYPASS = (endpoint("172.30.0.2:6443"),)


def test_what_must_leave_by_the_bridge_comes_before_what_goes_to_the_device() -> None:
    bypass = [endpoint("172.30.0.2:6443"), endpoint("[fd00::2]:6443")]
    assert routing.rules(4, bypass, "172.17.0.1", ["172.17.0.5"]) == [
        "to 172.30.0.2 ipproto tcp dport 6443 lookup main pref 100",
        "to 172.17.0.1 lookup main pref 100",
        "from 172.17.0.5 lookup main pref 100",
        "lookup 2020 pref 200",
    ]
    assert routing.rules(6, bypass, "", ["fd00::5"]) == [
        "to fd00::2 ipproto tcp dport 6443 lookup main pref 100",
        "from fd00::5 lookup main pref 100",
        "lookup 2020 pref 200",
    ]


def test_what_is_the_users_to_choose_counts_after_it() -> None:
    carried = Carried(
        only=networks("10.96.0.0/16", "10.244.0.0/24", "fd00:1::/108"),
        never=networks("10.96.7.0/24", "fd00:1::7"),
        resolvers=(ip_address("10.96.9.53"), ip_address("fe80::1")),
    )
    assert routing.rules(4, [], "172.17.0.1", [], carried) == [
        "to 172.17.0.1 lookup main pref 100",
        "to 10.96.7.0/24 lookup main pref 100",
        "to 10.96.9.53 ipproto udp dport 53 lookup main pref 100",
        "to 10.96.9.53 ipproto tcp dport 53 lookup main pref 100",
        "to 10.96.0.0/16 lookup 2020 pref 200",
        "to 10.244.0.0/24 lookup 2020 pref 200",
    ]
    assert routing.rules(6, [], "", [], carried) == [
        "to fd00:1::7/128 lookup main pref 100",
        "to fe80::1 ipproto udp dport 53 lookup main pref 100",
        "to fe80::1 ipproto tcp dport 53 lookup main pref 100",
        "to fd00:1::/108 lookup 2020 pref 200",
    ]


def test_the_pods_address_and_the_devices_own_are_not_the_bridges() -> None:
    links: list[dict[str, Any]] = [
        {"ifname": "lo", "addr_info": [{"local": "127.0.0.1"}, {"local": "10.244.0.7"}]},
        {"ifname": "tpbox0", "addr_info": [{"local": "10.1.1.1"}]},
        {"ifname": "eth0", "addr_info": [{"local": "172.17.0.5"}]},
        {"ifname": "eth1"},
    ]
    assert routing.bridge_addresses(links) == ["172.17.0.5"]


@pytest.mark.parametrize("there", [True, False])
def test_the_device_is_made_once_and_our_rules_replaced(program: SetProgram, tmp_path: Path, there: bool) -> None:
    if there:
        (tmp_path / "tpbox0").mkdir()
    asyncio.run(routing.lead(BYPASS, INFO))
    made = [
        "ip tuntap add dev tpbox0 mode tun",
        "ip link set tpbox0 mtu 65000 addrgenmode none up",
    ]
    assert (tmp_path / "ip.log").read_text().splitlines() == [
        *([] if there else made),
        "route replace default dev tpbox0 table 2020 src 10.244.0.7",
        "rule del pref 100",
        "rule add to 172.30.0.2 ipproto tcp dport 6443 lookup main pref 100",
        "rule add to 172.17.0.1 lookup main pref 100",
        "rule add from 172.17.0.5 lookup main pref 100",
        "rule add lookup 2020 pref 200",
    ]


@pytest.mark.parametrize("disabled", ["0", "1"])
def test_ipv6_goes_the_same_way_where_pod_and_device_have_it(
    program: SetProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disabled: str
) -> None:
    (tmp_path / "disable_ipv6").write_text(f"{disabled}\n")
    monkeypatch.setattr(routing, "DISABLED", tmp_path / "disable_ipv6")
    asyncio.run(routing.lead(BYPASS, {"podIP": "10.244.0.7", "podIPs": ["10.244.0.7", "fd00::7"]}))
    log = (tmp_path / "ip.log").read_text().splitlines()
    ours = [
        "ip address replace fd00::7/128 dev tpbox0 nodad",
        "route replace default dev tpbox0 table 2020 src fd00::7",
        "rule del pref 100",
        "rule add lookup 2020 pref 200",
    ]
    assert [line for line in log if line in ours][-4:] == (ours if disabled == "0" else ours[2:])


def test_ips_own_words_are_the_error(program: SetProgram) -> None:
    program("ip", "echo 'Operation not permitted' >&2; exit 2")
    with pytest.raises(CommandError, match="Operation not permitted"):
        asyncio.run(routing.lead(BYPASS, INFO))


def test_an_engine_that_says_nothing_is_given_up(program: SetProgram, tmp_path: Path) -> None:
    program("netstack", "echo 'dialling' >&2; exec sleep 60")

    async def use() -> None:
        async with netstack.running([str(tmp_path / "fake-netstack")], timeout=0.5):
            raise AssertionError("it is not up")

    with pytest.raises(EngineError, match="dialling"):
        asyncio.run(use())
