from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from omniid.hotkeys.chord import parse
from omniid.hotkeys.matcher import Change, ChordChange, ChordMatcher

CHORDS = {"talk": "ctrl+alt+space", "plain": "F9", "more": "ctrl+F9", "side": "rightctrl"}
DOWN, UP, LOST = Change.DOWN, Change.UP, Change.LOST


def matcher(*owners: str) -> ChordMatcher:
    return ChordMatcher({owner: parse(CHORDS[owner]) for owner in owners or CHORDS})


def told(one: ChordMatcher, *steps: str) -> list[tuple[str, str]]:
    """Steps such as `+leftctrl` and `-leftctrl`, `2:+space` on a second keyboard."""
    changes: list[ChordChange] = []
    for step in steps:
        keyboard, _, rest = step.rpartition(":")
        changes += (one.key_down if rest[0] == "+" else one.key_up)(keyboard, rest[1:])
    return [(change.owner, change.change) for change in changes]


def test_a_chord_is_down_from_its_key_to_the_first_key_that_goes_up() -> None:
    for first in ("leftctrl", "rightalt", "space"):
        one = matcher("talk")
        assert told(one, "+leftctrl", "+rightalt", "+space") == [("talk", DOWN)]
        assert told(one, f"-{first}") == [("talk", UP)]
        assert told(one, "-leftctrl", "-rightalt", "-space") == []


def test_its_key_has_to_come_last() -> None:
    assert told(matcher("talk"), "+space", "+leftctrl", "+leftalt") == []


def test_a_modifier_that_comes_back_does_not_begin_again() -> None:
    one = matcher("talk")
    told(one, "+leftctrl", "+leftalt", "+space", "-leftctrl")

    assert told(one, "+leftctrl", "+space") == []  # space repeats


def test_modifiers_have_to_be_exactly_the_chords() -> None:
    assert told(matcher("plain", "more"), "+F9") == [("plain", DOWN)]
    assert told(matcher("plain", "more"), "+leftctrl", "+F9") == [("more", DOWN)]
    assert told(matcher("plain", "more"), "+leftctrl", "+leftshift", "+F9") == []


def test_a_further_modifier_while_it_is_held_changes_nothing() -> None:
    one = matcher("plain")

    assert told(one, "+F9", "+leftctrl", "-leftctrl", "-F9") == [("plain", DOWN), ("plain", UP)]


def test_a_lone_modifier_is_no_modifier_of_its_own() -> None:
    one = matcher("side")

    assert told(one, "+rightctrl", "-rightctrl") == [("side", DOWN), ("side", UP)]


def test_modifiers_may_be_on_another_keyboard() -> None:
    one = matcher("talk")

    assert told(one, "1:+leftctrl", "2:+leftalt", "2:+space") == [("talk", DOWN)]
    assert told(one, "1:-leftctrl") == [("talk", UP)]


def test_other_keys_are_not_looked_at() -> None:
    one = matcher("plain")

    assert told(one, "+a", "-a", "+F8") == []
    assert "a" not in one.watched


def test_a_keyboard_that_goes_loses_the_chords_it_was_part_of() -> None:
    one = matcher("talk", "plain")
    told(one, "1:+leftctrl", "2:+leftalt", "2:+space", "3:+F9")

    assert one.keyboard_gone("1") == [ChordChange("talk", LOST)]
    assert one.keyboard_gone("1") == []
    assert told(one, "3:-F9") == []  # ctrl and alt were held before it: it was no chord


def test_a_key_that_is_held_on_a_second_keyboard_too_is_not_lost() -> None:
    one = matcher("plain")
    told(one, "1:+F9", "2:+F9")

    assert one.keyboard_gone("1") == []
    assert told(one, "2:-F9") == [("plain", UP)]


def test_after_dropped_events_the_keys_are_where_the_kernel_says() -> None:
    one = matcher("talk")
    told(one, "+leftctrl", "+leftalt", "+space")

    assert one.keyboard_unsure("", ["leftctrl", "leftalt"]) == [ChordChange("talk", LOST)]
    assert told(one, "+space") == [("talk", DOWN)]


KEYS_ON_KEYBOARDS = st.tuples(
    st.sampled_from(["key_down", "key_up", "keyboard_gone"]),
    st.sampled_from(["1", "2"]),
    st.sampled_from(["leftctrl", "rightctrl", "leftalt", "space", "F9", "a"]),
)


@given(st.lists(KEYS_ON_KEYBOARDS, max_size=60))
def test_downs_and_ends_alternate_and_nothing_stays_held(steps: list[tuple[str, str, str]]) -> None:
    one = matcher()
    changes: list[ChordChange] = []
    for step, keyboard, key in steps:
        changes += (
            one.keyboard_gone(keyboard) if step == "keyboard_gone" else getattr(one, step)(keyboard, key)
        )
    changes += [*one.keyboard_gone("1"), *one.keyboard_gone("2")]

    for owner in CHORDS:
        mine = [change for of, change in changes if of == owner]
        assert mine[::2] == [DOWN] * (len(mine) // 2)
        assert DOWN not in mine[1::2]
        assert len(mine) % 2 == 0
