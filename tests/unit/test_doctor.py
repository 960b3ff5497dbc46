from __future__ import annotations

import time

import pytest

from tpbox import doctor
from tpbox.cluster.api import Api
from tpbox.errors import ClusterError, DockerError, NotFoundError
from tpbox.local.docker import Docker


@pytest.fixture
def nothing_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """No Docker engine, no docker command, no kubeconfig."""

    def no_engine() -> Docker:
        raise DockerError("Docker does not answer", hint="Start Docker.")

    monkeypatch.setattr(Docker, "connect", no_engine)
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr("tpbox.cluster.api.user_kubeconfig", lambda: "")
    monkeypatch.setattr("tpbox.process.run", _no_program)


def _no_program(argv: list[str], **_: object) -> str:
    from tpbox.process import ProcessError

    raise ProcessError(argv, 127, f"{argv[0]}: not found")


@pytest.mark.usefixtures("nothing_there")
def test_with_nothing_there_each_failure_has_what_mends_it() -> None:
    found = {finding.name: finding for finding in doctor.examine("", "", "")}
    failed = {name for name, finding in found.items() if finding.state == "failed"}
    assert failed == {"docker command", "engine", "kubeconfig"}
    assert all(found[name].mend for name in failed)
    assert found["engine"].mend == "Start Docker."
    assert found["dead sessions"].text == "none by record"


def test_a_kubeconfig_that_was_named_and_is_not_there_is_an_error() -> None:
    with pytest.raises(ClusterError, match="/no/such/config"):
        doctor.examine("/no/such/config", "", "")


def test_a_part_that_hangs_or_fails_unforeseen_is_a_finding_itself() -> None:
    part = doctor.Part("cluster")

    def broken() -> None:
        raise KeyError("gitVersion")

    began = time.monotonic()
    doctor._within(0.2, (part, "slow", "wait", lambda: time.sleep(5)), (part, "broken", "look", broken))
    assert time.monotonic() - began < 2
    assert [(f.name, f.state, f.text, f.mend) for f in part.findings] == [
        ("broken", "failed", "KeyError: 'gitVersion'", "look"),
        ("slow", "failed", "no answer within 0 s", "wait"),
    ]


class _FakeApi(Api):
    """An API server that grants some rights."""

    def __init__(self, granted: set[str]) -> None:
        self.context, self.namespace, self._granted = "dev", "shop", granted

    def get(self, path: str, **query: str) -> dict[str, object]:
        if not path.endswith("/shop"):
            raise NotFoundError("not found")
        return {"items": []}

    def create(self, path: str, manifest: object, **query: str) -> dict[str, object]:
        assert isinstance(manifest, dict)
        asked = manifest["spec"]["resourceAttributes"]
        return {"status": {"allowed": f"{asked['verb']} {asked['resource']}" in self._granted}}


def test_each_right_is_a_line_of_its_own() -> None:
    part = doctor.Part("cluster")
    doctor._rights(part, _FakeApi({"create jobs", "delete jobs", "get pods", "list pods"}), None, "")
    states = {
        finding.text.partition(" is not")[0]: finding.state for finding in part.findings if finding.name == "right"
    }
    assert states["create jobs"] == states["list pods"] == "ok"
    assert states["create pods/portforward"] == "failed"
    failed = next(f for f in part.findings if f.state == "failed")
    assert failed.mend.endswith("kubectl auth can-i create pods/portforward -n shop")


def test_a_namespace_that_is_not_there_has_no_rights_to_look_at() -> None:
    part = doctor.Part("cluster")
    doctor._rights(part, _FakeApi(set()), None, "nowhere")
    assert [(finding.name, finding.state) for finding in part.findings] == [("namespace", "failed")]
