"""The requests as they leave, and the answers as they are read; nothing is sent."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from kubernetes import client

from tpbox.cluster.api import Api, ConflictError
from tpbox.errors import ForbiddenError, NotFoundError

PATH = "/api/v1/namespaces/shop/pods/lone"


class FakeClient:
    def __init__(self, status: int = 200, answer: Any = None, date: str = "") -> None:
        self.configuration = SimpleNamespace(host="https://10.0.0.1:6443", auth_settings=dict)
        self._answer = SimpleNamespace(
            status=status, read=lambda: json.dumps(answer or {}).encode(), headers={"Date": date}
        )
        self.sent: tuple[str, str, str | None, Any] | None = None

    def call_api(self, method: str, url: str, headers: dict[str, str], body: Any, **_: Any) -> Any:
        self.sent = method, url.removeprefix("https://10.0.0.1:6443"), headers.get("Content-Type"), body
        return self._answer

    @property
    def api(self) -> Api:
        return Api(cast(client.ApiClient, self), "dev", "shop")


def test_a_list_is_its_items() -> None:
    there = FakeClient(answer={"items": [{"a": 1}]})
    assert there.api.items("/api/v1/pods", labelSelector="a=b,c") == [{"a": 1}]
    assert there.sent == ("GET", "/api/v1/pods?labelSelector=a%3Db%2Cc", None, None)


def test_a_patch_is_a_merge_patch_and_an_update_is_json() -> None:
    there = FakeClient(answer={"kind": "Pod"})
    assert there.api.patch(PATH, {"spec": {}}) == {"kind": "Pod"}
    assert there.sent == ("PATCH", PATH, "application/merge-patch+json", {"spec": {}})
    assert there.api.update(PATH, {"spec": {}}) == {"kind": "Pod"}
    assert there.sent == ("PUT", PATH, "application/json", {"spec": {}})


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({}, {}),
        ({"grace": 1}, {"gracePeriodSeconds": 1}),
        ({"uid": "u"}, {"preconditions": {"uid": "u"}}),
        ({"uid": "u", "version": "7"}, {"preconditions": {"uid": "u", "resourceVersion": "7"}}),
    ],
)
def test_a_delete_is_of_the_object_that_was_read(options: dict[str, Any], sent: dict[str, Any]) -> None:
    there = FakeClient()
    there.api.delete(PATH, **options)
    assert there.sent == ("DELETE", PATH, "application/json", {"propagationPolicy": "Background", **sent})


def test_what_is_not_there_is_deleted_and_what_has_changed_is_not() -> None:
    FakeClient(404, {"message": "pods lone not found"}).api.delete(PATH)
    with pytest.raises(ConflictError, match="the UID in the precondition"):
        FakeClient(409, {"message": "the UID in the precondition …"}).api.delete(PATH, uid="u")


@pytest.mark.parametrize(("status", "kind"), [(403, ForbiddenError), (404, NotFoundError), (409, ConflictError)])
def test_a_refusal_has_the_servers_words(status: int, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="its words"):
        FakeClient(status, {"message": "its words"}).api.get(PATH)


@pytest.mark.parametrize(
    ("ahead", "believed"), [(0, 0), (1, 0), (-1, 0), (300, 300), (-7200, -7200)]
)  # a header has no fractions: what is less than two seconds is none
def test_the_time_is_the_servers(ahead: int, believed: int) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=ahead), usegmt=True)
    api = FakeClient(date=date).api
    api.get(PATH)
    assert abs(api.now() - datetime.now(UTC) - timedelta(seconds=believed)) < timedelta(seconds=2)


@pytest.mark.parametrize("date", ["", "yesterday"])
def test_without_the_servers_time_it_is_this_machines(date: str) -> None:
    api = FakeClient(date=date).api
    api.get(PATH)
    assert abs(api.now() - datetime.now(UTC)) < timedelta(seconds=1)
