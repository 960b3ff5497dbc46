from __future__ import annotations

from dataclasses import replace
from typing import Any

from tpbox import names
from tpbox.plan.proxy_pod import Copied, ProxyPod, job

POD = ProxyPod(
    session="abcdefgh", owner="ann@desk", namespace="shop", image="pod:1", authorized_key="ssh-ed25519 A",
    grace=30, cpu="20m", memory="64Mi",
)  # fmt: skip


def test_the_job_is_exactly_this() -> None:
    labels = {
        "app.kubernetes.io/managed-by": "tpbox",
        "tpbox.dev/role": "proxy-pod",
        "tpbox.dev/session": "abcdefgh",
        "tpbox.dev/owner": names.owner_label("ann@desk"),
    }
    annotations = {"tpbox.dev/owner": "ann@desk"}
    assert job(POD) == {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "tpbox-abcdefgh", "namespace": "shop", "labels": labels, "annotations": annotations},
        "spec": {
            "ttlSecondsAfterFinished": 0,
            "backoffLimit": 20,
            "template": {
                "metadata": {"labels": labels, "annotations": annotations},
                "spec": {
                    "restartPolicy": "OnFailure",
                    "terminationGracePeriodSeconds": 2,
                    "hostname": "tpbox-abcdefgh",
                    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
                    "containers": [
                        {
                            "name": "tpbox",
                            "image": "pod:1",
                            "imagePullPolicy": "IfNotPresent",
                            "command": ["/usr/bin/python3", "-I", "/opt/tpbox"],
                            "env": [
                                {"name": "TPBOX_SESSION", "value": "abcdefgh"},
                                {"name": "TPBOX_AUTHORIZED_KEY", "value": "ssh-ed25519 A"},
                                {"name": "TPBOX_GRACE", "value": "30"},
                                {"name": "TPBOX_SSH_PORT", "value": "20022"},
                                {
                                    "name": "TPBOX_MOUNT_PATHS",
                                    "value": "/var/run/secrets/kubernetes.io/serviceaccount",
                                },
                                {"name": "TPBOX_POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                            ],
                            "volumeMounts": [{"name": "tpbox-state", "mountPath": "/.tpbox"}],
                            "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}},
                            "securityContext": {
                                "allowPrivilegeEscalation": False,
                                "readOnlyRootFilesystem": True,
                                "capabilities": {"drop": ["ALL"]},
                            },
                        }
                    ],
                    "volumes": [{"name": "tpbox-state", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}}],
                },
            },
        },
    }


def test_what_is_copied_from_a_workload_comes_before_tpboxs_own() -> None:
    copied = Copied(
        container="app",
        env=({"name": "A", "value": "1"},),
        env_from=({"secretRef": {"name": "s"}},),
        volume_mounts=({"name": "v", "mountPath": "/v"},),
        volumes=({"name": "v", "emptyDir": {}},),
        service_account="web",
    )
    spec = job(ProxyPod(**{**POD.__dict__, "copied": copied}))["spec"]["template"]["spec"]
    [container] = spec["containers"]
    assert spec["serviceAccountName"] == "web"
    assert container["name"] == "app"
    assert [entry["name"] for entry in container["env"]][:2] == ["A", "TPBOX_SESSION"]
    assert container["envFrom"] == [{"secretRef": {"name": "s"}}]
    assert [m["name"] for m in container["volumeMounts"]] == ["tpbox-state", "v"]
    assert [v["name"] for v in spec["volumes"]] == ["tpbox-state", "v"]


def test_the_users_service_account_wins_over_the_workloads() -> None:
    pod = ProxyPod(**{**POD.__dict__, "service_account": "mine", "copied": Copied(service_account="web")})
    assert job(pod)["spec"]["template"]["spec"]["serviceAccountName"] == "mine"


def test_a_pull_secret_and_no_service_links() -> None:
    spec = job(replace(POD, pull_secret="registry", service_links=False))["spec"]["template"]["spec"]
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    assert spec["enableServiceLinks"] is False


def test_a_workload_without_service_links_has_none_here_either() -> None:
    spec = job(replace(POD, copied=Copied(service_links=False)))["spec"]["template"]["spec"]
    assert spec["enableServiceLinks"] is False


def security_context(*volumes: dict[str, Any]) -> dict[str, object]:
    made = job(ProxyPod(**{**POD.__dict__, "copied": Copied(volumes=volumes)}))
    return dict(made["spec"]["template"]["spec"]["securityContext"])


def test_files_that_only_their_owner_reads_are_given_to_the_pods_group() -> None:
    hidden: dict[str, Any] = {"name": "a", "secret": {"secretName": "a", "defaultMode": 0o400}}
    open_to_all: dict[str, Any] = {"name": "b", "configMap": {"name": "b"}}
    single: dict[str, Any] = {
        "name": "c",
        "projected": {"sources": [{"secret": {"items": [{"key": "k", "path": "k", "mode": 0o440}]}}]},
    }
    claim: dict[str, Any] = {"name": "d", "persistentVolumeClaim": {"claimName": "d"}}
    assert security_context(hidden, open_to_all)["fsGroup"] == 65532
    assert security_context(single)["fsGroup"] == 65532
    assert "fsGroup" not in security_context(open_to_all, {"name": "e", "emptyDir": {}})
    assert "fsGroup" not in security_context(hidden, claim), "its files would be given away for ever"


def test_the_pod_is_told_the_paths_of_its_manifest() -> None:
    copied = Copied(volume_mounts=({"name": "v", "mountPath": "/var/run/v"},))
    [container] = job(ProxyPod(**{**POD.__dict__, "copied": copied}))["spec"]["template"]["spec"]["containers"]
    paths = next(entry["value"] for entry in container["env"] if entry["name"] == "TPBOX_MOUNT_PATHS")
    assert paths == "/var/run/secrets/kubernetes.io/serviceaccount:/var/run/v"
