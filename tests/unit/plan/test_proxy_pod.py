from __future__ import annotations

from dataclasses import replace

from tpbox import names
from tpbox.plan.clone import NEW
from tpbox.plan.inbound import parse
from tpbox.plan.proxy_pod import ProxyPod, job, service_of

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
                                {"name": "TPBOX_LISTEN", "value": ""},
                                {"name": "TPBOX_OPEN", "value": ""},
                                {"name": "TPBOX_POD_IPS", "valueFrom": {"fieldRef": {"fieldPath": "status.podIPs"}}},
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


def test_what_is_a_workloads_comes_before_tpboxs_own() -> None:
    container = {
        "name": "app",
        "env": [{"name": "A", "value": "1"}],
        "envFrom": [{"secretRef": {"name": "s"}}],
        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
    }
    kept = {"volumes": [{"name": "v", "emptyDir": {}}], "serviceAccountName": "web", "securityContext": {}}
    spec = job(replace(POD, clone=replace(NEW, container=container, spec=kept)))["spec"]["template"]["spec"]
    [made] = spec["containers"]
    assert spec["serviceAccountName"] == "web"
    assert made["name"] == "app"
    assert [entry["name"] for entry in made["env"]][:2] == ["A", "TPBOX_SESSION"]
    assert made["envFrom"] == [{"secretRef": {"name": "s"}}]
    assert [m["name"] for m in made["volumeMounts"]] == ["tpbox-state", "v"]
    assert [v["name"] for v in spec["volumes"]] == ["tpbox-state", "v"]


def test_the_users_service_account_wins_over_the_workloads() -> None:
    clone = replace(NEW, spec={**NEW.spec, "serviceAccountName": "web"})
    spec = job(replace(POD, clone=clone, service_account="mine"))["spec"]["template"]["spec"]
    assert spec["serviceAccountName"] == "mine"


def test_a_pull_secret_beside_the_workloads_and_no_service_links() -> None:
    clone = replace(NEW, spec={**NEW.spec, "imagePullSecrets": [{"name": "theirs"}]})
    spec = job(replace(POD, clone=clone, pull_secret="registry", service_links=False))["spec"]["template"]["spec"]
    assert spec["imagePullSecrets"] == [{"name": "theirs"}, {"name": "registry"}]
    assert spec["enableServiceLinks"] is False


def test_the_pod_is_told_the_paths_of_its_manifest_and_what_sshd_may_do() -> None:
    container = {"name": "app", "volumeMounts": [{"name": "v", "mountPath": "/var/run/v"}]}
    pod = replace(POD, clone=replace(NEW, container=container), inbound=parse(("8080:80",), ("5432",), ("9000",)))
    env = {e["name"]: e.get("value") for e in job(pod)["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert env["TPBOX_MOUNT_PATHS"] == "/var/run/secrets/kubernetes.io/serviceaccount:/var/run/v"
    assert env["TPBOX_LISTEN"] == "*:80 127.0.0.1:9000"
    assert env["TPBOX_OPEN"] == "127.0.0.1:5432"


def test_a_probed_pod_is_ready_when_the_agent_says_so() -> None:
    [container] = job(replace(POD, probed=True))["spec"]["template"]["spec"]["containers"]
    assert container["readinessProbe"] == {
        "exec": {"command": ["/usr/bin/test", "-e", "/.tpbox/ready"]},
        "periodSeconds": 1,
        "timeoutSeconds": 5,
        "failureThreshold": 1,
    }


def test_the_service_is_exactly_this() -> None:
    assert service_of("mine", "abcdefgh", "ann@desk", "shop", parse(("8080:80", "8443")), "1-2-3") == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "mine",
            "namespace": "shop",
            "labels": {
                "app.kubernetes.io/managed-by": "tpbox",
                "tpbox.dev/role": "proxy-pod",
                "tpbox.dev/session": "abcdefgh",
                "tpbox.dev/owner": names.owner_label("ann@desk"),
            },
            "annotations": {"tpbox.dev/owner": "ann@desk"},
            "ownerReferences": [
                {"apiVersion": "batch/v1", "kind": "Job", "name": "tpbox-abcdefgh", "uid": "1-2-3"},
            ],
        },
        "spec": {
            "selector": {"tpbox.dev/session": "abcdefgh"},
            "ports": [
                {"name": "80", "port": 80, "targetPort": 80, "protocol": "TCP"},
                {"name": "8443", "port": 8443, "targetPort": 8443, "protocol": "TCP"},
            ],
        },
    }


def test_the_engines_far_end_has_a_port_and_may_send_echoes() -> None:
    kept = [{"name": "net.ipv4.ping_group_range", "value": "1 0"}, {"name": "kernel.shm_rmid_forced", "value": "1"}]
    clone = replace(NEW, spec={**NEW.spec, "securityContext": {"sysctls": kept}})
    spec = job(replace(POD, clone=clone, engine_port=20023))["spec"]["template"]["spec"]
    assert {"name": "TPBOX_ENGINE_PORT", "value": "20023"} in spec["containers"][0]["env"]
    assert spec["securityContext"]["sysctls"] == [
        {"name": "kernel.shm_rmid_forced", "value": "1"},
        {"name": "net.ipv4.ping_group_range", "value": "0 2147483647"},
    ]
