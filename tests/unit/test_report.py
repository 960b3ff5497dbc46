from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

from tests.e2e.schema import check
from tpbox import report
from tpbox.plan.clone import Swapped
from tpbox.plan.kubeconfig import ApiServer, Credential
from tpbox.plan.request import ProcessOptions, SessionRequest, WorkloadRef
from tpbox.plan.session import Facts, SessionPlan
from tpbox.ui import Console, Phases

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "report.schema.json").read_text())
SERVER = ApiServer("10.0.0.1", 6443, "api")
FACTS = Facts("ann@desk", "unix:///d.sock", "dev", "shop", "/k", Credential("https://api:6443"), SERVER, embedded=True)
WEB = {"metadata": {"name": "web"}, "spec": {"template": {"spec": {"containers": [{"name": "app", "image": "w:1"}]}}}}


def test_a_swap_is_reported_by_what_was_found_for_its_words(tmp_path: Path) -> None:
    asked = WorkloadRef("deployments", "web")
    request = SessionRequest(ProcessOptions(image="myapp"), swap=asked)
    plan = SessionPlan("abcdefgh", request, replace(FACTS, swap=Swapped.of(asked, WEB)))
    phases = Phases("abcdefgh", Console(stream=io.StringIO()))
    for name in ("running", "restore", "cleanup"):
        with phases.phase(name):
            pass
    path = tmp_path / "report.json"
    report.write(str(path), phases, plan, pod="tpbox-abcdefgh-x2x4z", reconnects=0, exitCode=0, error="")
    written = json.loads(path.read_text())
    check(written, SCHEMA["$defs"]["report"], SCHEMA)
    assert written["target"] == "swap deployments/web:app"
    assert [one["phase"] for one in written["phases"]] == ["running", "restore", "cleanup"]
