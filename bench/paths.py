"""The ways from the load program's client to its server, each a context manager that yields a Path.

with paths.session("tpbox", namespace) as path:
    path.load("up", "-addr", path.server, "-streams", "4")["MBps"]
"""

from __future__ import annotations

import json
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path as File
from typing import Any

import yaml

from bench import target
from bench.target import IMAGE, NODE, ROOT, BenchError, run, wait_for

LOAD_LIMIT = 90  # seconds for one measurement
START_LIMIT = 40
PROGRAM = ("sh", "-c", "echo runs; exec sleep 2000")
END_LIMIT = 40


@dataclass(frozen=True)
class Path:
    """Where `load` runs, and what the server and the web page are called there."""

    name: str
    prefix: tuple[str, ...]
    server: str = "load:7000"
    page: str = "http://web/"
    address: str = ""  # the same page, without a name
    names: bool = True  # whether it carries DNS
    session: str = ""

    def load(self, *words: str, limit: float = LOAD_LIMIT) -> dict[str, Any]:
        """Runs the load program to its end and returns what it measured. Raises BenchError."""
        return dict(json.loads(run(*self.prefix, "load", *words, timeout=limit)))


@contextmanager
def in_cluster(namespace: str) -> Iterator[Path]:
    """A pod of the cluster."""
    exec_ = ("docker", "exec", NODE, "kubectl", "-n", namespace, "exec", "deploy/client", "-c", "client", "--")
    yield Path("in cluster", exec_, address=_address(namespace))


@contextmanager
def port_forward(namespace: str, helper_image: str) -> Iterator[Path]:
    """`kubectl port-forward` to both Services, from a container on the node's network, as the helper is."""
    first = f"tpbox-bench-{secrets.token_hex(4)}"
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        kubeconfig = File(folder) / "kubeconfig"
        kubeconfig.touch(mode=0o600)
        network, text = _kubeconfig()
        kubeconfig.write_text(text)
        for name, joined, ports in (
            (first, network, ("svc/load", "7000:7000")),
            (f"{first}-web", f"container:{first}", ("svc/web", "8000:80")),
        ):
            argv = ["docker", "run", "--rm", f"--name={name}", f"--network={joined}", "--entrypoint=kubectl"]
            argv += [f"--volume={kubeconfig}:/kubeconfig:ro", helper_image, "--kubeconfig=/kubeconfig"]
            stack.enter_context(_forwarding([*argv, f"--namespace={namespace}", "port-forward", *ports], name))
        prefix = ("docker", "run", "--rm", f"--network=container:{first}", IMAGE)
        page = "http://127.0.0.1:8000/"
        yield Path("port-forward", prefix, "127.0.0.1:7000", page, page, names=False)


@contextmanager
def _forwarding(argv: list[str], name: str) -> Iterator[None]:
    # Not a pipe: kubectl writes a line for each connection, and would stop when nobody reads them.
    with tempfile.NamedTemporaryFile() as said:
        forward = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT)
        try:
            wait_for(f"{name} forwards", lambda: b"Forwarding from" in File(said.name).read_bytes(), START_LIMIT)
            yield
        finally:
            subprocess.run(["docker", "rm", "--force", name], capture_output=True, check=False)
            forward.wait(END_LIMIT)


def _kubeconfig() -> tuple[str, str]:
    """The node's Docker network, and a kubeconfig for a container that is on it."""
    networks = json.loads(run("docker", "inspect", "--format={{json .NetworkSettings.Networks}}", NODE))
    network, settings = next(iter(networks.items()))
    config = yaml.safe_load(run("docker", "exec", NODE, "cat", "/run/node/kubeconfig"))
    config["clusters"][0]["cluster"]["server"] = f"https://{settings['IPAddress']}:6443"
    return network, yaml.safe_dump(config)


@dataclass(frozen=True)
class Started:
    """A session that runs: the path through it, seconds until its program ran, and where its report will be."""

    path: Path
    seconds: float
    report: File
    process: subprocess.Popen[Any]

    def end(self) -> None:
        """Ends the session, and returns when it is cleaned up and its report is written."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(END_LIMIT)


@contextmanager
def session(name: str, namespace: str, *options: str) -> Iterator[Started]:
    """A tpbox session with the load program in it. Raises BenchError with tpbox's words when it does not start."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as files:
        out, words = (files.enter_context((File(folder) / name).open("w+")) for name in ("stdout", "stderr"))
        events, report = File(folder) / "events", File(folder) / "report"
        argv = [sys.executable, "-m", "tpbox", "run", "--context=tpbox", f"--namespace={namespace}"]
        argv += [f"--events={events}", f"--report={report}", *options, f"--image={IMAGE}", "--", *PROGRAM]
        began = time.monotonic()
        process = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=words)
        try:
            wait_for(f"session {name}", lambda: _runs(process, File(out.name), File(words.name)), START_LIMIT)
            seconds = time.monotonic() - began
            found = str(json.loads(events.read_text().splitlines()[0])["session"])
            prefix = ("docker", "exec", f"tpbox-{found}-app")
            path = Path(name, prefix, address=_address(namespace), session=found)
            yield Started(path, seconds, report, process)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(END_LIMIT)


@contextmanager
def named(namespace: str) -> Iterator[Callable[[], float]]:
    """A session that stays; what it yields runs a process in it and returns its seconds. Raises BenchError."""
    name, tpbox = f"bench-{secrets.token_hex(3)}", (sys.executable, "-m", "tpbox", "--quiet")

    def execute() -> float:
        began = time.monotonic()
        run(*tpbox, "exec", name, "--", "true")
        return time.monotonic() - began

    run(*tpbox, "up", name, "--context=tpbox", f"--namespace={namespace}", f"--image={IMAGE}", timeout=START_LIMIT)
    try:
        yield execute
    finally:
        run(*tpbox, "down", name, timeout=END_LIMIT)


def _runs(process: subprocess.Popen[Any], out: File, words: File) -> bool:
    """Whether the user's program has said so; the phase `running` begins before its volumes are there."""
    ended = process.poll() is not None  # before the look: what was written last still counts
    if out.read_text():
        return True
    if ended:
        raise BenchError(f"tpbox: {words.read_text().strip()}")
    return False


def helper_image() -> str:
    from tpbox.local import images
    from tpbox.local.docker import Docker

    return images.ensure(Docker.connect(), images.find("images/local", "tpbox-local"), lambda _: None)


def _address(namespace: str) -> str:
    """The page by its Service's address: what is measured is the connection, not the name."""
    service = json.loads(target.kubectl("-n", namespace, "get", "service", "web", "-o", "json"))
    return f"http://{service['spec']['clusterIP']}/"


def prepare() -> None:
    """The load program's image, here and in the cluster."""
    from tpbox.local import images
    from tpbox.local.docker import Docker
    from tpbox.local.embedded import Embedded
    from tpbox.local.images import Context

    docker = Docker.connect()
    images.ensure(docker, Context(target.ROOT / "bench" / "load", "tpbox-bench"), lambda _: None, tag=IMAGE)
    Embedded(docker).ensure_loaded(IMAGE, progress=lambda _: None)
