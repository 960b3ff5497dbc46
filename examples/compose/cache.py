"""Redis, as far as web and worker need it: https://redis.io/docs/latest/develop/reference/protocol-spec/"""

import socket


def ask(*words: str) -> str:
    """Sends one command and returns its answer; "" is none."""
    request = f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
    with socket.create_connection(("cache", 6379), timeout=5) as connection, connection.makefile("rb") as answer:
        connection.sendall(request.encode())
        kind, rest = (line := answer.readline().decode().strip())[:1], line[1:]
        if kind == "-":
            raise OSError(f"Redis: {rest}")
        if kind != "$":
            return rest
        return answer.read(int(rest)).decode() if int(rest) >= 0 else ""
