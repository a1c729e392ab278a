from __future__ import annotations

import threading

import pytest

from omniid.audio.frames import BLOCK_S, SILENT_BLOCK, Block
from omniid.audio.hand_over import MOST_BLOCKS, HandOver
from omniid.errors import AudioError


def block(number: int) -> Block:
    return Block(SILENT_BLOCK, number * BLOCK_S)


def taken(hand_over: HandOver) -> list[int]:
    numbers = []
    while (got := hand_over.get(0.0)) is not None:
        numbers.append(round(got.first_sample_at / BLOCK_S))
    return numbers


def test_while_somebody_listens_every_block_counts() -> None:
    hand_over = HandOver(keep_s=0.0)
    hand_over.allow()
    hand_over.listen(0.0)
    for number in range(100):
        hand_over.put(block(number))
    assert taken(hand_over) == list(range(100))


def test_between_takes_only_the_last_are_kept() -> None:
    hand_over = HandOver(keep_s=0.3)
    hand_over.allow()
    for number in range(1_000):
        hand_over.put(block(number))
    hand_over.listen(1_000 * BLOCK_S)
    assert taken(hand_over) == list(range(985, 1_000))
    hand_over.put(block(1_000))
    assert taken(hand_over) == [1_000]


def test_what_was_kept_long_ago_is_no_sound_before_the_key() -> None:
    hand_over = HandOver(keep_s=0.3)
    hand_over.allow()
    for number in range(20):
        hand_over.put(block(number))
    hand_over.listen(60.0)
    assert taken(hand_over) == []


def test_no_sample_belongs_to_two_takes() -> None:
    hand_over = HandOver(keep_s=0.3)
    hand_over.allow()
    hand_over.listen(0.0)
    for number in range(5):
        hand_over.put(block(number))
    hand_over.rest()
    hand_over.put(block(5))
    hand_over.listen(6 * BLOCK_S)
    assert taken(hand_over) == [5]


def test_nothing_is_given_before_it_is_allowed_and_nothing_is_lost_meanwhile() -> None:
    hand_over = HandOver(keep_s=0.0)
    hand_over.listen(0.0)
    hand_over.put(block(0))
    assert hand_over.get(0.0) is None
    hand_over.allow()
    assert taken(hand_over) == [0]


def test_nobody_takes_it_and_it_says_so() -> None:
    hand_over = HandOver(keep_s=0.0)
    hand_over.allow()
    hand_over.listen(0.0)
    for number in range(MOST_BLOCKS + 7):
        hand_over.put(block(number))
    assert hand_over.overflows == 7
    assert len(taken(hand_over)) == MOST_BLOCKS


def test_a_failure_comes_after_the_blocks_before_it() -> None:
    hand_over = HandOver(keep_s=0.0)
    hand_over.allow()
    hand_over.listen(0.0)
    hand_over.put(block(0))
    hand_over.fail(AudioError("gone"))
    assert hand_over.get(0.0) == block(0)
    for _ in range(2):
        with pytest.raises(AudioError, match="gone"):
            hand_over.get(0.0)


def test_who_waits_is_woken() -> None:
    hand_over = HandOver(keep_s=0.0)
    hand_over.allow()
    hand_over.listen(0.0)
    got: list[Block | None] = []
    waiter = threading.Thread(target=lambda: got.append(hand_over.get(60.0)))
    waiter.start()
    hand_over.put(block(3))
    waiter.join(30.0)
    assert got == [block(3)]
