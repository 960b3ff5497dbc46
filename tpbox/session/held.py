"""A session with a name: it stays until it is told to end, and starts processes for whoever knocks (tpbox.door).

    code = session.run(request, console, outputs, lambda live: held.hold(live, name, ready))

SIGTERM and the like end it as `tpbox down` does: the workload is back and Ready before its processes are told.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from tpbox import door, signals
from tpbox.errors import TpboxError, UsageError
from tpbox.local.app import StartError
from tpbox.named import NamedSession
from tpbox.plan import process as processes
from tpbox.plan.request import NATIVE_LATER, ProcessOptions
from tpbox.session.live import Session
from tpbox.session.process import ContainerProcess
from tpbox.steps import RelayedConsole

HEARD_WITHIN = 0.2  # seconds until a signal is answered
ACCEPT_RETRY = 0.1  # seconds


def hold(session: Session, name: NamedSession, ready: Callable[[], None]) -> int:
    """Serves until a signal or the end of the session; `ready` is called when processes may come.

    Returns 0. Raises TpboxError when the session could not go on.
    """
    with signals.heard() as heard, _open(session, name):
        ready()
        if (composed := session.plan.request.composed) and composed.attached:
            threading.Thread(target=_follow_starter, args=(session,), name="starter", daemon=True).start()
        while not heard and not session.over.wait(HEARD_WITHIN):
            pass
    if session.lost:
        raise session.lost
    session.console.say("ending")
    session.withdraw()
    session.end_processes()
    return 0


def _follow_starter(session: Session) -> None:
    """Our stdin is a pipe of whoever has started us: the kernel closes it however that ends."""
    while os.read(0, 1):
        pass
    session.over.set()


@contextlib.contextmanager
def _open(session: Session, name: NamedSession) -> Iterator[None]:
    """Within, somebody answers at the socket."""
    closed = threading.Event()
    with door.listen(name) as listener:
        threading.Thread(target=_accept, args=(session, listener, closed), name="door", daemon=True).start()
        try:
            yield
        finally:
            closed.set()
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # who is in accept() keeps a socket that is only closed


def _accept(session: Session, listener: socket.socket, closed: threading.Event) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:  # closed; or a want of descriptors, which passes
            if closed.wait(ACCEPT_RETRY):
                return
            continue
        threading.Thread(target=_serve, args=(session, connection), name="exec", daemon=True).start()


def _serve(session: Session, connection: socket.socket) -> None:
    """One conversation, to its end."""
    with connection, connection.makefile("r") as commands:
        console = RelayedConsole(session.console, connection.makefile("w"))
        try:
            if console.tell(**door.GREETING) and (line := commands.readline()):
                request = json.loads(line)
                options = processes.from_json(request["exec"])
                console.tell(exit=_execute(session, options, request["folder"], commands, console))
        except TpboxError as error:
            console.error(error)
        except ConnectionError:
            pass  # whoever asked has gone
        except Exception as error:  # a fault of ours must not end the session
            console.error(TpboxError(f"{type(error).__name__}: {error}", hint="This is a fault in tpbox."))
        finally:
            console.let_go()


def _execute(
    session: Session, options: ProcessOptions, folder: str, commands: Iterator[str], console: RelayedConsole
) -> int:
    """The exit code of a process that the other side runs. Raises TpboxError."""
    options = _with_image(session, options, console)
    process = session.process(options, console)
    try:
        process.create(folder)
        session.processes.check()  # one that was not there yet has not heard a signal
        with process.moving():
            console.tell(run={"container": process.plan.name, "tty": options.tty, "docker": door.docker_environment()})
            ended = _converse(process, commands)
        if session.lost:
            raise session.lost
        return process.exit_code(ended)
    except StartError as error:
        raise session.blamed(error) from error
    finally:
        session.processes.release(process)


def _with_image(session: Session, options: ProcessOptions, console: RelayedConsole) -> ProcessOptions:
    """With the session's image where it names none; pulled where it is not here. Raises TpboxError."""
    image = options.image or session.plan.request.process.image
    if not image:
        raise UsageError(NATIVE_LATER, hint="Name its image: --image IMAGE, here or at `tpbox up`")
    if session.docker.image(image) is None:
        console.say(f"pulling {image}")
        session.docker.pull(image, options.platform or None, console.progress)
    return replace(options, image=image)


def _converse(process: ContainerProcess, commands: Iterator[str]) -> int:
    """Hands signals on until the other side says how it has ended. Raises TpboxError when it has gone."""
    for line in commands:
        message: Mapping[str, Any] = json.loads(line)
        if "ended" in message:
            return int(message["ended"])
        process.signal(message["signal"])
    raise TpboxError("whoever ran it has gone")
