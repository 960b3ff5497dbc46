from __future__ import annotations

from dataclasses import replace
from typing import Any

from tpbox import names
from tpbox.plan.clone import Clone, Swapped
from tpbox.plan.inbound import parse
from tpbox.plan.kubeconfig import ApiServer, Credential, minimal
from tpbox.plan.proxy_pod import job
from tpbox.plan.request import ProcessOptions, SessionRequest, WorkloadRef
from tpbox.plan.session import Facts, SessionPlan
from tpbox.plan.volumes import Mounted

CREDENTIAL = Credential(server="https://api:6443", ca=b"CA", token="hunter2")
SERVER = ApiServer("10.0.0.1", 6443, "api", "kind")
FACTS = Facts("ann@desk", "unix:///d.sock", "dev", "shop", "/k", CREDENTIAL, SERVER, embedded=False)


def plan(**options: object) -> SessionPlan:
    process = ProcessOptions(image="myapp", command=("python", "app.py"), **options)  # type: ignore[arg-type]
    return SessionPlan("abcdefgh", SessionRequest(process), FACTS)


CACHE: dict[str, Any] = {
    "metadata": {"name": "cache"},
    "spec": {
        "replicas": 3,
        "serviceName": "cache",
        "template": {
            "metadata": {"labels": {"app": "cache"}},
            "spec": {
                "containers": [
                    {"name": "metrics", "image": "m:1"},
                    {
                        "name": "redis",
                        "image": "redis:7",
                        "ports": [{"containerPort": 6379}, {"containerPort": 16379, "protocol": "UDP"}],
                        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                    },
                ],
                "volumes": [{"name": "data", "emptyDir": {}}],
            },
        },
    },
}


def swapping(**options: Any) -> SessionPlan:
    """A session in the place of sts/cache:redis."""
    asked = WorkloadRef("statefulsets", "cache", "redis")
    request = SessionRequest(ProcessOptions(image="myapp"), swap=asked, **options)
    return SessionPlan("abcdefgh", request, replace(FACTS, swap=Swapped.of(asked, CACHE)))


def exposing(*ports: str, **options: Any) -> SessionPlan:
    """A new pod with --expose."""
    return SessionPlan("abcdefgh", SessionRequest(ProcessOptions("myapp"), inbound=parse(ports), **options), FACTS)


def pod_spec(made: SessionPlan) -> dict[str, Any]:
    found: dict[str, Any] = job(made.proxy_pod("pod:1", "key"))["spec"]["template"]["spec"]
    return found


def test_docker_create_is_exactly_this() -> None:
    made = plan(
        user="1000",
        workdir="/w",
        entrypoint="",
        platform="linux/arm64",
        tty=True,
        volumes=("/a:/b",),
        extra=("--memory", "1g"),
    )
    assert made.process(made.request.process).create_command("/dev/fd/7", ("LINES",), Mounted()) == [
        "docker", "create", "--name", "tpbox-abcdefgh-app", "--network", "container:tpbox-abcdefgh",
        "--label", "app.kubernetes.io/managed-by=tpbox", "--label", "tpbox.dev/role=app",
        "--label", "tpbox.dev/session=abcdefgh", "--label", f"tpbox.dev/owner={names.owner_label('ann@desk')}",
        "--env-file", "/dev/fd/7", "--env", "LINES", "--volume", "/a:/b", "--user", "1000", "--workdir", "/w",
        "--entrypoint", "", "--platform", "linux/arm64", "--log-driver", "none",
        "--interactive", "--tty", "--init", "--memory", "1g", "myapp", "python", "app.py",
    ]  # fmt: skip


def test_live_volumes_put_the_gate_in_front_of_the_program() -> None:
    mounted = Mounted(("--mount", "type=tmpfs,dst=/data"), ("1", "30", "myapp", "/run.sh", "python", "app.py"))
    made = plan(entrypoint="/run.sh")
    command = made.process(made.request.process).create_command("", (), mounted)
    assert command[command.index("--entrypoint") + 1] == "/.tpbox/gate"
    assert command[-9:] == ["--mount", "type=tmpfs,dst=/data", "myapp", *mounted.gated]


def test_the_helper_may_mount_only_where_volumes_are_live() -> None:
    live, copying = plan().helper("local:1", "gate-1"), plan().with_copies("no").helper("local:1")
    assert live.cap_add == ("NET_ADMIN", "SYS_ADMIN")
    assert (live.devices, live.mounts) == (("/dev/fuse", "/dev/net/tun"), ("gate-1:/opt/gate",))
    assert "apparmor=unconfined" in live.security_opt
    assert copying.cap_add == ("NET_ADMIN",)
    assert (copying.devices, copying.security_opt) == (("/dev/net/tun",), ("no-new-privileges",))
    assert copying.mounts == ("tpbox-abcdefgh-v0:/volumes/tpbox-abcdefgh-v0",)


def test_the_mover_has_the_hosts_pids_and_nothing_else_of_it() -> None:
    mover = plan().mover("local:1")
    assert (mover.pid_namespace, mover.network, mover.mounts) == ("host", "none", ())
    assert (mover.cap_drop, mover.cap_add) == (("ALL",), ("SYS_ADMIN", "SYS_CHROOT", "SYS_PTRACE"))
    assert mover.remove_when_ended and not mover.logged


def test_everything_that_will_be_made_is_named() -> None:
    assert plan().objects() == [
        ("job", "tpbox-abcdefgh"), ("container", "tpbox-abcdefgh-mover"), ("container", "tpbox-abcdefgh"),
        ("container", "tpbox-abcdefgh-app"),
    ]  # fmt: skip
    assert ("volume", "tpbox-abcdefgh-v0") in plan().with_copies("no").objects()


def test_without_a_process_there_are_no_volumes() -> None:
    looking = SessionPlan("abcdefgh", SessionRequest(ProcessOptions(image="")), FACTS)
    assert looking.volumes.mode == "off"
    assert looking.helper("local:1").cap_add == ("NET_ADMIN",)


def test_the_helper_has_named_capabilities_and_writes_no_log() -> None:
    helper = plan().helper("local:1")
    assert helper.cap_drop == ("ALL",)
    assert not helper.logged
    assert helper.stdin and helper.remove_when_ended
    assert helper.hostname == "tpbox-abcdefgh"
    assert helper.network == "kind"


def test_the_helper_gets_a_kubeconfig_by_address_and_nothing_of_the_users_file() -> None:
    configuration = plan().configuration("pod-1", "PRIVATE", "ssh-ed25519 H")
    assert configuration["kubeconfig"] == {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "cluster",
                "cluster": {
                    "server": "https://10.0.0.1:6443",
                    "tls-server-name": "api",
                    "certificate-authority-data": "Q0E=",
                },
            }
        ],
        "users": [{"name": "user", "user": {"token": "hunter2"}}],
        "contexts": [{"name": "session", "context": {"cluster": "cluster", "user": "user"}}],
        "current-context": "session",
    }
    assert configuration["engine"] == {
        "name": "netstack", "port": 20023, "bypass": ["10.0.0.1:6443"],
        "only": [], "also": [], "never": [], "hosts": {}, "splitNames": False, "localNames": [],
    }  # fmt: skip
    assert configuration["ssh"]["hostKey"] == "ssh-ed25519 H"


def test_an_insecure_server_and_a_client_certificate_are_kept_as_they_are() -> None:
    credential = Credential(server="https://api", insecure=True, client_certificate=b"C", client_key=b"K")
    made = minimal(credential, ApiServer("fd00::1", 443, "api"))
    assert made["clusters"][0]["cluster"] == {"server": "https://[fd00::1]:443", "insecure-skip-tls-verify": True}
    assert made["users"][0]["user"] == {"client-certificate-data": "Qw==", "client-key-data": "Sw=="}


def test_secrets_are_not_in_the_plans_words() -> None:
    assert "hunter2" not in repr(plan()) + "\n".join(plan().describe())


def test_the_helper_has_the_hostname_of_the_pod() -> None:
    assert plan().helper("local:1").hostname == pod_spec(plan())["hostname"] == "tpbox-abcdefgh"
    assert swapping().helper("local:1").hostname == pod_spec(swapping())["hostname"] == "cache-0"


def test_the_process_is_the_container_that_it_replaces() -> None:
    assert plan().identity("pod-1")["TPBOX_CONTAINER"] == "tpbox"
    assert swapping().identity("pod-1")["TPBOX_CONTAINER"] == "redis"
    like = replace(FACTS, like=Clone({"name": "web"}, {"securityContext": {}, "volumes": []}))
    assert replace(plan(), facts=like).identity("pod-1")["TPBOX_CONTAINER"] == "web"


def test_the_sessions_volumes_are_those_of_the_container_that_it_replaces() -> None:
    assert "/data" in swapping().volumes.foreseen


def test_the_swapped_containers_ports_are_exposed_besides_those_that_were_named() -> None:
    inbound: dict[str, Any] = {"toPod": [], "fromPod": [], "host": []}
    own = {"local": 6379, "remote": 6379}
    assert swapping().configuration("p", "k", "h")["inbound"] == {**inbound, "expose": [{**own, "required": False}]}
    named = swapping(inbound=parse(("6380:6379",)))
    assert named.configuration("p", "k", "h")["inbound"]["expose"] == [
        {"local": 6380, "remote": 6379, "required": True}
    ]
    assert plan().configuration("p", "k", "h")["inbound"] == {**inbound, "expose": []}


def test_the_pod_is_probed_where_somebody_waits_for_it_to_be_ready() -> None:
    assert not plan().proxy_pod("pod:1", "key").probed
    assert exposing("80").proxy_pod("pod:1", "key").probed
    worker = {"metadata": {"name": "w"}, "spec": {"template": {"spec": {"containers": [{"name": "w"}]}}}}
    without_ports = Swapped.of(WorkloadRef("deployments", "w"), worker)
    assert replace(plan(), facts=replace(FACTS, swap=without_ports)).proxy_pod("pod:1", "key").probed


def test_a_new_pod_that_is_exposed_has_a_service_and_a_swapped_workload_has_its_own() -> None:
    assert plan().service_name == ""
    assert swapping(inbound=parse(("80",))).service_name == ""
    assert exposing("80").service_name == "tpbox-abcdefgh"
    made = exposing("8080:80", as_name="mine").service("1-2-3")
    assert (made["metadata"]["name"], made["metadata"]["namespace"]) == ("mine", "shop")
    assert made["metadata"]["ownerReferences"][0]["uid"] == "1-2-3"
    assert [port["port"] for port in made["spec"]["ports"]] == [80]


def test_low_ports_of_the_options_and_of_the_container_are_allowed() -> None:
    sysctls = [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]
    assert pod_spec(exposing("8080:80", engine="sshuttle"))["securityContext"]["sysctls"] == sysctls
    assert "sysctls" not in pod_spec(swapping(engine="sshuttle"))["securityContext"]


def test_with_sshuttle_helper_and_pod_have_nothing_of_the_other_engines() -> None:
    made = plan().with_sshuttle("no device")
    assert made.engine == "sshuttle"
    assert "/dev/net/tun" not in made.helper("local:1").devices
    assert made.helper("local:1").sysctls == {}
    assert made.proxy_pod("pod:1", "key").engine_port == 0
    assert plan().helper("local:1").sysctls == {"net.ipv4.tcp_tw_reuse": "1"}
    with_ipv6 = replace(plan(), facts=replace(FACTS, ipv6=True)).helper("local:1")
    assert with_ipv6.sysctls["net.ipv6.conf.default.disable_ipv6"] == "0"
    assert plan().proxy_pod("pod:1", "key").engine_port == 20023


def test_the_service_and_the_swap_are_named_among_the_objects() -> None:
    assert ("service", "mine") in exposing("80", as_name="mine").objects()
    assert swapping().objects()[:2] == [("lease", "tpbox-swap-statefulsets-cache"), ("job", "tpbox-abcdefgh")]


def test_the_target_is_what_was_found_for_the_requests_words() -> None:
    found = swapping()
    bare = replace(found.request, swap=WorkloadRef("pods", "cache-0"))
    assert replace(found, request=bare).target == "swap statefulsets/cache:redis"
    assert exposing("80").target == "new pod, Service tpbox-abcdefgh"
    assert plan().target == "new pod"


def test_a_dry_run_says_what_becomes_of_the_workload_and_of_the_ports() -> None:
    told = "\n".join(swapping(now=True, inbound=parse(("8080:80",))).describe())
    for words in (
        "target    swap statefulsets/cache:redis\n",
        "inbound   exposed 80 (here 8080), 6379\n",
        "swap      statefulsets/cache goes from 3 to 0 replicas at once, and is back at the end\n",
        "swap      all 3 replicas of statefulsets/cache go",
        "swap      16379/UDP of statefulsets/cache:redis: only TCP",
        "hostname cache-0;",
        '"restartPolicy": "Always"',
    ):
        assert words in told
    assert "service " not in told


def test_a_dry_run_shows_the_service() -> None:
    told = "\n".join(exposing("80", as_name="mine").describe())
    assert '"kind": "Service"' in told and '"name": "mine"' in told
    assert "swap " not in told
