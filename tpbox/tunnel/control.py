"""The launcher's end of the control channel (docs/architecture.md): commands to the helper, events from it.

control = Control(channel, on_event=…)
control.configure({...})
info = control.wait_remote(timeout=30)
control.wait_engine(timeout=20)
control.ended.wait()
"""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from tpbox.errors import TunnelError
from tpbox.plan.volumes import Mount

log = logging.getLogger(__name__)

PROTOCOL = 4
TAIL_LINES = 3


class Lines(Protocol):
    """A helper's standard streams, as tpbox.local.docker.Channel gives them."""

    def send(self, data: bytes) -> None: ...
    def lines(self) -> Iterator[tuple[Literal["stdout", "stderr"], str]]: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class RemoteInfo:
    """What the proxy pod is, as its agent tells it."""

    environment: Mapping[str, str]
    hostname: str
    pod_ip: str
    mounts: tuple[Mount, ...] = ()

    @classmethod
    def of(cls, info: Mapping[str, Any]) -> RemoteInfo:
        """Raises TunnelError when its agent speaks as another version of tpbox does."""
        try:
            mounts = [Mount(m["path"], m["realPath"], m["readOnly"], m["kind"] == "file") for m in info["mounts"]]
            return cls(info["environment"], info["hostname"], info["podIP"], tuple(mounts))
        except KeyError as error:
            raise TunnelError(
                "the proxy pod's image is of another version of tpbox",
                detail=f"its agent does not say {error}",
                hint="Push this version's: tpbox images push REPOSITORY, then --pod-image or TPBOX_POD_IMAGE.",
            ) from error


class Control:
    def __init__(self, channel: Lines, on_event: Callable[[dict[str, Any]], None], on_end: Callable[[], None]) -> None:
        """`on_event` and `on_end` are called from the reading thread; `on_end` once, when the helper has gone."""
        self._channel = channel
        self._on_event = on_event
        self._on_end = on_end
        # Of each name and state the latest that nobody has waited for: a session lasts days.
        self._unclaimed: dict[tuple[str, str], dict[str, Any]] = {}
        self._ended = False
        self._news = threading.Condition()
        self._sending = threading.Lock()
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self.reconnects = 0
        self.failure: TunnelError | None = None
        self._reader = threading.Thread(target=self._read, name="control", daemon=True)
        self._reader.start()

    def configure(self, configuration: Mapping[str, Any]) -> None:
        """Sends the `configure` command; link, remote info and engine follow by themselves."""
        self._send(configuration)

    def guard(self, payload: Mapping[str, Any]) -> None:
        """Hands the agent what it restores with, on this link and on later ones; `guard` events say whether it can use
        it. It holds a token."""
        self._send({"command": "guard", "guard": payload})

    def withdraw(self) -> None:
        """From now on the agent is told that the process is not ready; `wait_withdrawn` tells when it has heard it."""
        self._send({"command": "withdraw"})

    def wait_hello(self, timeout: float) -> None:
        """Waits for the supervisor. Raises TunnelError when the helper ends first or speaks another protocol."""
        said = self._wait("hello", timeout)
        if said.get("protocol") != PROTOCOL:
            raise TunnelError(
                f"the helper speaks protocol {said.get('protocol')}, this tpbox speaks {PROTOCOL}",
                hint="Use the helper image of this version: leave --helper-image and TPBOX_HELPER_IMAGE out.",
            )

    def wait_link(self, timeout: float) -> None:
        self._wait("link", timeout, "up")

    def wait_remote(self, timeout: float) -> RemoteInfo:
        """What the pod is. Raises TunnelError when its agent speaks as another version of tpbox does."""
        return RemoteInfo.of(self._wait("remote", timeout)["info"])

    def wait_engine(self, timeout: float) -> None:
        self._wait("engine", timeout, "up")

    def wait_volumes(self, timeout: float) -> None:
        """Waits until the helper has the pod's volumes. Raises TunnelError when it cannot have them."""
        said = self._wait("volumes", timeout, "up", "failed")
        if said["state"] == "failed":
            raise TunnelError(
                "the helper could not mount the pod's volumes",
                detail=said.get("reason", ""),
                hint="Without them: --volumes off; or a copy: --volumes copy",
            )

    def wait_withdrawn(self, timeout: float) -> None:
        """Waits until the agent has heard that the process is not ready any more."""
        self._wait("withdrawn", timeout)

    def close(self) -> None:
        """Ends the helper: the engine closes its stdin."""
        self._channel.close()
        self._reader.join(timeout=5)

    def _send(self, command: Mapping[str, Any]) -> None:
        with self._sending:  # whoever sends: a new token, a new pod and the end have threads of their own
            self._channel.send(json.dumps(command).encode() + b"\n")

    def _wait(self, name: str, timeout: float, *states: str) -> dict[str, Any]:
        """The next event of this name and of one of these states, `timeout` seconds at most.

        Others are kept for whoever waits for them next: engine and volumes come up side by side.
        """

        def wanted() -> tuple[str, str] | None:
            return next((key for key in self._unclaimed if key[0] == name and (not states or key[1] in states)), None)

        with self._news:
            self._news.wait_for(lambda: wanted() or self._ended, timeout)
            if found := wanted():
                return self._unclaimed.pop(found)
            if self._ended:
                raise self.failure or TunnelError("the helper ended", detail="\n".join(self._tail))
        raise TunnelError(f"the helper did not report '{name}' within {timeout:.0f} s", detail="\n".join(self._tail))

    def _read(self) -> None:
        try:
            for stream, line in self._channel.lines():
                if stream == "stderr":
                    self._note(line)
                else:
                    self._take(line)
        finally:
            with self._news:
                self._ended = True
                self._news.notify_all()
            self._on_end()

    def _note(self, line: str) -> None:
        log.debug("helper: %s", line)
        if line.strip():
            self._tail.append(line)

    def _take(self, line: str) -> None:
        try:
            event = json.loads(line)
            name = event["event"]
        except (ValueError, KeyError, TypeError):
            self._note(line)
            return
        # Not the whole event: `remote` holds the pod's secrets.
        log.debug("helper: %s %s %s", name, event.get("state", ""), event.get("reason", ""))
        if name == "link":
            self.reconnects = event.get("reconnects", self.reconnects)
        if name == "failed":
            self.failure = TunnelError(event.get("message", "the link failed"), detail=event.get("detail", ""))
        self._on_event(event)
        with self._news:
            key = (name, str(event.get("state", "")))
            self._unclaimed.pop(key, None)  # in the order in which they came
            self._unclaimed[key] = event
            self._news.notify_all()
