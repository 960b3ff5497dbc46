from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from agent import kubernetes
from agent.kubernetes import MERGE_PATCH, Api, ApiError


class Server:
    """Answers each connection with the next of `answers`, and hangs up; None is no answer at all."""

    def __init__(self, *answers: bytes | None) -> None:
        self.answers = list(answers)
        self.requests: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        self.requests.append(head + await reader.readexactly(length))
        answer = self.answers.pop(0)
        if answer is None:
            await asyncio.sleep(60)
        else:
            writer.write(answer)
            writer.close()


def answer(status: str, body: object) -> bytes:
    content = json.dumps(body).encode()
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(content), content)


@pytest.fixture
def api() -> Api:
    return Api("10.96.0.1", 443, ssl.create_default_context(), "TOKEN")


Asks = Callable[[Server, Coroutine[Any, Any, Any]], Any]


@pytest.fixture
def asks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Asks:
    """Sends a request to a server behind a unix socket, in the place of the API server; returns its result."""

    async def connect(
        host: str, port: int, *, ssl: ssl.SSLContext
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        assert (host, port) == ("10.96.0.1", 443)
        return await asyncio.open_unix_connection(tmp_path / "server")

    monkeypatch.setattr(asyncio, "open_connection", connect)
    monkeypatch.setattr(kubernetes, "TIMEOUT", 0.2)

    def send(server: Server, request: Coroutine[Any, Any, Any]) -> Any:
        async def use() -> Any:
            async with await asyncio.start_unix_server(server, tmp_path / "server"):
                return await request

        return asyncio.run(use())

    return send


def test_a_request_carries_the_token_and_the_body(api: Api, asks: Asks) -> None:
    server = Server(answer("200 OK", {"kind": "Lease"}))
    assert asks(server, api.request("PATCH", "/a/b", {"spec": {}}, MERGE_PATCH)) == {"kind": "Lease"}
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.decode().splitlines() == [
        "PATCH /a/b HTTP/1.1",
        "Host: 10.96.0.1:443",
        "Authorization: Bearer TOKEN",
        "Accept: application/json",
        "User-Agent: tpbox",
        "Connection: close",
        "Content-Length: 12",
        "Content-Type: application/merge-patch+json",
    ]
    assert body == b'{"spec": {}}'


def test_an_answer_in_chunks_is_read(api: Api, asks: Asks) -> None:
    chunks = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n{"a": \r\n2\r\n1}\r\n0\r\n\r\n'
    assert asks(Server(chunks), api.find("/a")) == {"a": 1}


def test_what_is_not_there_is_none(api: Api, asks: Asks) -> None:
    missing = answer("404 Not Found", {"message": "not found"})
    assert asks(Server(missing), api.find("/a")) is None
    assert asks(Server(missing), api.delete("/a", {"metadata": {"uid": "u", "resourceVersion": "7"}})) is None


def test_only_what_was_found_is_deleted(api: Api, asks: Asks) -> None:
    server = Server(answer("200 OK", {}))
    asks(server, api.delete("/a", {"metadata": {"uid": "u", "resourceVersion": "7", "name": "a"}}))
    body = json.loads(server.requests[0].partition(b"\r\n\r\n")[2])
    assert body["preconditions"] == {"uid": "u", "resourceVersion": "7"}


@pytest.mark.parametrize(
    ("status", "final"),
    [
        ("401 Unauthorized", True),
        ("403 Forbidden", True),
        ("404 Not Found", True),
        ("409 Conflict", False),
        ("422 Unprocessable Entity", True),
        ("429 Too Many Requests", False),
        ("503 Service Unavailable", False),
    ],
)
def test_a_refusal_has_the_servers_words(api: Api, asks: Asks, status: str, final: bool) -> None:
    with pytest.raises(ApiError, match=f"the words .{status[:3]}.") as raised:
        asks(Server(answer(status, {"message": "the words"})), api.request("GET", "/a"))
    assert raised.value.final == final


def test_an_answer_that_is_no_object_is_an_error(api: Api, asks: Asks) -> None:
    page = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n<html"
    with pytest.raises(ApiError, match="<html"):
        asks(Server(page), api.request("GET", "/a"))


@pytest.mark.parametrize("broken", [b"", None, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"])
def test_a_server_that_is_not_reached_is_asked_twice(api: Api, asks: Asks, broken: bytes | None) -> None:
    assert asks(Server(broken, answer("200 OK", {"a": 1})), api.request("GET", "/a")) == {"a": 1}
    with pytest.raises(ApiError, match=r"the API server 10\.96\.0\.1:443 cannot be reached: .") as raised:
        asks(Server(broken, broken), api.request("GET", "/a"))
    assert not raised.value.final


def test_without_a_token_nothing_is_asked(asks: Asks) -> None:
    with pytest.raises(ApiError, match="there is no token") as raised:
        asks(Server(), Api("10.96.0.1", 443, ssl.create_default_context(), "").request("GET", "/a"))
    assert raised.value.final


def test_the_pod_knows_where_the_server_is() -> None:
    api = Api.of_pod({"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}, "", "TOKEN")
    assert api.authority == "[fd00::1]:6443"
    assert Api.of_pod({"KUBERNETES_SERVICE_HOST": "10.96.0.1"}, "", "TOKEN").authority == "10.96.0.1:443"
    with pytest.raises(ApiError, match="KUBERNETES_SERVICE_HOST"):
        Api.of_pod({}, "", "TOKEN")


def test_an_authority_that_is_no_certificate_is_named() -> None:
    with pytest.raises(ApiError, match="the certificate authority cannot be used"):
        Api.of_pod({"KUBERNETES_SERVICE_HOST": "10.96.0.1"}, "no PEM", "TOKEN")
