"""The screen of Linux desktops, against a notification server on a real bus."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("the session bus is Linux's", allow_module_level=True)

from dbus_fast import Message
from support import notification_server as servers
from support.hotkeys import WITHIN_S
from support.notification_server import Desktop
from support.running import run

from omniid.notice_board import Notice
from omniid.notifications.contract import PACE, NotShownError, Pace
from omniid.notifications.freedesktop import Freedesktop

pytestmark = pytest.mark.skipif(servers.why_unavailable() is not None, reason=str(servers.why_unavailable()))

YES_NO = (("yes", "Yes"), ("no", "No"))
ASKED = Notice("question:q1", "omniid asks", "Send it?", YES_NO)
# Long enough for a slow machine to answer, where it answers.
IMPATIENT = Pace(answer_s=2.0)


class Watched:
    def __init__(self, desktop: Desktop, pace: Pace) -> None:
        self.desktop = desktop
        self.clicks: list[tuple[str, str]] = []
        self.clicked = asyncio.Event()
        self.returned = asyncio.Event()
        self.screen = Freedesktop(self.click, self.returned.set, address=desktop.address, pace=pace)

    def click(self, tag: str, key: str) -> None:
        self.clicks.append((tag, key))
        self.clicked.set()

    async def until_heard(self) -> None:
        """All that the server has sent by now has been heard: an answer comes after it."""
        asked = len(self.desktop.notified)
        await self.screen.show(Notice("last", "", ""))
        await self.desktop.until(lambda: len(self.desktop.notified) > asked)


@contextlib.asynccontextmanager
async def watched(
    *, server: bool = True, capabilities: str = servers.ABLE, pace: Pace = PACE
) -> AsyncIterator[Watched]:
    async with servers.desktop(server=server, capabilities=capabilities) as desktop:
        one = Watched(desktop, pace)
        try:
            yield one
        finally:
            await one.screen.close()


def test_a_notice_in_the_servers_words() -> None:
    async def work() -> None:
        async with watched() as one:
            await one.screen.show(
                Notice("question:q1", "<b>omniid</b> asks", "1 < 2 & \x1b[31m3\x1b[0m > 2?\nYes?", YES_NO)
            )
            await one.screen.show(Notice("conversation", "I heard nothing", "", transient=True))
            await one.desktop.until(lambda: len(one.desktop.notified) == 2)
            question, transient = one.desktop.notified

            assert question.title == "<b>omniid</b> asks"
            assert question.body == "1 &lt; 2 &amp; 3 &gt; 2?\nYes?"
            assert question.actions == ["yes", "Yes", "no", "No"]
            assert question.hints == {
                "urgency": 1,
                "transient": False,
                "desktop-entry": "omniid",
                "suppress-sound": True,
            }
            assert (transient.hints["urgency"], transient.hints["transient"]) == (0, True)
            assert (transient.replaces, transient.actions) == (0, [])

    run(work)


@pytest.mark.parametrize(
    ("capabilities", "title", "body", "actions"),
    [
        pytest.param("body actions", "A & B", "1 < 2\n& so on", ["yes", "Yes"], id="no markup"),
        pytest.param("body body-markup", "A & B", "1 &lt; 2\n&amp; so on", [], id="no actions"),
        pytest.param("actions", "A & B: 1 < 2 & so on", "", ["yes", "Yes"], id="no body"),
        pytest.param("", "A & B: 1 < 2 & so on", "", [], id="nothing"),
    ],
)
def test_a_server_that_can_do_less(capabilities: str, title: str, body: str, actions: list[str]) -> None:
    async def work() -> None:
        async with watched(capabilities=capabilities) as one:
            await one.screen.show(Notice("t", "A & B", "1 < 2\n& so on", (("yes", "Yes"),)))
            await one.desktop.until(lambda: len(one.desktop.notified) == 1)
            shown = one.desktop.notified[0]

            assert (shown.title, shown.body, shown.actions) == (title, body, actions)

    run(work)


def test_one_notice_a_tag() -> None:
    async def work() -> None:
        async with watched() as one:
            for tag in ("a", "b", "a"):
                await one.screen.show(Notice(tag, "title", "body"))
            assert one.screen.shows("a")
            await one.screen.withdraw("a")
            assert not one.screen.shows("a")
            await one.screen.withdraw("a")
            await one.screen.withdraw("never shown")
            await one.screen.show(Notice("a", "title", "body"))
            await one.desktop.until(lambda: len(one.desktop.notified) == 4)

            assert [notified.replaces for notified in one.desktop.notified] == [0, 0, 1, 0]
            assert one.desktop.closed == [1]
            assert [name for name, _ in one.desktop.calls].count("GetCapabilities") == 1

    run(work)


def test_clicks() -> None:
    async def work() -> None:
        async with watched() as one:
            await one.screen.show(ASKED)
            await one.screen.show(Notice("sign-in:1", "Please sign in", "", (("default", "Open the page"),)))
            await one.desktop.emit("ActionInvoked", "us", 1, "yes")
            await one.desktop.emit("ActionInvoked", "us", 2, "default")
            await one.until_heard()

            assert one.clicks == [("question:q1", "yes"), ("sign-in:1", "default")]

    run(work)


CLICK = "self.EmitSignal('', 'ActionInvoked', 'us', [9, 'yes'])"
CLICK_AFTERWARDS = (
    "from gi.repository import GLib\n"
    "GLib.idle_add(lambda s=self: s.EmitSignal('', 'ActionInvoked', 'us', [9, 'yes']))"
)


def test_a_click_at_once_after_the_notice_is_shown() -> None:
    async def work() -> None:
        async with watched() as one:
            await one.screen.show(Notice("other", "title", "body"))
            await one.desktop.behave("Notify", "susssasa{sv}i", "u", f"ret = 9\n{CLICK_AFTERWARDS}")
            asyncio.get_running_loop().call_soon(time.sleep, 0.5)  # so that both are read at once
            await one.screen.show(ASKED)
            await asyncio.wait_for(one.clicked.wait(), WITHIN_S)

            assert one.clicks == [("question:q1", "yes")]

    run(work)


def test_a_click_just_before_the_notice_is_replaced_was_for_the_old_one() -> None:
    async def work() -> None:
        async with watched() as one:
            await one.desktop.behave("Notify", "susssasa{sv}i", "u", "ret = 9")
            await one.screen.show(ASKED)
            await one.desktop.behave("Notify", "susssasa{sv}i", "u", f"ret = 9\n{CLICK}")
            await one.screen.show(ASKED)

            assert one.clicks == []

            await one.desktop.emit("ActionInvoked", "us", 9, "yes")
            await one.desktop.behave("Notify", "susssasa{sv}i", "u", "ret = 10")
            await one.until_heard()

            assert one.clicks == [("question:q1", "yes")]

    run(work)


def test_signals_that_are_not_for_us() -> None:
    async def work() -> None:
        async with watched() as one:
            await one.screen.show(ASKED)
            await one.desktop.emit("ActionInvoked", "us", 77, "yes")  # another program's notice
            await one.desktop.emit("ActionInvoked", "us", 1, "format-disk")  # a key that it does not have
            await one.desktop.emit("ActionInvoked", "us", 1, "default")  # nor this one
            await one.desktop.emit("ActionInvoked", "ss", "1", "yes")
            await one.desktop.emit("ActionInvoked", "u", 1)
            await one.desktop.emit("NotificationClosed", "s", "1")
            await one.desktop.emit("NotificationClosed", "uu", 77, 1)
            stranger = await one.desktop.stranger()
            for member, signature, body in (
                ("ActionInvoked", "us", [1, "yes"]),
                ("NotificationClosed", "uu", [1, 2]),
            ):
                forged = Message.new_signal(
                    servers.PATH, servers.NAME, member, signature=signature, body=body
                )
                forged.destination = one.screen._bus.unique_name if one.screen._bus else None
                await stranger.send(forged)
            reply = await stranger.call(
                Message("org.freedesktop.DBus", "/", "org.freedesktop.DBus", "ListNames")
            )
            assert reply is not None
            stranger.disconnect()
            await stranger.wait_for_disconnect()  # type: ignore[no-untyped-call]
            await one.until_heard()

            assert one.clicks == []
            assert one.screen.shows("question:q1")

    run(work)


def test_a_notice_that_is_gone_has_no_clicks() -> None:
    async def work() -> None:
        async with watched() as one:
            await one.screen.show(ASKED)
            await one.screen.withdraw("question:q1")
            await one.desktop.emit("ActionInvoked", "us", 1, "yes")
            await one.screen.show(ASKED)
            await one.desktop.emit("NotificationClosed", "uu", 2, 2)
            await one.desktop.emit("ActionInvoked", "us", 2, "yes")
            await one.until_heard()

            assert one.clicks == []
            assert not one.screen.shows("question:q1")

    run(work)


def test_a_server_that_is_replaced_knows_nothing_and_may_do_less() -> None:
    async def work() -> None:
        async with watched() as one:
            await one.screen.show(Notice("a", "title", "<"))
            await one.desktop.kill("server")
            with pytest.raises(NotShownError, match="dunst or mako") as told:
                await one.screen.show(Notice("a", "title", "<"))
            assert told.value.is_away
            assert told.value.is_lost
            await one.desktop.start_server("body")
            await one.returned.wait()
            await one.screen.show(Notice("a", "title", "<"))
            await one.desktop.until(lambda: len(one.desktop.notified) == 2)

            assert [(shown.replaces, shown.body) for shown in one.desktop.notified] == [(0, "&lt;"), (0, "<")]

    run(work)


def test_a_server_that_ends_over_a_notice_is_not_given_it_again() -> None:
    async def work() -> None:
        async with watched() as one:
            await one.desktop.behave("Notify", "susssasa{sv}i", "u", "import os; os._exit(1)")
            with pytest.raises(NotShownError) as told:
                await one.screen.show(ASKED)

            assert told.value.is_away
            assert not told.value.is_lost

    run(work)


def test_a_server_that_hangs_and_comes_to_itself_shows_one_notice_and_not_two() -> None:
    async def work() -> None:
        async with watched(pace=IMPATIENT) as one:
            await one.screen.show(Notice("other", "title", "body"))
            one.desktop.hang("server")
            for _ in range(2):
                with pytest.raises(NotShownError, match="does not answer") as told:
                    await one.screen.show(ASKED)
                assert told.value.is_away
                assert not told.value.is_lost
            assert one.screen.shows("question:q1")
            one.desktop.resume("server")
            await one.returned.wait()
            await one.desktop.until(lambda: one.desktop.closed == [2])
            await one.desktop.emit("ActionInvoked", "us", 2, "yes")
            await one.desktop.emit("ActionInvoked", "us", 3, "no")
            await one.until_heard()

            assert one.clicks == [("question:q1", "no")]

    run(work)


def test_a_notice_withdrawn_while_the_server_hangs_goes_when_it_is_shown_after_all() -> None:
    async def work() -> None:
        async with watched(pace=IMPATIENT) as one:
            await one.screen.show(Notice("other", "title", "body"))
            one.desktop.hang("server")
            with pytest.raises(NotShownError):
                await one.screen.show(ASKED)
            await one.screen.withdraw("question:q1")
            one.desktop.resume("server")
            await one.desktop.until(lambda: one.desktop.closed == [2])

            assert not one.screen.shows("question:q1")

    run(work)


@pytest.mark.parametrize(
    ("member", "takes", "gives", "code", "says"),
    [
        ("Notify", "susssasa{sv}i", "s", "ret = 'one'", "does not say which"),
        ("Notify", "susssasa{sv}i", "u", "ret = 0", "does not say which"),
        ("Notify", "susssasa{sv}i", "", "", "does not say which"),
        (
            "Notify",
            "susssasa{sv}i",
            "u",
            "raise dbus.exceptions.DBusException('\\x1b[2Jtoo many', name='org.example.TooMany')",
            "refuses a notice: .*too many",
        ),
        ("GetCapabilities", "", "s", "ret = 'body'", "what it can do"),
        ("GetCapabilities", "", "ai", "ret = [1]", "what it can do"),
    ],
)
def test_answers_of_the_wrong_kind(member: str, takes: str, gives: str, code: str, says: str) -> None:
    async def work() -> None:
        async with watched() as one:
            await one.desktop.behave(member, takes, gives, code)
            with pytest.raises(NotShownError, match=says) as told:
                await one.screen.show(ASKED)

            assert not told.value.is_away
            assert "\x1b" not in str(told.value)
            assert not one.screen.shows("question:q1")

    run(work)


def test_at_most_fifty_are_on_the_screen() -> None:
    async def work() -> None:
        async with watched() as one:
            for number in range(52):
                await one.screen.show(Notice(f"t{number}", "title", "body"))
            await one.desktop.until(lambda: one.desktop.closed == [1, 2])

            assert not one.screen.shows("t1")
            assert one.screen.shows("t2")

    run(work)


@pytest.mark.parametrize("address", ["unix:path=/nowhere/bus", "nonsense", "unix:path=/dev/null"])
def test_no_bus(address: str) -> None:
    async def work() -> None:
        screen = Freedesktop(lambda _tag, _key: None, lambda: None, address=address)
        with pytest.raises(NotShownError, match="there is no session bus") as told:
            await screen.show(ASKED)
        await screen.close()

        assert told.value.is_away
        assert told.value.is_lost

    run(work)


def test_no_session(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("DBUS_SESSION_BUS_ADDRESS", "DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))

    async def work() -> None:
        screen = Freedesktop(lambda _tag, _key: None, lambda: None)
        with pytest.raises(NotShownError, match="there is no session bus"):
            await screen.show(ASKED)
        await screen.close()

    run(work)


def test_a_bus_that_hangs() -> None:
    async def work() -> None:
        async with watched(pace=Pace(answer_s=0.5)) as one:
            one.desktop.hang("bus")
            with pytest.raises(NotShownError, match="there is no session bus") as told:
                await one.screen.show(ASKED)
            one.desktop.resume("bus")

            assert told.value.is_away

    run(work)


def test_a_bus_that_ends_and_begins_again() -> None:
    async def work() -> None:
        async with watched() as one:
            await one.screen.show(ASKED)
            await one.desktop.restart_bus()
            await one.screen.show(ASKED)
            await one.desktop.until(lambda: len(one.desktop.notified) == 2)

            assert [shown.replaces for shown in one.desktop.notified] == [0, 0]

    run(work)


def test_at_the_end_what_could_be_answered_is_taken_away() -> None:
    async def work() -> None:
        async with watched() as one:
            await one.screen.show(Notice("conversation", "omniid", "It is noon."))
            await one.screen.show(ASKED)
            await one.screen.close()
            await one.desktop.until(lambda: one.desktop.closed == [2])

    run(work)
