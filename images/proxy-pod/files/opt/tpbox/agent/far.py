"""The engine netstack's end in the Pod: `tpbox-far`, which dials what the client asks for (netstack/).

    engine = Far(20023, directory / "host_key", authorized_key)
    await engine.run()                          # for ever; it is started again when it dies
    await engine.listening()                    # whether there is one

It listens on the Pod's loopback only, and knows its client by the key that sshd does.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from agent import again

PROGRAM = Path("/opt/netstack/tpbox-far")
LISTENING = b"listening\n"
STARTS_WITHIN = 3.0  # seconds


class Far:
    """`port` is 0 where it is not wanted."""

    def __init__(self, port: int, host_key: Path, client: str) -> None:
        self._wanted = port != 0 and PROGRAM.exists()
        self._argv = [str(PROGRAM), f"-listen=127.0.0.1:{port}", f"-key={host_key}", f"-client={client}"]
        self._listening = asyncio.Event()

    async def run(self) -> NoReturn:
        if self._wanted:
            await again.for_ever(self._run_once)
        while True:
            await asyncio.Event().wait()

    async def listening(self) -> bool:
        """Whether it accepts clients; it has STARTS_WITHIN to begin."""
        if not self._wanted:
            return False
        with suppress(TimeoutError):
            await asyncio.wait_for(self._listening.wait(), STARTS_WITHIN)
        return self._listening.is_set()

    async def _run_once(self) -> None:
        # Its stdin is a pipe that only we hold: it ends when the agent does, however that dies. The environment is the
        # workload's (GODEBUG, GOMEMLIMIT), and not for it.
        process = await asyncio.create_subprocess_exec(
            *self._argv, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env={}
        )
        assert process.stdout
        try:
            if await process.stdout.readline() == LISTENING:
                self._listening.set()
            await process.wait()
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
