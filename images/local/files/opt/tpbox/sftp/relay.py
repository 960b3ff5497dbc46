"""Carries packets between sshfs, on stdin and stdout, and the pod's sftp server behind the ssh that it starts."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable

from sftp.ahead import Ahead

CHUNK = 256 * 1024  # bytes
CROWDED = 2 * 1024 * 1024  # bytes that wait for one side before no more are read from the other
TICK = 0.25  # seconds


class Incoming:
    """Cuts what arrives into packets."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def packets(self, data: bytes) -> list[bytes]:
        self._buffer += data
        found, at = [], 0
        while len(self._buffer) - at >= 4:
            end = at + 4 + int.from_bytes(self._buffer[at : at + 4], "big")
            if end > len(self._buffer):
                break
            found.append(bytes(self._buffer[at:end]))
            at = end
        del self._buffer[:at]
        return found


class Outgoing:
    """What waits to be written to a descriptor that does not block."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._waiting: deque[bytes] = deque()
        self.size = 0

    def add(self, found: list[bytes]) -> None:
        """Empties the list, too."""
        if found:
            data = b"".join(found)
            found.clear()
            self._waiting.append(data)
            self.size += len(data)

    def write(self) -> None:
        """As much as there is room for. Raises OSError when nobody reads any more."""
        while self._waiting:
            data = self._waiting.popleft()
            try:
                written = os.write(self._descriptor, data)
            except BlockingIOError:
                written = 0
            self.size -= written
            if written < len(data):
                self._waiting.appendleft(data[written:])
                return


class Side:
    """One of the two that are spoken with."""

    def __init__(self, source: int, target: int, take: Callable[[bytes, float], None]) -> None:
        self.source, self.target, self.take = source, target, take
        self.incoming, self.outgoing = Incoming(), Outgoing(target)
        for descriptor in (source, target):
            os.set_blocking(descriptor, False)

    def read(self, now: float) -> bool:
        """False at the end."""
        try:
            data = os.read(self.source, CHUNK)
        except BlockingIOError:
            return True
        for packet in self.incoming.packets(data):
            self.take(packet, now)
        return bool(data)


def relay(ahead: Ahead, sshfs: Side, pod: Side) -> None:
    """Until either side ends. Raises OSError when one of them cannot be written to."""
    looked = 0.0
    while True:
        readable = _wait(sshfs, pod, None if ahead.idle else TICK)
        now = time.monotonic()
        if now - looked > TICK:
            looked = now
            ahead.expire(now)
        alive = [side.read(now) for side in (sshfs, pod) if side.source in readable]
        pod.outgoing.add(ahead.to_pod)
        sshfs.outgoing.add(ahead.to_sshfs)
        pod.outgoing.write()
        sshfs.outgoing.write()
        if not all(alive):
            return


def _wait(sshfs: Side, pod: Side, timeout: float | None) -> set[int]:
    """The descriptors that can be read, once one can be, or written where something waits for it."""
    poll = select.poll()
    for side, other in ((sshfs, pod), (pod, sshfs)):
        if other.outgoing.size < CROWDED:
            poll.register(side.source, select.POLLIN)
        if side.outgoing.size:
            poll.register(side.target, select.POLLOUT)
    found = poll.poll(None if timeout is None else timeout * 1000)
    return {descriptor for descriptor, events in found if events != select.POLLOUT}


def main(argv: list[str]) -> int:
    """Runs ssh, `argv`, until it or sshfs ends; returns the exit code."""
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as ssh:
        assert ssh.stdin and ssh.stdout
        ahead = Ahead()
        sshfs = Side(sys.stdin.fileno(), sys.stdout.fileno(), ahead.asked)
        pod = Side(ssh.stdout.fileno(), ssh.stdin.fileno(), ahead.answered)
        try:
            relay(ahead, sshfs, pod)
        except OSError:
            return 1  # sshfs has seen its own end
        finally:
            ssh.kill()  # it has nothing to finish
    return 0
