"""What --report FILE gets at the end of a session: docs/report.schema.json.

report.write("report.json", phases, plan, pod="tpbox-qhwzkbtd-x2x4z", reconnects=0, exitCode=0, error="")
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tpbox.plan.session import METHOD, SessionPlan
from tpbox.ui import Phases


def write(path: str, phases: Phases, plan: SessionPlan | None, *, pod: str, reconnects: int, **outcome: Any) -> None:
    """`plan` is None when there was none yet; `outcome` is `exitCode` and `error`."""
    report = {
        "version": 1,
        "session": phases.session,
        "engine": plan.engine if plan else "",
        "method": METHOD,
        "volumes": plan.volumes.mode if plan else "off",
        "target": plan.target if plan else "",
        "context": plan.facts.context if plan else "",
        "namespace": plan.facts.namespace if plan else "",
        "pod": pod,
        "reconnects": reconnects,
        "phases": phases.finished,
        **outcome,
    }
    Path(path).write_text(json.dumps(report, indent=1) + "\n")
