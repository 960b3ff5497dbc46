"""The agent's loop.

    sys.exit(asyncio.run(serve.serve()))

sshd, the channel, the clock and the guard run side by side; SIGTERM or the clock ends them all. When it was the clock,
what was swapped is restored.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

from agent import channel, pod, readiness, settings
from agent.far import Far
from agent.guard import Keeper
from agent.liveness import Liveness
from agent.readiness import Readiness
from agent.settings import Settings, SettingsError
from agent.sshd import HOST_KEY, Forwarding, Sshd

# A pod that is evicted or deleted has not done its work: with 0 its Job would be complete, and make no other.
TERMINATED = 128 + signal.SIGTERM
PATIENCE = 300  # seconds in which an API server that is away may come back, and what was swapped be restored


async def serve() -> int:
    """Serves until the client is gone (returns 0) or until SIGTERM (returns TERMINATED); 2 when it cannot start."""
    environment = pod.initial_environment()
    try:
        asked = settings.parse(environment)
        server = Sshd(settings.DIRECTORY, asked.ssh_port, Forwarding(asked.listen, asked.open))
        server.prepare(asked.authorized_key)
    except (SettingsError, OSError, subprocess.CalledProcessError) as error:
        _say(f"the agent cannot start: {error}")
        return 2
    stopped = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stopped.set)
    keeper = Keeper(asked.session, environment)
    if not await _client_gone(server, asked, environment, keeper, stopped):
        return TERMINATED
    _say("the client is gone")
    return 0 if await _restored(keeper, stopped) else TERMINATED


async def _client_gone(
    server: Sshd, asked: Settings, environment: dict[str, str], keeper: Keeper, stopped: asyncio.Event
) -> bool:
    """Serves clients; False when the agent was stopped."""
    clock = Liveness(asked.grace)
    engine = Far(asked.engine_port, settings.DIRECTORY / HOST_KEY, asked.authorized_key)

    def info() -> dict[str, Any]:
        return pod.info(environment, asked.pod_ips, asked.mount_paths)

    def beat(is_ready: bool) -> None:
        clock.beat()
        ready.beat(is_ready)
        keeper.beat()

    with Readiness(settings.DIRECTORY / readiness.FILE) as ready:
        async with (
            channel.listening(settings.DIRECTORY / channel.SOCKET, info, beat, keeper.take),
            _running(server.run()),
            _running(engine.run()),
            _running(keeper.run()),
            _running(_announce(server, engine, asked)),
        ):
            while not clock.tick():
                ready.tick()
                with suppress(TimeoutError):
                    await asyncio.wait_for(stopped.wait(), 1)
                    return False
    return True


async def _restored(keeper: Keeper, stopped: asyncio.Event) -> bool:
    """Lets the keeper restore, as long as there is patience; False when the agent was stopped."""
    async with _running(keeper.restore()) as restoring, _running(stopped.wait()) as stopping:
        for _ in range(PATIENCE):
            done, _ = await asyncio.wait({restoring, stopping}, timeout=1, return_when=asyncio.FIRST_COMPLETED)
            if done:
                return restoring.done()
    _say("given up; `tpbox cleanup` restores it")
    return True


async def _announce(server: Sshd, engine: Far, asked: Settings) -> None:
    await server.listening()
    engine_port = asked.engine_port if await engine.listening() else 0
    ready = {"event": "ready", "hostKey": server.host_key(), "port": asked.ssh_port, "enginePort": engine_port}
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, Any]) -> AsyncIterator[asyncio.Task[Any]]:
    """The work as a task, which is cancelled when the block is left."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _say(words: str) -> None:
    sys.stderr.write(f"tpbox: {words}\n")
