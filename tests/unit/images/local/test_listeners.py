from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest
from supervisor import listeners

HEAD4 = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
HEAD6 = "  sl  local_address                         remote_address                        st tx_queue rx_queue\n"
REST = "00000000:00000000 00:00000000 00000000     0        0 203255 1 00000000f202f49a 100 0 0 10 0\n"


def row(local: str, state: str = "0A") -> str:
    peer = local.partition(":")[0].translate(str.maketrans("123456789ABCDEF", "0" * 15)) + ":0000"
    return f"   0: {local} {peer} {state} {REST}"


@pytest.fixture(autouse=True)
def _little_endian(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listeners.sys, "byteorder", "little")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("00000000", "0.0.0.0"),
        ("0100007F", "127.0.0.1"),
        ("0700F40A", "10.244.0.7"),
        ("00000000000000000000000000000000", "::"),
        ("00000000000000000000000001000000", "::1"),
        ("0000000000000000FFFF00000100007F", "127.0.0.1"),
        ("0000000000000000FFFF000000000000", "0.0.0.0"),
        ("B80D0120000000000000000001000000", "2001:db8::1"),
    ],
)
def test_the_kernels_addresses(text: str, address: str) -> None:
    assert listeners.parse_address(text) == ip_address(address)


def test_a_machine_of_the_other_byte_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listeners.sys, "byteorder", "big")  # type: ignore[attr-defined]
    assert listeners.parse_address("7F000001") == ip_address("127.0.0.1")


def test_no_more_is_read_than_the_first_connection() -> None:
    def rows() -> Iterator[str]:
        yield HEAD4
        yield row("00000000:1F90")
        yield row("0100007F:1538")
        yield row("0100007F:1F90", state="01")
        raise AssertionError("read on")

    assert list(listeners.listening(rows())) == [(ip_address("0.0.0.0"), 8080), (ip_address("127.0.0.1"), 5432)]


def test_both_tables_are_read_for_the_ports_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    four, six = tmp_path / "tcp", tmp_path / "tcp6"
    four.write_text(HEAD4 + row("0700F40A:1F90") + row("00000000:0016"))
    six.write_text(HEAD6 + row("0000000000000000FFFF00000100007F:1F90") + row(f"{'0' * 32}:2328"))
    monkeypatch.setattr(listeners, "TABLES", (four, six))
    assert listeners.read({8080, 9000, 7}) == {
        8080: {ip_address("10.244.0.7"), ip_address("127.0.0.1")},
        9000: {ip_address("::")},
    }
    six.unlink()
    assert listeners.read({9000}) == {}


def test_a_table_without_listeners(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tcp").write_text(HEAD4)
    monkeypatch.setattr(listeners, "TABLES", (tmp_path / "tcp",))
    assert listeners.read({80}) == {}


@pytest.mark.parametrize(
    ("addresses", "target"),
    [
        (["0.0.0.0"], "127.0.0.1"),
        (["127.0.0.1", "10.244.0.7"], "127.0.0.1"),
        (["0.0.0.0", "::"], "127.0.0.1"),
        (["::"], "localhost"),
        (["127.0.0.5"], "127.0.0.5"),
        (["10.244.0.7"], "10.244.0.7"),
        (["::1"], "[::1]"),
        (["2001:db8::1", "10.244.0.7"], "10.244.0.7"),
    ],
)
def test_the_target_fits_the_listener(addresses: list[str], target: str) -> None:
    assert listeners.target(ip_address(address) for address in addresses) == target
