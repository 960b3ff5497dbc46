"""What stands in the way of a session, and what mends it. Nothing is changed, and everything may be broken.

for finding in doctor.examine(kubeconfig="", context="", namespace=""):
    print(finding.state, finding.name, finding.text, finding.mend)
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from tpbox import preflight, process, sweep
from tpbox.cluster import certificate
from tpbox.cluster.api import Api
from tpbox.errors import TpboxError
from tpbox.local import images, probe
from tpbox.local.docker import START_HINT, Docker
from tpbox.local.embedded import kubeconfig_path
from tpbox.plan.kubeconfig import Credential

LIMIT = 25  # seconds for each part: an address that swallows packets, or an exec plugin that asks, may take for ever
IMAGES = (("images/local", "tpbox-local"), ("images/proxy-pod", "tpbox-proxy-pod"))
INSTALL_DOCKER = "Install Docker's command line: https://docs.docker.com/engine/install/"
GIVE_CAPABILITIES = "Use an engine that may give it: not one inside an unprivileged container."

Area = Literal["docker", "cluster", "leftovers"]
State = Literal["ok", "warning", "failed"]


@dataclass(frozen=True)
class Finding:
    """One line of the doctor. A warning keeps no session from running."""

    area: Area
    name: str
    state: State
    text: str
    mend: str = ""


class Part:
    """The findings of one area."""

    def __init__(self, area: Area) -> None:
        self.area = area
        self.findings: list[Finding] = []

    def ok(self, name: str, text: str) -> None:
        self._add(name, "ok", text, "")

    def warn(self, name: str, text: str, mend: str) -> None:
        self._add(name, "warning", text, mend)

    def fail(self, name: str, text: str, mend: str) -> None:
        self._add(name, "failed", text, mend)

    def error(self, name: str, error: TpboxError, mend: str) -> None:
        """`mend`: where the error itself has no hint."""
        detail = " ".join(error.detail.split())
        self.fail(name, f"{error.message} ({detail})" if detail else error.message, error.hint or mend)

    def _add(self, name: str, state: State, text: str, mend: str) -> None:
        self.findings.append(Finding(self.area, name, state, text, mend))


@dataclass
class Handles:
    """What answers."""

    docker: Docker | None = None
    api: Api | None = None


def examine(kubeconfig: str, context: str, namespace: str) -> list[Finding]:
    """All findings. Raises ClusterError for a kubeconfig or a context that was named and is not there."""
    if kubeconfig or context:
        Api.connect(*preflight.choose_kubeconfig(kubeconfig, context))
    docker, cluster, leftovers = Part("docker"), Part("cluster"), Part("leftovers")
    handles = Handles()
    _within(
        LIMIT,
        (docker, "engine", START_HINT, lambda: _docker(docker, handles)),
        (cluster, "API server", "See: kubectl version", lambda: _cluster(cluster, handles, kubeconfig, context)),
    )
    if handles.api:
        api = handles.api
        _within(LIMIT, (cluster, "rights", "Try again.", lambda: _rights(cluster, api, handles.docker, namespace)))
    _within(LIMIT, (leftovers, "sessions", "See: tpbox cleanup --dry-run", lambda: _leftovers(leftovers, handles)))
    return [*docker.findings, *cluster.findings, *leftovers.findings]


def _within(seconds: float, *jobs: tuple[Part, str, str, Callable[[], None]]) -> None:
    """Does the jobs side by side; one that takes longer, or that fails in an unforeseen way, is a finding itself."""

    def run(part: Part, name: str, mend: str, work: Callable[[], None]) -> None:
        try:
            work()
        except TpboxError as error:
            part.error(name, error, mend)
        except Exception as error:
            part.fail(name, f"{type(error).__name__}: {error}", mend)

    threads = [threading.Thread(target=run, args=job, daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + seconds
    for thread, (part, name, mend, _) in zip(threads, jobs, strict=True):
        thread.join(max(0.0, deadline - time.monotonic()))
        if thread.is_alive():
            part.fail(name, f"no answer within {seconds:.0f} s", mend)


def _docker(part: Part, handles: Handles) -> None:
    try:
        part.ok("docker command", process.run(["docker", "--version"], timeout=10).strip())
    except process.ProcessError as error:
        part.error("docker command", error, INSTALL_DOCKER)
    try:
        docker = handles.docker = Docker.connect()
        part.ok("engine", f"version {docker.version()} at {docker.host}")
    except TpboxError as error:
        part.error("engine", error, START_HINT)
        return
    here = []
    for folder, repository in IMAGES:
        reference = images.find(folder, repository).reference
        if docker.image(reference):
            here.append(reference)
            part.ok("image", reference)
        else:
            part.warn("image", f"{reference} is not built yet; the first session does it", "tpbox images build")
    if docker.image(images.BASE):
        here.append(images.BASE)
        part.ok("base image", images.BASE)
    else:
        part.warn("base image", f"{images.BASE} is not here; a build pulls it", f"docker pull {images.BASE}")
    if own := sorted(images.host_certificates()):
        part.ok("certificates", f"image builds trust this machine's additional authorities too: {', '.join(own)}")
    _capabilities(part, docker.host, here[0] if here else "")


def _capabilities(part: Part, host: str, image: str) -> None:
    if not image:
        part.warn("capabilities", "not looked at: there is no image yet to try them with", "tpbox images build")
        return
    with ThreadPoolExecutor(3) as pool:
        admin = pool.submit(probe.net_admin, host, image)
        fuse = pool.submit(probe.device, host, image, "/dev/fuse")
        tun = pool.submit(probe.device, host, image, "/dev/net/tun")
    if admin.result():
        part.fail("NET_ADMIN", f"a container cannot have it: {_line(admin.result())}", GIVE_CAPABILITIES)
    else:
        part.ok("NET_ADMIN", "a container can have it")
    for name, words, without in (
        ("/dev/fuse", fuse.result(), "volumes are copied instead of mounted live"),
        ("/dev/net/tun", tun.result(), "the engine is sshuttle then, which is less exact"),
    ):
        if words:
            module = name.rpartition("/")[2]
            part.warn(name, f"the engine cannot give it ({_line(words)}); {without}", f"sudo modprobe {module}")
        else:
            part.ok(name, "a container can have it")


def _cluster(part: Part, handles: Handles, kubeconfig: str, context: str) -> None:
    try:
        file, chosen = preflight.choose_kubeconfig(kubeconfig, context)
        api = Api.connect(file, chosen)
    except TpboxError as error:
        part.error("kubeconfig", error, "Name one with --kubeconfig.")
        return
    part.ok("kubeconfig", f"{file}, context {api.context}")
    try:
        part.ok("API server", f"{api.credential().server}, version {api.get('/version')['gitVersion']}")
    except TpboxError as error:
        _unreachable(part, api.credential(), error)
        return
    handles.api = api
    image = os.environ.get("TPBOX_POD_IMAGE", "")
    if file == str(kubeconfig_path()):
        part.ok("proxy pod's image", "tpbox loads it into the embedded cluster")
    elif image:
        part.ok("proxy pod's image", f"TPBOX_POD_IMAGE is {image}")
    else:
        part.warn("proxy pod's image", "each session has to name it: --pod-image", "tpbox images push REPOSITORY")


def _unreachable(part: Part, credential: Credential, error: TpboxError) -> None:
    """An authority that nobody told the kubeconfig of, as a network's own that inspects TLS, is named."""
    if "CERTIFICATE_VERIFY_FAILED" not in error.detail:
        part.error("API server", error, "See: kubectl version")
        return
    url = urlsplit(credential.server)
    signer = certificate.issuer(url.hostname or "", url.port or 443, credential.tls_server_name)
    part.fail(
        "API server",
        f"{credential.server} has a certificate signed by an authority that the kubeconfig does not trust: "
        f"{signer or 'unknown'}",
        "If you trust it, put it into the kubeconfig: kubectl config set-cluster NAME --certificate-authority=FILE",
    )


def _rights(part: Part, api: Api, docker: Docker | None, namespace: str) -> None:
    chosen = namespace or api.namespace
    try:
        preflight.check_namespace(api, chosen)
        part.ok("namespace", chosen)
    except TpboxError as error:
        part.error("namespace", error, "Name another with -n.")
        return
    for right in preflight.RIGHTS:
        verb, what = preflight.right_words(right)
        if preflight.allowed(api, chosen, right):
            part.ok("right", f"{verb} {what}")
        else:
            asked = f"kubectl auth can-i {verb} {what} -n {chosen}"
            part.fail("right", f"{verb} {what} is not allowed in namespace {chosen}", f"Ask for it. See: {asked}")
    if docker:
        try:
            server = preflight.server_for_helper(api.credential(), docker)
            part.ok("helper's way", f"the helper reaches the API server at {server.endpoint}")
        except TpboxError as error:
            part.error("helper's way", error, "Use another context.")


def _leftovers(part: Part, handles: Handles) -> None:
    dead = [found for found in sweep.find(handles.docker, handles.api) if not found.alive]
    for found in dead:
        what = ", ".join(found.objects()) or "its record"
        part.fail("dead session", f"{found.session} left {what}", f"tpbox cleanup --session {found.session}")
    if not dead:
        looked = [name for name, there in (("Docker", handles.docker), ("the cluster", handles.api)) if there]
        part.ok("dead sessions", f"none by record{''.join(f', none in {name}' for name in looked)}")


def _line(words: str) -> str:
    """What failed, without docker's hint to its help."""
    lines = [line for line in words.splitlines() if line.strip() and not line.startswith(("See ", "Run "))]
    return lines[-1].removeprefix("docker: ").removeprefix("Error response from daemon: ")
