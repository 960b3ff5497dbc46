from __future__ import annotations

import struct
from ipaddress import ip_address

import pytest
from supervisor import questions
from supervisor.carried import Carried, Wanted, networks
from supervisor.questions import Split

RESOLV_CONF = (
    "search old\nsearch shop.svc.cluster.local svc.cluster.local cluster.local. Corp.example\noptions ndots:5\n"
)


def query(name: str, kind: int = 1, flags: int = 0x0100) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label)
    return (
        struct.pack("!6H", 0xBEEF, flags, 1, 0, 0, 1) + labels + b"\0" + struct.pack("!2H", kind, 1) + b"an OPT record"
    )


def test_the_name_of_a_question_is_read() -> None:
    assert questions.name(query("Web.shop.SVC.cluster.local", 28)) == "web.shop.svc.cluster.local"
    assert questions.name(query("")) == ""


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"short",
        query("web", flags=0x8180),  # an answer
        query("web")[:4] + b"\0\2" + query("web")[6:],  # two questions
        query("web")[:15],  # ends within the name
        query("web")[:18],  # ends within the question
        query("web")[:12] + b"\xc0\x0c" + bytes(8),  # a pointer
        query(".".join(["a" * 60] * 5)),  # longer than a name may be
    ],
)
def test_what_is_no_query_is_refused(message: bytes) -> None:
    with pytest.raises(ValueError):
        questions.name(message)


def test_a_failure_has_the_question_and_nothing_else() -> None:
    asked = query("web")
    assert questions.failure(asked) == b"\xbe\xef\x81\x82" + b"\0\1" + bytes(6) + asked[12:21]


def split(resolv_conf: str = RESOLV_CONF) -> Split:
    wanted = Wanted(also=("db.corp.",), split_names=True)
    return Split.of(resolv_conf, wanted, Carried(only=networks("10.96.0.0/16", "fd00:1::/64")))


@pytest.mark.parametrize(
    ("name", "pods"),
    [
        ("web.shop.svc.cluster.local", True),
        ("_http._tcp.web.shop.svc.cluster.local", True),
        ("cluster.local", True),
        ("example.com.shop.svc.cluster.local", True),  # by the search list
        ("wiki.corp.example", True),  # of the node's part of it
        ("db.corp", True),
        ("other.db.corp", False),
        ("mycluster.local", False),
        ("web.old", False),  # the last search line counts
        ("example.com", False),
        ("web", False),
        ("", False),
        ("10.0.96.10.in-addr.arpa", True),
        ("1.2.0.192.in-addr.arpa", False),
        ("0.96.10.in-addr.arpa", False),
        ("x.0.96.10.in-addr.arpa", False),
        (".".join(reversed(ip_address("fd00:1::5").exploded.replace(":", ""))) + ".ip6.arpa", True),
        (".".join(reversed(ip_address("fd00:2::5").exploded.replace(":", ""))) + ".ip6.arpa", False),
    ],
)
def test_the_clusters_names_are_the_pods(name: str, pods: bool) -> None:
    assert split().is_the_pods(name) is pods


def test_the_clusters_domain_is_known_from_the_search_list() -> None:
    services = split("search shop.svc.k8s.example\n")
    assert services.is_the_pods("kubernetes.default.svc.k8s.example")
    assert not services.is_the_pods("example")


@pytest.mark.parametrize(
    ("name", "pods"),
    [
        ("cache", False),
        ("cache.shop_default", False),
        ("web.cache", True),
        ("cache.shop", True),
        ("cache.shop.svc.cluster.local", True),
        ("example.com", True),
        ("", True),
        ("3.0.20.172.in-addr.arpa", False),
        ("10.0.96.10.in-addr.arpa", True),
    ],
)
def test_of_local_names_alone_all_others_are_the_pods(name: str, pods: bool) -> None:
    wanted = Wanted(local_names=frozenset({"cache", "cache.shop_default"}))
    assert Split.of(RESOLV_CONF, wanted, Carried(never=networks("172.20.0.0/16"))).is_the_pods(name) is pods


def test_an_answer_of_our_own_keeps_the_question() -> None:
    asked = query("web")
    found = questions.answer(asked, questions.NO_SUCH_NAME)
    assert found == b"\xbe\xef\x81\x83" + b"\0\1" + bytes(6) + asked[12:21]


def test_a_pod_without_a_search_list() -> None:
    assert questions.search("nameserver 10.96.0.10\n") == []
    assert not split("nameserver 10.96.0.10\n").is_the_pods("web.shop.svc.cluster.local")
