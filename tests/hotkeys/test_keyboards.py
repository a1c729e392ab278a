"""The evdev backend on keyboards that umockdev makes up: the real library, real events, no driver."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("evdev is Linux's", allow_module_level=True)
pytest.importorskip("evdev", reason="the extra evdev is not installed")

from support import umockdev
from support.hotkeys import bindings, listening
from support.running import run
from support.umockdev import DOWN, REPEAT, UP, child_listening, keyboard_bed

from omniid.hotkeys.keyboards import Evdev, bitmap

F9, CTRL, ALT, SPACE = 67, 29, 56, 57
ONCE = [("pressed", "talk"), ("released", "talk")]
real = pytest.mark.skipif(umockdev.why_unavailable() is not None, reason=str(umockdev.why_unavailable()))


@real
def test_repeats_are_no_presses() -> None:
    async def work() -> None:
        async with keyboard_bed() as bed:
            await bed.plug(0)
            async with child_listening("evdev", bed.environment, talk="F9") as heard:
                for value in (DOWN, REPEAT, REPEAT, REPEAT, UP):
                    await bed.key(F9, value)
                await heard.until_said("released", "talk")
                assert heard.said == ONCE

    run(work)


@real
def test_a_chord_over_two_keyboards() -> None:
    async def work() -> None:
        async with keyboard_bed() as bed:
            await bed.plug(0)
            await bed.plug(1)
            async with child_listening("evdev", bed.environment, talk="ctrl+alt+space") as heard:
                await bed.key(CTRL, DOWN, keyboard=1)
                await bed.key(ALT, DOWN, keyboard=1)
                # The modifiers of another keyboard have come when a further key of it has.
                await bed.key(SPACE, DOWN, keyboard=1)
                await heard.until_said("pressed", "talk")
                await bed.key(SPACE, UP, keyboard=1)
                await heard.until_said("released", "talk")
                await bed.key(SPACE, DOWN, keyboard=0)
                await heard.until_told(3)
                await bed.key(ALT, UP, keyboard=1)
                await heard.until_told(4)
                assert heard.said == ONCE * 2

    run(work)


@real
def test_a_keyboard_that_is_plugged_in_later() -> None:
    async def work() -> None:
        async with keyboard_bed() as bed, child_listening("evdev", bed.environment, talk="F9") as heard:
            assert heard.live[0].note == "No keyboard is connected. omniid listens as soon as one is."
            await bed.plug(0)
            await heard.until(lambda: heard.live[-1].note is None)
            await bed.key(F9, DOWN)
            await heard.until_said("pressed", "talk")
            await bed.unplug(0)
            await heard.until_said("lost", "talk", "keyboard_gone")
            await heard.until(lambda: heard.live[-1].note is not None)
            await bed.plug(1)
            await heard.until(lambda: heard.live[-1].note is None)
            await bed.key(F9, DOWN, keyboard=1)
            await bed.key(F9, UP, keyboard=1)
            await heard.until_said("released", "talk")
            assert heard.said == [("pressed", "talk"), ("lost", "talk", "keyboard_gone"), *ONCE]

    run(work)


@real
def test_dropped_events_release_the_key_at_once() -> None:
    async def work() -> None:
        async with keyboard_bed() as bed:
            await bed.plug(0)
            async with child_listening("evdev", bed.environment, talk="F9") as heard:
                await bed.key(F9, DOWN)
                await heard.until_said("pressed", "talk")
                await bed.drop()
                await heard.until_said("lost", "talk", "events_dropped")
                await bed.key(F9, DOWN)
                await bed.key(F9, UP)
                await heard.until_said("released", "talk")
                assert heard.said == [("pressed", "talk"), ("lost", "talk", "events_dropped"), *ONCE]

    run(work)


@real
def test_a_second_keyboard_that_goes_takes_nothing_with_it() -> None:
    async def work() -> None:
        async with keyboard_bed() as bed:
            await bed.plug(0)
            await bed.plug(1)
            async with child_listening("evdev", bed.environment, talk="F9", more="F8") as heard:
                await bed.key(F9, DOWN)
                await heard.until_said("pressed", "talk")
                await bed.unplug(1)
                await bed.plug(2)
                await bed.key(F9, UP)
                await heard.until_said("released", "talk")
                assert heard.said == ONCE

    run(work)


def test_keyboards_that_may_not_be_read(tmp_path: Path) -> None:
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("root may read everything, and setpriv is not installed")
    node = tmp_path / "event0"
    node.touch(mode=0)
    for folder in (tmp_path, *list(tmp_path.parents)[:2]):
        folder.chmod(0o755)
    other = ["setpriv", "--reuid=65534", "--clear-groups"] if os.geteuid() == 0 else []

    async def work() -> None:
        environment = dict(os.environ) | {"OMNIID_TEST_KEYBOARDS": str(tmp_path)}
        async with child_listening("evdev", environment, *other, talk="F9") as heard:
            assert heard.error is not None
            assert heard.error.code == "no_keyboard_access"
            assert "usermod -aG input" in heard.error.message
            assert "every program of yours can then read every key" in heard.error.message

    run(work)


def test_a_system_without_input_devices(tmp_path: Path) -> None:
    async def work() -> None:
        async with listening(Evdev(tmp_path / "input"), bindings(talk="F9")) as heard:
            assert heard.error is not None
            assert heard.error.code == "no_keyboard"

    run(work)


def test_the_kernels_form_of_a_set() -> None:
    assert bitmap([0, 1]) == b"\x03" + bytes(7)
    assert bitmap([67, 29]) == (1 << 29 | 1 << 67).to_bytes(16, "little")
