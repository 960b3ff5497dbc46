"""tpbox's own images: built by Docker on first use, kept by the hash of what they are built from.

    context = images.find("images/local", "tpbox-local")
    reference = images.ensure(docker, context, console.progress)      # "tpbox-local:0123456789ab"

An image that is there is not built again; one that was built from an older context goes away when nothing uses it.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from tpbox import names
from tpbox.errors import ImageError
from tpbox.local import lock
from tpbox.local.docker import Docker, Progress

BASE = "debian:trixie-slim"
BASE_HINT = (
    f"Run `make base-image` in a checkout of tpbox (on Debian it makes one with mmdebstrap), or `docker load` {BASE}."
)
CONTEXT_LABEL = "tpbox.dev/context"
# A build stage that is too large to be kept as a cache says LABEL tpbox.dev/stage=build.
STAGE_LABEL = "tpbox.dev/stage"
OUTDATED_AFTER = 24 * 3600  # seconds
IGNORED = {"ca", "__pycache__", "README.md"}
# The folders whose images need another's: the build argument, and the folder, repository and target of that one.
STAGES = {
    "images/local": {"NETSTACK": ("netstack", "tpbox-netstack", "programs")},
    "images/proxy-pod": {"NETSTACK": ("netstack", "tpbox-netstack", "programs")},
}
PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
# Where people put the additional authorities of their network: Debian's and Fedora's families.
CERTIFICATE_FOLDERS = (Path("/usr/local/share/ca-certificates"), Path("/etc/pki/ca-trust/source/anchors"))


@dataclass(frozen=True)
class Context:
    """A folder with a Dockerfile, the repository that its images are tagged in, and build arguments."""

    path: Path
    repository: str
    arguments: Mapping[str, str] = field(default_factory=dict)
    # Arguments that name an image which is built first: one program of ours for several images.
    stages: Mapping[str, Context] = field(default_factory=dict)
    target: str = ""  # a stage of the Dockerfile that is the image, else its last

    def hash(self) -> str:
        """12 hex digits over names, run bits, contents and arguments; not over what is beside the build (IGNORED)."""
        digest = hashlib.sha256()
        for name, entry in _entries(self.path):
            _mix(digest, name, "x" if _runs(entry) else "-", _content(entry))
        for name, value in sorted(self.all_arguments().items()):
            _mix(digest, "argument", name, value.encode())
        return digest.hexdigest()[:12]

    def all_arguments(self) -> dict[str, str]:
        return {**self.arguments, **{name: stage.reference for name, stage in self.stages.items()}}

    @property
    def reference(self) -> str:
        return f"{self.repository}:{self.hash()}"


def find(folder: str, repository: str, target: str = "", *, arguments: Mapping[str, str] | None = None) -> Context:
    """The context at `folder`: in a wheel beside the package's modules, in a checkout beside the package.

    Raises ImageError when it is in neither.
    """
    package = Path(__file__).resolve().parent.parent
    for root in (package / "_contexts", package.parent):
        if (root / folder / "Dockerfile").is_file():
            stages = {name: find(*stage) for name, stage in STAGES.get(folder, {}).items()}
            return Context(root / folder, repository, arguments or {}, stages, target)
    raise ImageError(
        f"this installation of tpbox has no build context {folder}", hint="Install tpbox again, from its wheel."
    )


def ensure(docker: Docker, context: Context, progress: Progress, *, tag: str = "") -> str:
    """Builds the context's image unless it is there, and returns its reference.

    With `tag` the image has this name instead of its hash's, and is built again when the context has changed.
    Raises ImageError when it cannot be built.
    """
    hashed = context.hash()
    reference = tag or f"{context.repository}:{hashed}"
    if _built_from(docker, reference) == hashed:
        return reference
    with lock.held(f"build-{context.repository}"):
        if _built_from(docker, reference) != hashed:
            _build(docker, context, reference, hashed, progress)
    return reference


def remove_outdated(docker: Docker, repository: str, current: str) -> None:
    """Removes tpbox's images of the repository but the current one and young ones, which may be that of another
    checkout or version; those that a container uses stay."""
    built_before = time.time() - OUTDATED_AFTER
    for tags in docker.images(names.labels(names.Role.IMAGE), built_before=built_before).values():
        for tag in tags:
            if tag.startswith(f"{repository}:") and tag != current:
                docker.remove_image(tag)


def archive(context: Context, certificates: Mapping[str, bytes]) -> IO[bytes]:
    """The context as Docker takes it: a tar archive, the same for the same content, with `certificates` in ca/."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, entry in _entries(context.path):
            _add(tar, name, entry)
        tar.addfile(_info("ca", tarfile.DIRTYPE, 0o755))
        for name, content in sorted(certificates.items()):
            member = _info(f"ca/{name}", tarfile.REGTYPE, 0o644)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    stream.seek(0)
    return stream


def host_certificates(folders: tuple[Path, ...] = CERTIFICATE_FOLDERS) -> dict[str, bytes]:
    """The certificate authorities that this host trusts beside its distribution's, by file name."""
    return {path.name: path.read_bytes() for folder in folders for path in sorted(folder.rglob("*.crt"))}


def proxy_arguments(environment: Mapping[str, str]) -> dict[str, str]:
    """The build arguments that take a build through the network's proxy; Docker knows them without an ARG."""
    return {name: environment[name] for name in PROXY_VARIABLES if environment.get(name)}


def _build(docker: Docker, context: Context, reference: str, hashed: str, progress: Progress) -> None:
    _ensure_base(docker, progress)
    for stage in context.stages.values():
        ensure(docker, stage, progress)
    before = docker.image(reference)
    progress(f"building {reference}")
    docker.build(
        archive(context, host_certificates()),
        [reference],
        labels={**names.labels(names.Role.IMAGE), CONTEXT_LABEL: hashed},
        buildargs={**proxy_arguments(os.environ), **context.all_arguments()},
        target=context.target,
        progress=progress,
    )
    for built in docker.images({STAGE_LABEL: "build"}, dangling=True):
        docker.remove_image(built)
    replaced = docker.image(before["Id"]) if before else None
    if replaced and not replaced["RepoTags"]:
        docker.remove_image(replaced["Id"])
    remove_outdated(docker, context.repository, reference)


def _ensure_base(docker: Docker, progress: Progress) -> None:
    if docker.image(BASE):
        return
    progress(f"pulling {BASE}")
    try:
        docker.pull(BASE, progress=progress)
    except ImageError as error:
        raise ImageError(error.message, detail=error.detail, hint=BASE_HINT) from error


def _built_from(docker: Docker, reference: str) -> str | None:
    """The hash of the context that the image was built from; None when it is not there or not tpbox's."""
    found = docker.image(reference)
    return (found["Config"].get("Labels") or {}).get(CONTEXT_LABEL) if found else None


def _entries(root: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root)
        if not IGNORED.intersection(name.parts):
            yield name.as_posix(), path


def _content(entry: Path) -> bytes:
    if entry.is_symlink():
        return b"link " + os.fsencode(entry.readlink())
    return b"file " + entry.read_bytes() if entry.is_file() else b"folder"


def _runs(entry: Path) -> bool:
    return entry.is_file() and bool(entry.stat().st_mode & 0o100)


def _mix(digest: hashlib._Hash, kind: str, name: str, content: bytes) -> None:
    # Lengths keep apart what would else run together.
    for part in (kind.encode(), name.encode(), content):
        digest.update(len(part).to_bytes(8, "big") + part)


def _add(tar: tarfile.TarFile, name: str, entry: Path) -> None:
    if entry.is_symlink():
        member = _info(name, tarfile.SYMTYPE, 0o777)
        member.linkname = str(entry.readlink())
        tar.addfile(member)
    elif entry.is_dir():
        tar.addfile(_info(name, tarfile.DIRTYPE, 0o755))
    else:
        member = _info(name, tarfile.REGTYPE, 0o755 if _runs(entry) else 0o644)
        member.size = entry.stat().st_size
        with entry.open("rb") as file:
            tar.addfile(member, file)


def _info(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    """A member without the traces of this machine: no times, no owner."""
    member = tarfile.TarInfo(name)
    member.type, member.mode = kind, mode
    return member
