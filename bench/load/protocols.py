#!/usr/bin/python3
"""Long-lived protocols with real libraries: websockets, and gRPC in both directions at once.

protocols server            answers websockets on port 7002 and gRPC on port 7003: everything comes back
protocols websocket HOST N  sends N messages over one websocket and checks each answer
protocols grpc HOST N       the same over one bidirectional stream
"""

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
from websockets.sync import client, server

WEBSOCKET_PORT, GRPC_PORT = 7002, 7003
METHOD = "/tpbox.Echo/Stream"
PAUSE = 0.002  # seconds between messages: a stream, not a burst
LIMIT = 30  # seconds


def message(number: int) -> bytes:
    """Of growing length, some longer than a frame of any of the protocols below."""
    return f"{number} ".encode() * (1 + number % 50 * 500)


def serve() -> None:
    echo = grpc.stream_stream_rpc_method_handler(lambda requests, _: requests)
    answering = grpc.server(ThreadPoolExecutor(8))
    answering.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("tpbox.Echo", {"Stream": echo})])
    answering.add_insecure_port(f"0.0.0.0:{GRPC_PORT}")
    answering.start()
    with server.serve(answer_websocket, "0.0.0.0", WEBSOCKET_PORT) as listening:
        listening.serve_forever()


def answer_websocket(connection: server.ServerConnection) -> None:
    for text in connection:
        connection.send(text)


def websocket(host: str, count: int) -> None:
    with client.connect(f"ws://{host}:{WEBSOCKET_PORT}", open_timeout=LIMIT) as connection:
        for number in range(count):
            connection.send(message(number))
            check(number, connection.recv(timeout=LIMIT))
            time.sleep(PAUSE)


def stream(host: str, count: int) -> None:
    with grpc.insecure_channel(f"{host}:{GRPC_PORT}") as channel:
        answers = channel.stream_stream(METHOD)(messages(count), timeout=LIMIT)
        seen = 0
        for number, answer in enumerate(answers):
            check(number, answer)
            seen += 1
    if seen != count:
        sys.exit(f"{seen} answers of {count}")


def messages(count: int) -> Iterator[bytes]:
    for number in range(count):
        yield message(number)
        time.sleep(PAUSE)


def check(number: int, answer: str | bytes) -> None:
    if answer != message(number):
        sys.exit(f"another answer to message {number}: {answer[:40]!r}")


def main(words: list[str]) -> None:
    if words == ["server"]:
        serve()
        return
    protocol, host, count = words
    {"websocket": websocket, "grpc": stream}[protocol](host, int(count))
    sys.stdout.write(f"{count} answers\n")


if __name__ == "__main__":
    main(sys.argv[1:])
