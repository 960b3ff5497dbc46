"""The helper's container, with what its volumes need.

channel, volumes = start(docker, plan, "tpbox-local:0123", stack.push, replanned)
"""

from __future__ import annotations

from collections.abc import Callable

from tpbox import signals
from tpbox.errors import DockerError
from tpbox.local.docker import Channel, Docker
from tpbox.local.volumes import Cleanup, VolumeService
from tpbox.plan.session import SessionPlan
from tpbox.plan.volumes import check_live


def start(
    docker: Docker, plan: SessionPlan, image: str, cleanup: Cleanup, replanned: Callable[[SessionPlan], None]
) -> tuple[Channel, VolumeService]:
    """Starts the helper and returns its streams. Raises DockerError.

    Where Docker refuses what live volumes need they are copied, if the user left that open: `replanned` gets the new
    plan before anything of it is made.
    """
    try:
        return _start(docker, plan, image, cleanup)
    except DockerError as error:
        asked = plan.request.volumes
        if not plan.volumes.live or asked.mode != "auto":
            raise
        reason = ": ".join(filter(None, (error.message, error.detail)))
        check_live(asked, reason)
        copying = plan.with_copies(reason)
        replanned(copying)
        docker.remove(plan.name)
        return _start(docker, copying, image, cleanup)


def _start(docker: Docker, plan: SessionPlan, image: str, cleanup: Cleanup) -> tuple[Channel, VolumeService]:
    volumes = VolumeService(docker, plan, image)
    with signals.deferring():
        volumes.prepare(cleanup)
    spec = plan.helper(image, volumes.gate)
    cleanup("helper", lambda: docker.remove(spec.name))
    with volumes.mover_beside(cleanup):
        with signals.deferring():
            docker.create(spec)
        channel = docker.attach(spec.name)
        cleanup("control channel", channel.close)
        docker.start(spec.name)
    return channel, volumes
