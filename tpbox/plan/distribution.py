"""How the proxy pod's image gets to a cluster that is not the embedded one. Pure.

load_command("kind-dev", "tpbox-proxy-pod:0123456789ab")   # ["kind", "load", "docker-image", …, "--name", "dev"]
pushed_name("registry.example.com/team/pod", "0123456789ab")
"""

from __future__ import annotations

import re

from tpbox.errors import UsageError

# https://github.com/distribution/reference/blob/v0.6.0/regexp.go, less what nobody pushes to
_PART = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"(?:[A-Za-z0-9.-]+(?::\d+)?/)?{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


def load_command(context: str, image: str) -> list[str] | None:
    """The command of a local cluster's own tool that copies an image from Docker to it; None when the context's name
    is none that kind, k3d or minikube give."""
    if name := _behind("kind-", context):
        return ["kind", "load", "docker-image", image, "--name", name]
    if name := _behind("k3d-", context):
        return ["k3d", "image", "import", image, "--cluster", name]
    if context == "minikube" or _behind("minikube-", context):  # the context is called as the profile is
        return ["minikube", "image", "load", image, "--profile", context]
    return None


def pushed_name(repository: str, tag: str) -> str:
    """`REPOSITORY:TAG`, where REPOSITORY may bring a tag of its own. Raises UsageError for what is no repository."""
    head, colon, own = repository.rpartition(":")
    if not colon or "/" in own:
        head, own = repository, tag
    if not _REPOSITORY.fullmatch(head) or not _TAG.fullmatch(own):
        raise UsageError(
            f"'{repository}' is no repository",
            hint="For instance: tpbox images push registry.example.com/team/tpbox-pod",
        )
    return f"{head}:{own}"


def _behind(prefix: str, context: str) -> str:
    return context.removeprefix(prefix) if context.startswith(prefix) else ""
