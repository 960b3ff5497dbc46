"""The proxy pod's agent: it runs sshd, tells what the Pod is, and when its client is gone restores and ends.

    python3 -I /opt/tpbox             PID 1: the agent; exit code 0 when nobody needs the Pod any more
    python3 -I /opt/tpbox attach      in an ssh session: the client's line to the agent
    python3 -I /opt/tpbox snapshot    in an ssh session: the Pod's files for a client that copies them
    python3 -I /opt/tpbox resolve NAME…    in an ssh session: names' addresses as the Pod sees them

docs/architecture.md, "The agent", is the contract.

    settings    what the environment asks for
    serve       the loop
    channel     info, heartbeat and guard, over a unix socket
    liveness    the clock that ends the agent
    readiness   the file that the Pod's readiness probe looks for
    guard       the dead man's switch: the session's Lease, and whether to restore
    restore     what was swapped is given back
    kubernetes  the API server
    pod         what the Pod is: environment, mounts, resolver
    snapshot    archives of the Pod's volumes
    resolve     names, asked in the Pod
    far         the engine netstack's end in the Pod
    again       what starts both anew when they end: it and
    sshd        host key, configuration, the running sshd
    init        PID 1
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence

from agent import channel, init, resolve, serve, settings, snapshot


def main(argv: Sequence[str]) -> int:
    """Runs the agent, `attach`, `snapshot` or `resolve`; returns the exit code."""
    if list(argv) == ["attach"]:
        return channel.attach(settings.DIRECTORY / channel.SOCKET)
    if list(argv) == ["snapshot"]:
        return snapshot.serve(sys.stdin.buffer, sys.stdout.buffer)
    if argv[:1] == ["resolve"]:
        sys.stdout.write(json.dumps(resolve.resolve(argv[1:])) + "\n")
        return 0
    if argv:
        sys.stderr.write(f"tpbox: unknown arguments {list(argv)}; known: attach, snapshot, resolve NAME…\n")
        return 2
    return init.run(lambda: asyncio.run(serve.serve()))
