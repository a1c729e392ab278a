"""From a key to an event: owners, profiles, and what a backend cannot see."""

from __future__ import annotations

import pytest

from omniid.config import Hotkey, Profile
from omniid.errors import NotFoundError
from omniid.events import (
    Event,
    HotkeyChanged,
    KeyLost,
    KeyPressed,
    KeyReleased,
    Manner,
    TakeCancelRequested,
)
from omniid.hotkeys.contract import Live
from omniid.hotkeys.hotkeys import NotLive
from omniid.keys import CANCEL, MAIN, KeyDesk, bindings, manner

GERMAN = Profile(name="german", key="f9", mode="toggle", language="de", model="base", speak=False)
NO_KEY = Profile(name="quiet", speak=False)
SETTINGS = Hotkey(key="f8", cancel_key="ctrl+escape", mode="hold", profiles=[GERMAN, NO_KEY])


class Posted(list[Event]):
    def desk(self) -> KeyDesk:
        return KeyDesk(SETTINGS, self.append)


def test_every_key_has_an_owner_of_its_own() -> None:
    assert {binding.owner: str(binding.chord) for binding in bindings(SETTINGS)} == {
        MAIN: "F8",
        f"{MAIN}:german": "F9",
        CANCEL: "ctrl+escape",
    }


def test_a_press_begins_a_take_in_its_keys_manner() -> None:
    posted = Posted()
    desk = posted.desk()
    desk.pressed(MAIN)
    desk.pressed(f"{MAIN}:german")

    first, second = posted
    assert isinstance(first, KeyPressed)
    assert isinstance(second, KeyPressed)
    assert (first.owner, first.manner) == (MAIN, Manner("hold"))
    assert second.manner == Manner("toggle", "german", "de", "base", speak=False)
    assert first.take_id != second.take_id


def test_the_other_edges_are_passed_on() -> None:
    posted = Posted()
    desk = posted.desk()
    desk.released(MAIN)
    desk.lost(MAIN, "keyboard_gone")

    assert posted == [KeyReleased(MAIN), KeyLost(MAIN, "keyboard_gone")]


def test_the_cancel_key_only_cancels() -> None:
    posted = Posted()
    desk = posted.desk()
    desk.pressed(CANCEL)
    desk.released(CANCEL)
    desk.lost(CANCEL, "keyboard_gone")

    assert posted == [TakeCancelRequested(CANCEL)]


def test_a_key_whose_release_nobody_sees_toggles() -> None:
    posted = Posted()
    desk = posted.desk()
    desk.changed(Live("portal", sees_releases=False))
    desk.pressed(MAIN)

    changed, pressed = posted
    assert changed == HotkeyChanged("portal", sees_releases=False)
    assert isinstance(pressed, KeyPressed)
    assert pressed.manner.mode == "toggle"


def test_no_backend_at_all_is_told_with_what_to_do() -> None:
    posted = Posted()
    posted.desk().changed(NotLive("no_display", "Bind `omniid listen` yourself."))

    assert posted == [HotkeyChanged(None, advice="Bind `omniid listen` yourself.")]


def test_a_verb_may_name_a_profile() -> None:
    assert manner(SETTINGS, None, "toggle") == Manner("toggle")
    assert manner(SETTINGS, "quiet", "hold") == Manner("hold", "quiet", speak=False)
    with pytest.raises(NotFoundError, match="'german', 'quiet'"):
        manner(SETTINGS, "french", "hold")
