"""Which of the pod's volumes the user's process sees, and how: pure decisions.

    volumes = decide(options, own_targets, foreseen, cannot_be_live)     # before anything is made
    seen = volumes.seen(mounts)                                          # once the pod has told its mounts
    seen.options(), seen.program(...)                                    # what `docker create` is to say

live    the pod's own files: sshfs in the helper, moved into the container before its program runs
copy    a Docker volume that the helper fills and keeps up to date; what the process writes stays on this machine
off     not there
"""

from __future__ import annotations

import csv
import io
import itertools
import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from tpbox import names
from tpbox.errors import DockerError, TpboxError, UsageError

Mode = Literal["live", "copy", "off"]
Wanted = Literal["auto", "live", "copy", "off"]
MODES: tuple[str, ...] = get_args(Mode)

TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"

# In the user's container: the gate, which waits for live volumes (images/local/gate).
GATE_MOUNT = "/.tpbox"
GATE = f"{GATE_MOUNT}/gate"
GATE_IN_HELPER = "/opt/gate"
GATE_SECONDS = 30
# In the helper.
COPIES = "/volumes"
SSHFS_ROOT = "/run/tpbox/root"

OLDEST_KERNEL = (5, 12)  # mount_setattr(2)


@dataclass(frozen=True)
class VolumeOptions:
    """`--volumes MODE`, and `--volume PATH=MODE` for single ones."""

    mode: Wanted = "auto"
    paths: Mapping[str, Mode] = field(default_factory=dict)


@dataclass(frozen=True)
class Mount:
    """A volume mount of the pod. `real_path` is `path` with the links of the proxy pod's image resolved."""

    path: str
    real_path: str
    read_only: bool
    is_file: bool = False


def parse_volumes(texts: Iterable[str]) -> tuple[dict[str, Mode], tuple[str, ...]]:
    """Tells `/path=live|copy|off`, ours, from docker's `-v`; returns both. Raises UsageError for another mode."""
    ours: dict[str, Mode] = {}
    docker = []
    for text in texts:
        found = re.fullmatch(r"(/[^:]*)=([^/:=]*)", text)
        if not found:
            docker.append(text)
            continue
        mode: Any = found[2]
        if mode not in MODES:
            raise UsageError(f"--volume '{text}': there is no mode '{mode}'", hint=f"Choose one of: {', '.join(MODES)}")
        ours[posixpath.normpath(found[1])] = mode
    return ours, tuple(docker)


def own_targets(volumes: Iterable[str], extra: Iterable[str]) -> tuple[str, ...]:
    """Where the user's own -v, --mount and --tmpfs lead in the container."""
    targets = []
    for text in volumes:
        parts = text.split(":")
        targets.append(parts[1] if len(parts) > 1 else parts[0])
    for option, value in itertools.pairwise(extra):
        if option == "--tmpfs":
            targets.append(value.partition(":")[0])
        elif option == "--mount":
            fields = dict(part.partition("=")[::2] for part in next(csv.reader([value])))
            targets += [fields[key] for key in ("target", "dst", "destination") if key in fields]
    return tuple(posixpath.normpath(target) for target in targets)


def cannot_be_live(engine: Mapping[str, Any], host: str, has_fuse: bool) -> str:
    """Why live volumes cannot work with this Docker engine (as `docker info` tells it); empty when they can."""
    security = " ".join(engine.get("SecurityOptions") or ())
    kernel = tuple(int(number) for number in re.findall(r"\d+", str(engine.get("KernelVersion", "")))[:2])
    if not host.startswith("unix://"):
        return "the Docker engine is on another machine"
    if engine.get("OperatingSystem") == "Docker Desktop":
        return "Docker Desktop keeps its containers in a machine of its own"
    if "name=rootless" in security or "name=userns" in security:
        return "the Docker engine has a user namespace of its own"
    if not has_fuse:
        return "this machine has no /dev/fuse"
    if kernel < OLDEST_KERNEL:
        return f"Linux {engine.get('KernelVersion')} is older than {'.'.join(map(str, OLDEST_KERNEL))}"
    return ""


@dataclass(frozen=True)
class Volumes:
    """The decision, made before the pod is there: `foreseen` are the mounts that its manifest will have."""

    session: str
    mode: Mode
    reason: str = ""  # why it is not live where that was left open
    paths: Mapping[str, Mode] = field(default_factory=dict)
    own: tuple[str, ...] = ()
    foreseen: tuple[str, ...] = ()
    made: Mapping[str, str] | None = None  # the copies that there are, of a session that has begun

    def for_process(self, own: tuple[str, ...]) -> Volumes:
        """The same for one of a session's processes, which has `own` volumes: the copies were made before it came."""
        return replace(self, own=own, made=self.copies())

    def mode_of(self, path: str) -> Mode:
        if path in self.paths:
            return self.paths[path]
        if self.mode == "off" or self._covered(path):
            return "off"
        # A live mount would hide what the user has put below it; Docker itself puts it above a copy.
        return "copy" if any(_within(target, path) for target in self.own) else self.mode

    def _covered(self, path: str) -> bool:
        """Whether the user has something of his own there."""
        return any(_within(path, target) for target in self.own)

    @property
    def live(self) -> bool:
        """Whether the helper has to be able to mount."""
        return "live" in {self.mode, *self.paths.values()}

    def words(self) -> str:
        """How they are seen, for people."""
        single = "".join(f", {path} {mode}" for path, mode in self.paths.items())
        return f"{self.mode}{f' ({self.reason})' if self.reason and self.mode == 'copy' else ''}{single}"

    def copies(self) -> dict[str, str]:
        """The Docker volume of each mount that is copied. Only foreseen ones: the helper is made beside the pod."""
        if self.made is not None:
            return dict(self.made)
        copied = [path for path in self.foreseen if self.mode_of(path) == "copy"]
        return {path: names.of(self.session, f"v{number}") for number, path in enumerate(copied)}

    def configuration(self) -> dict[str, Any]:
        """`volumes` of the `configure` command."""
        return {"live": self.live, "copies": {path: f"{COPIES}/{name}" for path, name in self.copies().items()}}

    def seen(self, mounts: Iterable[Mount]) -> Seen:
        """What of the pod's mounts the process sees. Raises TpboxError for a --volume PATH that it does not have."""
        mounts = sorted(mounts, key=lambda mount: mount.path)
        there = [mount.path for mount in mounts]
        for path in self.paths:
            if path not in there:
                raise TpboxError(
                    f"--volume {path}={self.paths[path]}: the pod has no volume at {path}",
                    hint=f"It has: {', '.join(there) or 'none'}",
                )
        copies = self.copies()
        wanted = {mount: self.mode_of(mount.path) for mount in mounts}
        return Seen(
            live=tuple(mount for mount, mode in wanted.items() if mode == "live"),
            copied={m: copies[m.path] for m, mode in wanted.items() if mode != "off" and m.path in copies},
            missed=tuple(m.path for m, mode in wanted.items() if mode == "copy" and m.path not in copies),
            covered=tuple(m.path for m in mounts if m.path not in self.paths and self._covered(m.path)),
        )


@dataclass(frozen=True)
class Seen:
    """What the user's container gets."""

    live: tuple[Mount, ...] = ()
    copied: Mapping[Mount, str] = field(default_factory=dict)
    missed: tuple[str, ...] = ()  # to be copied, but there is no copy
    covered: tuple[str, ...] = ()  # the user has something of his own there

    def paths(self) -> list[str]:
        return sorted(mount.path for mount in (*self.live, *self.copied))

    def remarks(self) -> list[str]:
        """What is to be known about them."""
        found = [f"volumes at {', '.join(self.paths()) or 'no path'}"]
        if self.copied:
            found.append("copied volumes: what the process writes there stays on this machine")
        for mount in self.copied:
            if mount.is_file:
                found.append(f"{mount.path} is a copy of a single file: it is not refreshed")
        for path in self.covered:
            found.append(f"yours covers the pod's volume at {path}; to see the pod's: --volume {path}=live")
        return found

    def environment(self) -> dict[str, str]:
        """Where the process finds the volumes, if any; also by the names that scripts for Telepresence know."""
        if not self.paths():
            return {}
        found = {"ROOT": "/", "MOUNTS": ":".join(self.paths())}
        return {f"{prefix}_{name}": value for prefix in ("TPBOX", "TELEPRESENCE") for name, value in found.items()}

    def container(
        self, image: str, config: Mapping[str, Any], gate: str, entrypoint: str | None, command: tuple[str, ...]
    ) -> Mounted:
        """What `docker create` is to say. `config` is the image's; `gate` the Docker volume that has the gate."""
        program = composed(entrypoint, command, config)
        if not self.live or not program:  # without a program Docker itself says so
            return Mounted(self._options(gate))
        return Mounted(self._options(gate), (str(len(self.live)), str(GATE_SECONDS), image, *program))

    def _options(self, gate: str) -> tuple[str, ...]:
        # Docker makes what a live volume will be mounted on, wherever that leads in the image, be it read-only or not.
        mounts = [_file(m.path) if m.is_file else _tmpfs(m.path) for m in self.live]
        for mount, volume in self.copied.items():
            if not mount.is_file:
                mounts.append(_volume(volume, mount.path, read_only=mount.read_only))
        if self.live:
            mounts.append(_volume(gate, GATE_MOUNT, read_only=True))
        return tuple(word for mount in mounts for word in ("--mount", mount))

    def to_take(self) -> list[dict[str, Any]]:
        """The mounts for the mover, outer ones first."""
        return [{"source": f"{SSHFS_ROOT}{m.real_path}", "target": m.path, "readOnly": m.read_only} for m in self.live]


@dataclass(frozen=True)
class Mounted:
    """What volumes add to the user's container. With `gated` the gate is its entrypoint, and these are its words."""

    options: tuple[str, ...] = ()
    gated: tuple[str, ...] = ()


def composed(entrypoint: str | None, command: tuple[str, ...], config: Mapping[str, Any]) -> tuple[str, ...]:
    """The program with its arguments, out of --entrypoint, COMMAND and the image's configuration, as Docker composes
    them: an entrypoint that is given discards the image's command too."""
    if entrypoint is not None:
        return (*([entrypoint] if entrypoint else []), *command)
    return (*(config.get("Entrypoint") or ()), *(command or config.get("Cmd") or ()))


def check_live(options: VolumeOptions, refusal: str) -> None:
    """Raises DockerError when live was asked for in so many words, and cannot work because of `refusal`."""
    asked = [f"--volumes {options.mode}"] if options.mode == "live" else []
    asked += [f"--volume {path}=live" for path, mode in options.paths.items() if mode == "live"]
    if refusal and asked:
        instead = asked[0].replace("live", "copy")
        raise DockerError(f"{asked[0]} cannot work here: {refusal}", hint=f"What can: {instead}")


def decide(
    session: str, options: VolumeOptions, own: tuple[str, ...], foreseen: Iterable[str], refusal: str
) -> Volumes:
    """`refusal` says why live cannot work here, if so; check_live() has seen it. Copies are in `foreseen`'s order."""
    mode: Mode = options.mode if options.mode != "auto" else "copy" if refusal else "live"
    reason = refusal if options.mode == "auto" else ""
    return Volumes(session, mode, reason, options.paths, own, tuple(map(posixpath.normpath, foreseen)))


def _within(path: str, target: str) -> bool:
    return path == target or path.startswith(f"{target.rstrip('/')}/")


def _tmpfs(path: str) -> str:
    return _fields("type=tmpfs", f"dst={path}", "tmpfs-mode=0755")


def _file(path: str) -> str:
    return _fields("type=bind", "src=/dev/null", f"dst={path}", "readonly")


def _volume(name: str, path: str, *, read_only: bool) -> str:
    fields = ["type=volume", f"src={name}", f"dst={path}", "volume-nocopy"]
    return _fields(*fields, *(["readonly"] if read_only else []))


def _fields(*fields: str) -> str:
    """Docker reads it as a line of CSV."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue()
