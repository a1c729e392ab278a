"""What every backend does alike, each with the real thing behind it, as far as Linux has it.

macOS's needs a Mac; its parts are tested by themselves.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Protocol

import pytest
from support import portal, umockdev, xvfb
from support.hotkeys import Heard, bindings, listening
from support.running import run
from support.umockdev import DOWN, UP, child_listening

from omniid.hotkeys.x11 import X11

if portal.why_unavailable() is None:
    from omniid.hotkeys.portal import Portal

F9, F8 = 67, 66


class Rig(Protocol):
    """A person's keyboard, and what omniid hears of F9, whose owner is `talk`."""

    heard: Heard

    async def press(self) -> None: ...

    async def release(self) -> None: ...

    async def tap_another(self) -> None: ...

    async def die(self) -> None:
        """Whatever tells of the keys ends."""


class X11Rig:
    def __init__(self, server: xvfb.Xvfb, heard: Heard) -> None:
        self.heard = heard
        self._server = server

    async def press(self) -> None:
        await self._server.keys("keydown", "F9")

    async def release(self) -> None:
        await self._server.keys("keyup", "F9")

    async def tap_another(self) -> None:
        await self._server.keys("key", "F8", "key", "a", "key", "ctrl+F9")

    async def die(self) -> None:
        self._server.kill()


class PortalRig:
    def __init__(self, desktop: portal.Desktop, heard: Heard) -> None:
        self.heard = heard
        self._desktop = desktop

    async def press(self) -> None:
        await self._desktop.order("activate", "talk")

    async def release(self) -> None:
        await self._desktop.order("deactivate", "talk")

    async def tap_another(self) -> None:
        await self._desktop.order("activate", "another")
        await self._desktop.order("deactivate", "another")

    async def die(self) -> None:
        await self._desktop.kill("portal")


class EvdevRig:
    def __init__(self, bed: umockdev.Bed, heard: Heard) -> None:
        self.heard = heard
        self._bed = bed

    async def press(self) -> None:
        await self._bed.key(F9, DOWN)

    async def release(self) -> None:
        await self._bed.key(F9, UP)

    async def tap_another(self) -> None:
        await self._bed.key(F8, DOWN)
        await self._bed.key(F8, UP)

    async def die(self) -> None:
        await self._bed.unplug(0)


@contextlib.asynccontextmanager
async def on_x11() -> AsyncIterator[Rig]:
    with xvfb.Xvfb() as server:
        async with listening(X11(server.display), bindings(talk="F9")) as heard:
            yield X11Rig(server, heard)


@contextlib.asynccontextmanager
async def on_portal() -> AsyncIterator[Rig]:
    async with (
        portal.desktop() as desktop,
        listening(Portal(desktop.address), bindings(talk="F9")) as heard,
    ):
        yield PortalRig(desktop, heard)


@contextlib.asynccontextmanager
async def on_evdev() -> AsyncIterator[Rig]:
    async with umockdev.keyboard_bed() as bed:
        await bed.plug(0)
        async with child_listening("evdev", bed.environment, talk="F9") as heard:
            yield EvdevRig(bed, heard)


Open = Callable[[], contextlib.AbstractAsyncContextManager[Rig]]
RIGS: dict[str, tuple[Open, Callable[[], str | None]]] = {
    "x11": (on_x11, xvfb.why_unavailable),
    "portal": (on_portal, portal.why_unavailable),
    "evdev": (on_evdev, umockdev.why_unavailable),
}


@pytest.fixture(params=RIGS)
def backend(request: pytest.FixtureRequest) -> tuple[str, Open]:
    opens, why_unavailable = RIGS[request.param]
    reason = why_unavailable()
    if reason is not None:
        pytest.skip(reason)
    return request.param, opens


def test_a_press_and_its_release_are_told_once_each(backend: tuple[str, Open]) -> None:
    name, opens = backend

    async def work() -> None:
        async with opens() as rig:
            assert [(live.backend, live.sees_releases) for live in rig.heard.live] == [(name, True)]
            for told in (1, 3, 5):
                await rig.press()
                await rig.heard.until_told(told)
                await rig.release()
                await rig.heard.until_told(told + 1)

            assert rig.heard.said == [("pressed", "talk"), ("released", "talk")] * 3

    run(work)


def test_a_key_that_is_held_when_it_all_ends_is_lost_once(backend: tuple[str, Open]) -> None:
    name, opens = backend

    async def work() -> None:
        async with opens() as rig:
            await rig.press()
            await rig.heard.until_said("pressed", "talk")
            await rig.die()
            await rig.heard.until_told(2)

            reason = "keyboard_gone" if name == "evdev" else "server_gone"
            assert rig.heard.said == [("pressed", "talk"), ("lost", "talk", reason)]
            if name != "evdev":  # it waits for the next keyboard
                assert (await rig.heard.until_failed()).code == "server_gone"

    run(work)


def test_other_keys_are_never_told(backend: tuple[str, Open]) -> None:
    _, opens = backend

    async def work() -> None:
        async with opens() as rig:
            await rig.tap_another()
            await rig.press()
            await rig.tap_another()
            await rig.release()
            await rig.heard.until_said("released", "talk")
            await rig.tap_another()
            await rig.press()
            await rig.heard.until_told(3)

            assert rig.heard.said == [("pressed", "talk"), ("released", "talk"), ("pressed", "talk")]

    run(work)


def test_an_end_that_was_not_asked_for_is_told_before_the_error(backend: tuple[str, Open]) -> None:
    name, opens = backend
    if name == "evdev":
        pytest.skip("a keyboard that goes is no end of evdev's")

    async def work() -> None:
        async with opens() as rig:
            await rig.die()
            error = await rig.heard.until_failed()

            assert error.code == "server_gone"
            assert rig.heard.said == []

    run(work)
