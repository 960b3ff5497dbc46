from __future__ import annotations

from typing import Any

import pytest

from tpbox.errors import NotFoundError
from tpbox.plan.request import WorkloadRef
from tpbox.plan.workload import container_of, pod_template

WEB = WorkloadRef("deployments", "web")


def template(**annotations: str) -> dict[str, Any]:
    app = {
        "name": "app",
        "env": [{"name": "A", "value": "1"}],
        "envFrom": [{"configMapRef": {"name": "c"}}],
        "volumeMounts": [{"name": "conf", "mountPath": "/conf"}, {"name": "kube-api-access-x", "mountPath": "/token"}],
    }
    volumes = [{"name": "conf"}, {"name": "other"}, {"name": "kube-api-access-x"}]
    spec = {"containers": [{"name": "proxy"}, app], "volumes": volumes, "serviceAccountName": "web"}
    return {"metadata": {"annotations": annotations}, "spec": spec}


def test_a_pod_is_its_own_template() -> None:
    pod = {"metadata": {"name": "p"}, "spec": {"containers": []}}
    assert pod_template(pod) == pod
    assert pod_template({"spec": {"template": {"spec": {}}}}) == {"spec": {}}


def test_the_container_is_the_named_one_else_the_default_one_else_the_first() -> None:
    default = {"kubectl.kubernetes.io/default-container": "app"}
    assert container_of(template(), WorkloadRef("deployments", "web", "app"))["name"] == "app"
    assert container_of(template(**default), WEB)["name"] == "app"
    assert container_of(template(), WEB)["name"] == "proxy"


def test_a_container_that_is_not_there_is_answered_with_those_that_are() -> None:
    with pytest.raises(NotFoundError) as raised:
        container_of(template(), WorkloadRef("deployments", "web", "ap"))
    assert raised.value.lines() == ["deployments/web has no container 'ap'", "It has proxy, app. Did you mean 'app'?"]
