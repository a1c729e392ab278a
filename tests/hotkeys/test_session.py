"""A service older than the session: what it learns of it from systemd, here played on a private bus."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator

import pytest

if sys.platform != "linux":
    pytest.skip("systemd is Linux's", allow_module_level=True)

from dbus_fast import PropertyAccess
from dbus_fast.aio import MessageBus
from dbus_fast.service import ServiceInterface, dbus_property
from support import portal, xvfb
from support.hotkeys import keeping
from support.running import run

from omniid.hotkeys.hotkeys import open_backend
from omniid.hotkeys.session import session_environment

pytestmark = pytest.mark.skipif(portal.why_unavailable() is not None, reason=str(portal.why_unavailable()))


class Systemd(ServiceInterface):
    """The user's systemd, as far as it knows the session."""

    def __init__(self) -> None:
        super().__init__("org.freedesktop.systemd1.Manager")
        self.lines = ["HOME=/home/alice", "XDG_SESSION_TYPE=tty"]

    @dbus_property(access=PropertyAccess.READ, name="Environment")
    def environment(self) -> "as":  # type: ignore[valid-type]  # noqa: F722 - a D-Bus signature
        return self.lines


@contextlib.asynccontextmanager
async def systemd_on_a_bus() -> AsyncIterator[tuple[Systemd, dict[str, str]]]:
    """What it knows, and the environment that it gave to a service."""
    async with portal.desktop(backend=False, portal=False) as desktop:
        bus = await MessageBus(desktop.address).connect()
        systemd = Systemd()
        bus.export("/org/freedesktop/systemd1", systemd)
        await bus.request_name("org.freedesktop.systemd1")
        try:
            yield systemd, {"DBUS_SESSION_BUS_ADDRESS": desktop.address, "LANG": "C"}
        finally:
            bus.disconnect()
            await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]


def test_what_systemd_was_told_of_the_session_counts() -> None:
    async def work() -> None:
        async with systemd_on_a_bus() as (systemd, own):
            assert await session_environment(own) == own | {"XDG_SESSION_TYPE": "tty"}

            systemd.lines = ["WAYLAND_DISPLAY=wayland-1", "XDG_SESSION_TYPE=wayland", "LANG=de_DE", "HOME=/x"]

            session = {"WAYLAND_DISPLAY": "wayland-1", "XDG_SESSION_TYPE": "wayland"}
            assert await session_environment(own) == own | session
            assert await session_environment(own | {"DISPLAY": ":7"}) == own | {"DISPLAY": ":7"}

    run(work)


def test_without_systemd_or_a_bus_there_is_only_our_own() -> None:
    async def work() -> None:
        async with portal.desktop(backend=False, portal=False) as desktop:
            for address in (desktop.address, "unix:path=/nonexistent/bus", "nonsense"):
                own = {"DBUS_SESSION_BUS_ADDRESS": address}
                assert await session_environment(own) == own
        assert await session_environment({}) == {}

    run(work)


@pytest.mark.skipif(xvfb.why_unavailable() is not None, reason=str(xvfb.why_unavailable()))
def test_a_session_that_begins_after_omniid() -> None:
    async def work() -> None:
        async with systemd_on_a_bus() as (systemd, own):
            with xvfb.Xvfb() as server:
                async with keeping("auto", open_backend, own) as kept:
                    await kept.until(lambda: kept.live == [None])
                    systemd.lines = [f"DISPLAY={server.display}", "XDG_SESSION_TYPE=x11"]
                    await kept.until(lambda: kept.live[-1] == "x11")
                    await server.keys("key", "F9")
                    await kept.heard.until_said("released", "talk")

    run(work)
