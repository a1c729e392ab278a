"""The portal backend against the real xdg-desktop-portal, with a desktop behind it that the test plays."""

from __future__ import annotations

import asyncio
import sys

import pytest

if sys.platform != "linux":
    pytest.skip("the portal is Linux's", allow_module_level=True)

from support import portal
from support.hotkeys import bindings, listening
from support.running import run

from omniid.hotkeys.chord import parse
from omniid.hotkeys.contract import Binding
from omniid.hotkeys.portal import Portal
from omniid.hotkeys.portal_words import ReleaseWatch, note_of, shortcut_id, trigger

real = pytest.mark.skipif(portal.why_unavailable() is not None, reason=str(portal.why_unavailable()))


@pytest.mark.parametrize(
    ("chord", "written"),
    [
        ("ctrl+alt+space", "CTRL+ALT+space"),
        ("super+F9", "LOGO+F9"),
        ("ctrl+shift+pageup", "CTRL+SHIFT+Prior"),
        ("rightctrl", "Control_R"),
    ],
)
def test_a_chord_in_the_portals_form(chord: str, written: str) -> None:
    assert trigger(parse(chord)) == written


def test_an_owner_as_a_name_for_every_desktop() -> None:
    assert shortcut_id("hotkey:default") == "hotkey-default"
    owners = ["hotkey:a b", "hotkey:a-b", "hotkey:a_b", "hotkey:a:b", "hotkey:äb"]
    assert len({shortcut_id(owner) for owner in owners}) == len(owners)


def test_the_note_says_which_keys_the_desktop_gave() -> None:
    wanted = [Binding("hotkey:default", parse("ctrl+alt+space")), Binding("hotkey:cancel", parse("F9"))]

    given = note_of(wanted, {"hotkey-default": "Ctrl+Alt+Space", "hotkey-cancel": "F9"})
    missing = note_of(wanted, {"hotkey-cancel": "F9"})

    assert given == "Your desktop gave omniid: Ctrl+Alt+Space, F9."
    assert missing.endswith("bind = CTRL ALT, space, global, :hotkey-default")


def test_a_second_press_long_after_the_first_shows_that_releases_are_not_told() -> None:
    watch = ReleaseWatch()

    assert [watch.activated("talk", now) for now in (1.0, 1.6, 1.64, 5.0)] == [False, False, False, True]
    assert not watch.are_seen
    assert not watch.activated("talk", 9.0)

    watch.deactivated("talk")

    assert watch.are_seen
    assert not watch.activated("talk", 20.0)


@real
def test_the_desktop_is_asked_for_the_key_and_says_which_it_gave() -> None:
    async def work() -> None:
        wanted = [Binding("hotkey:default", parse("ctrl+alt+space"), label="Speak")]
        async with portal.desktop() as desktop, listening(Portal(desktop.address), wanted) as heard:
            asked = await desktop.until_asked()

            assert asked == {
                "hotkey-default": {"description": "Speak", "preferred_trigger": "CTRL+ALT+space"}
            }
            assert heard.live[0].note == "Your desktop gave omniid: Ctrl+Alt+Space."

            await desktop.order("move", "F12")
            await heard.until(lambda: len(heard.live) == 2)
            assert heard.live[1].note == "Your desktop gave omniid: F12."

    run(work)


@real
def test_several_keys_have_owners_of_their_own() -> None:
    async def work() -> None:
        wanted = bindings(**{"hotkey:default": "F9", "hotkey:notes": "F8"})
        async with portal.desktop() as desktop, listening(Portal(desktop.address), wanted) as heard:
            await desktop.order("activate", "hotkey-notes")
            await desktop.order("activate", "hotkey-default")
            await desktop.order("deactivate", "hotkey-notes")
            await heard.until_said("released", "hotkey:notes")

            assert heard.said == [
                ("pressed", "hotkey:notes"),
                ("pressed", "hotkey:default"),
                ("released", "hotkey:notes"),
            ]

    run(work)


@real
def test_a_session_that_the_desktop_closes_loses_the_key() -> None:
    async def work() -> None:
        async with portal.desktop() as desktop:
            async with listening(Portal(desktop.address), bindings(talk="F9")) as heard:
                await desktop.order("activate", "talk")
                await heard.until_said("pressed", "talk")
                await desktop.order("close")
                error = await heard.until_failed()

                assert error.code == "session_closed"
                assert heard.said == [("pressed", "talk"), ("lost", "talk", "session_closed")]
            async with listening(Portal(desktop.address), bindings(talk="F9")) as heard:
                await desktop.order("activate", "talk")
                await heard.until_said("pressed", "talk")

    run(work)


@real
def test_a_bus_that_dies_loses_the_key() -> None:
    async def work() -> None:
        async with (
            portal.desktop() as desktop,
            listening(Portal(desktop.address), bindings(talk="F9")) as heard,
        ):
            await desktop.order("activate", "talk")
            await heard.until_said("pressed", "talk")
            await desktop.kill("bus")
            error = await heard.until_failed()

            assert error.code == "server_gone"
            assert heard.said == [("pressed", "talk"), ("lost", "talk", "server_gone")]

    run(work)


@real
@pytest.mark.parametrize("what", ["bus", "portal"])
def test_a_bus_or_a_portal_that_hangs_is_given_up(what: str) -> None:
    async def work() -> None:
        async with portal.desktop() as desktop:
            desktop.hang(what)
            backend = Portal(desktop.address, answer_within_s=0.5)
            async with listening(backend, bindings(talk="F9")) as heard:
                assert heard.error is not None
                assert heard.error.code == "no_portal"
                assert "answer" in heard.error.message

    run(work)


@real
def test_a_desktop_that_tells_no_releases_makes_the_key_a_toggle() -> None:
    async def work() -> None:
        async with (
            portal.desktop() as desktop,
            listening(Portal(desktop.address), bindings(talk="F9")) as heard,
        ):
            await desktop.order("activate", "talk")
            await heard.until_said("pressed", "talk")
            await asyncio.sleep(1.1)  # longer than a held key takes to repeat
            await desktop.order("activate", "talk")
            await heard.until(lambda: not heard.live[-1].sees_releases)
            assert heard.said == [("pressed", "talk"), ("lost", "talk", "no_release")]

            await desktop.order("activate", "talk")  # the assistant takes each press for a toggle now
            await heard.until_said("released", "talk")
            assert heard.said[2:] == [("pressed", "talk"), ("released", "talk")]

            await desktop.order("deactivate", "talk")
            await heard.until(lambda: heard.live[-1].sees_releases)

    run(work)


@real
def test_a_user_who_says_no() -> None:
    async def work() -> None:
        async with portal.desktop() as desktop:
            await desktop.order("answer", "refused")
            async with listening(Portal(desktop.address), bindings(talk="F9")) as heard:
                assert heard.error is not None
                assert heard.error.code == "key_refused"

    run(work)


@real
def test_a_user_who_does_not_answer_is_waited_for_until_the_portal_goes() -> None:
    async def work() -> None:
        async with portal.desktop() as desktop, asyncio.TaskGroup() as group:
            await desktop.order("answer", "never")

            async def listen() -> None:
                async with listening(Portal(desktop.address), bindings(talk="F9")) as heard:
                    assert heard.error is not None
                    assert heard.error.code == "server_gone"

            waiting = group.create_task(listen())
            await desktop.until_asked()
            assert not waiting.done()
            await desktop.kill("portal")
            await waiting

    run(work)


@real
@pytest.mark.parametrize(("backend", "frontend"), [(False, True), (False, False)])
def test_a_desktop_without_global_shortcuts(backend: bool, frontend: bool) -> None:
    async def work() -> None:
        async with (
            portal.desktop(backend=backend, portal=frontend) as desktop,
            listening(Portal(desktop.address), bindings(talk="F9")) as heard,
        ):
            assert heard.error is not None
            assert heard.error.code == "no_portal"
            assert "offers no global shortcuts" in heard.error.message

    run(work)


@pytest.mark.parametrize("address", ["unix:path=/nonexistent/bus", "nonsense", ""])
def test_no_session_bus(address: str) -> None:
    async def work() -> None:
        async with listening(Portal(address), bindings(talk="F9")) as heard:
            assert heard.error is not None
            assert heard.error.code == "no_portal"

    run(work)


def test_no_session_bus_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DBUS_SESSION_BUS_ADDRESS", "DISPLAY"):
        monkeypatch.delenv(name, raising=False)

    async def work() -> None:
        async with listening(Portal(), bindings(talk="F9")) as heard:
            assert heard.error is not None
            assert heard.error.code == "no_portal"

    run(work)
