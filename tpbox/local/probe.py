"""What the engine lets a container have, found out by having it: short-lived containers without a network.

probe.net_admin(host, image)                   # "" when it works, else Docker's words
probe.device(host, image, "/dev/fuse")
"""

from __future__ import annotations

from tpbox import names, process

LIMIT = 20  # seconds
NET_ADMIN = 12  # the bit of CapEff: include/uapi/linux/capability.h
NOT_GRANTED = "the container runs without it"


def net_admin(host: str, image: str) -> str:
    """Why a container cannot have NET_ADMIN; "" when it can."""
    try:
        shown = _run(host, image, ["--cap-add", "NET_ADMIN"], "grep", "CapEff", "/proc/self/status")
    except process.ProcessError as error:
        return error.tail or error.message
    return "" if int(shown.split()[-1], 16) >> NET_ADMIN & 1 else NOT_GRANTED


def device(host: str, image: str, path: str) -> str:
    """Why a container cannot have the engine's device; "" when it can."""
    try:
        _run(host, image, ["--device", path], "true")
    except process.ProcessError as error:
        return error.tail or error.message
    return ""


def _run(host: str, image: str, options: list[str], program: str, *arguments: str) -> str:
    own = ["--rm", "--network", "none", "--label", f"{names.MANAGED_BY}=tpbox", "--pull", "never", "--cap-drop", "ALL"]
    argv = ["docker", "-H", host, "run", *own, *options, "--entrypoint", program, image, *arguments]
    return process.run(argv, timeout=LIMIT)
