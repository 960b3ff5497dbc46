from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tpbox.errors import ClusterError, NotFoundError
from tpbox.plan.clone import NEW, Clone, Swapped, like
from tpbox.plan.inbound import Inbound, parse
from tpbox.plan.proxy_pod import ProxyPod, job
from tpbox.plan.request import WorkloadRef

WEB = WorkloadRef("deployments", "web", "app")
TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
TOKEN_MOUNT = {"name": "kube-api-access-x2x4z", "mountPath": TOKEN_PATH, "readOnly": True}
TOKEN_VOLUME = {"name": "kube-api-access-x2x4z", "projected": {"sources": [], "defaultMode": 420}}


def app(**fields: Any) -> dict[str, Any]:
    return {"name": "app", "image": "app:1", **fields}


def deployment(*containers: dict[str, Any], metadata: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    template = {"metadata": metadata or {}, "spec": {"containers": list(containers or (app(),)), **spec}}
    return {"metadata": {"name": "web"}, "spec": {"replicas": 2, "template": template}}


def swapped(*containers: dict[str, Any], **spec: Any) -> Clone:
    return Swapped.of(WEB, deployment(*containers, **spec)).clone


def pod_of(clone: Clone, inbound: Inbound | None = None) -> dict[str, Any]:
    """The pod that the Job will make of it."""
    found = ProxyPod("abcdefgh", "ann@desk", "shop", "pod:1", "ssh-ed25519 A", 30, "20m", "64Mi", clone=clone)
    made: dict[str, Any] = job(replace(found, inbound=inbound or Inbound()))["spec"]["template"]
    return made


# The swapped container


@pytest.mark.parametrize("field", ["env", "envFrom", "volumeMounts", "ports"])
def test_of_the_container_its_place_is_kept(field: str) -> None:
    kept = {
        "env": [{"name": "A", "value": "1"}],
        "envFrom": [{"secretRef": {"name": "s"}}],
        "volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": "a"}],
        "ports": [{"name": "http", "containerPort": 80, "protocol": "TCP"}],
    }
    clone = swapped(app(**kept), volumes=[{"name": "v", "emptyDir": {}}])
    assert clone.container[field] == kept[field]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("command", ["/app"]),
        ("args", ["--serve"]),
        ("workingDir", "/srv"),
        ("livenessProbe", {"httpGet": {"port": 80}}),
        ("readinessProbe", {"httpGet": {"port": 80}}),
        ("startupProbe", {"httpGet": {"port": 80}}),
        ("lifecycle", {"preStop": {"sleep": {"seconds": 5}}}),
        ("resources", {"limits": {"cpu": "8"}}),
        ("stdin", True),
        ("stdinOnce", True),
        ("tty", True),
        ("volumeDevices", [{"name": "v", "devicePath": "/dev/v"}]),
        ("resizePolicy", [{"resourceName": "cpu", "restartPolicy": "NotRequired"}]),
        ("terminationMessagePath", "/dev/termination-log"),
    ],
)
def test_of_the_container_what_it_runs_is_replaced(field: str, value: Any) -> None:
    [made] = pod_of(swapped(app(**{field: value})))["spec"]["containers"]
    assert made["name"] == "app"
    assert made["image"] == "pod:1"
    assert made.get(field) != value


def test_no_container_takes_a_port_of_its_node() -> None:
    port = {"name": "http", "containerPort": 80, "hostPort": 80, "hostIP": "10.0.0.1"}
    side, first = ({"name": name, "image": "s:1", "ports": [port]} for name in ("side", "first"))
    clone = swapped(app(ports=[port]), side, initContainers=[first])
    for container in (clone.container, *clone.spec["initContainers"]):
        assert container["ports"] == [{"name": "http", "containerPort": 80}]


def test_the_agents_variables_come_last_so_that_they_win() -> None:
    clone = swapped(app(env=[{"name": "TPBOX_SESSION", "value": "forged"}, {"name": "A", "value": "1"}]))
    env = pod_of(clone)["spec"]["containers"][0]["env"]
    assert [e["name"] for e in env[:2]] == ["TPBOX_SESSION", "A"]
    assert {e["name"]: e.get("value") for e in env}["TPBOX_SESSION"] == "abcdefgh"


def test_a_mount_that_would_reach_back_into_the_node_does_not() -> None:
    mounts = [
        {"name": "v", "mountPath": "/v", "mountPropagation": "Bidirectional"},
        {"name": "v", "mountPath": "/w", "mountPropagation": "HostToContainer"},
    ]
    clone = swapped(app(volumeMounts=mounts), volumes=[{"name": "v", "hostPath": {"path": "/v"}}])
    assert clone.container["volumeMounts"] == [{"name": "v", "mountPath": "/v"}, mounts[1]]


# Its security context

RUNTIME_DEFAULT = {"type": "RuntimeDefault"}
OURS = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": RUNTIME_DEFAULT,
}
FOR_SSHD = ["SETGID", "SETUID", "SYS_CHROOT"]
AS_ROOT = {
    "readOnlyRootFilesystem": True,
    "seccompProfile": RUNTIME_DEFAULT,
    "capabilities": {"add": FOR_SSHD},
}


@pytest.mark.parametrize(
    ("own", "pod", "expected"),
    [
        pytest.param({}, {}, OURS, id="what-is-open-is-ours"),
        pytest.param({"runAsUser": 1000}, {}, {**OURS, "runAsUser": 1000}, id="its-user-is-kept"),
        pytest.param({"seLinuxOptions": {}}, {}, {**OURS, "seLinuxOptions": {}}, id="whatever-else-it-says-is-kept"),
        pytest.param(
            {"readOnlyRootFilesystem": False, "allowPrivilegeEscalation": True, "runAsNonRoot": False}, {},
            {**OURS, "readOnlyRootFilesystem": False, "allowPrivilegeEscalation": True, "runAsNonRoot": False},
            id="what-it-says-is-kept",
        ),
        pytest.param(
            {"capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["NET_RAW"]}}, {}, OURS, id="nobody-has-capabilities"
        ),
        pytest.param({"privileged": True}, {}, OURS, id="never-privileged"),
        pytest.param(
            {}, {"runAsNonRoot": True, "seccompProfile": {"type": "Unconfined"}, "runAsUser": 1000},
            {k: v for k, v in OURS.items() if k not in ("runAsNonRoot", "seccompProfile")},
            id="what-the-pod-says-is-not-said-again",
        ),
        pytest.param({"runAsUser": 0}, {}, {**AS_ROOT, "runAsUser": 0}, id="root-keeps-the-default-capabilities"),
        pytest.param({}, {"runAsUser": 0}, AS_ROOT, id="root-by-the-pods-word"),
        pytest.param({"runAsUser": 1000}, {"runAsUser": 0}, {**OURS, "runAsUser": 1000}, id="the-containers-user-wins"),
        pytest.param(
            {"runAsUser": 0, "capabilities": {"add": ["CHOWN"], "drop": ["ALL"]}}, {},
            {**AS_ROOT, "runAsUser": 0, "capabilities": {"add": ["CHOWN", *FOR_SSHD], "drop": ["ALL"]}},
            id="root-without-capabilities-gets-sshds",
        ),
        pytest.param(
            {"runAsUser": 0, "privileged": True}, {}, {**AS_ROOT, "runAsUser": 0}, id="root-is-never-privileged"
        ),
    ],
)  # fmt: skip
def test_the_containers_security_context(own: dict[str, Any], pod: dict[str, Any], expected: dict[str, Any]) -> None:
    clone = swapped(app(securityContext=own), securityContext=pod)
    assert clone.container["securityContext"] == expected


def test_the_pods_security_context_is_its_own_so_that_sidecars_run_as_before() -> None:
    own = {"fsGroup": 1000, "supplementalGroups": [7], "sysctls": [{"name": "net.core.somaxconn", "value": "9"}]}
    assert pod_of(swapped(securityContext=own))["spec"]["securityContext"] == own
    assert pod_of(swapped())["spec"]["securityContext"] == {}


def test_low_ports_are_allowed_by_a_sysctl_beside_the_pods_own() -> None:
    own = [
        {"name": "net.core.somaxconn", "value": "9"},
        {"name": "net.ipv4.ip_unprivileged_port_start", "value": "443"},
    ]
    added = {"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}
    clone = swapped(securityContext={"sysctls": own})
    assert pod_of(clone, parse(("8080:80",)))["spec"]["securityContext"]["sysctls"] == [own[0], added]
    assert pod_of(clone, parse(("8080",)))["spec"]["securityContext"]["sysctls"] == own
    assert pod_of(NEW, parse((), (), ("81",)))["spec"]["securityContext"]["sysctls"] == [added]


# The pod around it


def test_sidecars_become_native_ones_behind_the_init_containers() -> None:
    side = {
        "name": "side",
        "image": "s:1",
        "args": ["run"],
        "readinessProbe": {"exec": {"command": ["true"]}},
        "livenessProbe": {"exec": {"command": ["true"]}},
        "startupProbe": {"exec": {"command": ["true"]}},
        "lifecycle": {"preStop": {"sleep": {"seconds": 1}}},
        "resources": {"requests": {"cpu": "1"}},
        "securityContext": {"privileged": True},
    }
    first = {"name": "first", "image": "f:1"}
    native = {"name": "native", "image": "n:1", "restartPolicy": "Always"}
    clone = swapped(side, app(), {"name": "last", "image": "l:1"}, initContainers=[first, native])
    assert clone.spec["initContainers"] == [
        first,
        native,
        {**side, "restartPolicy": "Always"},
        {"name": "last", "image": "l:1", "restartPolicy": "Always"},
    ]
    assert [c["name"] for c in pod_of(clone)["spec"]["containers"]] == ["app"]


KEPT = {
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "gpu", "operator": "Exists"}],
    "serviceAccountName": "web",
    "automountServiceAccountToken": False,
    "enableServiceLinks": False,
    "dnsPolicy": "None",
    "dnsConfig": {"nameservers": ["10.0.0.10"]},
    "hostAliases": [{"ip": "10.0.0.9", "hostnames": ["old"]}],
    "runtimeClassName": "gvisor",
    "priorityClassName": "high",
    "schedulerName": "mine",
    "imagePullSecrets": [{"name": "registry"}],
    "shareProcessNamespace": True,
    "readinessGates": [{"conditionType": "lb"}],
    "hostname": "www",
    "subdomain": "web",
    "setHostnameAsFQDN": True,
    "hostUsers": False,
    "resourceClaims": [{"name": "gpu"}],
}


@pytest.mark.parametrize("field", KEPT, ids=lambda field: f"{field}-is-kept")
def test_of_the_pod_it_is_kept(field: str) -> None:
    assert pod_of(swapped(**{field: KEPT[field]}))["spec"][field] == KEPT[field]


DROPPED = {
    "nodeName": "node-1",
    "priority": 1000,
    "preemptionPolicy": "PreemptLowerPriority",
    "overhead": {"cpu": "250m"},
    "ephemeralContainers": [{"name": "debugger"}],
    "schedulingGates": [{"name": "gate"}],
    "topologySpreadConstraints": [{"maxSkew": 1}],
    "activeDeadlineSeconds": 60,
    "resources": {"limits": {"cpu": "1"}},
}


@pytest.mark.parametrize("field", DROPPED, ids=lambda field: f"{field}-is-dropped")
def test_of_the_pod_it_is_dropped(field: str) -> None:
    assert field not in pod_of(swapped(**{field: DROPPED[field]}))["spec"]


def test_the_pod_ends_with_its_agent_whatever_the_template_says() -> None:
    spec = pod_of(swapped(restartPolicy="Always", terminationGracePeriodSeconds=600))["spec"]
    assert (spec["restartPolicy"], spec["terminationGracePeriodSeconds"]) == ("OnFailure", 2)


def test_node_affinity_is_kept_and_what_keeps_pods_apart_or_together_is_not() -> None:
    node: dict[str, Any] = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}
    others: dict[str, Any] = {"podAffinity": {}, "podAntiAffinity": {}}
    assert swapped(affinity={**others, "nodeAffinity": node}).spec["affinity"] == {"nodeAffinity": node}
    assert "affinity" not in swapped(affinity=others).spec


@pytest.mark.parametrize("field", ["hostNetwork", "hostPID"])
def test_a_pod_that_has_its_nodes_network_or_processes_is_refused_with_the_reason(field: str) -> None:
    with pytest.raises(ClusterError, match=rf"deployments/web cannot be swapped: {field}: it has its node's") as raised:
        swapped(**{field: True})
    assert raised.value.hint == "Take a new pod that is like it: --like deployments/web:app"
    assert swapped(**{field: False}).container["name"] == "app"


def test_labels_are_kept_but_those_by_which_a_controller_knows_its_pods() -> None:
    labels = {
        "app": "web",
        "app.kubernetes.io/managed-by": "Helm",
        "pod-template-hash": "7d4b9",
        "controller-revision-hash": "1",
        "statefulset.kubernetes.io/pod-name": "web-0",
        "apps.kubernetes.io/pod-index": "0",
        "job-name": "web",
        "controller-uid": "1",
        "batch.kubernetes.io/job-name": "web",
        "batch.kubernetes.io/controller-uid": "1",
        "batch.kubernetes.io/job-completion-index": "0",
        "tpbox.dev/session": "another",
    }
    made = pod_of(swapped(metadata={"labels": labels}))["metadata"]["labels"]
    assert made["app"] == "web"
    assert made["app.kubernetes.io/managed-by"] == "Helm", "the template's win over ours"
    assert made["tpbox.dev/session"] == "abcdefgh", "but not where we find the pod by them"
    assert set(made) == {
        "app",
        "app.kubernetes.io/managed-by",
        *(f"tpbox.dev/{x}" for x in ("session", "owner", "role")),
    }


def test_annotations_are_kept_but_what_kubectl_applied() -> None:
    last = "kubectl.kubernetes.io/last-applied-configuration"
    made = pod_of(swapped(metadata={"annotations": {"sidecar.istio.io/inject": "true", last: "{}"}}))["metadata"]
    assert made["annotations"] == {"sidecar.istio.io/inject": "true", "tpbox.dev/owner": "ann@desk"}


def test_the_job_itself_has_nothing_of_the_workload() -> None:
    clone = swapped(metadata={"labels": {"app": "web"}, "annotations": {"a": "b"}})
    made = job(ProxyPod("abcdefgh", "ann@desk", "shop", "pod:1", "key", 30, "1", "1", clone=clone))
    assert "app" not in made["metadata"]["labels"]
    assert set(made["metadata"]["annotations"]) == {"tpbox.dev/owner"}


def test_all_volumes_are_kept_for_the_sidecars_use_them_too() -> None:
    volumes = [{"name": "v", "emptyDir": {}}, {"name": "w", "configMap": {"name": "w"}}]
    made = pod_of(swapped(app(volumeMounts=[{"name": "v", "mountPath": "/v"}]), volumes=volumes))["spec"]["volumes"]
    assert made == [{"name": "tpbox-state", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}}, *volumes]


HIDDEN = {"name": "hidden", "secret": {"secretName": "a", "defaultMode": 0o400}}
SINGLE = {
    "name": "single",
    "projected": {"sources": [{"secret": {"items": [{"key": "k", "path": "k", "mode": 0o440}]}}]},
}
OPEN = {"name": "open", "configMap": {"name": "b"}}
CLAIM = {"name": "claim", "persistentVolumeClaim": {"claimName": "d"}}


@pytest.mark.parametrize(
    ("volumes", "mounted", "context", "expected"),
    [
        pytest.param([HIDDEN, OPEN], ["hidden"], {}, 65532, id="hidden-files-are-given-to-the-group"),
        pytest.param([SINGLE], ["single"], {}, 65532, id="a-single-hidden-file"),
        pytest.param([OPEN, {"name": "e", "emptyDir": {}}], ["open", "e"], {}, None, id="open-files-need-nothing"),
        pytest.param([HIDDEN, CLAIM], ["hidden"], {}, None, id="files-that-last-are-not-given-away"),
        pytest.param([HIDDEN, OPEN], ["open"], {}, None, id="a-sidecars-hidden-files-are-its-own"),
        pytest.param([HIDDEN], ["hidden"], {"fsGroup": 1000}, 1000, id="the-templates-wins"),
    ],
)
def test_the_group_that_reads_the_volumes(
    volumes: list[dict[str, Any]], mounted: list[str], context: dict[str, Any], expected: int | None
) -> None:
    mounts = [{"name": name, "mountPath": f"/{name}"} for name in mounted]
    clone = swapped(app(volumeMounts=mounts), volumes=volumes, securityContext=context)
    assert clone.spec["securityContext"].get("fsGroup") == expected


# Kinds of workloads


def test_the_container_is_resolved_and_the_replicas_are_counted() -> None:
    found = Swapped.of(WorkloadRef("deployments", "web"), deployment(app(ports=[{"containerPort": 80}]), {"name": "b"}))
    assert (found.ref, found.workload) == (WEB, "deployments/web")
    assert found.replicas == 2
    assert found.ports == [{"containerPort": 80}]
    assert "image" not in repr(found), "a template may hold what is nobody's business"


def test_a_container_that_is_not_there_is_answered_with_those_that_are() -> None:
    with pytest.raises(NotFoundError, match="no container 'ap'"):
        Swapped.of(WorkloadRef("deployments", "web", "ap"), deployment())


def stateful(**spec: Any) -> dict[str, Any]:
    volumes = [{"name": "data", "emptyDir": {}}, {"name": "conf", "configMap": {"name": "c"}}]
    container = app(volumeMounts=[{"name": "data", "mountPath": "/data"}])
    template = {"metadata": {"labels": {"app": "cache"}}, "spec": {"containers": [container], "volumes": volumes}}
    claims = [{"metadata": {"name": "data"}, "spec": {}}]
    return {"metadata": {"name": "cache"}, "spec": {"template": template, "volumeClaimTemplates": claims, **spec}}


CACHE = WorkloadRef("statefulsets", "cache")


def test_a_stateful_sets_proxy_is_its_first_pod_in_name_and_claims() -> None:
    found = Swapped.of(CACHE, stateful(serviceName="cache", replicas=3))
    assert (found.clone.hostname, found.clone.spec["subdomain"]) == ("cache-0", "cache")
    assert found.clone.spec["volumes"] == [
        {"name": "conf", "configMap": {"name": "c"}},
        {"name": "data", "persistentVolumeClaim": {"claimName": "data-cache-0"}},
    ]
    assert found.clone.container["volumeMounts"] == [{"name": "data", "mountPath": "/data"}]


def test_a_stateful_set_may_count_from_another_number_and_have_no_service() -> None:
    found = Swapped.of(CACHE, stateful(ordinals={"start": 5})).clone
    assert found.hostname == "cache-5"
    assert found.spec["volumes"][1]["persistentVolumeClaim"] == {"claimName": "data-cache-5"}
    assert "subdomain" not in found.spec


def test_replicas_that_are_not_given_are_one() -> None:
    assert Swapped.of(CACHE, stateful()).replicas == 1
    assert Swapped.of(CACHE, stateful(replicas=0)).replicas == 0


def test_a_bare_pod_loses_what_the_server_wrote_into_it() -> None:
    side = {"name": "side", "image": "s:1", "volumeMounts": [TOKEN_MOUNT, {"name": "v", "mountPath": "/v"}]}
    pod = {
        "metadata": {
            "name": "solo", "uid": "1", "resourceVersion": "9", "managedFields": [{}], "labels": {"app": "solo"},
        },
        "spec": {
            "containers": [app(volumeMounts=[TOKEN_MOUNT, {"name": "v", "mountPath": "/v"}]), side],
            "volumes": [{"name": "v", "emptyDir": {}}, TOKEN_VOLUME],
            "nodeName": "node-1", "priority": 0, "preemptionPolicy": "PreemptLowerPriority",
            "enableServiceLinks": True, "restartPolicy": "Always", "serviceAccountName": "default",
        },
        "status": {"phase": "Running"},
    }  # fmt: skip
    found = Swapped.of(WorkloadRef("pods", "solo", "app"), pod)
    made = pod_of(found.clone)
    assert found.replicas == 1
    assert set(made["metadata"]) == {"labels", "annotations"}
    assert made["metadata"]["labels"]["app"] == "solo"
    assert made["spec"]["enableServiceLinks"] is True
    assert {"nodeName", "priority", "preemptionPolicy", "status"}.isdisjoint({*made, *made["spec"]})
    for container in (found.clone.container, *found.clone.spec["initContainers"]):
        assert container["volumeMounts"] == [{"name": "v", "mountPath": "/v"}]
    assert [v["name"] for v in made["spec"]["volumes"]] == ["tpbox-state", "v"]


def test_the_manifest_is_not_changed() -> None:
    workload, same = (stateful(serviceName="cache") for _ in range(2))
    pod_of(Swapped.of(CACHE, workload).clone, parse(("80",)))
    assert workload == same


def test_what_the_user_is_told_of_a_swap() -> None:
    found = Swapped.of(WEB, deployment(app(ports=[{"containerPort": 53, "protocol": "UDP"}])))
    assert found.words(at_once=False) == [
        "deployments/web goes from 2 to 0 replicas when the proxy pod is Ready, and is back at the end",
        "all 2 replicas of deployments/web go; one process takes their place",
        "53/UDP of deployments/web:app: only TCP is carried to the process",
    ]
    bare = Swapped.of(WorkloadRef("pods", "solo"), {"metadata": {"name": "solo"}, "spec": {"containers": [app()]}})
    assert bare.words(at_once=True) == ["pods/solo is deleted at once, and is back at the end"]
    assert bare.remarks() == []


# --like


def test_like_takes_env_used_volumes_and_account_and_not_the_admitted_token() -> None:
    container = app(
        env=[{"name": "A", "value": "1"}],
        envFrom=[{"configMapRef": {"name": "c"}}],
        ports=[{"containerPort": 80}],
        securityContext={"runAsUser": 0},
        volumeMounts=[{"name": "conf", "mountPath": "/conf"}, TOKEN_MOUNT],
    )
    conf = {"name": "conf", "configMap": {"name": "conf"}}
    spec = {
        "containers": [{"name": "proxy"}, container],
        "volumes": [conf, {"name": "other", "emptyDir": {}}, TOKEN_VOLUME],
        "serviceAccountName": "web", "nodeSelector": {"disk": "ssd"}, "hostname": "www",
    }  # fmt: skip
    found = like({"metadata": {"labels": {"app": "web"}}, "spec": spec}, WEB)
    new = NEW.container["securityContext"]
    assert found.container == {
        "name": "app",
        "env": [{"name": "A", "value": "1"}],
        "envFrom": [{"configMapRef": {"name": "c"}}],
        "volumeMounts": [{"name": "conf", "mountPath": "/conf"}],
        "securityContext": new,
    }
    assert found.spec == {
        "serviceAccountName": "web",
        "volumes": [conf],
        "securityContext": NEW.spec["securityContext"],
    }
    assert (found.labels, found.annotations, found.hostname) == ({}, {}, "")


def test_like_leaves_a_mount_without_its_volume_out() -> None:
    template = stateful()["spec"]["template"]
    template["spec"]["volumes"] = []
    assert like(template, CACHE).container["volumeMounts"] == []


def test_a_workload_without_service_links_has_none_here_either() -> None:
    assert like({"spec": {"containers": [app()], "enableServiceLinks": False}}, WEB).spec["enableServiceLinks"] is False


def test_the_mount_paths_are_the_manifests_and_the_admitted_one() -> None:
    mounts = [{"name": "v", "mountPath": "/var/run/v"}, {"name": "t", "mountPath": TOKEN_PATH}]
    volumes = [{"name": "v", "emptyDir": {}}, {"name": "t", "projected": {}}]
    assert swapped(app(volumeMounts=mounts), volumes=volumes).mount_paths() == [TOKEN_PATH, "/var/run/v"]
    assert NEW.mount_paths() == [TOKEN_PATH]


def test_what_the_api_fills_is_the_first_of_the_mount_paths() -> None:
    mounts = [{"name": name, "mountPath": f"/{name}"} for name in ("claim", "config", "data", "secret")]
    volumes = [
        {"name": "claim", "persistentVolumeClaim": {"claimName": "claim"}},
        {"name": "config", "configMap": {"name": "config"}},
        {"name": "data", "emptyDir": {}},
        {"name": "secret", "secret": {"secretName": "secret"}},
    ]
    paths = swapped(app(volumeMounts=mounts), volumes=volumes).mount_paths()
    assert paths == [TOKEN_PATH, "/config", "/secret", "/claim", "/data"]
