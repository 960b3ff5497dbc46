"""The gate: the entrypoint of a container with live volumes. Here it waits for none, or for one that never comes."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

Image = Callable[[str], str]


def gate(image: Image, *words: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    argv = ["docker", "run", "--rm", "--entrypoint=/opt/gate/gate", *options, image("local"), *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)


def test_it_becomes_the_program_with_its_arguments_and_exit_code(image: Image) -> None:
    done = gate(image, "0", "1", "img", "sh", "-c", 'echo "$0 $1"; exit 3', "a", "b c")
    assert (done.returncode, done.stdout) == (3, "a b c\n")


def test_it_needs_no_right_and_no_writable_file_system(image: Image) -> None:
    options = ("--user=65534", "--read-only", "--cap-drop=ALL")
    assert gate(image, "0", "1", "img", "id", "-u", options=options).stdout == "65534\n"


@pytest.mark.parametrize(
    ("program", "code", "words"),
    [
        ("no-such-program", 127, 'exec: "no-such-program": executable file not found in $PATH'),
        ("/no/such", 127, 'exec: "/no/such": No such file or directory'),
        ("/etc/passwd", 126, 'exec: "/etc/passwd": permission denied'),
        ("/etc", 126, 'exec: "/etc": permission denied'),
    ],
)
def test_what_cannot_be_started_is_said_as_docker_does(image: Image, program: str, code: int, words: str) -> None:
    done = gate(image, "0", "1", "myapp", program)
    assert done.returncode == code
    assert done.stderr.splitlines() == [
        "tpbox: error: the command could not be started in image myapp",
        f"tpbox:   {words}",
    ]


def test_it_does_not_wait_for_ever(image: Image) -> None:
    done = gate(image, "1", "0.3", "img", "true")
    assert done.returncode == 125
    assert done.stderr == "tpbox: error: the pod's volumes were not mounted within 0.3 s\n"
