"""The macOS backend's own part; and where pynput is installed without a Mac, all of it on an X server."""

from __future__ import annotations

import asyncio
import importlib.util
from types import SimpleNamespace

import pytest
from support import xvfb
from support.hotkeys import Heard, bindings, listening
from support.running import run

from omniid.hotkeys import macos
from omniid.hotkeys.filtered import FilteredKeys
from omniid.hotkeys.keynames import KEYS
from omniid.hotkeys.macos import MAC_CODES, MacOS, may_listen, name_of
from omniid.hotkeys.matcher import ChordMatcher


def test_pynputs_keys_have_our_names() -> None:
    space = SimpleNamespace(value=SimpleNamespace(vk=0x31))  # a member of its enumeration
    letter = SimpleNamespace(vk=0x00, char="a")

    assert name_of(space, MAC_CODES) == "space"
    assert name_of(letter, MAC_CODES) == "a"
    assert name_of(SimpleNamespace(vk=0xFFFF), MAC_CODES) is None
    assert name_of(None, MAC_CODES) is None  # a key that it could not name


def test_a_key_that_no_mac_has() -> None:
    async def work() -> None:
        async with listening(MacOS(), bindings(talk="pause")) as heard:
            assert heard.error is not None
            assert heard.error.code == "bad_chord"
            assert "no pause" in heard.error.message

    run(work)


def test_without_the_permission_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(macos, "may_listen", lambda: False)  # only macOS can refuse
    monkeypatch.setattr(macos, "_library", lambda: None)

    async def work() -> None:
        async with listening(MacOS(), bindings(talk="F9")) as heard:
            assert heard.error is not None
            assert heard.error.code == "no_keyboard_access"
            assert "Input Monitoring" in heard.error.message

    run(work)


def test_repeats_are_no_presses_and_a_press_long_after_ends_one_whose_release_was_hidden(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def work() -> None:
        chords = {binding.owner: binding.chord for binding in bindings(talk="F9")}
        heard, now = Heard(), 100.0
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "time", lambda: now)
        with FilteredKeys(chords, heard) as filtered:
            keyboard = macos._Keyboard(ChordMatcher(chords), filtered)
            for after_s in (0, 0.5, 0.03, 0.03):
                now += after_s
                keyboard.on_key("F9", True)
            assert heard.said == [("pressed", "talk")]
            now = 110.0
            keyboard.on_key("F9", True)
            assert heard.said == [("pressed", "talk"), ("lost", "talk", "no_release")]
            for is_down in (False, True):
                now += 1
                keyboard.on_key("F9", is_down)
            assert heard.said[2:] == [("pressed", "talk")]
            monkeypatch.undo()

    run(work)


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnhandledThreadExceptionWarning"
)  # how pynput's listener dies
@pytest.mark.skipif(xvfb.why_unavailable() is not None, reason=str(xvfb.why_unavailable()))
@pytest.mark.skipif(importlib.util.find_spec("pynput") is None, reason="pynput is not installed")
def test_with_pynputs_listener_for_x(monkeypatch: pytest.MonkeyPatch) -> None:
    from Xlib import XK  # noqa: PLC0415 - absent on macOS

    codes = {XK.string_to_keysym(key.keysym): key.name for key in KEYS.values()}  # what it calls keys on X
    assert may_listen()

    async def work() -> None:
        with xvfb.Xvfb() as server:
            monkeypatch.setenv("DISPLAY", server.display)
            async with listening(MacOS(codes), bindings(talk="ctrl+F9")) as heard:
                await server.keys("key", "a", "key", "F9", "keydown", "ctrl", "keydown", "F9")
                await heard.until_said("pressed", "talk")
                await server.keys("keyup", "ctrl")
                await heard.until_said("released", "talk")
                await server.keys("keyup", "F9", "keydown", "ctrl", "keydown", "F9")
                await heard.until_told(3)
                server.kill()
                error = await heard.until_failed()

                assert error.code == "server_gone"
                assert heard.said[2:] == [("pressed", "talk"), ("lost", "talk", "server_gone")]

    run(work)
