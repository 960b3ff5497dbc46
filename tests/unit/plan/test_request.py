from __future__ import annotations

from typing import Any

import pytest

from tpbox.errors import UsageError
from tpbox.plan.containers import PortBinding
from tpbox.plan.inbound import parse
from tpbox.plan.request import (
    ProcessOptions,
    SessionRequest,
    WorkloadRef,
    parse_environment,
    parse_ports,
    parse_service_name,
    parse_workload,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web", WorkloadRef("deployments", "web")),
        ("deploy/web", WorkloadRef("deployments", "web")),
        ("sts/cache:redis", WorkloadRef("statefulsets", "cache", "redis")),
        ("pod/web-1", WorkloadRef("pods", "web-1")),
        ("rs/web.v2", WorkloadRef("replicasets", "web.v2")),
        ("Deployment/web", WorkloadRef("deployments", "web")),
    ],
)
def test_a_workload_is_kind_name_and_container(text: str, expected: WorkloadRef) -> None:
    assert parse_workload(text) == expected


@pytest.mark.parametrize("option", ["--like", "--swap"])
@pytest.mark.parametrize("text", ["deploy/", "deploy/Web", "web:", "/web", "deploy/a/b", "", "frob/web", "deplyo/web"])
def test_what_is_no_workload_is_refused_with_an_example(text: str, option: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_workload(text, option)
    assert raised.value.message.startswith(f"{option} '{text}'")
    assert f"{option} deploy/web" in raised.value.hint


@pytest.mark.parametrize(
    ("text", "near"),
    [("deplyo/web", "deploy"), ("statefullset/db", "statefulset"), ("pos/web", "pods"), ("demonset/web", "daemonset")],
)
def test_a_kind_that_is_not_known_suggests_the_nearest(text: str, near: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_workload(text, "--swap")
    assert f"there is no kind '{text.split('/')[0]}'" in raised.value.message
    assert f"Did you mean '{near}'?" in raised.value.hint


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        *((kind, "a DaemonSet has a pod on each node") for kind in ("ds", "daemonset", "daemonsets", "DaemonSet")),
        *((kind, "the pods of a Job run to their end") for kind in ("job", "jobs")),
        *((kind, "a CronJob has pods only at its times") for kind in ("cj", "cronjob", "cronjobs")),
    ],
)
def test_a_kind_whose_place_cannot_be_taken_is_refused_with_the_reason(kind: str, reason: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_workload(f"{kind}/web", "--swap")
    assert raised.value.message.startswith(f"--swap '{kind}/web': {reason}")
    assert "--like pod/NAME" in raised.value.hint
    with pytest.raises(UsageError, match=f"--like '{kind}/web': it takes no ") as raised:
        parse_workload(f"{kind}/web")
    assert raised.value.hint == "Name one of its pods: --like pod/NAME"


def test_a_service_has_a_name_that_kubernetes_takes() -> None:
    assert parse_service_name("my-web2") == "my-web2"
    for text in ("2web", "Web", "my.web", "web-", "-web", "w" * 64, "my web"):
        with pytest.raises(UsageError, match="--as") as raised:
            parse_service_name(text)
        assert raised.value.hint == "For instance: --as my-web"


@pytest.mark.parametrize(
    ("options", "target"),
    [
        ({}, "new pod"),
        ({"like": WorkloadRef("deployments", "web")}, "new pod like deployments/web"),
        ({"inbound": parse(("80",))}, "new pod, with a Service"),
        ({"inbound": parse(("80",)), "as_name": "mine"}, "new pod, Service mine"),
        ({"swap": WorkloadRef("deployments", "web", "app")}, "swap deployments/web:app"),
    ],
)
def test_the_target_is_said_in_words(options: dict[str, Any], target: str) -> None:
    assert SessionRequest(ProcessOptions("myapp"), **options).target == target


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8080", (PortBinding("127.0.0.1", None, 8080),)),
        ("8080:80", (PortBinding("127.0.0.1", 8080, 80),)),
        ("0.0.0.0:8080:80", (PortBinding("0.0.0.0", 8080, 80),)),
        ("0.0.0.0::80", (PortBinding("0.0.0.0", None, 80),)),
        ("[::1]:8080:80", (PortBinding("::1", 8080, 80),)),
        ("53:53/udp", (PortBinding("127.0.0.1", 53, 53, "udp"),)),
        ("8000-8001:80-81", (PortBinding("127.0.0.1", 8000, 80), PortBinding("127.0.0.1", 8001, 81))),
    ],
)
def test_a_published_port_is_on_loopback_unless_an_address_is_given(
    text: str, expected: tuple[PortBinding, ...]
) -> None:
    assert parse_ports(text) == expected


@pytest.mark.parametrize("text", ["", "web", "80:web", "0", "70000", "8080:80/sctp", "1.2.3:1:2", "80-90:80", "9-8"])
def test_what_is_no_port_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_ports(text)
    assert raised.value.exit_code == 2
    assert "-p 8080:80" in raised.value.hint


def test_a_variable_without_value_takes_tpboxs_own() -> None:
    own = {"HERE": "1"}
    assert parse_environment(("A=b=c", "HERE", "GONE", "EMPTY="), own) == {"A": "b=c", "HERE": "1", "EMPTY": ""}


@pytest.mark.parametrize("text", ["=value", "", "A B=1"])
def test_a_variable_without_name_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_environment((text,), {})
