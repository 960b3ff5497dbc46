from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tpbox.plan.compose.override import RESET, Copy, Planned, dump, override
from tpbox.plan.compose.project import plan
from tpbox.plan.containers import ContainerSpec

HELPER = ContainerSpec(
    name="tpbox-abcdefgh",
    image="tpbox-local:0123",
    labels={"tpbox.dev/role": "helper"},
    command=("stand",),
    hostname="web-0",
    cap_drop=("ALL",),
    cap_add=("NET_ADMIN",),
    security_opt=("no-new-privileges",),
    devices=("/dev/net/tun",),
    tmpfs={"/run/tpbox": "mode=0700"},
    mounts=("tpbox-abcdefgh-v0:/volumes/tpbox-abcdefgh-v0",),
    sysctls={"net.ipv4.tcp_tw_reuse": "1"},
    stdin=True,
    logged=False,
)
PLANNED = Planned(
    session="abcdefgh",
    helper=HELPER,
    app_labels={"tpbox.dev/role": "app"},
    env_file="/state/abcdefgh.env",
    copies={"/etc/shop": Copy("tpbox-abcdefgh-v0", read_only=True)},
)
PORT = {"mode": "ingress", "target": 8080, "published": "8080", "protocol": "tcp"}


def written(planned: Planned = PLANNED, others: dict[str, Any] | None = None, **web: Any) -> dict[str, Any]:
    services = {"web": {"x-tpbox": None, **web}, **(others or {})}
    networks = {"default": {"name": "shop_default"}, "mine": {"name": "tpbox-cluster"}}
    return override(plan({"name": "shop", "services": services, "networks": networks}), {"web": planned})


def test_the_helper_is_the_spec_and_the_service_lives_in_its_network() -> None:
    assert written() == {
        "services": {
            "web-tpbox": {
                "container_name": "tpbox-abcdefgh",
                "image": "tpbox-local:0123",
                "pull_policy": "never",
                "command": ["stand"],
                "hostname": "web-0",
                "labels": {"tpbox.dev/role": "helper"},
                "restart": "no",
                "attach": False,
                "cap_drop": ["ALL"],
                "cap_add": ["NET_ADMIN"],
                "security_opt": ["no-new-privileges"],
                "devices": ["/dev/net/tun"],
                "sysctls": {"net.ipv4.tcp_tw_reuse": "1"},
                "tmpfs": ["/run/tpbox:mode=0700"],
                "volumes": [
                    {"type": "volume", "source": "tpbox-abcdefgh-v0", "target": "/volumes/tpbox-abcdefgh-v0"},
                ],
                "logging": {"driver": "none"},
                "healthcheck": {
                    "test": ["CMD", "test", "-e", "/run/tpbox/healthy"],
                    "interval": "2s",
                    "timeout": "5s",
                    "retries": 60,
                    "start_period": "60s",
                },
                "networks": {"default": {"aliases": ["web", "shop-web-1"]}},
            },
            "web": {
                "network_mode": "service:web-tpbox",
                "depends_on": {"web-tpbox": {"condition": "service_healthy", "restart": True}},
                "env_file": ["/state/abcdefgh.env"],
                "labels": {"tpbox.dev/role": "app"},
                "volumes": [
                    {
                        "type": "volume",
                        "source": "tpbox-abcdefgh-v0",
                        "target": "/etc/shop",
                        "volume": {"nocopy": True},
                        "read_only": True,
                    }
                ],
            },
        },
        "volumes": {"tpbox-abcdefgh-v0": {"external": True, "name": "tpbox-abcdefgh-v0"}},
    }


def test_what_belongs_to_the_network_moves_to_the_helper() -> None:
    moved: dict[str, Any] = {
        "ports": [PORT],
        "expose": ["9999"],
        "links": ["cache:redis"],
        "mac_address": "02:42:0a:63:00:07",
    }
    front: dict[str, Any] = {"default": {"aliases": ["www"], "ipv4_address": "192.0.2.7"}}
    services = written(**moved, networks=front, hostname="mine", profiles=["dev"])["services"]
    helper = services["web-tpbox"]
    assert {key: helper[key] for key in moved} == moved
    assert helper["networks"] == {"default": {"aliases": ["www", "web", "shop-web-1"], "ipv4_address": "192.0.2.7"}}
    assert (helper["hostname"], helper["profiles"]) == ("mine", ["dev"])
    assert {key for key, value in services["web"].items() if value is RESET} == {*moved, "networks", "hostname"}


def test_names_and_hosts_are_the_helpers_own() -> None:
    given: dict[str, Any] = {
        "dns": ["192.0.2.1"],
        "dns_search": ["x"],
        "dns_opt": ["y"],
        "domainname": "z",
        "extra_hosts": ["a=::1"],
    }
    services = written(**given)["services"]
    assert not set(given) & set(services["web-tpbox"])
    assert all(services["web"][key] is RESET for key in given)


def test_the_networks_sysctls_move() -> None:
    services = written(sysctls={"net.core.somaxconn": "1024"})["services"]
    assert services["web-tpbox"]["sysctls"] == {"net.ipv4.tcp_tw_reuse": "1", "net.core.somaxconn": "1024"}
    assert services["web"]["sysctls"] is RESET
    mixed = written(sysctls={"net.core.somaxconn": "1024", "kernel.shm_rmid_forced": "0"})["services"]
    assert mixed["web"]["sysctls"] == {"net.core.somaxconn": RESET}
    assert "sysctls" not in written(sysctls={"kernel.shm_rmid_forced": "0"})["services"]["web"]


def test_the_api_servers_network_is_joined_whatever_the_project_calls_it() -> None:
    other = written(replace(PLANNED, network="kind"))
    assert other["networks"] == {"kind": {"external": True, "name": "kind"}}
    assert set(other["services"]["web-tpbox"]["networks"]) == {"default", "kind"}
    known = written(replace(PLANNED, network="tpbox-cluster"))
    assert "networks" not in known
    assert set(known["services"]["web-tpbox"]["networks"]) == {"default", "mine"}


def test_a_helper_on_internal_networks_gets_a_way_out() -> None:
    model = {
        "name": "shop",
        "services": {"web": {"x-tpbox": None, "networks": {"back": None}}},
        "networks": {"back": {"name": "shop_back", "internal": True}},
    }
    found = override(plan(model), {"web": PLANNED})
    assert found["networks"] == {"tpbox-outward": {}}
    assert set(found["services"]["web-tpbox"]["networks"]) == {"back", "tpbox-outward"}
    assert set(override(plan(model), {"web": replace(PLANNED, network="kind")})["networks"]) == {"kind"}


def test_the_settings_of_a_network_that_the_service_is_on_stay() -> None:
    services = written(replace(PLANNED, network="tpbox-cluster"), networks={"mine": {"aliases": ["w"]}})["services"]
    assert services["web-tpbox"]["networks"] == {"mine": {"aliases": ["w", "web", "shop-web-1"]}}


@pytest.mark.parametrize(
    ("target", "copied"), [("/etc/shop", False), ("/etc/", False), ("/etc/shop/x", True), ("/e", True)]
)
def test_the_services_own_volumes_cover_the_pods(target: str, copied: bool) -> None:
    services = written(volumes=[{"type": "bind", "source": "/x", "target": target}])["services"]
    assert ("volumes" in services["web"]) is copied
    assert services["web-tpbox"]["volumes"]


def test_a_service_in_the_services_network_is_led_to_the_helper() -> None:
    services = written(others={"side": {"network_mode": "service:web"}})["services"]
    assert services["side"] == {
        "network_mode": "service:web-tpbox",
        "depends_on": {
            "web-tpbox": {"condition": "service_healthy", "restart": True},
            "web": {"condition": "service_started"},
        },
    }


def test_an_image_of_a_registry_may_be_pulled() -> None:
    helper = replace(HELPER, image="example.com/tpbox-local:1", logged=True)
    services = written(replace(PLANNED, helper=helper))["services"]
    assert not {"pull_policy", "logging"} & set(services["web-tpbox"])


def test_the_text_is_composes_yaml() -> None:
    text = dump({"a": "x$y", "b": RESET, "c": ["1e3", "0o17", "no", "/a b", "", 5, True, None], "d": {"k": {}}})
    assert text.splitlines()[1:] == [
        "a: x$$y",
        "b: !reset []",
        "c:",
        '- "1e3"',
        '- "0o17"',
        "- 'no'",
        "- /a b",
        '- ""',
        "- 5",
        "- true",
        "- null",
        "d:",
        "  k: {}",
    ]


def test_what_is_twice_is_written_twice() -> None:
    same = ["x"]
    assert "&" not in dump({"a": same, "b": same})
