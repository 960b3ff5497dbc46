from __future__ import annotations

from ipaddress import ip_network

import pytest

from tpbox.errors import ClusterError, TpboxError, UsageError
from tpbox.plan import outside
from tpbox.plan.outside import Found, Outside, Ranges, parse

SERVICES, PODS = (ip_network("10.96.0.0/16"),), (ip_network("10.244.0.0/24"),)
FOUND = Found(Ranges(SERVICES, PODS), {"wiki.corp": ("192.0.2.9",)})


def test_networks_and_names_are_told_apart_and_kept_once() -> None:
    asked = parse(("10.1.0.0/16", "DB.corp.", "10.2.3.4", "10.1.0.0/16"), ("192.0.2.0/24", "fd00::/64", "wiki"), True)
    assert asked == Outside(
        only_cluster=True,
        also=(ip_network("10.1.0.0/16"), ip_network("10.2.3.4/32")),
        also_names=("db.corp",),
        never=(ip_network("192.0.2.0/24"), ip_network("fd00::/64")),
        never_names=("wiki",),
    )


@pytest.mark.parametrize(
    ("option", "text", "says"),
    [
        ("--never-proxy", "10.1.2.3/16", ["address within a network", "10.1.0.0/16", "10.1.2.3"]),
        ("--never-proxy", "10.1.0.0/33", ["'10.1.0.0/33' is not a CIDR", "For instance"]),
        ("--never-proxy", "10.1.0", ["'10.1.0' is not a CIDR"]),
        ("--never-proxy", "0x7f000001", ["'0x7f000001' is not a CIDR"]),
        ("--never-proxy", "fd00::g", ["'fd00::g' is not a CIDR"]),
        ("--never-proxy", "fe80::1%eth0", ["is not a CIDR"]),
        ("--never-proxy", "http://web/", ["'http://web/' is not a CIDR"]),
        ("--never-proxy", "-web", ["'-web' is neither CIDR nor host name", "db.example.com"]),
        ("--never-proxy", "a_b", ["neither"]),
        ("--never-proxy", "", ["neither"]),
        ("--never-proxy", "0.0.0.0/0", ["leaves nothing", "--only-cluster"]),
        ("--never-proxy", "::/0", ["leaves nothing"]),
        ("--never-proxy", "127.0.0.1", ["the loopback is the process's own", "--container-to-host"]),
        ("--never-proxy", "::1", ["the loopback is the process's own"]),
        ("--never-proxy", "localhost", ["the loopback is the process's own"]),
        ("--also-proxy", "127.0.0.0/8", ["the loopback is the process's own"]),
        ("--also-proxy", "0.0.0.0/0", ["takes --only-cluster back"]),
    ],
)
def test_wrong_words_are_one_clear_error(option: str, text: str, says: list[str]) -> None:
    with pytest.raises(UsageError) as raised:
        parse((text,) if option == "--also-proxy" else (), (text,) if option == "--never-proxy" else (), True)
    lines = raised.value.lines()
    assert len(lines) <= 3
    for word in (option, *says):
        assert word in " ".join(lines)


def test_never_wins_and_says_so_once() -> None:
    asked = parse(("10.1.0.0/16", "10.9.0.0/16", "wiki"), ("10.0.0.0/13", "10.1.7.0/24", "wiki"), True)
    assert asked.remarks() == [
        "--never-proxy 10.0.0.0/13 wins over --also-proxy 10.1.0.0/16: it stays local",
        "--never-proxy wiki wins over --also-proxy wiki: it stays local",
    ]


def test_the_api_server_is_never_carried() -> None:
    parse((), ("10.0.0.0/8",), False).check_server("10.0.0.1")  # it leaves by this machine's network anyway
    with pytest.raises(TpboxError) as raised:
        parse(("10.0.0.0/8",), (), True).check_server("10.0.0.1")
    assert raised.value.exit_code == 125
    assert raised.value.message == "--also-proxy 10.0.0.0/8 covers the API server's address 10.0.0.1"


def test_ipv6_needs_an_engine_that_carries_it() -> None:
    asked = parse(("fd00::/64",), (), True)
    asked.check_carried("netstack")
    with pytest.raises(TpboxError, match="--also-proxy fd00::/64: the engine sshuttle does not carry IPv6"):
        asked.check_carried("sshuttle")


def test_ranges_that_are_not_found_have_to_be_named() -> None:
    assert parse((), (), True).check_ranges(Ranges(SERVICES, PODS)) == []
    with pytest.raises(ClusterError) as raised:
        parse((), (), True).check_ranges(Ranges(pods=PODS))
    assert "range of the cluster's Services" in raised.value.message
    assert "--also-proxy CIDR" in raised.value.hint
    assert parse(("10.0.0.0/8",), (), True).check_ranges(Ranges()) == [
        "the range of the cluster's Services is not known: --also-proxy has to name it",
        "the range of the cluster's pods is not known: --also-proxy has to name it",
    ]
    [remark] = parse((), (), True).check_ranges(Ranges(SERVICES, PODS, guessed=True))
    assert "10.244.0.0/24 is taken" in remark


def test_the_helper_is_told_everything() -> None:
    asked = parse(("10.1.0.0/16", "db.corp", "wiki.corp"), ("192.0.2.128/25", "wiki.corp"), True)
    assert asked.configuration(FOUND) == {
        "only": ["10.96.0.0/16", "10.244.0.0/24", "10.1.0.0/16"],
        "also": ["db.corp"],
        "never": ["192.0.2.128/25", "192.0.2.9"],
        "hosts": {"wiki.corp": ["192.0.2.9"]},
        "splitNames": True,
        "localNames": [],
    }
    assert Outside().configuration(Found(), ("cache",)) == {
        "only": [], "also": [], "never": [], "hosts": {}, "splitNames": False, "localNames": ["cache"],
    }  # fmt: skip


def test_it_is_said_in_words() -> None:
    assert Outside().words(Found()) == "everything through the pod"
    asked = parse(("db.corp",), ("192.0.2.128/25", "wiki.corp"), True)
    assert asked.words(FOUND) == (
        "10.96.0.0/16, 10.244.0.0/24, db.corp, the pod's resolver through the pod; the rest stays local; "
        "never 192.0.2.128/25, 192.0.2.9 (wiki.corp)"
    )


def test_one_word_is_read_alone() -> None:
    assert outside.parse_one("--never-proxy", "192.0.2.7") == ip_network("192.0.2.7/32")
    assert outside.parse_one("--never-proxy", "3com.example") == "3com.example"
