from __future__ import annotations

import pytest

from tpbox.errors import UsageError
from tpbox.plan.containers import PortBinding
from tpbox.plan.request import WorkloadRef, parse_environment, parse_ports, parse_workload


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web", WorkloadRef("deployments", "web")),
        ("deploy/web", WorkloadRef("deployments", "web")),
        ("sts/cache:redis", WorkloadRef("statefulsets", "cache", "redis")),
        ("pod/web-1", WorkloadRef("pods", "web-1")),
        ("rs/web.v2", WorkloadRef("replicasets", "web.v2")),
    ],
)
def test_a_workload_is_kind_name_and_container(text: str, expected: WorkloadRef) -> None:
    assert parse_workload(text) == expected


@pytest.mark.parametrize("text", ["ds/web", "deploy/", "deploy/Web", "web:", "/web", "deploy/a/b", ""])
def test_what_is_no_workload_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_workload(text)
    assert "--like deploy/web" in raised.value.hint


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
