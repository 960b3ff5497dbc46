"""How much the kernel asks for ahead of a program that reads a file of our mount in order.

    await readahead.widen(mountinfo)          # once sshfs has mounted

Linux's 128 kB are read in less than the round trip to the pod takes. No mount option of FUSE gives more than that; the
place is sysfs, which Docker shows read-only. It is mounted anew for a moment, in the helper's own mount namespace, and
only the number of our own device is written: it goes with the mount.
"""

from __future__ import annotations

import sys

from supervisor import children, link
from supervisor.children import CommandError

KILOBYTES = 512
TYPE = "fuse.sshfs"


def device(mountinfo: str) -> str:
    """MAJOR:MINOR of our mount in /proc/self/mountinfo (proc_pid_mountinfo(5)); empty when there is none."""
    for line in mountinfo.splitlines():
        mount, _, system = line.partition(" - ")
        if system.startswith(f"{TYPE} "):
            return mount.split()[2]
    return ""


async def widen(mountinfo: str) -> None:
    """Does what it can: without it reading is slower, and nothing else."""
    sysfs = link.RUN / "sys"
    sysfs.mkdir(exist_ok=True)
    try:
        await children.run(["mount", "-t", "sysfs", "sysfs", str(sysfs)])
        try:
            await children.run(["mount", "-o", "remount,rw", str(sysfs)])
            (sysfs / "class" / "bdi" / device(mountinfo) / "read_ahead_kb").write_text(f"{KILOBYTES}\n")
        finally:
            await children.run(["umount", str(sysfs)])
    except (CommandError, OSError) as error:
        sys.stderr.write(f"volumes: large files are read with the kernel's own read-ahead: {error}\n")
