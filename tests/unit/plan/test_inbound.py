from __future__ import annotations

import pytest

from tpbox.errors import UsageError
from tpbox.plan.inbound import Expose, HostPort, Inbound, not_carried, parse, parse_expose

DECLARED = [
    {"name": "http", "containerPort": 8080},
    {"name": "http-again", "containerPort": 8080, "protocol": "TCP"},
    {"name": "admin", "containerPort": 9090, "protocol": "TCP"},
    {"name": "dns", "containerPort": 53, "protocol": "UDP"},
    {"name": "sig", "containerPort": 3868, "protocol": "SCTP"},
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("8080", Expose(8080, 8080)), ("9000:80", Expose(9000, 80)), ("1:65535", Expose(1, 65535))],
)
def test_what_is_exposed_is_local_and_remote(text: str, expected: Expose) -> None:
    assert parse_expose(text) == expected
    assert str(expected) == text


def test_the_options_words_are_read() -> None:
    assert parse(("9000:80", "8443"), ("5432",), ("9001",), ("5678", "5679:22")) == Inbound(
        (Expose(9000, 80), Expose(8443, 8443)), (5432,), (9001,), (HostPort(5678, 5678), HostPort(5679, 22))
    )
    assert parse() == Inbound()


WRONG = {
    "--expose": ("", "web", "80:", ":80", "0", "65536", "80:99999", "-1", "+80", "8_0", " 80", "80/tcp", "1:2:3", "٨٠"),
    "--to-pod": ("", "db", "0", "70000", "80:81"),
    "--from-pod": ("", "db", "0", "70000", "80:81"),
    "--container-to-host": ("", "debug", "0", "5678:", "5678:host", "1:2:3", "5678:65536"),
}
ORDER = tuple(WRONG)


@pytest.mark.parametrize(("option", "text"), [(option, text) for option, texts in WRONG.items() for text in texts])
def test_what_is_no_port_names_the_option_with_an_example(option: str, text: str) -> None:
    words: list[tuple[str, ...]] = [(text,) if name == option else () for name in ORDER]
    with pytest.raises(UsageError) as raised:
        parse(*words)
    assert raised.value.message.startswith(f"{option} '{text}' is not ")
    assert f"For instance: {option} " in raised.value.hint


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((("80", "8080:80"),), ["--expose 8080:80", "port 80", "--expose 80"]),
        ((("20022",),), ["--expose 20022", "tpbox itself"]),
        ((("80:20022",),), ["--expose 80:20022", "tpbox itself"]),
        (((), ("20022",)), ["--to-pod 20022", "tpbox itself"]),
        (((), (), ("20022",)), ["--from-pod 20022", "tpbox itself"]),
        ((("9000",), (), ("9000",)), ["--from-pod 9000", "--expose 9000", "in the pod"]),
        ((("9000:80",), ("80",)), ["--to-pod 80", "--expose 9000:80", "in the pod"]),
        ((("9000:80",), ("9000",)), ["--to-pod 9000", "--expose 9000:80", "process"]),
        (((), ("80",), ("80",)), ["--to-pod 80", "--from-pod 80"]),
        (((), ("80", "80")), ["--to-pod 80"]),
        (((), (), ("80", "80")), ["--from-pod 80"]),
        (((), (), (), ("80:1", "80:2")), ["--container-to-host 80:2", "--container-to-host 80:1"]),
        (((), ("80",), (), ("80:1",)), ["--container-to-host 80:1", "--to-pod 80"]),
        ((("80:8080",), (), (), ("80:1",)), ["--container-to-host 80:1", "--expose 80:8080"]),
        (((), (), ("80",), ("80:1",)), ["--container-to-host 80:1", "--from-pod 80"]),
    ],
)
def test_a_port_that_two_options_want_is_refused(words: tuple[tuple[str, ...], ...], says: list[str]) -> None:
    with pytest.raises(UsageError) as raised:
        parse(*words)
    for word in says:
        assert word in raised.value.message
    assert "For instance: --" in raised.value.hint


@pytest.mark.parametrize(
    ("words", "listen"),
    [
        ((("8080:80", "8080:81"),), "*:80 *:81"),  # one listener, two ports of the pod
        ((("9000:80",), (), ("9000",)), "*:80 127.0.0.1:9000"),  # one listener, for the cluster and for sidecars
        ((("5678:80",), (), (), ("80:5678",)), "*:80"),  # the pod's, the process's and the host's ports are apart
    ],
)
def test_ports_that_only_look_alike_are_taken(words: tuple[tuple[str, ...], ...], listen: str) -> None:
    assert parse(*words).listen() == listen


def test_the_helper_is_told_all_of_it() -> None:
    found = parse(("8080:80",), ("5432",), ("9000",), ("5678:5679",)).with_own([{"containerPort": 9090}])
    assert found.configuration() == {
        "expose": [
            {"local": 8080, "remote": 80, "required": True},
            {"local": 9090, "remote": 9090, "required": False},
        ],
        "toPod": [5432],
        "fromPod": [9000],
        "host": [{"container": 5678, "host": 5679}],
    }
    assert Inbound().configuration() == {"expose": [], "toPod": [], "fromPod": [], "host": []}


def test_sshd_may_listen_and_connect_where_the_options_say_and_nowhere_else() -> None:
    found = parse(("8080:80", "8443"), ("5432", "6379"), ("9000",), ("5678",))
    assert found.listen() == "*:80 *:8443 127.0.0.1:9000"
    assert found.opens() == "127.0.0.1:5432 127.0.0.1:6379"
    assert (Inbound().listen(), Inbound().opens()) == ("", "")


def test_low_ports_are_those_that_sshd_listens_on() -> None:
    assert parse(("8080:443", "80:8080"), ("22",), ("81",), ("79:25",)).low_ports() == (81, 443)
    assert parse(("1024",), (), ("1025",)).low_ports() == ()


def test_the_containers_own_tcp_ports_are_exposed_one_for_one_and_need_not_listen() -> None:
    assert Inbound().with_own(DECLARED).exposed == (Expose(8080, 8080, False), Expose(9090, 9090, False))


@pytest.mark.parametrize(
    ("words", "own"),
    [
        ((("80:8080",),), [9090]),  # its remote is named
        ((("8080:80",),), [8080, 9090]),  # only a local one is
        (((), ("9090",)), [8080]),
        (((), (), ("9090",)), [8080]),
        (((), (), (), ("9090:1",)), [8080]),
    ],
)
def test_a_port_that_an_option_has_a_use_for_is_not_exposed_by_itself(
    words: tuple[tuple[str, ...], ...], own: list[int]
) -> None:
    found = parse(*words).with_own(DECLARED)
    assert [expose.remote for expose in found.exposed if not expose.required] == own
    found.check()


def test_the_agents_own_port_is_never_exposed() -> None:
    assert Inbound().with_own([{"containerPort": 20022}]).exposed == ()


def test_udp_and_sctp_ports_are_named_as_not_carried() -> None:
    assert not_carried(DECLARED) == ("53/UDP", "3868/SCTP")


def test_all_of_it_in_words() -> None:
    found = parse(("9000:80", "8443"), ("5432",), ("9001",), ("5678:5679",))
    assert (
        found.words() == "exposed 80 (here 9000), 8443; to the pod 5432; from the pod 9001; to this machine 5678:5679"
    )
    assert Inbound().words() == "none"
