from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniid.errors import HotkeyError
from omniid.hotkeys.chord import Chord, ChordError, parse
from omniid.hotkeys.keynames import KEYS, MODIFIER_OF, MODIFIERS, NEEDED_FOR_TYPING


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("ctrl+alt+space", "ctrl+alt+space"),
        ("Alt + Control + Space", "ctrl+alt+space"),
        ("super+f9", "super+F9"),
        ("Cmd+Shift+F9", "shift+super+F9"),
        ("F9", "F9"),
        ("pause", "pause"),
        ("RightCtrl", "rightctrl"),
        ("altgr", "rightalt"),
        ("ctrl+esc", "ctrl+escape"),
        ("win+return", "super+enter"),
        ("ctrl+rightalt", "ctrl+rightalt"),
    ],
)
def test_a_chord_has_one_canonical_form(text: str, canonical: str) -> None:
    assert str(parse(text)) == canonical


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it is empty"),
        ("ctrl+", "a name is missing beside a +"),
        ("+space", "a name is missing beside a +"),
        ("ctrl+ctrl+space", "it names a modifier twice"),
        ("ctrl+control+space", "it names a modifier twice"),
        ("a+b", "a is not a modifier; they are ctrl, alt, shift, super"),
        ("hyper+b", "there is no modifier 'hyper'"),
        ("rightctrl+space", "either side counts: write ctrl for rightctrl"),
        ("ctrl+alt", "it ends with a modifier; add a key, or say which side: rightalt"),
        ("super", "or say which side: rightsuper"),
        ("ctrl+spce", "there is no key 'spce'; did you mean space"),
        ("ctrl+🎤", "there is no key '🎤'."),
        ("a", "it would take that key away from typing; add ctrl, alt or super"),
        ("shift+a", "it would take that key away from typing"),
        ("ctrl+rightctrl", "it names ctrl twice"),
    ],
)
def test_what_is_wrong_is_said_with_examples(text: str, why: str) -> None:
    with pytest.raises(ChordError) as caught:
        parse(text)

    assert why in caught.value.message
    assert caught.value.message.endswith("Examples: ctrl+alt+space, super+F9, F9, pause, rightctrl.")
    assert caught.value.code == "bad_chord"


def test_a_bad_chord_is_an_error_for_validators_and_for_listeners() -> None:
    assert issubclass(ChordError, HotkeyError)
    assert issubclass(ChordError, ValueError)


@given(st.sampled_from(sorted(KEYS)), st.frozensets(st.sampled_from(MODIFIERS)))
def test_the_canonical_form_means_the_same(key: str, modifiers: frozenset[str]) -> None:
    chord = Chord(key, modifiers)
    if MODIFIER_OF.get(key) in modifiers or (key in NEEDED_FOR_TYPING and not modifiers - {"shift"}):
        with pytest.raises(ChordError):
            parse(str(chord))
    else:
        assert parse(str(chord)) == chord


@given(st.text(max_size=30))
def test_no_text_breaks_it(text: str) -> None:
    try:
        chord = parse(text)
    except ChordError as error:
        assert error.message  # noqa: PT017 - most texts name no chord
    else:
        assert parse(str(chord)) == chord


def test_the_settings_can_load_it_for_little() -> None:
    program = "import sys, omniid.hotkeys.chord; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout

    assert not {"asyncio", "Xlib", "dbus_fast", "evdev", "pynput", "structlog"} & set(loaded.split())
