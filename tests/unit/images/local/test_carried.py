from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from supervisor import carried
from supervisor.carried import Carried, Wanted, networks

ENGINE = {
    "only": ["10.96.0.0/16"],
    "also": ["db.corp"],
    "never": ["192.0.2.0/24", "192.0.2.9"],
    "hosts": {"local.corp": ["192.0.2.9"]},
    "splitNames": True,
    "localNames": ["Cache", "cache.shop_default"],
}


def shown(found: list[carried.Network]) -> list[str]:
    return [str(network) for network in found]


def test_configure_is_read() -> None:
    assert carried.parse_wanted(ENGINE) == Wanted(
        only=(ip_network("10.96.0.0/16"),),
        also=("db.corp",),
        never=(ip_network("192.0.2.0/24"), ip_network("192.0.2.9/32")),
        hosts={"local.corp": ("192.0.2.9",)},
        split_names=True,
        local_names=frozenset({"cache", "cache.shop_default"}),
    )


@pytest.mark.parametrize("key", ENGINE)
def test_nothing_of_it_may_be_missing(key: str) -> None:
    with pytest.raises(KeyError):
        carried.parse_wanted({name: value for name, value in ENGINE.items() if name != key})


@pytest.mark.parametrize("wrong", [{"only": ["10.96.0.1/16"]}, {"never": ["db"]}, {"hosts": {"a": ["b"]}}])
def test_what_is_no_network_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        carried.parse_wanted(ENGINE | wrong)


def test_everything_is_carried_unless_something_else_is_said() -> None:
    assert Carried().everything
    assert (shown(Carried().networks(4)), shown(Carried().networks(6))) == (["0.0.0.0/0"], ["::/0"])
    assert Carried().local(4) == []
    assert Carried().takes(ip_address("192.0.2.1"))


def test_what_never_is_carried_is_local_though_it_lies_within() -> None:
    everything = Carried(never=networks("192.0.2.0/24", "fd00::/64"))
    assert (shown(everything.networks(4)), shown(everything.local(4))) == (["0.0.0.0/0"], ["192.0.2.0/24"])
    assert shown(everything.local(6)) == ["fd00::/64"]
    assert not everything.takes(ip_address("192.0.2.1"))
    assert everything.takes(ip_address("192.0.3.1"))


def test_only_some_is_carried_of_each_version() -> None:
    only = Carried(only=networks("10.244.1.0/24", "10.96.0.0/16", "10.244.0.0/24", "10.96.0.10", "fd00:1::/108"))
    assert not only.everything
    assert shown(only.networks(4)) == ["10.96.0.0/16", "10.244.0.0/23"]
    assert shown(only.networks(6)) == ["fd00:1::/108"]
    assert Carried(only=networks("10.96.0.0/16")).networks(6) == []
    assert only.takes(ip_address("10.96.3.4"))
    assert not only.takes(ip_address("192.0.2.1"))


@pytest.mark.parametrize(
    ("never", "carries"),
    [
        ("10.96.0.0/16", ["10.244.0.0/24"]),  # the same
        ("10.0.0.0/8", []),  # larger, though its prefix is the shorter one
        ("10.96.7.0/24", ["10.96.0.0/16", "10.244.0.0/24"]),  # smaller: the longer prefix, it decides
    ],
)
def test_never_wins(never: str, carries: list[str]) -> None:
    both = Carried(only=networks("10.96.0.0/16", "10.244.0.0/24"), never=networks(never))
    assert shown(both.networks(4)) == carries
    assert shown(both.local(4)) == [never]
    assert not both.takes(ip_address("10.96.7.1"))
