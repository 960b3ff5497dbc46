"""The peak memory of a container, without page cache, in bytes.

with memory.watched("the helper", memory.of_container("tpbox-abcdefgh")) as peak:
    ...
    peak.bytes

Read from the container's cgroup four times a second: the kernel's own peak would count the page cache. The reader is a
shell loop in the container, since it is portable; its megabyte is counted too.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from bench import target

# cgroup v1 and v2: what is used, and how much of it is page cache.
_LOOP = """
cd {v1} 2>/dev/null && used=memory.usage_in_bytes cache=total_cache || {{ cd {v2} && used=memory.current cache=file; }}
while read -r bytes <$used; do
    while read -r name value; do [ "$name" = "$cache" ] && break; done <memory.stat
    echo "$((bytes - value))"
    sleep 0.25
done
"""


@dataclass
class Peak:
    bytes: int = 0

    def follow(self, lines: IO[str]) -> None:
        for line in lines:
            self.bytes = max(self.bytes, int(line))


def of_container(name: str) -> list[str]:
    """The command that prints what a container on this machine uses, line by line, as long as it runs."""
    return ["docker", "exec", name, "sh", "-c", loop("")]


def of_pod(session: str, namespace: str) -> list[str]:
    """The same of a session's proxy pod on the embedded cluster."""
    group = f"/k8s.io/{target.container_id(session, namespace)}"
    return ["docker", "exec", target.NODE, "sh", "-c", loop(group)]


def loop(group: str) -> str:
    """The shell script, for a cgroup below the container's own."""
    return _LOOP.format(v1=f"/sys/fs/cgroup/memory{group}", v2=f"/sys/fs/cgroup{group}")


@contextmanager
def watched(what: str, command: list[str]) -> Iterator[Peak]:
    """The peak so far; final when the block is left. Raises BenchError when nothing could be read."""
    peak = Peak()
    reader = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert reader.stdout is not None
    follower = threading.Thread(target=peak.follow, args=(reader.stdout,), daemon=True)
    follower.start()
    try:
        yield peak
    finally:
        reader.terminate()
        reader.wait()
        follower.join()
    if not peak.bytes:
        raise target.BenchError(f"the memory of {what} could not be read")
