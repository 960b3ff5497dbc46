"""A session from its first look to its last trace, in the order of docs/architecture.md.

code = session.run(request, console, Outputs(report="report.json"))
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tpbox import names, preflight, report, signals
from tpbox.cluster.api import Api
from tpbox.errors import EXIT_TPBOX, TpboxError
from tpbox.local import images
from tpbox.local.docker import Docker
from tpbox.local.embedded import Embedded
from tpbox.plan.request import SessionRequest
from tpbox.plan.session import SessionPlan
from tpbox.session.composed import ComposedSession
from tpbox.session.live import Session, SessionImages
from tpbox.session.outputs import Outputs
from tpbox.ui import Console, Phases

__all__ = ["Outputs", "environment_of", "plan", "run"]


Work = Callable[[Session], int]


def run(request: SessionRequest, console: Console, outputs: Outputs, work: Work = Session.run_process) -> int:
    """Runs one session to its end and returns the exit code of the user's process. Raises TpboxError.

    `work` is what is done in it between its start and its end.
    """
    with contextlib.ExitStack() as files:
        events = files.enter_context(Path(outputs.events).open("w")) if outputs.events else None
        phases = Phases(names.new_session_id(), console, events)
        session = None
        outcome: dict[str, Any] = {"exitCode": EXIT_TPBOX, "error": "a fault in tpbox"}
        try:
            with signals.interrupting():
                session = _prepare(request, console, phases, outputs)
                files.enter_context(session.recorded())
                session.start()
                code = 0 if request.looks_only else work(session)
            outcome.update(exitCode=code, error="")
        except TpboxError as error:
            outcome.update(exitCode=error.exit_code, error=error.message)
            raise
        finally:
            with signals.shielded(console.say):
                if session:
                    session.close()
                if outputs.report:
                    report.write(
                        outputs.report,
                        phases,
                        session.plan if session else None,
                        pod=session.pod_name if session else "",
                        reconnects=session.control.reconnects if session and session.control else 0,
                        **outcome,
                    )
            if session:
                session.wait_back()
    return int(outcome["exitCode"])


def environment_of(request: SessionRequest, console: Console) -> Mapping[str, str]:
    """The environment that a process of this request would get; `request` names no image. Raises TpboxError."""
    found: dict[str, str] = {}
    run(request, console, Outputs(on_environment=found.update))
    return found


def plan(request: SessionRequest) -> SessionPlan:
    """The plan of a session that is not made: --dry-run."""
    docker = Docker.connect()
    return _plan(request, docker, names.new_session_id())[0]


def _plan(request: SessionRequest, docker: Docker, session: str) -> tuple[SessionPlan, Api]:
    kubeconfig, context = preflight.choose_kubeconfig(request.kubeconfig, request.context)
    api = Api.connect(kubeconfig, context)
    facts = preflight.check(request, docker, api, kubeconfig)
    return SessionPlan(session, request, facts), api


def _prepare(request: SessionRequest, console: Console, phases: Phases, outputs: Outputs) -> Session:
    """Looks, plans and sees to the images: all that comes before the first object of the session."""
    with phases.phase("preflight"):
        docker = Docker.connect()
        made, api = _plan(request, docker, phases.session)
    if made.facts.embedded and not request.kubeconfig and not request.context:
        console.say("no kubeconfig found: using the embedded cluster (context tpbox)")
    for remark in made.facts.remarks:
        console.warn(remark)
    with phases.phase("images"):
        ready = _images(made, docker, console)
    kind = ComposedSession if request.composed else Session
    return kind(made, ready, docker, api, console, phases, outputs)


def _images(made: SessionPlan, docker: Docker, console: Console) -> SessionImages:
    """The user's image, the helper's and the pod's: here, and the last also where the cluster finds it."""
    request, progress = made.request, console.progress
    image = request.process.image
    if image and docker.image(image) is None:
        console.say(f"pulling {image}")
        docker.pull(image, request.process.platform or None, progress)
    local, proxy = images.find("images/local", "tpbox-local"), images.find("images/proxy-pod", "tpbox-proxy-pod")
    helper = request.helper_image or images.ensure(docker, local, progress=progress)
    pod = request.pod_image or images.ensure(docker, proxy, progress=progress)
    if made.facts.embedded and not request.pod_image:
        Embedded(docker).ensure_loaded(pod, progress=progress)
    return SessionImages(helper, pod)
