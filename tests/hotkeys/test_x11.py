"""The X backend on a real X server, typed on with xdotool."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

if sys.platform != "linux":
    pytest.skip("X is Linux's", allow_module_level=True)

from support.hotkeys import Heard, bindings, listening
from support.running import run
from support.xvfb import Xvfb, xvfb

from omniid.hotkeys import xkb
from omniid.hotkeys.x11 import X11

__all__ = ["xvfb"]

ONCE = [("pressed", "talk"), ("released", "talk")]


@asynccontextmanager
async def heard_on(server: Xvfb, **chords: str) -> AsyncIterator[Heard]:
    async with listening(X11(server.display), bindings(**chords)) as heard:
        assert heard.error is None
        yield heard


def check(server: Xvfb, steps: Callable[[Heard], Awaitable[None]], **chords: str) -> list[tuple[str, ...]]:
    """What is told of some keys while the steps are done."""
    heards: list[Heard] = []

    async def work() -> None:
        async with heard_on(server, **chords) as heard:
            heards.append(heard)
            await steps(heard)

    run(work)
    return heards[0].said


async def hold_for(server: Xvfb, seconds: float) -> None:
    """An idle Xvfb keeps repeats to itself until somebody asks it something."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while loop.time() < end:
        await server.keys("getmouselocation")


@pytest.mark.parametrize("detectable", [True, False])
def test_a_held_key_is_one_press(xvfb: Xvfb, monkeypatch: pytest.MonkeyPatch, detectable: bool) -> None:
    if not detectable:  # a server without the extension: repeats come as releases and presses
        monkeypatch.setattr(xkb, "use", lambda _display: None)

    async def steps(heard: Heard) -> None:
        await xvfb.keys("keydown", "F9")
        await hold_for(xvfb, 1.5)
        assert heard.said == [("pressed", "talk")]
        await xvfb.keys("keyup", "F9")
        await heard.until_said("released", "talk")

    assert check(xvfb, steps, talk="F9") == ONCE


@pytest.mark.parametrize("first", ["ctrl", "alt", "space"])
def test_a_chord_ends_with_the_first_key_that_goes_up(xvfb: Xvfb, first: str) -> None:
    async def steps(heard: Heard) -> None:
        await xvfb.keys("keydown", "ctrl", "keydown", "alt", "keydown", "space")
        await heard.until_said("pressed", "talk")
        await xvfb.keys("keyup", first)
        await heard.until_said("released", "talk")
        await hold_for(xvfb, 1.0)  # space repeats, with the other modifier still down
        await xvfb.keys("keyup", "space", "keyup", "alt", "keyup", "ctrl")

    assert check(xvfb, steps, talk="ctrl+alt+space") == ONCE


def test_what_is_typed_while_the_key_is_held_is_not_told(xvfb: Xvfb) -> None:
    async def steps(heard: Heard) -> None:
        await xvfb.keys("keydown", "F9", "key", "a", "key", "F8", "keydown", "shift", "keyup", "shift")
        await xvfb.keys("keyup", "F9")
        await heard.until_said("released", "talk")

    assert check(xvfb, steps, talk="F9") == ONCE


@pytest.mark.parametrize("lock", ["Num_Lock", "Caps_Lock"])
def test_a_lock_makes_no_difference(xvfb: Xvfb, lock: str) -> None:
    async def steps(heard: Heard) -> None:
        await xvfb.keys("key", lock)
        await xvfb.keys("keydown", "F9")
        await heard.until_said("pressed", "talk")
        await xvfb.keys("key", lock, "keyup", "F9")
        await heard.until_said("released", "talk")

    assert check(xvfb, steps, talk="F9") == ONCE


def test_several_keys_have_owners_of_their_own(xvfb: Xvfb) -> None:
    async def steps(heard: Heard) -> None:
        await xvfb.keys("key", "ctrl+F9")
        await heard.until_said("released", "more")
        await xvfb.keys("key", "F9")
        await heard.until_said("released", "talk")

    said = check(xvfb, steps, talk="F9", more="ctrl+F9")
    assert [owner for _, owner in said] == ["more", "more", "talk", "talk"]


def test_two_keys_held_one_over_the_other(xvfb: Xvfb) -> None:
    """The server stops telling us when the first goes up; the second must not stay held for ever."""

    async def steps(heard: Heard) -> None:
        await xvfb.keys("keydown", "F9")
        await heard.until_said("pressed", "talk")
        await xvfb.keys("keydown", "F8")
        await heard.until_said("pressed", "cancel")
        await xvfb.keys("keyup", "F9")
        await heard.until_said("released", "talk")
        await hold_for(xvfb, 1.0)  # F8 repeats
        await xvfb.keys("keyup", "F8")
        assert heard.said[2:] == [("lost", "cancel", "no_release"), ("released", "talk")]
        await xvfb.keys("keydown", "F8")
        await heard.until_told(5)
        await xvfb.keys("keyup", "F8")
        await heard.until_told(6)

    said = check(xvfb, steps, talk="F9", cancel="F8")
    assert said[4:] == [("pressed", "cancel"), ("released", "cancel")]


def test_a_modifier_by_itself(xvfb: Xvfb) -> None:
    from Xlib import XK, X  # noqa: PLC0415 - absent on macOS
    from Xlib.display import Display  # noqa: PLC0415 - absent on macOS

    display = Display(xvfb.display)
    right_ctrl = display.keysym_to_keycode(XK.string_to_keysym("Control_R"))

    async def steps(heard: Heard) -> None:
        for edge in (X.KeyPress, X.KeyRelease):  # xdotool would hold the left one with it
            display.xtest_fake_input(edge, right_ctrl)
            display.sync()
        await heard.until_said("released", "talk")

    try:
        assert check(xvfb, steps, talk="rightctrl") == ONCE
    finally:
        display.close()


def test_the_focus_makes_no_difference(xvfb: Xvfb) -> None:
    from Xlib import X  # noqa: PLC0415 - absent on macOS
    from Xlib.display import Display  # noqa: PLC0415 - absent on macOS

    display = Display(xvfb.display)
    root = display.screen().root
    windows = [
        root.create_window(0, 0, 50, 50, 0, X.CopyFromParent, event_mask=X.KeyPressMask | X.KeyReleaseMask)
        for _ in "ab"
    ]
    for window in windows:
        window.map()

    async def steps(heard: Heard) -> None:
        for window in windows:
            window.set_input_focus(X.RevertToParent, X.CurrentTime)
            display.sync()
            await xvfb.keys("keydown", "F9")
            await heard.until(lambda: heard.said[-1:] == [("pressed", "talk")])
            display.set_input_focus(X.PointerRoot, X.RevertToParent, X.CurrentTime)
            display.sync()
            await xvfb.keys("keyup", "F9")
            await heard.until(lambda: heard.said[-1:] == [("released", "talk")])

    try:
        assert check(xvfb, steps, talk="F9") == ONCE * 2
        told = [display.next_event().type for _ in range(display.pending_events())]
        assert X.KeyPress not in told
        assert X.KeyRelease not in told
    finally:
        display.close()


@pytest.mark.parametrize("detectable", [True, False])
def test_a_changed_layout_moves_the_key(
    xvfb: Xvfb, monkeypatch: pytest.MonkeyPatch, detectable: bool
) -> None:
    if not detectable:  # then the core's own event tells of it
        monkeypatch.setattr(xkb, "use", lambda _display: None)

    async def steps(heard: Heard) -> None:
        await xvfb.keys("key", "ctrl+y")
        await heard.until_said("released", "talk")
        await xvfb.do("setxkbmap", "de")  # y and z change places
        while len(heard.said) == 2:
            await xvfb.keys("key", "ctrl+y")
            await hold_for(xvfb, 0.1)
        assert heard.said[2] == ("pressed", "talk")
        before = len(heard.said)
        await xvfb.keys("key", "ctrl+z")  # where y was
        await xvfb.keys("keydown", "ctrl+y")
        await heard.until(lambda: heard.said[-1] == ("pressed", "talk") and len(heard.said) > before)
        await xvfb.keys("keyup", "ctrl+y")

    said = check(xvfb, steps, talk="ctrl+y")
    assert said[::2] == [("pressed", "talk")] * (len(said) // 2)


def test_a_held_key_is_lost_when_the_layout_moves_it(xvfb: Xvfb) -> None:
    async def steps(heard: Heard) -> None:
        await xvfb.keys("keydown", "ctrl", "keydown", "y")
        await heard.until_said("pressed", "talk")
        await xvfb.do("setxkbmap", "de")
        await heard.until_said("lost", "talk", "layout_changed")
        await xvfb.keys("keyup", "ctrl")

    assert check(xvfb, steps, talk="ctrl+y") == [("pressed", "talk"), ("lost", "talk", "layout_changed")]


def test_a_held_key_stays_held_when_the_layout_leaves_it_where_it_is(xvfb: Xvfb) -> None:
    async def steps(heard: Heard) -> None:
        await xvfb.keys("keydown", "F9")
        await heard.until_said("pressed", "talk")
        await xvfb.do("setxkbmap", "de")
        await hold_for(xvfb, 0.5)
        await xvfb.keys("keyup", "F9")
        await heard.until_said("released", "talk")

    assert check(xvfb, steps, talk="F9") == ONCE


def test_a_key_that_another_program_has_is_named(xvfb: Xvfb) -> None:
    async def work() -> None:
        async with (
            heard_on(xvfb, talk="F9"),
            listening(X11(xvfb.display), bindings(talk="F9")) as refused,
        ):
            assert refused.error is not None
            assert refused.error.code == "key_taken"
            assert "Another program already has the key F9" in refused.error.message
            assert "hotkey.key" in refused.error.message

    run(work)


def test_the_other_keys_work_when_one_is_taken(xvfb: Xvfb) -> None:
    async def work() -> None:
        async with heard_on(xvfb, first="F9"), heard_on(xvfb, first="F9", second="F8") as heard:
            assert heard.live[0].note is not None
            assert "already has the key F9" in heard.live[0].note
            await xvfb.keys("key", "F8")
            await heard.until_said("released", "second")
            assert heard.said == [("pressed", "second"), ("released", "second")]

    run(work)


def test_a_key_that_was_let_go_can_be_had_again(xvfb: Xvfb) -> None:
    async def work() -> None:
        for _ in range(3):
            async with heard_on(xvfb, talk="F9"):
                pass

    run(work)


def test_a_key_that_no_keyboard_has(xvfb: Xvfb) -> None:
    async def work() -> None:
        async with listening(X11(xvfb.display), bindings(talk="F24")) as heard:
            assert heard.error is not None
            assert heard.error.code == "bad_chord"
            assert "no F24" in heard.error.message

    run(work)


def test_a_key_held_at_the_end_is_lost(xvfb: Xvfb) -> None:
    async def steps(heard: Heard) -> None:
        await xvfb.keys("keydown", "F9")
        await heard.until_said("pressed", "talk")

    assert check(xvfb, steps, talk="F9") == [("pressed", "talk"), ("lost", "talk", "stopped")]


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # python-xlib leaves its own open
def test_no_display() -> None:
    async def work() -> None:
        before = open_sockets()
        async with listening(X11(":4242"), bindings(talk="F9")) as heard:
            assert heard.error is not None
            assert heard.error.code == "no_display"
            assert open_sockets() == before

    run(work)


def test_a_server_that_hangs_is_given_up(xvfb: Xvfb) -> None:
    async def work() -> None:
        xvfb.hang()
        try:
            async with listening(X11(xvfb.display, answer_within_s=0.5), bindings(talk="F9")) as heard:
                assert heard.error is not None
                assert heard.error.code == "no_display"
                assert "has not answered for 0.5 s" in heard.error.message
        finally:
            xvfb.go_on()
        await asyncio.to_thread(join_hotkeys_threads)
        await asyncio.sleep(0)  # what they handed over
        await asyncio.to_thread(join_hotkeys_threads)
        async with heard_on(xvfb, talk="F9"):
            pass  # the late connection holds no key

    run(work)


def open_sockets() -> int:
    return sum("socket:" in os.path.realpath(entry.path) for entry in os.scandir("/proc/self/fd"))


def join_hotkeys_threads() -> None:
    for thread in threading.enumerate():
        if thread.name.startswith("hotkeys"):
            thread.join(60)


def test_a_hanging_server_does_not_hold_up_the_event_loop(xvfb: Xvfb) -> None:
    async def work() -> None:
        async with heard_on(xvfb, talk="F9") as heard:
            xvfb.hang()
            try:
                ticks = [await asyncio.sleep(0.001, tick) for tick in range(100)]
                assert len(ticks) == 100
            finally:
                xvfb.go_on()
            await xvfb.keys("key", "F9")
            await heard.until_said("released", "talk")

    run(work)
