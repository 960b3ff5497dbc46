"""Every error that tpbox raises on purpose.

    TpboxError                 exit code 125
    ├── UsageError             2: the command line cannot mean anything
    ├── DockerError            Docker is not there, or refused something
    │   ├── ImageError         an image cannot be had or built
    │   └── StartError         the user's command cannot be started (tpbox.local.app)
    ├── ClusterError           the API server is not there, or refused something
    │   ├── ForbiddenError     the credential may not do it
    │   ├── NotFoundError      the object or namespace does not exist
    │   ├── ConflictError      there is one of that name, or it is no longer as it was read (tpbox.cluster.api)
    │   ├── SwappedError       another session has the workload (tpbox.cluster.swap)
    │   └── UnguardedError     the pod cannot get the rights to restore (tpbox.cluster.guard)
    ├── PodError               the proxy pod cannot run
    │   └── NoRoomError        there may be room once another pod has gone (tpbox.cluster.proxy_pod)
    ├── TunnelError            the link, the agent or the engine
    ├── ProcessError           a program that tpbox runs on this machine failed (tpbox.process)
    └── InterruptedSession     128 + n: a signal came before the user's process ran

A message says what failed; `detail` is the tool's own words, at most a line or two; `hint` is what mends it,
a command where there is one. Together they are printed as one to three lines on stderr.
"""

from __future__ import annotations

EXIT_USAGE = 2
EXIT_TPBOX = 125


class TpboxError(Exception):
    """Something that the user should read, without a traceback."""

    exit_code = EXIT_TPBOX

    def __init__(self, message: str, *, detail: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail.strip()
        self.hint = hint

    def lines(self) -> list[str]:
        """The error as it is shown: one to three lines without a trailing newline."""
        detail = " ".join(self.detail.splitlines()[-2:])
        return [line for line in (self.message, detail, self.hint) if line]


class UsageError(TpboxError):
    exit_code = EXIT_USAGE


class DockerError(TpboxError):
    pass


class ImageError(DockerError):
    pass


class ClusterError(TpboxError):
    pass


class ForbiddenError(ClusterError):
    pass


class NotFoundError(ClusterError):
    pass


class PodError(TpboxError):
    pass


class TunnelError(TpboxError):
    pass


class InterruptedSession(TpboxError):
    def __init__(self, signum: int) -> None:
        super().__init__("interrupted")
        self.exit_code = 128 + signum
