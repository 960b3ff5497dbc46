from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from typing import Any, Literal

import pytest

from tpbox.errors import TunnelError
from tpbox.plan.volumes import Mount
from tpbox.tunnel.control import Control

Stream = Literal["stdout", "stderr"]


class FakeHelper:
    """The other end of a control channel, played by the test."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self._lines: queue.Queue[tuple[Stream, str] | None] = queue.Queue()

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    def lines(self) -> Iterator[tuple[Stream, str]]:
        while (line := self._lines.get()) is not None:
            yield line

    def close(self) -> None:
        self.end()

    def says(self, **event: Any) -> None:
        self._lines.put(("stdout", json.dumps(event)))

    def mutters(self, text: str, stream: Stream = "stderr") -> None:
        self._lines.put((stream, text))

    def end(self) -> None:
        self._lines.put(None)


@pytest.fixture
def helper() -> FakeHelper:
    return FakeHelper()


@pytest.fixture
def ended() -> threading.Event:
    return threading.Event()


@pytest.fixture
def control(helper: FakeHelper, ended: threading.Event) -> Iterator[Control]:
    made = Control(helper, on_event=lambda event: None, on_end=ended.set)
    yield made
    made.close()


def test_the_events_of_a_start_are_awaited_in_order(control: Control, helper: FakeHelper) -> None:
    helper.says(event="hello", protocol=4)
    control.wait_hello(1)
    control.configure({"command": "configure", "pod": "p"})
    assert helper.sent == [b'{"command": "configure", "pod": "p"}\n']
    helper.says(event="link", state="up", reconnects=0)
    helper.says(event="remote", info={"environment": {"A": "1"}, "hostname": "h", "podIP": "10.0.0.9", "mounts": []})
    helper.says(event="engine", state="up", name="sshuttle")
    control.wait_link(1)
    assert control.wait_remote(1).environment == {"A": "1"}
    control.wait_engine(1)


def test_another_protocol_is_refused_with_what_mends_it(control: Control, helper: FakeHelper) -> None:
    helper.says(event="hello", protocol=1)
    with pytest.raises(TunnelError, match="protocol 1") as raised:
        control.wait_hello(1)
    assert "--helper-image" in raised.value.hint


def test_a_helper_that_gives_up_says_why(control: Control, helper: FakeHelper) -> None:
    helper.says(event="failed", step="link", message="port-forward failed", detail="Forbidden")
    helper.end()
    with pytest.raises(TunnelError, match="port-forward failed") as raised:
        control.wait_link(1)
    assert raised.value.detail == "Forbidden"


def test_a_helper_that_just_ends_leaves_its_last_words(
    control: Control, helper: FakeHelper, ended: threading.Event
) -> None:
    helper.mutters("exec format error")
    helper.mutters("not json", stream="stdout")
    helper.end()
    with pytest.raises(TunnelError, match="the helper ended") as raised:
        control.wait_link(1)
    assert raised.value.detail == "exec format error\nnot json"
    assert ended.wait(1)


def test_silence_is_a_time_out_in_words(control: Control, helper: FakeHelper) -> None:
    with pytest.raises(TunnelError, match="did not report 'link' within"):
        control.wait_link(0.05)


def test_engine_and_volumes_may_come_up_in_any_order(helper: FakeHelper, control: Control) -> None:
    helper.says(event="volumes", state="up")
    helper.says(event="engine", state="up")
    control.wait_engine(5)
    control.wait_volumes(5)


def test_volumes_that_cannot_be_mounted_are_an_error_with_a_way_out(helper: FakeHelper, control: Control) -> None:
    helper.says(event="volumes", state="failed", reason="fuse: device not found")
    with pytest.raises(TunnelError) as caught:
        control.wait_volumes(5)
    assert caught.value.detail == "fuse: device not found"
    assert "--volumes copy" in caught.value.hint


def test_the_pods_mounts_are_read(helper: FakeHelper, control: Control) -> None:
    mount = {"path": "/etc/x", "realPath": "/run/x", "readOnly": True, "kind": "file"}
    helper.says(event="remote", info={"environment": {}, "hostname": "h", "podIP": "10.0.0.1", "mounts": [mount]})
    assert control.wait_remote(5).mounts == (Mount("/etc/x", "/run/x", read_only=True, is_file=True),)


def test_a_pod_of_another_version_is_named_as_such(helper: FakeHelper, control: Control) -> None:
    info = {"environment": {}, "hostname": "h", "podIP": "10.0.0.1", "mounts": [{"path": "/x"}]}
    helper.says(event="remote", info=info)
    with pytest.raises(TunnelError, match="of another version of tpbox") as raised:
        control.wait_remote(5)
    assert "tpbox images push" in raised.value.hint


def test_a_guard_is_handed_over(helper: FakeHelper, control: Control) -> None:
    control.guard({"token": "T"})
    assert json.loads(helper.sent[0]) == {"command": "guard", "guard": {"token": "T"}}


def test_withdraw_is_confirmed(helper: FakeHelper, control: Control) -> None:
    control.withdraw()
    assert helper.sent == [b'{"command": "withdraw"}\n']
    helper.says(event="withdrawn")
    control.wait_withdrawn(5)


def test_events_that_nobody_waits_for_do_not_pile_up(helper: FakeHelper, control: Control) -> None:
    for number in range(1000):
        helper.says(event="expose", state="changed", listening=[number], ready=True)
        helper.says(event="link", state="down" if number % 2 else "up", reconnects=number)
    helper.says(event="withdrawn")
    control.wait_withdrawn(5)
    assert len(control._unclaimed) == 3


def test_what_came_before_the_end_is_still_heard(helper: FakeHelper, control: Control, ended: threading.Event) -> None:
    helper.says(event="engine", state="up")
    helper.end()
    assert ended.wait(5)
    control.wait_engine(5)
    with pytest.raises(TunnelError, match="the helper ended"):
        control.wait_engine(5)
