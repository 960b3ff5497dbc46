from __future__ import annotations

from tpbox import names
from tpbox.plan.kubeconfig import ApiServer, Credential, minimal
from tpbox.plan.request import ProcessOptions, SessionRequest
from tpbox.plan.session import Facts, SessionPlan
from tpbox.plan.volumes import Mounted

CREDENTIAL = Credential(server="https://api:6443", ca=b"CA", token="hunter2")
SERVER = ApiServer("10.0.0.1", 6443, "api", "kind")
FACTS = Facts("ann@desk", "unix:///d.sock", "dev", "shop", "/k", CREDENTIAL, SERVER, embedded=False)


def plan(**options: object) -> SessionPlan:
    process = ProcessOptions(image="myapp", command=("python", "app.py"), **options)  # type: ignore[arg-type]
    return SessionPlan("abcdefgh", SessionRequest(process), FACTS)


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
    assert made.create_command("/dev/fd/7", ("LINES",), Mounted()) == [
        "docker", "create", "--name", "tpbox-abcdefgh-app", "--network", "container:tpbox-abcdefgh",
        "--label", "app.kubernetes.io/managed-by=tpbox", "--label", "tpbox.dev/role=app",
        "--label", "tpbox.dev/session=abcdefgh", "--label", f"tpbox.dev/owner={names.owner_label('ann@desk')}",
        "--env-file", "/dev/fd/7", "--env", "LINES", "--volume", "/a:/b", "--user", "1000", "--workdir", "/w",
        "--entrypoint", "", "--platform", "linux/arm64", "--interactive", "--tty", "--init", "--memory", "1g",
        "myapp", "python", "app.py",
    ]  # fmt: skip


def test_live_volumes_put_the_gate_in_front_of_the_program() -> None:
    mounted = Mounted(("--mount", "type=tmpfs,dst=/data"), ("1", "30", "myapp", "/run.sh", "python", "app.py"))
    command = plan(entrypoint="/run.sh").create_command("", (), mounted)
    assert command[command.index("--entrypoint") + 1] == "/.tpbox/gate"
    assert command[-9:] == ["--mount", "type=tmpfs,dst=/data", "myapp", *mounted.gated]


def test_the_helper_may_mount_only_where_volumes_are_live() -> None:
    live, copying = plan().helper("local:1", "gate-1"), plan().with_copies("no").helper("local:1")
    assert live.cap_add == ("NET_ADMIN", "SYS_ADMIN")
    assert (live.devices, live.mounts) == (("/dev/fuse",), ("gate-1:/opt/gate",))
    assert "apparmor=unconfined" in live.security_opt
    assert copying.cap_add == ("NET_ADMIN",)
    assert (copying.devices, copying.security_opt) == ((), ("no-new-privileges",))
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
    assert configuration["engine"] == {"name": "sshuttle", "bypass": ["10.0.0.1:6443"]}
    assert configuration["ssh"]["hostKey"] == "ssh-ed25519 H"


def test_an_insecure_server_and_a_client_certificate_are_kept_as_they_are() -> None:
    credential = Credential(server="https://api", insecure=True, client_certificate=b"C", client_key=b"K")
    made = minimal(credential, ApiServer("fd00::1", 443, "api"))
    assert made["clusters"][0]["cluster"] == {"server": "https://[fd00::1]:443", "insecure-skip-tls-verify": True}
    assert made["users"][0]["user"] == {"client-certificate-data": "Qw==", "client-key-data": "Sw=="}


def test_secrets_are_not_in_the_plans_words() -> None:
    assert "hunter2" not in repr(plan()) + "\n".join(plan().describe())
