"""The relay between two pipes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

from sftp.packets import Type, number, packet, u32
from sftp.relay import CROWDED, Incoming, Outgoing

ROOT = Path(__file__).resolve().parents[5]
PROGRAM = [sys.executable, "-I", str(ROOT / "images/local/files/opt/tpbox"), "sftp"]


def test_packets_are_cut_wherever_they_were_broken() -> None:
    sent = [packet(Type.DATA, at, u32(at)) for at in range(3)]
    incoming = Incoming()
    found = [one for byte in b"".join(sent) for one in incoming.packets(bytes([byte]))]
    assert found == sent
    assert incoming.packets(b"".join(sent)) == sent


def test_what_nobody_reads_yet_waits() -> None:
    source, target = os.pipe()
    os.set_blocking(target, False)
    outgoing = Outgoing(target)
    data = [b"x" * CROWDED]
    outgoing.add(data)
    outgoing.write()
    assert data == [] and 0 < outgoing.size < CROWDED
    found = bytearray()
    while outgoing.size:
        found += os.read(source, 65536)
        outgoing.write()
    os.close(target)
    while more := os.read(source, 65536):
        found += more
    os.close(source)
    assert bytes(found) == b"x" * CROWDED


def test_what_is_not_understood_passes_both_ways_and_the_end_ends_it() -> None:
    sent = b"".join(packet(Type.REALPATH, at, u32(1 << 18), bytes(1 << 18)) for at in range(20))
    with subprocess.Popen([*PROGRAM, "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as relay:
        assert relay.stdin and relay.stdout
        writer = threading.Thread(target=relay.stdin.write, args=(sent,))
        writer.start()
        assert relay.stdout.read(len(sent)) == sent
        writer.join()
        relay.stdin.close()
        assert relay.wait(10) == 0


def test_the_end_of_ssh_ends_it() -> None:
    with subprocess.Popen([*PROGRAM, "true"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as relay:
        assert relay.wait(10) == 0
    assert number(packet(Type.READ, 7)) == 7
