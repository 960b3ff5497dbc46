from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from supervisor import netns
from supervisor.children import CommandError
from supervisor.protocol import endpoint

SetProgram = Callable[[str, str], Path]
INFO = {"podIP": "10.244.0.7", "resolvConf": "nameserver 10.96.0.10\n", "hosts": "10.244.0.7 tpbox\n"}


def test_nothing_leaves_but_the_bypass_the_gateway_and_replies() -> None:
    bypass = [endpoint("172.30.0.2:6443"), endpoint("[fd00::2]:6443")]
    assert netns.output_rules(4, bypass, "172.17.0.1").splitlines() == [
        "*filter",
        ":INPUT ACCEPT [0:0]",
        ":FORWARD DROP [0:0]",
        ":OUTPUT ACCEPT [0:0]",
        "-A OUTPUT -o tpbox0 -j ACCEPT",
        "-A OUTPUT -o lo -j ACCEPT",
        "-A OUTPUT -d 127.0.0.0/8 -j ACCEPT",
        "-A OUTPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
        "-A OUTPUT -d 172.30.0.2 -p tcp --dport 6443 -j ACCEPT",
        "-A OUTPUT -d 172.17.0.1 -j ACCEPT",
        "-A OUTPUT -j REJECT --reject-with icmp-admin-prohibited",
        "COMMIT",
    ]


def test_ipv6_is_closed_but_for_its_own_bypass_and_neighbours() -> None:
    bypass = [endpoint("172.30.0.2:6443"), endpoint("[fd00::2]:6443")]
    assert [rule for rule in netns.output_rules(6, bypass).splitlines() if rule.startswith("-A")] == [
        "-A OUTPUT -o tpbox0 -j ACCEPT",
        "-A OUTPUT -o lo -j ACCEPT",
        "-A OUTPUT -d ::1 -j ACCEPT",
        "-A OUTPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
        "-A OUTPUT -d fd00::2 -p tcp --dport 6443 -j ACCEPT",
        "-A OUTPUT -p ipv6-icmp --icmpv6-type neighbour-solicitation -j ACCEPT",
        "-A OUTPUT -p ipv6-icmp --icmpv6-type neighbour-advertisement -j ACCEPT",
        "-A OUTPUT -j REJECT --reject-with icmp6-adm-prohibited",
    ]


def test_name_servers_are_read_in_order_and_ipv4_only() -> None:
    text = "search shop.svc.cluster.local\nnameserver 10.96.0.10\n# nameserver 1.1.1.1\nnameserver fd00::a\n"
    assert netns.nameservers(text + "nameserver\t10.96.0.11\nnameserver\noptions ndots:5\n") == [
        "10.96.0.10",
        "10.96.0.11",
    ]


def test_gateway_and_addresses_are_read_from_ips_json() -> None:
    assert netns.default_gateway([{"dst": "default", "dev": "tun0"}, {"dst": "default", "gateway": "172.17.0.1"}]) == (
        "172.17.0.1"
    )
    assert netns.default_gateway([]) == ""
    links: list[dict[str, Any]] = [
        {"addr_info": [{"local": "127.0.0.1"}, {"local": "10.244.0.7"}]},
        {"addr_info": []},
        {},
    ]
    assert netns.local_addresses(links) == ["127.0.0.1", "10.244.0.7"]


def test_close_off_loads_the_rules(program: SetProgram, tmp_path: Path) -> None:
    asyncio.run(netns.close_off([endpoint("172.30.0.2:6443")]))
    rules = (tmp_path / "iptables-restore.log").read_text()
    assert rules == netns.output_rules(4, [endpoint("172.30.0.2:6443")], "172.17.0.1")


def test_close_off_says_what_failed(program: SetProgram) -> None:
    program("iptables-restore", "echo 'Permission denied (you must be root)' >&2; exit 4")
    with pytest.raises(CommandError, match="iptables-restore ended with 4: Permission denied"):
        asyncio.run(netns.close_off([]))


def test_the_namespace_resembles_the_pod(program: SetProgram, tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.11\n")
    inode = (tmp_path / "resolv.conf").stat().st_ino
    asyncio.run(netns.resemble(INFO))
    assert (tmp_path / "resolv.conf").read_text() == "nameserver 10.96.0.10\n"
    assert (tmp_path / "resolv.conf").stat().st_ino == inode
    assert (tmp_path / "hosts").read_text() == "10.244.0.7 tpbox\n"
    assert (tmp_path / "ip.log").read_text().splitlines() == [
        "ip -4 address flush dev lo scope global",
        "ip address add 10.244.0.7/32 dev lo",
    ]


def test_an_address_that_is_there_stays(program: SetProgram, tmp_path: Path) -> None:
    asyncio.run(netns.resemble(INFO | {"podIP": "172.17.0.5"}))
    assert not (tmp_path / "ip.log").exists()
