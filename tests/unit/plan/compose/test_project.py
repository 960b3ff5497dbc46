from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tpbox.errors import UsageError
from tpbox.plan.compose.project import check_scale, merged, plan


def model(**services: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": "shop",
        "services": services,
        "networks": {"default": {"name": "shop_default"}, "back": {"name": "backnet"}},
    }


def test_the_services_with_x_tpbox_are_planned() -> None:
    found = plan(model(web={"x-tpbox": {"swap": "deploy/web"}}, worker={"x-tpbox": None}, cache={}))
    assert [(one.session, one.helper) for one in found.services] == [
        ("shop-web", "web-tpbox"),
        ("shop-worker", "worker-tpbox"),
    ]
    assert found.services[0].words == ("--swap", "deploy/web", "--volumes", "copy")
    assert found.networks == {"default": "shop_default", "back": "backnet"}
    assert not any(one.warnings for one in found.services)


def test_what_the_service_sets_itself_is_left_out_of_the_pods() -> None:
    [web] = plan(model(web={"x-tpbox": None, "environment": {"A": "1", "X*[y]": None}})).services
    assert web.words[-4:] == ("--env-exclude", "A", "--env-exclude", "X[*][[]y]")


def test_names_are_those_of_the_shared_networks() -> None:
    both = {"default": None, "back": {"aliases": ["redis"]}}
    found = plan(
        model(
            web={"x-tpbox": None, "links": ["cache:c"]},
            cache={"networks": both, "container_name": "the-cache"},
            far={"networks": {"back": None}},
            three={"deploy": {"replicas": 3}},
            beside={"network_mode": "service:cache"},
        )
    )
    bare = {name for name in found.services[0].local_names if "." not in name}
    assert bare == {
        *("web", "shop-web-1", "web-tpbox", "cache", "the-cache", "c"),
        *("three", "shop-three-1", "shop-three-2", "shop-three-3"),
    }
    assert {f"{name}.shop_default" for name in bare} == set(found.services[0].local_names) - bare


def test_aliases_count_on_their_own_network_only() -> None:
    on_both: dict[str, Any] = {"x-tpbox": None, "networks": {"default": None, "back": None}}
    [web] = plan(model(web=on_both, cache={"networks": {"back": {"aliases": ["redis"]}}})).services
    assert "redis.backnet" in web.local_names
    assert "redis.shop_default" not in web.local_names


def test_a_name_may_be_left_to_the_cluster() -> None:
    [web] = plan(model(web={"x-tpbox": {"prefer-cluster": ["cache"]}}, cache={})).services
    assert "cache" not in web.local_names
    assert "cache.shop_default" in web.local_names
    with pytest.raises(
        UsageError, match="no Compose service that it shares a network with is called 'cashe'"
    ) as raised:
        plan(model(web={"x-tpbox": {"prefer-cluster": ["cashe"]}}, cache={}))
    assert raised.value.hint == "Did you mean 'cache'?"


def test_extra_hosts_are_the_helpers() -> None:
    hosts = ["a=192.0.2.1", "a=2001:db8::1", "b:192.0.2.2", "c=[2001:db8::2]"]
    [web] = plan(model(web={"x-tpbox": None, "extra_hosts": hosts})).services
    assert web.hosts == {"a": ("192.0.2.1", "2001:db8::1"), "b": ("192.0.2.2",), "c": ("2001:db8::2",)}


def test_what_the_pod_decides_is_warned_of() -> None:
    given = {"x-tpbox": None, "dns": ["192.0.2.1"], "domainname": "example.com", "dns_opt": []}
    assert list(plan(model(web=given)).services[0].warnings) == [
        "service web: dns is not used: names are the pod's resolver's",
        "service web: domainname is not used: names are the pod's resolver's",
    ]


def test_who_shares_the_network_lives_in_the_cluster_too() -> None:
    found = plan(model(web={"x-tpbox": None}, side={"network_mode": "service:web"}, host={"network_mode": "host"}))
    assert {name: leader.helper for name, leader in found.followers.items()} == {"side": "web-tpbox"}


ONE: dict[str, Any] = {"x-tpbox": None}


@pytest.mark.parametrize(
    ("services", "words"),
    [
        ({}, "no service of the project shop has x-tpbox"),
        ({"web": {}}, "no service of the project shop has x-tpbox"),
        ({"web": {**ONE, "network_mode": "host"}}, "service web: network_mode: host and x-tpbox do not go together"),
        ({"web": {**ONE, "scale": 2}}, "service web: scale: 2: it stands for one pod"),
        ({"web": {**ONE, "deploy": {"replicas": 3}}}, "service web: replicas: 3: it stands for one pod"),
        ({"web": ONE, "web-tpbox": {}}, "there is a service web-tpbox"),
        ({"web": {**ONE, "extra_hosts": ["host=host-gateway"]}}, "host: host-gateway"),
        *(
            (
                {"a": {"x-tpbox": {"swap": "deploy/web"}}, "b": {"x-tpbox": {"swap": other}}},
                "services a and b both swap",
            )
            for other in ("deploy/web", "deployment/web", "web", "deployments/web:app")
        ),
    ],
)
def test_what_cannot_be_is_refused(services: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as raised:
        plan(model(**services))
    assert words in raised.value.message
    assert raised.value.hint


def test_one_name_in_two_places_is_two_workloads() -> None:
    a, b, c = ({"x-tpbox": {"swap": "web", "namespace": name, "context": ctx}} for name, ctx in ("ax", "bx", "ay"))
    assert len(plan(model(a=a, b=b, c=c, d={"x-tpbox": {"swap": "sts/web"}})).services) == 4


@pytest.mark.parametrize(
    "words", ["--scale web=2", "--scale=web=2", "--scale web-tpbox=0", "-d --scale cache=3 --scale web=9"]
)
def test_there_is_one_of_a_service_in_the_cluster(words: str) -> None:
    with pytest.raises(UsageError, match="it stands for one pod"):
        check_scale(plan(model(web=ONE, cache={})), words.split())


@pytest.mark.parametrize("words", ["", "--scale web=1", "--scale=cache=2", "-d web", "--scale"])
def test_others_scale_as_they_like(words: str) -> None:
    check_scale(plan(model(web=ONE, cache={})), words.split())


ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("docker-compose.yml", {"web": "--swap deploy/web --namespace shop --expose 8080:80"}),
        (
            "examples/compose/compose.yaml",
            {
                "web": "--swap deploy/web --namespace shop --expose 8080:80",
                "worker": "--swap deploy/worker --namespace shop",
            },
        ),
    ],
)
def test_the_examples_can_be_planned(file: str, words: dict[str, str]) -> None:
    given = yaml.safe_load((ROOT / file).read_text())
    found = plan({"name": "example", **given})
    assert {service.name: " ".join(service.request.words).split(" --volumes")[0] for service in found.services} == words


def test_only_what_is_named_is_wanted_and_nothing_of_which_there_is_to_be_none() -> None:
    x: dict[str, Any] = {"x-tpbox": None}
    found = plan(model(a=x, b={**x, "scale": 0}, c={**x, "deploy": {"replicas": 0}}, d=x, cache={}))
    assert [one.name for one in found.wanted(["a", "b", "c", "cache"])] == ["a"]


def test_a_part_of_the_plan_has_its_followers() -> None:
    x: dict[str, Any] = {"x-tpbox": None}
    part = plan(model(a=x, b=x, near={"network_mode": "service:a"}, far={"network_mode": "service:b"})).only(["a"])
    assert [one.name for one in part.services] == ["a"]
    assert set(part.followers) == {"near"}


def test_a_service_of_no_active_profile_joins_the_others() -> None:
    found = merged(model(web={"x-tpbox": None}), model(dev={"x-tpbox": None}))
    assert {one.name for one in plan(found).services} == {"web", "dev"}
    assert "dev" in plan(found).services[0].local_names
