"""How far a file is read ahead."""

from __future__ import annotations

from sftp.stream import FROM, WINDOW, Block, Stream

SIZE = 32768


def test_a_file_that_is_read_in_order_is_asked_for_block_by_block_and_each_once() -> None:
    stream = Stream()
    asked = [block for offset in range(0, 8 * WINDOW, SIZE) for block in stream.blocks(offset, SIZE)]
    assert [offset for offset, _ in asked] == list(range(FROM, FROM + len(asked) * SIZE, SIZE))
    assert asked[-1][0] <= 9 * WINDOW


def test_the_first_blocks_alone_ask_for_nothing() -> None:
    stream = Stream()
    assert [stream.blocks(offset, SIZE) for offset in range(0, FROM - SIZE, SIZE)] == [[]] * 3


def test_requests_that_overtake_each_other_are_in_order_still() -> None:
    stream = Stream()
    offsets = [0, 65536, 32768, 98304, 163840, 131072]
    assert sum(len(stream.blocks(offset, SIZE)) for offset in offsets) > 0


def test_who_jumps_is_not_read_ahead_for() -> None:
    stream = Stream()
    assert [stream.blocks(offset << 24, SIZE) for offset in (1, 9, 3, 7)] == [[]] * 4


def test_old_blocks_go() -> None:
    stream = Stream({0: Block(SIZE, 1.0), SIZE: Block(SIZE, 2.0)})
    stream.keep(lambda block: block.asked_at > 1)
    assert list(stream.ahead) == [SIZE]
