"""Rows 1, 4 and 6: a session is the user's program and nothing else; two do not notice each other."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from tests.e2e import host, shop
from tests.e2e.launcher import CLIENTS, MYAPP, Launcher

EVERY_BYTE = bytes(range(256)) * 400  # 100 KiB: more than a pipe holds


@pytest.mark.parametrize("code", [0, 3])
def test_row_01_exit_code_and_streams_are_the_programs(tpbox: Launcher, code: int) -> None:
    program = f"cat; echo a complaint >&2; exit {code}"
    done = tpbox.run("--image", CLIENTS, "--", "sh", "-c", program, stdin=EVERY_BYTE, verbosity="-q")
    assert done.stdout == EVERY_BYTE
    assert done.stderr == "a complaint\n"
    assert done.code == code


def test_row_01_ctrl_c_ends_the_program_with_130(tpbox: Launcher) -> None:
    with tpbox.start("--image", CLIENTS, "--", "sh", "-c", "echo ready; exec sleep 60") as running:
        running.wait_output(b"ready")
        running.interrupt()
        done = running.finish(20)
    assert done.code == 130
    assert "Traceback" not in done.stderr


def test_row_01_a_killed_program_is_137(tpbox: Launcher) -> None:
    assert tpbox.run("--image", CLIENTS, "--", "sh", "-c", "kill -9 $$").code == 137


def test_row_01_sigterm_is_the_programs_to_answer(tpbox: Launcher) -> None:
    program = "trap 'echo told; exit 7' TERM; echo ready; while :; do sleep 0.1; done"
    with tpbox.start("--image", CLIENTS, "--", "bash", "-c", program) as running:
        running.wait_output(b"ready")
        running.signal(signal.SIGTERM)
        done = running.finish(20)
    assert done.stdout == b"ready\ntold\n"
    assert done.code == 7


def test_row_01_sighup_ends_the_program_as_sigterm_does(tpbox: Launcher) -> None:
    with tpbox.start("--image", CLIENTS, "--", "sh", "-c", "echo ready; exec sleep 60") as running:
        running.wait_output(b"ready")
        running.signal(signal.SIGHUP)
        done = running.finish(20)
    assert done.code in (128 + signal.SIGHUP, 128 + signal.SIGTERM)


def test_options_of_docker_reach_the_program(tpbox: Launcher, tmp_path: Path) -> None:
    (tmp_path / "note").write_text("from the host\n")
    tmp_path.chmod(0o755)  # the program is another user
    options = ["-v", f"{tmp_path}:/data", "-w", "/data", "-u", "12345:23456", "--tmpfs", "/extra", "--entrypoint=bash"]
    program = "cat note; pwd; id -u; id -g; findmnt -no FSTYPE /extra; cat /proc/1/comm"
    done = tpbox.run(*options, "--image", CLIENTS, "--", "-c", program).ok()
    assert done.text.splitlines() == ["from the host", "/data", "12345", "23456", "tmpfs", "docker-init"]


def test_the_command_of_the_readme_works_without_two_dashes(tpbox: Launcher) -> None:
    done = tpbox.run("--image", MYAPP, "curl", "-s", "http://web/").ok()
    assert done.stdout == shop.PAGE


def test_row_04_sessions_side_by_side_do_not_notice_each_other(
    tpbox: Launcher, restricted: str, tmp_path: Path
) -> None:
    program = (
        'echo ready; for _ in $(seq 900); do [ -e "/gate/$GATE" ] && break; sleep 0.1; done; '
        f"echo $TPBOX_SESSION $TPBOX_NAMESPACE $(curl -s http://web.{tpbox.namespace}/client)"
    )

    def words(gate: str) -> list[str]:
        return ["-v", f"{tmp_path}:/gate", "-e", f"GATE={gate}", "--image", CLIENTS, "--", "bash", "-c", program]

    with (
        tpbox.start(*words("first")) as first,
        tpbox.start(*words("second")) as second,
        tpbox.start(*words("third"), namespace=restricted) as third,
    ):
        for running in (first, second, third):
            running.wait_output(b"ready", 90)
        (tmp_path / "first").touch()
        answers = [first.finish().ok().text]
        assert host.inventory({first.session}) == set()
        (tmp_path / "second").touch()
        (tmp_path / "third").touch()
        answers += [second.finish().ok().text, third.finish().ok().text]
    sessions, namespaces, addresses = zip(*(answer.split()[1:] for answer in answers), strict=True)
    assert sessions == (first.session, second.session, third.session)
    assert namespaces == (tpbox.namespace, tpbox.namespace, restricted)
    assert len(set(addresses)) == 3


def test_row_06_dry_run_prints_the_plan_and_changes_nothing(tpbox: Launcher) -> None:
    done = tpbox.run("--dry-run", "-p", "8080", "-e", "TOKEN=hidden-value", "--image", MYAPP, "--", "python", "app.py")
    assert done.ok().events == ()
    planned = re.findall(r"tpbox-([a-z]{8})\b", done.text)
    assert planned
    assert host.inventory(planned) == set()
    for word in ('"kind": "Job"', tpbox.namespace, MYAPP, "NET_ADMIN", "netstack", "python app.py"):
        assert word in done.text
    assert "hidden-value" not in done.text
