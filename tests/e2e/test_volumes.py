"""Rows 10 to 14: the pod's volumes, live, copied and not at all."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import host, shop
from tests.e2e.launcher import CLIENTS, Launcher, error_lines, wait_for
from tests.e2e.shop import docker, kubectl
from tests.e2e.volumes import PATHS, TOKEN_PATH, Session, apply, host_mounts, manifest

LIKE = ("--like", "deploy/volumes")
SLEEP = ("--image", CLIENTS, "--", "sh", "-c", "echo ready; exec sleep 600")
SEEN_WITHIN = 10  # seconds, from a change in the pod
BACK_WITHIN = 7  # seconds, from the loss of the link
CALL_LIMIT = 25  # seconds that a file call may block
SIZE_MB = 500

# As an application has it, with nothing of tpbox in it.
KUBERNETES_CLIENT = """
from kubernetes import client, config
config.load_incluster_config()
print(client.AuthenticationV1Api().create_self_subject_review({}).status.user_info.username)
"""
ERRNO = """
import errno, sys
try:
    open(sys.argv[1], "w")
except OSError as error:
    print(errno.errorcode[error.errno])
"""
END_KUBECTL = """
import os
[forward] = [p for p in os.listdir("/proc") if p.isdigit() and open(f"/proc/{p}/cmdline").read().startswith("kubectl")]
os.kill(int(forward), 9)
"""
# Holds a file open and reads on in it, past what was read ahead; then says what became of it.
HOLD = """
import errno, sys
with open("/data/held", "rb", buffering=0) as held:
    print(held.read(1), flush=True)
    sys.stdin.readline()
    held.seek(3 << 20)
    try:
        print(held.read(1))
    except OSError as error:
        print(errno.errorcode[error.errno])
"""


# Lists a folder and reads what is in it again and again, as what fetches ahead likes it, until a file has the content.
POLL_ALL = """
import pathlib, sys, time
folder, name, wanted = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
end = time.monotonic() + float(sys.argv[4])
print("polls", flush=True)
while time.monotonic() < end:
    try:  # a ConfigMap's file is a link, for a moment to a folder that has gone: in a pod too
        found = {path.name: path.read_text() for path in sorted(folder.iterdir()) if path.is_file()}
    except FileNotFoundError:
        continue
    if found.get(name) == wanted:
        print("seen")
        break
"""
READ_ALL = """
import hashlib, pathlib
total = hashlib.sha256()
for path in sorted(pathlib.Path("/data/many").iterdir()):
    total.update(path.read_bytes())
print(total.hexdigest())
"""


@pytest.fixture(scope="module")
def launcher(tpbox: Launcher) -> Launcher:
    """One for the sessions that several tests share: nothing_left looks after each test."""
    apply(*manifest(tpbox.namespace))
    return Launcher(tpbox.namespace, tpbox.folder)


def started(launcher: Launcher, *options: str) -> Iterator[Session]:
    assert host_mounts() == ""
    with launcher.start(*LIKE, *options, *SLEEP) as running:
        running.wait_output(b"ready")
        yield Session(running, launcher.namespace)
    assert host_mounts() == ""
    host.expect_nothing_of({running.session})


@pytest.fixture(scope="module")
def live(launcher: Launcher) -> Iterator[Session]:
    yield from started(launcher)


@pytest.fixture(scope="module")
def copied(launcher: Launcher) -> Iterator[Session]:
    yield from started(launcher, "--volumes", "copy")


@pytest.fixture(params=["live", "copied"])
def either(request: pytest.FixtureRequest) -> Session:
    session: Session = request.getfixturevalue(request.param)
    return session


def check_change(session: Session, greeting: str) -> None:
    """A change in the cluster is seen in the container soon after it is in the pod."""
    session.publish(greeting)
    wait_for("the change in the container", lambda: session.read("/etc/app/greeting") == greeting, SEEN_WITHIN)


def test_row_10_volumes_are_at_their_own_paths(either: Session) -> None:
    assert either.read("/etc/app/greeting") == "hello"
    assert either.read("/etc/app.conf") == "setting = 1\n"
    assert either.read("/etc/guarded/token") == shop.document("Secret", "web")["stringData"]["token"]
    assert either.read("/etc/podinfo/name") == either.pod()
    assert either.read(f"{TOKEN_PATH}/namespace") == either.namespace
    assert either.read(f"{TOKEN_PATH}/token").count(".") == 2
    assert either.exec("sh", "-c", "ls /data /var/run/app") == "/data:\nrun\n\n/var/run/app:\n"


def test_row_10_the_process_is_told_where_they_are(live: Session) -> None:
    environment = live.exec("env").splitlines()
    for prefix in ("TPBOX", "TELEPRESENCE"):
        assert f"{prefix}_ROOT=/" in environment
        assert f"{prefix}_MOUNTS={':'.join(PATHS)}" in environment


def test_row_10_links_are_resolved_within_the_image(live: Session) -> None:
    assert live.exec("readlink", "/var/run").strip() == "/run"
    live.exec("sh", "-c", "echo linked > /run/app/by-link")
    assert live.in_pod("cat /data/run/by-link; rm /data/run/by-link") == "linked"


def test_row_10_whoever_runs_in_the_container_may_read(live: Session) -> None:
    assert live.exec("cat", "/etc/guarded/token", user="nobody") == live.read("/etc/guarded/token")


def test_row_11_the_kubernetes_client_needs_no_configuration(either: Session) -> None:
    assert either.python(KUBERNETES_CLIENT) == f"system:serviceaccount:{either.namespace}:default"


def test_row_12_a_changed_config_map_is_seen(either: Session) -> None:
    check_change(either, "changed")
    check_change(either, "hello")


def polled(session: Session, folder: str, name: str, wanted: str) -> subprocess.Popen[str]:
    """A program in the container that reads all of a folder, over and over, until one file is as wanted."""
    argv = ["docker", "exec", session.app, "python3", "-c", POLL_ALL, folder, name, wanted]
    polling = subprocess.Popen([*argv, str(3 * SEEN_WITHIN)], stdout=subprocess.PIPE, text=True)
    assert polling.stdout and polling.stdout.readline() == "polls\n"
    return polling


def test_row_12_a_changed_config_map_is_seen_by_who_reads_it_all_the_time(live: Session) -> None:
    with polled(live, "/etc/app", "greeting", "others") as polling:
        live.publish("others")
        assert polling.communicate(timeout=SEEN_WITHIN)[0] == "seen\n"
    check_change(live, "hello")


def test_row_12_a_change_that_keeps_size_and_name_is_seen(live: Session) -> None:
    live.in_pod("mkdir /data/same && for n in 1 2 3 4 5 6; do echo before > /data/same/$n; done")
    with polled(live, "/data/same", "5", "after!\n") as polling:
        live.in_pod("echo after! > /data/same/5")
        assert polling.communicate(timeout=SEEN_WITHIN)[0] == "seen\n"
    live.exec("rm", "-r", "/data/same")


def test_row_13_many_small_files_read_back_equal_and_own_writes_are_seen(live: Session) -> None:
    fill = "mkdir /data/many && for n in $(seq 1000 1399); do head -c $n /dev/urandom > /data/many/$n; done"
    expected = live.in_pod(f"{fill}; cat /data/many/* | sha256sum").split()[0]
    assert live.python(READ_ALL) == expected
    seen = live.exec("sh", "-c", "cd /data/many; cat 1000 1001 >/dev/null; echo mine > 1002; cat 1002")
    assert seen == "mine\n"
    live.exec("rm", "-r", "/data/many")


def test_row_13_a_large_file_reads_back_equal(live: Session) -> None:
    expected = live.in_pod(f"head -c {SIZE_MB}M /dev/urandom > /data/large && sha256sum < /data/large")
    assert live.exec("sh", "-c", "sha256sum < /data/large", timeout=90).strip() == expected
    live.exec("rm", "/data/large")


def test_row_13_writes_land_in_the_pod(live: Session) -> None:
    live.exec("sh", "-c", "mkdir /data/made && echo mine > /data/made/file && mv /data/made/file /data/made/moved")
    assert live.in_pod("cat /data/made/moved") == "mine"
    live.in_pod("echo theirs > /data/made/moved")
    wait_for("the pod's change", lambda: live.read("/data/made/moved") == "theirs\n", SEEN_WITHIN)
    live.exec("rm", "-r", "/data/made")
    assert "made" not in live.in_pod("ls /data")


@pytest.mark.parametrize("path", ["/etc/app/new", "/etc/guarded/token", "/etc/app.conf", f"{TOKEN_PATH}/token"])
def test_row_13_what_the_pod_may_not_write_says_erofs(live: Session, path: str) -> None:
    assert live.python(ERRNO, path) == "EROFS"


def test_row_14_the_host_shows_no_mount_while_the_container_has_them(live: Session) -> None:
    assert live.read("/proc/mounts").count("fuse.sshfs") == len(PATHS)
    assert host_mounts() == ""


def test_after_a_loss_of_the_link_files_work_again_and_old_handles_fail(live: Session) -> None:
    live.in_pod("head -c 4M /dev/zero > /data/held")
    argv = ["docker", "exec", "-i", live.app, "python3", "-c", HOLD]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holding:
        assert holding.stdout and holding.stdout.readline() == "b'\\x00'\n"
        docker("exec", live.name, "python3", "-c", END_KUBECTL)
        wait_for("the loss", lambda: "the tunnel is down" in live.running.stderr(), BACK_WITHIN)
        wait_for("the files again", lambda: live.readable(), BACK_WITHIN)
        assert holding.communicate("\n", timeout=40)[0] == "EIO\n"


def test_a_frozen_network_blocks_no_call_for_long(live: Session) -> None:
    argv = ["docker", "exec", live.app, "cat", "/etc/app/greeting", f"{TOKEN_PATH}/ca.crt"]
    docker("pause", shop.node())
    try:
        for _ in range(2):  # as the link is lost, and while nothing brings it back
            done = subprocess.run(argv, capture_output=True, text=True, timeout=CALL_LIMIT, check=False)
            assert "Input/output error" in done.stderr
    finally:
        docker("unpause", shop.node())
    wait_for("the files again", live.readable, 20)


def test_a_pod_that_is_replaced_brings_its_volumes(live: Session) -> None:
    before = live.pod()
    kubectl("-n", live.namespace, "delete", "pod", before, "--grace-period=0", "--force")
    wait_for("the new pod's files", lambda: live.readable() and live.read("/etc/podinfo/name") not in ("", before), 40)
    assert live.read("/etc/podinfo/name") == live.pod()


def test_row_13_what_is_written_into_a_copy_stays_here(copied: Session) -> None:
    copied.exec("sh", "-c", "echo mine > /data/file", user="nobody")
    assert "file" not in copied.in_pod("ls /data")
    assert copied.python(ERRNO, "/etc/app/new") == "EROFS"
    assert "fuse.sshfs" not in copied.read("/proc/mounts")


def report(tpbox: Launcher, folder: Path, *options: str) -> tuple[str, str]:
    """The output and the volumes' mode of a session that prints its sshfs mounts and TPBOX_MOUNTS."""
    path = folder / "report.json"
    program = ("sh", "-c", 'grep -c fuse.sshfs /proc/mounts; echo "$TPBOX_MOUNTS"')
    done = tpbox.run("--report", str(path), *options, "--image", CLIENTS, "--", *program).ok()
    return done.text, json.loads(path.read_text())["volumes"]


def test_auto_is_live_here_and_a_plain_pod_has_its_token(tpbox: Launcher, tmp_path: Path) -> None:
    assert report(tpbox, tmp_path) == (f"1\n{TOKEN_PATH}\n", "live")


def test_off_is_off(tpbox: Launcher, tmp_path: Path) -> None:
    assert report(tpbox, tmp_path, "--volumes", "off") == ("0\n\n", "off")


def test_single_volumes_may_differ(tpbox: Launcher, tmp_path: Path, launcher: Launcher) -> None:
    single = ("--volume", "/data=copy", "--volume", "/etc/app=live", "--volume", "/etc/podinfo=off")
    options = (*LIKE, "--volumes", "off", *single)
    assert report(tpbox, tmp_path, *options) == ("1\n/data:/etc/app\n", "off")


def test_what_the_user_mounts_is_not_covered(tpbox: Launcher, tmp_path: Path, launcher: Launcher) -> None:
    (tmp_path / "mine").write_text("mine")
    own = ("-v", f"{tmp_path}:/etc/app", "-v", f"{tmp_path}:/data/inner")
    done = tpbox.run(*LIKE, *own, "--image", CLIENTS, "--", "cat", "/etc/app/mine", "/data/inner/mine", verbosity="-v")
    assert done.ok().text == "minemine"
    assert "--volume /etc/app=live" in done.stderr


def test_other_users_and_a_read_only_container_work(tpbox: Launcher, launcher: Launcher) -> None:
    program = ("sh", "-c", "id -un; cat /etc/app/greeting /etc/app.conf; echo x > /data/x && cat /data/x; touch /y")
    done = tpbox.run(*LIKE, "-u", "nobody", "--read-only", "--image", CLIENTS, "--", *program)
    assert done.text == "nobody\nhellosetting = 1\nx\n"
    assert "Read-only file system" in done.stderr


@pytest.fixture(scope="module")
def odd_image() -> Iterator[str]:
    """An image with an entrypoint, a command, a user and a directory of its own."""
    lines = (f"FROM {CLIENTS}", 'ENTRYPOINT ["/bin/sh", "-c", "pwd; id -un; printf \\"%s \\" \\"$0\\" \\"$@\\""]',
             'CMD ["its", "command"]', "USER nobody", "WORKDIR /srv", "VOLUME /data")  # fmt: skip
    docker("build", "-q", "-t", "tpbox-e2e-odd", "-", stdin="\n".join(lines))
    yield "tpbox-e2e-odd"
    docker("image", "rm", "tpbox-e2e-odd")


@pytest.mark.parametrize(
    ("options", "command", "expected"),
    [
        ((), (), "/srv\nnobody\nits command "),
        (("--no-init",), ("--", "mine"), "/srv\nnobody\nmine "),
        (("--entrypoint", "echo", "-w", "/"), (), "\n"),
        (("--entrypoint", ""), ("--", "id", "-un"), "nobody\n"),
    ],
)
def test_an_image_with_an_entrypoint_runs_as_docker_runs_it(
    tpbox: Launcher,
    launcher: Launcher,
    odd_image: str,
    options: tuple[str, ...],
    command: tuple[str, ...],
    expected: str,
) -> None:
    assert tpbox.run(*LIKE, *options, "--image", odd_image, *command).ok().text == expected


@pytest.mark.parametrize("victim", ["launcher", "helper"])
def test_row_14_a_kill_leaves_no_mount(tpbox: Launcher, launcher: Launcher, victim: str) -> None:
    with tpbox.start(*LIKE, *SLEEP) as running:
        running.wait_output(b"ready")
        session = Session(running, tpbox.namespace)
        assert "fuse.sshfs" in session.read("/proc/mounts")
        if victim == "launcher":
            running.signal(signal.SIGKILL)
            running.process.wait()
        else:
            docker("kill", session.name)
        assert host_mounts() == ""
        wait_for("nothing left", lambda: not host.inventory({running.session}), 20)
        assert host_mounts() == ""
        running.finish()


def test_a_path_that_the_pod_does_not_have_is_named_with_those_that_it_has(tpbox: Launcher, launcher: Launcher) -> None:
    done = tpbox.run(*LIKE, "--volume", "/nowhere=copy", "--image", CLIENTS, "--", "true")
    assert done.code == 125
    assert error_lines(done.stderr) == [
        "tpbox: error: --volume /nowhere=copy: the pod has no volume at /nowhere",
        f"tpbox:   It has: {', '.join(PATHS)}",
    ]
