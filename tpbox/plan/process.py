"""One container of the user's in a session: `docker create`, complete. Pure.

    made = ProcessPlan(session, owner, helper, options, names.of(session, "app"))
    made.create_command("/dev/fd/7", ("LINES",), mounted)

`tpbox run` has one; a named session as many at once as there are `tpbox exec`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tpbox import names
from tpbox.plan.request import ProcessOptions
from tpbox.plan.volumes import GATE, Mounted


@dataclass(frozen=True)
class ProcessPlan:
    """`helper` is the container whose network namespace it shares; `logged`: somebody will read Docker's log of it."""

    session: str
    owner: str
    helper: str
    options: ProcessOptions
    name: str
    logged: bool = False

    def create_command(self, env_file: str, by_name: tuple[str, ...], mounted: Mounted) -> list[str]:
        """`docker create` of the user's container. Values of the environment stay off the command line."""
        process = self.options
        entrypoint = GATE if mounted.gated else process.entrypoint
        labels = names.labels(names.Role.APP, self.session, self.owner)
        options = [
            ("--name", self.name),
            ("--network", f"container:{self.helper}"),
            *(("--label", f"{name}={value}") for name, value in labels.items()),
            *((("--env-file", env_file),) if env_file else ()),
            *(("--env", name) for name in by_name),
            *(("--volume", volume) for volume in process.volumes),
            *((("--user", process.user),) if process.user else ()),
            *((("--workdir", process.workdir),) if process.workdir else ()),
            *((("--entrypoint", entrypoint),) if entrypoint is not None else ()),
            *((("--platform", process.platform),) if process.platform else ()),
        ]
        # Nobody reads Docker's log of it, which would write all output to a disk, at a fifth of the speed.
        logged = self.logged or any(word.partition("=")[0] == "--log-driver" for word in process.extra)
        options += [] if logged else [("--log-driver", "none")]
        flags = ["--interactive", *(["--tty"] if process.tty else []), *(["--init"] if process.init else [])]
        flat = [word for option in options for word in option]
        command = mounted.gated or process.command
        return ["docker", "create", *flat, *flags, *process.extra, *mounted.options, process.image, *command]


def to_json(options: ProcessOptions) -> dict[str, Any]:
    """What passes from `tpbox exec` to the session. Without ports, which are the session's."""
    return {name: value for name, value in dataclasses.asdict(options).items() if name != "ports"}


def from_json(data: Mapping[str, Any]) -> ProcessOptions:
    """Raises TypeError when it is something else."""
    fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in data.items()}
    return ProcessOptions(**fields)
