"""The helper's container, with what its volumes need.

channel, volumes = start(docker, plan, "tpbox-local:0123", stack.push, replanned)

volumes = prepared(docker, plan, "tpbox-local:0123", stack.push)     # where Docker Compose starts the container:
channel = adopt(docker, plan.name, cancelled)                        # its supervisor comes later
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from tpbox import signals
from tpbox.errors import DockerError
from tpbox.local.docker import Channel, Docker
from tpbox.local.volumes import Cleanup, VolumeService
from tpbox.plan import engine
from tpbox.plan.session import SessionPlan
from tpbox.plan.volumes import check_live

SUPERVISOR = ("/usr/bin/python3", "-I", "/opt/tpbox")  # as the image's entrypoint has it
POLL = 0.1  # seconds


def start(
    docker: Docker, plan: SessionPlan, image: str, cleanup: Cleanup, replanned: Callable[[SessionPlan], None]
) -> tuple[Channel, VolumeService]:
    """Starts the helper and returns its streams. Raises DockerError.

    Where Docker refuses what live volumes or the engine netstack need, copies or sshuttle do, if the user left that
    open: `replanned` gets the new plan before anything of it is made.
    """
    try:
        return _start(docker, plan, image, cleanup)
    except DockerError as error:
        reason = ": ".join(filter(None, (error.message, error.detail)))
        less = with_less(plan, reason)
        if less is None:
            raise
        replanned(less)
        docker.remove(plan.name)
        return start(docker, less, image, cleanup, replanned)


def with_less(plan: SessionPlan, reason: str) -> SessionPlan | None:
    """The plan without what Docker probably refused; None when there is nothing that it could do without.

    Raises when what would have to go was asked for in so many words.
    """
    if plan.engine == "netstack" and any(word in reason for word in (engine.TUN_DEVICE, *engine.sysctls(ipv6=True))):
        return plan.with_sshuttle(reason)
    asked = plan.request.volumes
    if not plan.volumes.live or asked.mode != "auto":
        return None
    check_live(asked, reason)
    return plan.with_copies(reason)


def prepared(docker: Docker, plan: SessionPlan, image: str, cleanup: Cleanup) -> VolumeService:
    """What a helper needs that somebody else makes. Raises DockerError."""
    volumes = VolumeService(docker, plan, image)
    with signals.deferring():
        volumes.prepare(cleanup)
    cleanup("helper", lambda: docker.remove(plan.name))
    return volumes


def adopt(docker: Docker, name: str, cancelled: threading.Event) -> Channel:
    """Waits until the container runs, and starts a supervisor in it. Raises DockerError, also when cancelled."""
    while not cancelled.wait(POLL):
        if docker.state(name).get("Running"):
            return docker.execute(name, SUPERVISOR)
    raise DockerError(f"the helper {name} is not waited for any more")


def _start(docker: Docker, plan: SessionPlan, image: str, cleanup: Cleanup) -> tuple[Channel, VolumeService]:
    volumes = prepared(docker, plan, image, cleanup)
    spec = plan.helper(image, volumes.gate)
    with volumes.mover_beside(cleanup):
        with signals.deferring():
            docker.create(spec)
        channel = docker.attach(spec.name)
        cleanup("control channel", channel.close)
        docker.start(spec.name)
    return channel, volumes
