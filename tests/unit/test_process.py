from __future__ import annotations

import sys

import pytest

from tpbox import process
from tpbox.process import ProcessError

PYTHON = [sys.executable, "-c"]


def test_output_is_returned() -> None:
    assert process.run([*PYTHON, "print(input())"], input=b"hi") == "hi\n"


def test_a_failure_has_argv_code_and_last_words() -> None:
    with pytest.raises(ProcessError) as raised:
        process.run([*PYTHON, "import sys; sys.exit('no luck')"])
    assert (raised.value.code, raised.value.tail) == (1, "no luck")
    assert raised.value.argv[0] == sys.executable


def test_a_missing_program_and_a_slow_one_are_named() -> None:
    with pytest.raises(ProcessError, match="ended with 127"):
        process.run(["/no/such/program"])
    with pytest.raises(ProcessError, match="took too long"):
        process.run([*PYTHON, "import time; time.sleep(9)"], timeout=0.2)


def test_both_ends_of_a_pipe_must_succeed() -> None:
    process.pipe([*PYTHON, "print(1)"], [*PYTHON, "assert input() == '1'"])
    with pytest.raises(ProcessError, match="source is broken"):
        process.pipe([*PYTHON, "import sys; sys.exit('source is broken')"], [*PYTHON, "import sys; sys.stdin.read()"])
    with pytest.raises(ProcessError) as raised:
        process.pipe(["yes"], [*PYTHON, "import sys; sys.exit('sink is broken')"])
    assert raised.value.tail == "sink is broken"


def test_a_stream_gives_each_line_of_both_outputs_as_it_comes() -> None:
    lines: list[str] = []
    process.stream([*PYTHON, "import os; os.write(1, b'one\\n\\n'); os.write(2, b'two\\n')"], lines.append, timeout=10)
    assert lines == ["one", "two"]


def test_a_stream_that_fails_is_missing_or_takes_too_long_raises() -> None:
    with pytest.raises(ProcessError) as raised:
        process.stream([*PYTHON, "import sys; sys.exit('no luck')"], lambda _: None, timeout=10)
    assert (raised.value.code, raised.value.tail) == (1, "no luck")
    with pytest.raises(ProcessError, match="ended with 127"):
        process.stream(["/no/such/program"], lambda _: None, timeout=10)
    with pytest.raises(ProcessError, match="took too long"):
        process.stream([*PYTHON, "import time; time.sleep(9)"], lambda _: None, timeout=0.2)
