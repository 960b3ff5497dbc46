"""Which files come next."""

from __future__ import annotations

import pytest
from sftp import listing
from sftp.listing import Listing
from sftp.packets import Attributes, Entry

REGULAR, FOLDER = 0o100644, 0o040755


def entry(name: str, size: int = 100, mode: int = REGULAR) -> Entry:
    return Entry(name.encode(), Attributes(b"", mode, size))


def listed(*names: str) -> Listing:
    found = Listing()
    found.add(entry(name) for name in names)
    return found


def words(names: list[bytes]) -> str:
    return b" ".join(names).decode()


@pytest.mark.parametrize("names", ["a b c d", "c a d b"])
def test_the_first_one_of_either_order_begins_it(names: str) -> None:
    assert words(listed(*names.split()).next_after(names.split()[0].encode())) == " ".join(names.split()[1:])
    assert words(listed(*names.split()).next_after(b"a"))  # sorted


def test_the_other_order_is_found_out() -> None:
    names = [f"{number:03}" for number in range(100)]
    found = listed(*reversed(names))
    assert words(found.next_after(b"000")).split() == names[1:17]


def test_somewhere_in_the_middle_nothing_is_fetched_until_the_next_one_is_read() -> None:
    found = listed(*[f"{number:03}" for number in range(100)])
    assert found.next_after(b"050") == []
    assert words(found.next_after(b"051")).startswith("052 053")


def test_what_was_returned_is_not_returned_again_and_the_window_grows() -> None:
    found = listed(*[f"{number:04}" for number in range(1000)])
    returned = [found.next_after(b"%04d" % number) for number in range(1000)]
    assert [len(returned[0]), len(returned[1])] == [2 * listing.FIRST, 0]
    assert [name for names in returned for name in names] == [b"%04d" % number for number in range(1, 1000)]
    assert 64 < max(map(len, returned)) <= listing.LAST


def test_folders_large_and_empty_files_are_left_out() -> None:
    found = listed("a")
    found.add([entry("b", 10**6), entry("c", 0), entry("d", 9, FOLDER), entry("e", 9)])
    assert words(found.next_after(b"a")) == "e"


def test_a_window_has_a_limit_in_bytes() -> None:
    found = Listing()
    found.add(entry(f"{number:03}", listing.MAX_FILE) for number in range(200))
    most = max(len(found.next_after(b"%03d" % number)) for number in range(100))
    assert most * listing.MAX_FILE <= listing.MAX_AHEAD


def test_what_was_in_vain_is_fetched_again_in_smaller_steps() -> None:
    found = listed(*[f"{number:03}" for number in range(500)])
    for number in range(100):
        found.next_after(b"%03d" % number)
    found.in_vain()
    assert words(found.next_after(b"100")).startswith("101 ")


def test_the_same_file_once_more_changes_nothing() -> None:
    found = listed("a", "b", "c")
    found.next_after(b"a")
    assert found.next_after(b"a") == []
    assert found.next_after(b"nowhere") == []
