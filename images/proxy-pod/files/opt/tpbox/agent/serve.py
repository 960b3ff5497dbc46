"""The agent's loop.

    sys.exit(asyncio.run(serve.serve()))

sshd, the channel and the clock run side by side; SIGTERM or the clock ends all three.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from contextlib import suppress

from agent import channel, pod, settings
from agent.liveness import Liveness
from agent.settings import Settings, SettingsError
from agent.sshd import Sshd

# A pod that is evicted or deleted has not done its work: with 0 its Job would be complete, and make no other.
TERMINATED = 128 + signal.SIGTERM


async def serve() -> int:
    """Serves until the client is gone (returns 0) or until SIGTERM (returns TERMINATED); 2 when it cannot start."""
    environment = pod.initial_environment()
    try:
        asked = settings.parse(environment)
        server = Sshd(settings.DIRECTORY, asked.ssh_port)
        server.prepare(asked.authorized_key)
    except (SettingsError, OSError, subprocess.CalledProcessError) as error:
        sys.stderr.write(f"tpbox: the agent cannot start: {error}\n")
        return 2
    stopped = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stopped.set)
    sshd = asyncio.create_task(server.run())
    clock = Liveness(asked.grace)
    path = settings.DIRECTORY / channel.SOCKET
    async with channel.listening(path, lambda: pod.info(environment, asked.pod_ip, asked.mount_paths), clock.beat):
        announce = asyncio.create_task(_announce(server, asked))
        gone = await _until_gone(clock, stopped)
        announce.cancel()
    sshd.cancel()
    with suppress(asyncio.CancelledError):
        await sshd
    return 0 if gone else TERMINATED


async def _announce(server: Sshd, asked: Settings) -> None:
    await server.listening()
    ready = {"event": "ready", "hostKey": server.host_key(), "port": asked.ssh_port}
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()


async def _until_gone(clock: Liveness, stopped: asyncio.Event) -> bool:
    """Whether the client is gone; False when the agent was stopped."""
    while not clock.tick():
        with suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), 1)
            return False
    sys.stderr.write("tpbox: the client is gone\n")
    return True
