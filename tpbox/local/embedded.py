"""The embedded cluster: a real one-node Kubernetes in a container of its own.

    cluster = Embedded(docker)
    cluster.up(console)                            # nothing to do when it is up
    cluster.ensure_loaded("tpbox-proxy-pod:…", console.progress)
    cluster.kubeconfig_path()                      # below the state directory, context `tpbox`

Container, volume and network have one name and no session; they stay until `down`. Two processes may call at once.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tpbox import process, state
from tpbox.errors import ClusterError, DockerError, ImageError
from tpbox.local import images, lock
from tpbox.local.docker import Docker, Progress
from tpbox.plan import node
from tpbox.plan.containers import split_tag
from tpbox.ui import Console

NAME = "tpbox-cluster"
CONTEXT = node.CONTEXT
READY_WITHIN = 60  # seconds; it takes 10
STOP_SECONDS = 5
ANSWER_WITHIN = 2  # seconds
UP_HINT = "Start it: tpbox cluster up"


@dataclass(frozen=True)
class Status:
    """What `tpbox cluster status` shows. `started` is RFC 3339; what a cluster that is not up cannot tell is empty."""

    state: Literal["absent", "stopped", "starting", "up"]
    version: str = ""
    server: str = ""
    address: str = ""
    started: str = ""
    kubeconfig: str = ""
    images: tuple[str, ...] = ()


class Embedded:
    """`name` tells apart several clusters on one machine; the tests have their own."""

    def __init__(self, docker: Docker, name: str = NAME) -> None:
        self._docker = docker
        self.name = name

    def kubeconfig_path(self) -> Path:
        return kubeconfig_path(self.name)

    def up(self, console: Console) -> None:
        """Makes, starts or renews the cluster as needed, and waits until it is ready.

        Raises ImageError when the node's image cannot be built, ClusterError when it is not ready within a minute.
        """
        with self._locked(console.say):
            image = self._image(console)
            found = self._docker.inspect(self.name)
            if found and found["Config"]["Image"] == image and self._write_kubeconfig(found):
                return
            began = time.monotonic()
            if found:
                if found["Config"]["Image"] != image:
                    console.say("the embedded cluster's node has a newer image: making it anew, its objects stay")
                self._remove_node()
                images.remove_outdated(self._docker, split_tag(image)[0], image)
            self._start(image, found)
            self._wait_until_ready()
            console.say(f"the embedded cluster is up ({time.monotonic() - began:.1f} s)")

    def down(self) -> bool:
        """Removes the cluster with all that is in it; its images stay for the next `up`. Returns whether there was one.

        Raises DockerError when a container still uses its network."""
        with self._locked():
            there = self._docker.inspect(self.name) is not None
            self.kubeconfig_path().unlink(missing_ok=True)
            self._docker.remove(self.name)
            self._docker.remove_volume(self.name)
            self._docker.remove_network(self.name)
        return there

    def status(self) -> Status:
        found = self._docker.inspect(self.name)
        if not found:
            return Status("absent")
        server = f"https://127.0.0.1:{node.published_port(found)}"
        if not found["State"]["Running"]:
            return Status("stopped", server=server)
        started = str(found["State"]["StartedAt"])
        if self._admin() is None:
            return Status("starting", server=server, started=started)
        version = json.loads(self._run("kubectl", "--kubeconfig", node.KUBECONFIG, "version", "-o", "json"))
        return Status(
            "up",
            version=version["serverVersion"]["gitVersion"],
            server=server,
            address=found["NetworkSettings"]["Networks"][self.name]["IPAddress"],
            started=started,
            kubeconfig=str(self.kubeconfig_path()),
            images=tuple(node.loaded_names(self._images())),
        )

    def ensure_loaded(self, reference: str, progress: Progress) -> None:
        """Copies an image from Docker to the cluster unless it is there. Raises as `load` does."""
        self.load([reference], progress)

    def load(self, references: Sequence[str], progress: Progress) -> list[str]:
        """Copies images from Docker to the cluster, and returns which; one that is there already is not copied.

        Raises ImageError for one that Docker does not have, ClusterError when the cluster is not up.
        """
        wanted = self._missing(references)
        if not wanted:
            return []
        with self._locked(progress):
            wanted = self._missing(references)
            if wanted:
                progress(f"loading {', '.join(wanted)} into the embedded cluster")
                self._import(wanted)
        return list(wanted)

    def _missing(self, references: Sequence[str]) -> dict[str, str]:
        """The references that the cluster does not have as Docker has them, with their ids."""
        ids = {}
        for reference in references:
            found = self._docker.image(reference)
            if not found:
                raise ImageError(
                    f"Docker has no image {reference}",
                    hint=f"Build or pull it first: docker build -t {reference} .   or   docker pull {reference}",
                )
            ids[reference] = found["Id"]
        listing = self._images()
        return {r: image_id for r, image_id in ids.items() if not node.loaded(listing, r, image_id)}

    def _import(self, references: Mapping[str, str]) -> None:
        importer = ["docker", "-H", self._docker.host, "exec", "-i", self.name]
        process.pipe(
            ["docker", "-H", self._docker.host, "save", *references],
            [*importer, "ctr", "-n", "k8s.io", "images", "import", "-"],
        )
        for reference, image_id in references.items():
            label = f"{node.IMAGE_LABEL}={image_id}"
            self._run("ctr", "-n", "k8s.io", "images", "label", node.full_name(reference), label)

    def _image(self, console: Console) -> str:
        binary = images.find("cluster/binary", "tpbox-cluster-binary")
        if not self._docker.image(binary.reference):
            console.say("building Kubernetes for the embedded cluster: 10 to 15 minutes, once on a machine")
        arguments = {"BINARY": images.ensure(self._docker, binary, console.progress)}
        context = images.find("cluster/node", "tpbox-cluster-node", arguments=arguments)
        return images.ensure(self._docker, context, console.progress)

    def _remove_node(self) -> None:
        """Container and network; all that matters is in the volume.

        The network too, where nobody else is on it: the network namespace of a container that died together with
        its Docker engine stays on the bridge, with the node's addresses, and answers in the new node's place.
        """
        self._docker.stop(self.name, STOP_SECONDS)
        self._docker.remove(self.name)
        with contextlib.suppress(DockerError):
            self._docker.remove_network(self.name)

    def _start(self, image: str, before: dict[str, Any] | None) -> None:
        network = self._network()
        self._docker.create_volume(self.name, node.LABELS)
        port = node.published_port(before) if before else free_port(node.API_PORT)
        modules = Path(node.MODULES).is_dir()
        self._docker.create(node.container(self.name, image, network, port=port, modules=modules))
        self._docker.start(self.name)

    def _network(self) -> node.Network:
        """The cluster's network; when there is none it is made, with the first subnet that Docker has free."""
        for existing in self._docker.networks(self.name):
            return node.Network(existing["IPAM"]["Config"][0]["Subnet"])
        refused = None
        for network in node.NETWORKS:
            try:
                self._docker.create_network(self.name, network.subnet, node.LABELS, network.dynamic)
            except DockerError as error:
                refused = error
            else:
                return network
        tried = ", ".join(n.subnet for n in node.NETWORKS)
        raise DockerError(
            f"no subnet is free for the embedded cluster (tried {tried})",
            detail=refused.detail if refused else "",
            hint="See `docker network ls`; `docker network prune` removes those that nothing uses.",
        ) from refused

    def _wait_until_ready(self) -> None:
        end = time.monotonic() + READY_WITHIN
        while time.monotonic() < end:
            found = self._docker.inspect(self.name)
            if not found or not found["State"]["Running"]:
                raise ClusterError("the embedded cluster's node ended", detail=self._log(), hint=self._renew_hint())
            if self._write_kubeconfig(found):
                return
            time.sleep(0.2)
        missing = "is not ready"
        if self._admin():
            missing = "runs, but its API does not answer on this machine's loopback"
        raise ClusterError(
            f"the embedded cluster {missing} after {READY_WITHIN} s", detail=self._log(), hint=self._renew_hint()
        )

    def _write_kubeconfig(self, found: dict[str, Any]) -> bool:
        """Puts the kubeconfig in its place; False while the cluster is not ready, or not to be reached from here."""
        admin = self._admin() if found["State"]["Running"] else None
        port = node.published_port(found)
        if admin is None or not answers(port):
            return False
        path, text = self.kubeconfig_path(), node.kubeconfig(admin, port)
        if not path.is_file() or path.read_text() != text:
            state.write_private(path, text)
        return True

    def _admin(self) -> str | None:
        try:
            return self._run("cat", node.KUBECONFIG)
        except process.ProcessError:
            return None

    def _images(self) -> str:
        """What `ctr images ls` prints. Raises ClusterError when the cluster is not up."""
        try:
            return self._run("ctr", "-n", "k8s.io", "images", "ls")
        except process.ProcessError as error:
            raise ClusterError("the embedded cluster is not up", detail=error.tail, hint=UP_HINT) from error

    def _run(self, *argv: str) -> str:
        return process.run(["docker", "-H", self._docker.host, "exec", self.name, *argv], timeout=30)

    def _log(self) -> str:
        """The node's last words: those of a component that ended, else of the kubelet and of the entrypoint's wait."""
        with contextlib.suppress(process.ProcessError):
            return self._run("sh", "-c", "tail -qn 1 /var/log/node/announce.log /var/log/node/kubelet.log")
        with contextlib.suppress(process.ProcessError):
            script = 'exec docker -H "$0" logs --tail 2 "$1" 2>&1'
            return process.run(["sh", "-c", script, self._docker.host, self.name], timeout=10)
        return ""

    def _renew_hint(self) -> str:
        return f"See `docker logs {self.name}`; `tpbox cluster down` and `up` begin anew, without what is in it."

    @contextlib.contextmanager
    def _locked(self, say: Callable[[str], None] = lambda _: None) -> Iterator[None]:
        with lock.held(self.name, lambda: say("waiting for another tpbox that changes the cluster")):
            yield


def kubeconfig_path(name: str = NAME) -> Path:
    """Where the cluster's kubeconfig is, or would be."""
    return state.directory() / ("cluster" if name == NAME else name) / "kubeconfig"


def free_port(preferred: int) -> int:
    """`preferred` when nothing listens there on the host's loopback, else a port that the system chooses."""
    for port in (preferred, 0):
        with contextlib.suppress(OSError), socket.socket() as probe:
            # As Docker's proxy does: a port in TIME_WAIT is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise DockerError("no port of 127.0.0.1 is free for the embedded cluster's API")


def answers(port: int) -> bool:
    """Whether a TLS server is behind a port of the host's loopback; who it is its clients will check."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=ANSWER_WITHIN) as plain:
        context.wrap_socket(plain).close()
        return True
    return False
