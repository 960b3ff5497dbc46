"""What the Pod is, as the launcher wants to know it (docs/architecture.md, `info`).

    pod.info(pod.initial_environment(), pod_ips)   # {"environment": {…}, "hostname": …, "mounts": […], …}

Which of it the user's process gets is the launcher's decision.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.settings import DIRECTORY, PREFIX

# Set by the image or the container runtime, not by the Pod's manifest.
RUNTIME_VARIABLES = frozenset({"PATH", "HOME", "HOSTNAME"})
# Mounted by the runtime, or by kubelet into every container; the last is tpbox's own.
RUNTIME_FILES = frozenset({"/", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", str(DIRECTORY)})
RUNTIME_TREES = ("/proc", "/sys", "/dev")


def initial_environment() -> dict[str, str]:
    """The environment that the container was started with.

    Not os.environ: Python adds LC_CTYPE to it where the locale is C (PEP 538).
    """
    return parse_environment(Path("/proc/self/environ").read_bytes())


def parse_environment(block: bytes) -> dict[str, str]:
    """The NUL-separated block of /proc/PID/environ."""
    pairs = (os.fsdecode(entry).partition("=") for entry in block.split(b"\0"))
    return {name: value for name, separator, value in pairs if name and separator}


def workload_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What of the container's environment the Pod's manifest and Kubernetes put there."""
    return {
        name: value
        for name, value in environment.items()
        if name not in RUNTIME_VARIABLES and not name.startswith(PREFIX)
    }


def volume_mounts(mountinfo: str, declared: Iterable[str] = ()) -> list[dict[str, object]]:
    """The container's volume mounts in /proc/self/mountinfo, sorted by path.

    Each is {"path": …, "realPath": …, "readOnly": …, "kind": "file" | "directory"}. `path` is the one of `declared`,
    the manifest's, that leads there: mountinfo only knows where it is once links are resolved (/var/run is /run).
    The format is that of proc_pid_mountinfo(5): the fifth field is the mount point, the sixth its options.
    """
    found: dict[str, bool] = {}
    for line in mountinfo.splitlines():
        path, options = line.split(" ")[4:6]
        path = _unescape(path)
        if path not in RUNTIME_FILES and not any(path == tree or path.startswith(f"{tree}/") for tree in RUNTIME_TREES):
            found[path] = "ro" in options.split(",")
    names = {os.path.realpath(path): path for path in declared}
    mounts: list[dict[str, object]] = [
        {
            "path": names.get(path, path),
            "realPath": path,
            "readOnly": read_only,
            "kind": "file" if Path(path).is_file() else "directory",
        }
        for path, read_only in found.items()
    ]
    return sorted(mounts, key=lambda mount: str(mount["path"]))


def info(environment: Mapping[str, str], pod_ips: Sequence[str], mount_paths: Iterable[str] = ()) -> dict[str, Any]:
    """The whole of it, read now."""
    return {
        "environment": workload_environment(environment),
        "hostname": socket.gethostname(),
        "podIP": next(iter(pod_ips), ""),
        "podIPs": list(pod_ips),
        "resolvConf": Path("/etc/resolv.conf").read_text(),
        "hosts": Path("/etc/hosts").read_text(),
        "mounts": volume_mounts(Path("/proc/self/mountinfo").read_text(), mount_paths),
    }


def _unescape(path: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), path)
