"""Builds tpbox's images and the examples', as far as their contexts have changed; with --load puts the
examples' and the proxy pod's into the embedded cluster.

.venv/bin/python scripts/build_images.py [--load]

The last line of its output says what was done.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tpbox.errors import TpboxError
from tpbox.local import images
from tpbox.local.docker import Docker
from tpbox.local.embedded import Embedded
from tpbox.local.images import Context

ROOT = Path(__file__).resolve().parent.parent
OWN = {"images/local": "tpbox-local", "images/proxy-pod": "tpbox-proxy-pod"}
EXAMPLES = {
    "examples/shop": "tpbox-example-shop:1",
    "examples/myapp": "myapp:latest",
    "examples/clients": "tpbox-example-clients:1",
    "examples/runtimes": "tpbox-example-runtimes:1",
    "bench/load": "tpbox-bench:1",
}
IN_CLUSTER = ("tpbox-example-shop:1", "tpbox-bench:1")


def build(docker: Docker) -> list[str]:
    """Builds what is not up to date and returns its references."""
    built: list[str] = []

    def progress(line: str) -> None:
        if line.startswith("building "):
            built.append(line.removeprefix("building "))

    for folder, repository in OWN.items():
        images.ensure(docker, images.find(folder, repository), progress)
    for folder, tag in EXAMPLES.items():
        images.ensure(docker, Context(ROOT / folder, tag.partition(":")[0]), progress, tag=tag)
    return built


def load(docker: Docker) -> list[str]:
    """Copies to the cluster what it does not have, and returns the references."""
    pod = images.find("images/proxy-pod", OWN["images/proxy-pod"]).reference
    return Embedded(docker).load([*IN_CLUSTER, pod], lambda _: None)


def main(arguments: list[str]) -> int:
    docker = Docker.connect()
    done, verb = (load(docker), "loaded") if "--load" in arguments else (build(docker), "built")
    sys.stdout.write(f"{verb} {', '.join(done)}\n" if done else "there\n")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except TpboxError as error:
        sys.exit("\n".join(error.lines()))
