"""What passes between tpbox and a container's standard streams.

with docker.attach(name) as channel:
    channel.send(b"...")
    for stream, line in channel.lines(): ...
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from tpbox.errors import DockerError

STDERR = 2  # the number of a frame: https://docs.docker.com/reference/api/engine/ (attach to a container)


class Channel:
    """A container's standard streams over one connection to the engine.

    When it ends, however that comes about, the engine closes the container's stdin.
    """

    def __init__(self, connection: Any, frames: Iterable[tuple[int, bytes]]) -> None:
        self._connection = connection
        self._frames = frames
        self._socket: socket.socket = getattr(connection, "_sock", connection)

    def send(self, data: bytes) -> None:
        """Writes to the container's stdin. Raises DockerError when the container has gone."""
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise DockerError("the helper does not listen any more", detail=str(error)) from error

    def lines(self) -> Iterator[tuple[Literal["stdout", "stderr"], str]]:
        """Yields what the container prints, line by line, until it ends or the channel is closed."""
        rest = {"stdout": b"", "stderr": b""}
        with contextlib.suppress(OSError, ValueError):
            for number, data in self._frames:
                stream: Literal["stdout", "stderr"] = "stderr" if number == STDERR else "stdout"
                *whole, rest[stream] = (rest[stream] + data).split(b"\n")
                for line in whole:
                    yield stream, line.decode(errors="replace")

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._connection.close()

    def __enter__(self) -> Channel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
