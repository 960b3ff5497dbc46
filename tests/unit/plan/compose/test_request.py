from __future__ import annotations

from typing import Any

import pytest

from tpbox.errors import UsageError
from tpbox.plan.compose.request import parse
from tpbox.plan.request import WorkloadRef


def test_the_keys_are_words_of_tpbox_up() -> None:
    given = {
        "swap": "deploy/web",
        "namespace": "shop",
        "expose": [8080, "9000:80"],
        "also-proxy": ["10.1.0.0/16"],
        "only-cluster": True,
        "now": False,
        "grace": 60,
        "pod-cpu": 0.5,
        "as": "my-web",
    }
    request = parse("web", given)
    assert request.words == (
        *("--swap", "deploy/web", "--namespace", "shop", "--expose", "8080", "--expose", "9000:80"),
        *("--also-proxy", "10.1.0.0/16", "--only-cluster", "--grace", "60", "--pod-cpu", "0.5", "--as", "my-web"),
        *("--volumes", "copy"),
    )
    assert request.swap == WorkloadRef("deployments", "web")
    assert request.workload == ("", "", "shop", "deployments", "web")


def test_nothing_given_is_a_new_pod_with_nothing_exposed() -> None:
    assert parse("web", None) == parse("web", {})
    assert parse("web", None).words == ("--volumes", "copy")
    assert parse("web", None).workload is None


def test_a_list_of_one_may_stand_alone() -> None:
    assert parse("web", {"expose": 8080}).words[:2] == ("--expose", "8080")
    assert parse("web", {"prefer-cluster": "cache"}).prefer_cluster == ("cache",)


@pytest.mark.parametrize(("value", "words"), [(True, ()), (False, ("--no-service-links",))])
def test_service_links_are_on_unless_they_are_off(value: bool, words: tuple[str, ...]) -> None:
    assert parse("web", {"service-links": value}).words[:-2] == words


@pytest.mark.parametrize(("value", "mode"), [("auto", "copy"), ("copy", "copy"), ("off", "off")])
def test_volumes_are_copies(value: str, mode: str) -> None:
    assert parse("web", {"volumes": value}).words == ("--volumes", mode)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("deploy/web", "service web: x-tpbox is not a mapping"),
        (["swap"], "service web: x-tpbox is not a mapping"),
        ({"swop": "deploy/web"}, "service web: x-tpbox has no key 'swop'"),
        ({"swap": ["deploy/web"]}, "swap is a text or a number, not a list"),
        ({"swap": ""}, "swap is a text or a number, not ''"),
        ({"swap": None}, "swap is a text or a number, not nothing"),
        ({"swap": True}, "swap is a text or a number, not true"),
        ({"expose": {"8080": 80}}, "expose is a list, not a mapping"),
        ({"expose": [[8080]]}, "expose is a text or a number, not a list"),
        ({"now": "yes"}, "now is true or false, not 'yes'"),
        ({"volumes": "live"}, "Compose starts the container itself"),
        ({"volumes": "all"}, "volumes is one of auto, copy, off, not 'all'"),
        ({"volumes": ["copy"]}, "volumes is one of auto, copy, off, not a list"),
        ({"swap": "ds/web"}, "service web: --swap 'ds/web': a DaemonSet has a pod on each node"),
    ],
)
def test_what_cannot_be_is_said_with_the_service(given: Any, words: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse("web", given)
    assert words in raised.value.message
    assert raised.value.message.startswith("service web: ")
    assert raised.value.hint


@pytest.mark.parametrize(("key", "hint"), [("swop", "Did you mean 'swap'?"), ("zzzzzz", "The keys: also-proxy, as, ")])
def test_an_unknown_key_has_its_nearest(key: str, hint: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse("web", {key: 1})
    assert raised.value.hint.startswith(hint)
