"""Keeping a backend listening: order, restarts, and what is said about it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from typing import Never

import pytest
from support import portal, xvfb
from support.hotkeys import WITHIN_S, Kept, Opener, bindings, keeping
from support.running import run

from omniid.errors import HotkeyError
from omniid.hotkeys.choice import XWAYLAND_NOTE
from omniid.hotkeys.contract import Binding, Keys, Live
from omniid.hotkeys.hotkeys import Hotkeys, NotLive, Pace, open_backend

WAYLAND = {"WAYLAND_DISPLAY": "wayland-0"}
X_SESSION = {"DISPLAY": ":0"}


class Scripted:
    """A backend that takes a step a start: it fails with that code, or is live until it is told to fail."""

    def __init__(self, name: str, *steps: str) -> None:
        self.starts: list[float] = []
        self.fail = asyncio.Event()
        self.is_silent = asyncio.Event()
        self._name = name
        self._steps = iter(steps)

    @property
    def name(self) -> str:
        return self._name

    async def run(self, _bindings: Sequence[Binding], _keys: Keys, on_live: Callable[[Live], None]) -> Never:
        self.starts.append(asyncio.get_running_loop().time())
        step = next(self._steps, "silent")
        if step == "silent":
            self.is_silent.set()
            await asyncio.Event().wait()
        if step == "live":
            on_live(Live(self.name))
            await self.fail.wait()
            self.fail.clear()
        raise HotkeyError(f"{self.name} failed.", code="server_gone" if step == "live" else step)


def opening(*backends: Scripted) -> Opener:
    return {backend.name: backend for backend in backends}.__getitem__


def test_the_best_that_can_listen_is_live() -> None:
    async def work() -> None:
        backends = (Scripted("portal", "no_portal"), Scripted("evdev", "live"))
        async with keeping("auto", opening(*backends), WAYLAND) as kept:
            await kept.until(lambda: kept.changes)
            assert kept.changes == [Live("evdev")]

    run(work)


def test_one_that_fails_is_started_again_and_every_change_is_told() -> None:
    async def work() -> None:
        x11 = Scripted("x11", "live", "no_display", "no_display", "live")
        async with keeping("auto", opening(x11), X_SESSION) as kept:
            await kept.until(lambda: kept.changes)
            x11.fail.set()
            await kept.until(lambda: kept.live[-1:] == ["x11"] and len(kept.changes) > 1)
            codes = [change.code for change in kept.changes if isinstance(change, NotLive)]
            assert kept.live == ["x11", None, None, "x11"]
            assert codes == ["server_gone", "no_display"]

    run(work)


def test_a_failure_that_lasts_is_told_once_and_tried_ever_more_rarely() -> None:
    async def work() -> None:
        x11 = Scripted("x11", *["no_display"] * 8)
        async with keeping("auto", opening(x11), X_SESSION) as kept:
            async with asyncio.timeout(WITHIN_S):
                await x11.is_silent.wait()
            waits = [after - before for before, after in zip(x11.starts, x11.starts[1:], strict=False)]
            assert all(
                wait >= least for wait, least in zip(waits, [0.01, 0.02, 0.04, 0.04, 0.04], strict=False)
            )
            (told,) = kept.changes
            assert isinstance(told, NotLive)
            assert told.code == "no_display"
            assert told.advice.startswith("x11 failed.\nOr bind `omniid listen start`")
            assert "bindsym --no-repeat F9 exec omniid listen start" in told.advice

    run(work)


def test_a_backend_that_proved_itself_is_started_again_at_once() -> None:
    async def work() -> None:
        x11 = Scripted("x11", *["no_display"] * 3, "live", "live")
        pace = Pace(first_wait_s=0.01, longest_wait_s=300, proven_after_s=0.0, slow_after_s=60)
        async with keeping("auto", opening(x11), X_SESSION, pace) as kept:
            await kept.until(lambda: kept.live.count("x11") == 1)
            x11.fail.set()
            await kept.until(lambda: kept.live.count("x11") == 2)
            x11.fail.set()
            await kept.until(lambda: kept.live[-1] is None)

    run(work)


@pytest.mark.parametrize("code", ["bad_chord", "no_library"])
def test_what_would_be_answered_alike_is_not_asked_again(code: str) -> None:
    async def work() -> None:
        backends = (Scripted("portal", code), Scripted("evdev", "no_keyboard", "no_keyboard", "live"))
        async with keeping("auto", opening(*backends), WAYLAND) as kept:
            await kept.until(lambda: "evdev" in kept.live)
            assert len(backends[0].starts) == 1
            told = kept.changes[0]
            assert isinstance(told, NotLive)
            assert told.code == code
            assert told.advice.startswith("portal failed. evdev failed.\n")
            assert kept.live == [None, "evdev"]

    run(work)


def test_when_nothing_can_help_it_waits() -> None:
    async def work() -> None:
        backends = (Scripted("portal", "bad_chord"), Scripted("evdev", "no_library"))
        async with keeping("auto", opening(*backends), WAYLAND) as kept:
            await kept.until(lambda: kept.changes)
            await asyncio.sleep(0.2)  # many times the pace
            assert len(kept.changes) == 1
            assert [len(backend.starts) for backend in backends] == [1, 1]

    run(work)


def test_a_user_who_says_no_is_not_got_round_by_another_way() -> None:
    async def work() -> None:
        backends = (Scripted("portal", "key_refused"), Scripted("evdev", "live"))
        async with keeping("auto", opening(*backends), WAYLAND) as kept:
            await kept.until(lambda: kept.changes)
            await asyncio.sleep(0.2)  # many times the pace
            (told,) = kept.changes
            assert isinstance(told, NotLive)
            assert told.code == "key_refused"
            assert [len(backend.starts) for backend in backends] == [1, 0]

    run(work)


def test_a_desktop_that_takes_its_time_is_told_of() -> None:
    async def work() -> None:
        pace = Pace(slow_after_s=0.05)
        async with keeping("portal", opening(Scripted("portal", "silent")), WAYLAND, pace) as kept:
            await kept.until(lambda: kept.changes)
            (told,) = kept.changes
            assert isinstance(told, NotLive)
            assert told.code == "waiting"
            assert "may be asking" in told.advice

    run(work)


@pytest.mark.parametrize(("wanted", "owners"), [("none", bindings(talk="F9")), ("auto", [])])
def test_when_no_key_is_wanted_it_returns(wanted: str, owners: list[Binding]) -> None:
    async def work() -> None:
        kept = Kept()
        await Hotkeys(wanted, owners, kept.heard, kept.on_change).run()
        assert kept.changes == []

    run(work)


def test_a_system_that_nobody_wrote_a_backend_for() -> None:
    async def work() -> None:
        kept = Kept()
        one = Hotkeys(
            "auto", bindings(talk="F9"), kept.heard, kept.on_change, environ={}, platform="freebsd14"
        )
        async with asyncio.TaskGroup() as group:
            task = group.create_task(one.run())
            await kept.until(lambda: kept.changes)
            task.cancel()
        (told,) = kept.changes
        assert isinstance(told, NotLive)
        assert told.code == "no_backend"
        assert "knows no way" in told.advice

    run(work)


def test_x_that_was_asked_for_under_wayland_says_what_it_cannot_see() -> None:
    async def work() -> None:
        async with keeping("x11", opening(Scripted("x11", "live")), WAYLAND) as kept:
            await kept.until(lambda: kept.changes)
            assert kept.changes == [Live("x11", note=XWAYLAND_NOTE)]

    run(work)


@pytest.mark.skipif(sys.platform != "linux", reason="the library for macOS would be there")
def test_a_library_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "evdev", None)
    monkeypatch.delitem(sys.modules, "omniid.hotkeys.keyboards", raising=False)

    with pytest.raises(HotkeyError) as caught:
        open_backend("evdev")

    assert caught.value.code == "no_library"
    assert "pip install 'omniid[evdev]'" in caught.value.message


@pytest.mark.skipif(xvfb.why_unavailable() is not None, reason=str(xvfb.why_unavailable()))
def test_an_x_server_that_dies_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        with xvfb.Xvfb() as server:
            monkeypatch.setenv("DISPLAY", server.display)
            async with keeping("auto", open_backend, {"DISPLAY": server.display}) as kept:
                await kept.until(lambda: kept.changes)
                await server.keys("keydown", "F9")
                await kept.heard.until_said("pressed", "talk")
                server.kill()
                await kept.heard.until_said("lost", "talk", "server_gone")
                await kept.until(lambda: kept.live[-1] is None)
                with xvfb.Xvfb(server.display) as again:
                    await kept.until(lambda: kept.live[-1] == "x11")
                    await again.keys("key", "F9")
                    await kept.heard.until_said("released", "talk")

    run(work)


@pytest.mark.skipif(portal.why_unavailable() is not None, reason=str(portal.why_unavailable()))
def test_a_portal_that_dies_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        async with portal.desktop() as desktop:
            monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", desktop.address)
            async with keeping("portal", open_backend, WAYLAND) as kept:
                await kept.until(lambda: kept.changes)
                await desktop.kill("portal")
                await kept.until(lambda: kept.live[-1] is None)
                await desktop.start_portal()
                await kept.until(lambda: kept.live[-1] == "portal")
                await desktop.order("activate", "talk")
                await kept.heard.until_said("pressed", "talk")

    run(work)


def test_a_machine_without_a_desktop_is_told_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)

    async def work() -> None:
        async with keeping("portal", open_backend, {}) as kept:
            await kept.until(lambda: kept.changes)
            await asyncio.sleep(0.3)  # many times the pace
            (told,) = kept.changes
            assert isinstance(told, NotLive)
            assert told.code == "no_portal"

    run(work)
