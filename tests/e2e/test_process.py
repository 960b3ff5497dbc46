"""The user's process is a process like any other (rows 1 and 3): its streams, its signals, its image's oddities."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.launcher import CLIENTS, COMMAND, EVENTS, ROOT, Launcher, environment
from tests.e2e.shop import docker
from tests.e2e.test_shell import CTRL_C, CTRL_Z, Terminal

MEGABYTE = 1024 * 1024
ODD = "tpbox-e2e-odd:1"
PROMPT = rb"prompt> "

# Prints blocks of a megabyte: their number, every byte that there is, then text. The time goes into Docker's log of the
# container, where what is not text takes six bytes for one.
BLOCKS = 1024
TAIL = bytes(range(256)) * 16 + b"0123456789abcdef" * 65279
PRINTER = f"""
import sys
tail = bytes(range(256)) * 16 + b"0123456789abcdef" * 65279
for number in range({BLOCKS}):
    sys.stdout.buffer.write(number.to_bytes(16, "big") + tail)
"""

# A program that counts its Ctrl-C, and ends at the third.
COUNTER = """
import signal, sys, time
seen = 0
def count(number, frame):
    global seen
    seen += 1
    print("seen", seen, flush=True)
    if seen == 3: sys.exit(7)
signal.signal(signal.SIGINT, count)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture(scope="module")
def odd() -> Iterator[str]:
    """An image with an entrypoint, a user, a folder and a variable of its own."""
    file = (
        f"FROM {CLIENTS}\nUSER nobody\nWORKDIR /var/tmp\nENV PATH=/odd:$PATH HOME=/odd COLOUR=blue\n"
        'ENTRYPOINT ["/bin/sh", "-c", "echo entrypoint: $0 $*; exec \\"$0\\" \\"$@\\""]\nCMD ["id", "-un"]\n'
    )
    docker("build", "-q", "-t", ODD, "-", stdin=file)
    yield ODD
    docker("image", "rm", ODD)


def start(tpbox: Launcher, *words: str, **streams: int) -> subprocess.Popen[bytes]:
    """tpbox with the streams that are given, and its session known to the fixture that looks for leftovers."""
    where = ["--context", "tpbox", "-n", tpbox.namespace, "--events", str(tpbox.new_folder() / EVENTS)]
    argv = [*COMMAND, "-q", "run", *where, *words]
    return subprocess.Popen(argv, cwd=ROOT, env=environment(), **streams)  # type: ignore[call-overload, no-any-return]


def test_row_03_a_gigabyte_of_stdout_passes_unchanged(tpbox: Launcher) -> None:
    running = start(tpbox, "--image", CLIENTS, "--", "python3", "-c", PRINTER, stdout=subprocess.PIPE)
    assert running.stdout is not None
    for number in range(BLOCKS):
        if running.stdout.read(MEGABYTE) != number.to_bytes(16, "big") + TAIL:
            pytest.fail(f"block {number} is not what was printed")
    assert running.stdout.read() == b""
    assert running.wait(30) == 0


def test_row_03_a_hundred_megabytes_of_binary_stdin_pass_unchanged(tpbox: Launcher, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(100 * MEGABYTE))
    with source.open("rb") as stdin:
        running = start(tpbox, "--image", CLIENTS, "--", "sha256sum", stdin=stdin.fileno(), stdout=subprocess.PIPE)
        said, _ = running.communicate(timeout=90)
    assert running.returncode == 0
    assert said.split()[0].decode() == hashlib.sha256(source.read_bytes()).hexdigest()


def test_a_closed_reader_ends_the_program_and_the_session(tpbox: Launcher) -> None:
    running = start(tpbox, "--image", CLIENTS, "--", "sh", "-c", "while echo line; do :; done", stdout=subprocess.PIPE)
    assert running.stdout is not None
    assert running.stdout.readline() == b"line\n"
    running.stdout.close()
    assert running.wait(30) != 0


def test_without_a_terminal_the_program_has_none_and_stdin_ends(tpbox: Launcher) -> None:
    script = "test -t 0 && echo tty0; test -t 1 && echo tty1; cat; echo end"
    done = tpbox.run("--image", CLIENTS, "--", "sh", "-c", script, stdin=b"from stdin\n").ok()
    assert done.text == "from stdin\nend\n"


def test_t_without_a_terminal_is_refused(tpbox: Launcher) -> None:
    done = tpbox.run("-t", "--image", CLIENTS, "--", "true")
    assert done.code == 2
    assert "-t: the standard input is not a terminal" in done.stderr


def test_every_ctrl_c_reaches_the_program_once(tpbox: Launcher) -> None:
    with tpbox.start("--image", CLIENTS, "--", "python3", "-c", COUNTER) as running:
        running.wait_output(b"ready")
        for number in (1, 2, 3):
            running.interrupt()
            running.wait_output(b"seen %d\n" % number)
        done = running.finish()
    assert done.code == 7
    assert done.text == "ready\nseen 1\nseen 2\nseen 3\n"


def test_what_a_program_leaves_behind_ends_with_it(tpbox: Launcher) -> None:
    script = "(trap '' TERM HUP; sleep 300) & (sleep 0.1; exit) & sleep 0.5; ps -eo stat= | grep -c Z; exit 4"
    done = tpbox.run("--image", CLIENTS, "--", "sh", "-c", script)
    assert (done.code, done.text) == (4, "0\n")  # --init has reaped the one that ended


def test_the_images_entrypoint_user_folder_and_variables_hold(tpbox: Launcher, odd: str) -> None:
    script = 'pwd; id -un; echo "$COLOUR $HOME ${PATH%%:*}"'
    done = tpbox.run("--like", "deploy/web", "--image", odd, "sh", "-c", script).ok()
    assert done.text.splitlines()[1:] == ["/var/tmp", "nobody", "blue /odd /odd"]
    assert done.text.startswith("entrypoint: sh -c ")


def test_an_image_runs_its_own_command_where_none_is_given(tpbox: Launcher, odd: str) -> None:
    assert tpbox.run("--image", odd).ok().text == "entrypoint: id -un\nnobody\n"


def test_dockers_options_change_the_images(tpbox: Launcher, odd: str) -> None:
    options = ("--entrypoint", "sh", "-u", "12345:6", "-w", "/tmp", "--read-only", "--tmpfs", "/scratch:mode=1777",
               "--memory", "64m", "--platform", "linux/amd64", "--no-init")  # fmt: skip
    script = "id -u; pwd; touch /x 2>&1 | grep -c Read-only; touch /scratch/x && echo written; echo $$"
    assert tpbox.run(*options, "--image", odd, "--", "-c", script).ok().text == "12345\n/tmp\n1\nwritten\n1\n"


# At a terminal, without -t: the program has no tty, the shell's job control has tpbox


@pytest.fixture
def terminal(tpbox: Launcher) -> Iterator[Terminal]:
    words = f"{' '.join(COMMAND)} -q run --context tpbox -n {tpbox.namespace} --events {tpbox.new_folder() / EVENTS}"
    opened = Terminal(["/bin/bash", "--norc", "-i"], rows=30, columns=200)
    opened.type("PS1='pro''mpt> '\n")
    opened.expect(PROMPT)
    opened.type(f'run() {{ {words} --image {CLIENTS} -- "$@"; }}\n')
    opened.expect(PROMPT)
    yield opened
    if opened.process.poll() is None:
        opened.type("exit\n")  # an interactive bash has no ear for SIGTERM
        opened.wait(20)
    opened.close()


def test_typed_lines_and_ctrl_c_reach_the_program(terminal: Terminal) -> None:
    terminal.type("run sh -c 'echo ready; read line; echo got $line; exec sleep 60'\n")
    terminal.expect(rb"ready\r\n", 40)
    terminal.type("hello\n")
    terminal.expect(rb"\ngot hello")
    terminal.type(CTRL_C)
    terminal.expect(PROMPT, 20)
    terminal.type("echo code $?.\n")
    terminal.expect(rb"code 130\.")


def test_ctrl_z_stops_and_fg_goes_on(terminal: Terminal) -> None:
    terminal.type("run sh -c 'echo ready; read line; echo got $line; exit 6'\n")
    terminal.expect(rb"ready\r\n", 40)
    terminal.type(CTRL_Z)
    terminal.expect(rb"Stopped")
    terminal.type("fg\n")
    time.sleep(0.5)
    terminal.type("hello\n")
    terminal.expect(rb"\ngot hello")
    terminal.expect(PROMPT, 20)
    terminal.type("echo code $?.\n")
    terminal.expect(rb"code 6\.")


def test_in_the_background_it_does_not_stop_for_the_terminal(terminal: Terminal) -> None:
    terminal.type("run sh -c 'echo ready; sleep 1; echo done' &\n")
    terminal.expect(rb"ready\r\n", 40)
    terminal.expect(rb"done\r\n")
    terminal.type("wait; echo code $?.\n")
    terminal.expect(rb"code 0\.", 20)
    terminal.type("echo stopped: $(jobs -s | wc -l).\n")
    terminal.expect(rb"stopped: 0\.")


def test_a_hang_up_of_the_terminal_ends_the_session(terminal: Terminal, tpbox: Launcher) -> None:
    terminal.type("run sh -c 'echo ready; exec sleep 300'\n")
    terminal.expect(rb"ready\r\n", 40)
    os.kill(terminal.process.pid, signal.SIGHUP)  # bash hands it on to its jobs
    terminal.wait(20)
