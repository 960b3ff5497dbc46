"""Rows 15, 16, 17, 20 and 22: names, addresses and connections are those of a pod, for clients of every kind."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass

import pytest

from tests.e2e import shop
from tests.e2e.launcher import RUNTIMES, Launcher
from tests.e2e.probe import Answer, ask

EACH_ENGINE = True
GET = "curl -sS --max-time 5"
DIG = "dig +tries=1 +time=3"
AT_ONCE = 1.0  # seconds
SOON = 5.0  # seconds, the start of a Java or Node included
PING_REDIS = "timeout 5 bash -c 'exec 3<>/dev/tcp/{}/6379; printf \"PING\\r\\n\" >&3; head -n 1 <&3'"
URLLIB = "import sys, urllib.request as u; sys.stdout.write(u.urlopen('http://web/', timeout=5).read().decode())"
PSQL = "psql -h {} -U shop -d postgres -Atc 'select 6 * 7'"


@dataclass(frozen=True)
class Addresses:
    """Where the example is, as the API server says."""

    namespace: str
    cluster_ip: str
    pod_ips: tuple[str, ...]

    @property
    def domain(self) -> str:
        return f"{self.namespace}.svc.cluster.local"

    @property
    def web(self) -> str:
        return f"web.{self.domain}"


NOWHERE = Addresses("", "", ("",))  # for the names of tests, before there is a cluster


@pytest.fixture(scope="module")
def addresses(tpbox: Launcher) -> Addresses:
    pods = shop.items("pods", "-n", tpbox.namespace, "-l", "app=web")
    ips = tuple(sorted(pod["status"]["podIP"] for pod in pods))
    return Addresses(tpbox.namespace, shop.cluster_ip("web", tpbox.namespace), ips)


def _pages(at: Addresses) -> dict[str, str]:
    """Each way to write web's address; every one gives its page."""
    hosts = {
        "short-name": "web",
        "service.namespace": f"web.{at.namespace}",
        "service.namespace.svc": f"web.{at.namespace}.svc",
        "fqdn": at.web,
        "fqdn-with-dot": f"{at.web}.",
        "cluster-ip": at.cluster_ip,
        "pod-ip": at.pod_ips[0],
        "headless": "web-headless",
    }
    return {f"page {name}": f"{GET} http://{host}/" for name, host in hosts.items()}


def _clients() -> dict[str, str]:
    """Each kind of program; every one prints web's page."""
    return {
        "client curl": f"{GET} http://web/",
        "client go-static": "fetch-go http://web/",
        "client musl": "fetch-musl web",
        "client python": f"python3 -c {shlex.quote(URLLIB)}",
    }


def _runtimes(at: Addresses) -> dict[str, str]:
    """Runtimes with a resolver, a cache or both of their own; every one prints web's page."""
    return {
        "java": "java Fetch http://web/",
        "node getaddrinfo": "node fetch.mjs http://web/",
        "node c-ares": f"node fetch.mjs --c-ares http://{at.web}/",
    }


def _unknown(at: Addresses) -> dict[str, tuple[str, str]]:
    """The same with a name that is not there, and the words of each runtime for it."""
    return {
        "java unknown": ("java Fetch http://missing/", "java.net.UnknownHostException: missing: "),
        "node getaddrinfo unknown": ("node fetch.mjs http://missing/", "getaddrinfo ENOTFOUND missing"),
        "node c-ares unknown": (f"node fetch.mjs --c-ares http://missing.{at.domain}/", "queryA ENOTFOUND missing."),
    }


def _names(at: Addresses) -> dict[str, str]:
    return {
        "a": f"{DIG} +short {at.web} A",
        "a tcp": f"{DIG} +tcp +short {at.web} A",
        "a headless": f"{DIG} +short web-headless.{at.domain} A",
        "aaaa": f"{DIG} {at.web} AAAA",
        "aaaa tcp": f"{DIG} +tcp {at.web} AAAA",
        "srv": f"{DIG} +short _http._tcp.{at.web} SRV",
        "ptr": f"{DIG} +short -x {at.cluster_ip}",
        "cname": f"{DIG} +short elsewhere.{at.domain} CNAME",
        "cname followed": f"{DIG} +short elsewhere.{at.domain} A",
        "search": f"{DIG} +search +short web",
        "search and ndots": f"{DIG} +search +short web.{at.namespace}",
        "missing": f"{DIG} missing.{at.domain}",
        "missing tcp": f"{DIG} +tcp missing.{at.domain}",
        "missing outside": f"{DIG} missing.invalid",
        "missing getent": "getent ahosts missing",
        "missing go": "fetch-go http://missing/",
        "missing musl": "fetch-musl missing",
        "resolv.conf": "cat /etc/resolv.conf",
    }


@pytest.fixture(scope="module")
def answers(tpbox: Launcher, addresses: Addresses) -> dict[str, Answer]:
    """All that is asked in this module, asked in one session; it is like web to have the pod's address in POD_IP."""
    commands = {
        **_pages(addresses),
        **_clients(),
        **_names(addresses),
        "redis short": PING_REDIS.format("cache-0.cache"),
        "redis fqdn": PING_REDIS.format(f"cache-0.cache.{addresses.domain}"),
        "psql": PSQL.format("db"),
        "psql fqdn": PSQL.format(f"db.{addresses.domain}"),
        "psql wrong password": f"PGPASSWORD=wrong {PSQL.format('db')}",
        "pod ip": 'echo "$POD_IP"',
        "own addresses": "ip -4 -o addr show",
        "hostname": "hostname; getent ahostsv4 $(hostname)",
        "seen by name": f"{GET} http://web/client",
        "seen by pod ip": f"{GET} http://{addresses.pod_ips[1]}/client",
        "seen answering": f"{GET} http://web/hostname",
        "api short": f"{GET} -k https://kubernetes.default/version",
        "api fqdn": f"{GET} -k https://kubernetes.default.svc.cluster.local/version",
        "api address": f"{GET} -k https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT/version",
    }
    password = shop.document("Secret", "db")["stringData"]["password"]
    return ask(tpbox, commands, "--like", "deploy/web", "-e", f"PGPASSWORD={password}")


@pytest.fixture(scope="module")
def runtime_answers(tpbox: Launcher, addresses: Addresses) -> dict[str, Answer]:
    """The runtimes' answers, in a session of their own image."""
    unknown = {name: command for name, (command, _) in _unknown(addresses).items()}
    return ask(tpbox, {**_runtimes(addresses), **unknown}, image=RUNTIMES)


@pytest.mark.parametrize("name", _pages(NOWHERE))
def test_row_15_http_by_every_address(answers: dict[str, Answer], name: str) -> None:
    assert answers[name].code == 0, answers[name].stderr
    assert answers[name].stdout.encode() == shop.PAGE


@pytest.mark.parametrize("name", ["redis short", "redis fqdn"])
def test_row_15_a_named_pod_of_a_stateful_set(answers: dict[str, Answer], name: str) -> None:
    assert answers[name].ok == "+PONG"


@pytest.mark.parametrize("name", ["a", "a tcp", "search", "search and ndots"])
def test_row_16_a_record_of_a_service(answers: dict[str, Answer], addresses: Addresses, name: str) -> None:
    assert answers[name].ok == addresses.cluster_ip


def test_row_16_a_records_of_a_headless_service(answers: dict[str, Answer], addresses: Addresses) -> None:
    assert sorted(answers["a headless"].ok.split()) == list(addresses.pod_ips)


@pytest.mark.parametrize("name", ["aaaa", "aaaa tcp"])
def test_row_16_aaaa_is_empty_and_no_error(answers: dict[str, Answer], name: str) -> None:
    assert "status: NOERROR" in answers[name].ok
    assert "ANSWER: 0," in answers[name].ok


def test_row_16_srv(answers: dict[str, Answer], addresses: Addresses) -> None:
    priority, weight, port, target = answers["srv"].ok.split()
    assert (port, target) == ("80", f"{addresses.web}.")
    assert priority.isdigit() and weight.isdigit()


def test_row_16_ptr(answers: dict[str, Answer], addresses: Addresses) -> None:
    assert answers["ptr"].ok == f"{addresses.web}."


def test_row_16_cname_of_an_external_name(answers: dict[str, Answer]) -> None:
    assert answers["cname"].ok == "kubernetes.default.svc.cluster.local."
    assert answers["cname followed"].ok.split() == [
        "kubernetes.default.svc.cluster.local.",
        shop.cluster_ip("kubernetes", "default"),
    ]


@pytest.mark.parametrize("name", ["missing", "missing tcp", "missing outside"])
def test_row_16_a_missing_name_is_nxdomain_at_once(answers: dict[str, Answer], name: str) -> None:
    assert "status: NXDOMAIN" in answers[name].ok
    assert answers[name].seconds < AT_ONCE


@pytest.mark.parametrize(("name", "code"), [("missing getent", 2), ("missing go", 1), ("missing musl", 1)])
def test_row_16_a_missing_name_fails_in_every_resolver(answers: dict[str, Answer], name: str, code: int) -> None:
    assert answers[name].code == code
    assert answers[name].seconds < AT_ONCE


def test_row_16_the_resolver_is_the_pods(answers: dict[str, Answer], tpbox: Launcher) -> None:
    in_a_pod = shop.kubectl("-n", tpbox.namespace, "exec", "deploy/worker", "--", "cat", "/etc/resolv.conf")
    assert answers["resolv.conf"].ok.split() == in_a_pod.split()


@pytest.mark.parametrize("name", _clients())
def test_row_17_programs_of_every_kind(answers: dict[str, Answer], name: str) -> None:
    assert answers[name].code == 0, answers[name].stderr
    assert answers[name].stdout.encode() == shop.PAGE


@pytest.mark.parametrize("name", _runtimes(NOWHERE))
def test_row_17_java_and_node_resolve_and_connect(runtime_answers: dict[str, Answer], name: str) -> None:
    assert runtime_answers[name].code == 0, runtime_answers[name].stderr
    assert runtime_answers[name].stdout.encode() == shop.PAGE


@pytest.mark.parametrize("name", _unknown(NOWHERE))
def test_row_17_an_unknown_host_is_said_in_the_runtimes_own_words(
    runtime_answers: dict[str, Answer], addresses: Addresses, name: str
) -> None:
    _, words = _unknown(addresses)[name]
    assert words in runtime_answers[name].stderr
    assert (runtime_answers[name].code, runtime_answers[name].stdout) == (1, "")
    assert runtime_answers[name].seconds < SOON


@pytest.mark.parametrize("name", ["psql", "psql fqdn"])
def test_row_17_psql(answers: dict[str, Answer], name: str) -> None:
    assert answers[name].ok == "42"


def test_row_17_psql_hears_the_servers_refusal(answers: dict[str, Answer]) -> None:
    assert answers["psql wrong password"].code == 2
    assert "password authentication failed" in answers["psql wrong password"].stderr


@pytest.mark.parametrize("name", ["seen by name", "seen by pod ip"])
def test_row_20_the_server_sees_the_pods_address(answers: dict[str, Answer], name: str) -> None:
    assert answers[name].ok == answers["pod ip"].ok != ""


def test_row_20_a_pod_of_the_deployment_answers(answers: dict[str, Answer]) -> None:
    assert answers["seen answering"].ok.startswith("web-")


def test_the_process_has_the_pods_hostname_and_address(answers: dict[str, Answer]) -> None:
    hostname, *resolved = answers["hostname"].ok.splitlines()
    assert hostname.startswith("tpbox-")
    assert {line.split()[0] for line in resolved} == {answers["pod ip"].ok}
    assert f"{answers['pod ip'].ok}/32" in answers["own addresses"].ok.split()


@pytest.mark.parametrize("name", ["api short", "api fqdn", "api address"])
def test_row_22_the_kubernetes_api_from_inside(answers: dict[str, Answer], name: str) -> None:
    assert json.loads(answers[name].ok)["gitVersion"].startswith("v1.34.")
