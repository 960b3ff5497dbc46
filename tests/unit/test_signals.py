from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tpbox import signals
from tpbox.errors import InterruptedSession


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", signals.ENDING)
def test_a_signal_ends_a_start_up(number: int) -> None:
    with pytest.raises(InterruptedSession) as raised, signals.interrupting():
        send(number)
    assert raised.value.exit_code == 128 + number


def test_what_is_deferred_is_done_first_and_then_interrupted() -> None:
    done = []
    with pytest.raises(InterruptedSession) as raised, signals.interrupting():
        with signals.deferring():
            send(signal.SIGTERM)
            done.append("made")
        done.append("never")
    assert done == ["made"]
    assert raised.value.exit_code == 128 + signal.SIGTERM


def test_after_a_deferring_signals_interrupt_again() -> None:
    with pytest.raises(InterruptedSession), signals.interrupting():
        with signals.deferring():
            pass
        send(signal.SIGINT)


def test_the_error_of_a_deferred_block_is_not_replaced() -> None:
    with pytest.raises(ValueError, match="its own"), signals.interrupting(), signals.deferring():
        send(signal.SIGTERM)
        raise ValueError("its own")


def test_handlers_are_given_back() -> None:
    before = [signal.getsignal(number) for number in signals.ENDING]
    with signals.interrupting():
        assert [signal.getsignal(number) for number in signals.ENDING] != before
    assert [signal.getsignal(number) for number in signals.ENDING] == before


CLEANING = """
import os, signal, sys, time
from tpbox import signals
with signals.shielded(lambda text: print(text, flush=True)):
    print("cleaning", flush=True)
    time.sleep(float(sys.argv[1]))
print("clean", flush=True)
"""


def cleaning(seconds: str, count: int) -> tuple[str, int]:
    """What a clean-up of so many seconds prints under so many Ctrl-C, and its exit code."""
    program = subprocess.Popen([sys.executable, "-c", CLEANING, seconds], stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    said = program.stdout.readline()
    for _ in range(count):
        program.send_signal(signal.SIGINT)
        if count > 1:
            said += program.stdout.readline()
    said += program.stdout.read()
    return said, program.wait()


def test_one_ctrl_c_does_not_stop_a_clean_up() -> None:
    said, code = cleaning("0.3", 1)
    assert said.splitlines()[-1] == "clean"
    assert "once more leaves the rest" in said
    assert code == 0


def test_two_leave_the_rest_to_the_watchdog() -> None:
    said, code = cleaning("20", 2)
    assert "clean\n" not in said
    assert code == 130
