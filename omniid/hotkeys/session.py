"""What the desktop session is, for a service that was started before it.

systemd starts omniid at login. The desktop tells systemd its display a moment later, and nobody tells us.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

log = structlog.get_logger()

ANSWER_WITHIN_S = 5.0
_OF_THE_SESSION = ("DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_SESSION_TYPE", "XDG_CURRENT_DESKTOP")
_SYSTEMD = "org.freedesktop.systemd1"


async def session_environment(own: Mapping[str, str]) -> dict[str, str]:
    """Our own environment; where it names no display, with what systemd has been told of the session."""
    if "DISPLAY" in own or "WAYLAND_DISPLAY" in own or "DBUS_SESSION_BUS_ADDRESS" not in own:
        return dict(own)
    told = await _ask_systemd(own["DBUS_SESSION_BUS_ADDRESS"])
    return {**own, **{name: told[name] for name in _OF_THE_SESSION if told.get(name)}}


async def _ask_systemd(address: str) -> dict[str, str]:
    """The environment that the user's systemd gives to what it starts; empty where there is none."""
    try:
        from dbus_fast import BusType, DBusError, Message  # noqa: PLC0415 heavy, and Linux only
        from dbus_fast.aio import MessageBus  # noqa: PLC0415
    except ImportError:
        return {}
    bus: MessageBus | None = None
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            bus = MessageBus(address, BusType.SESSION)
            await bus.connect()
            reply = await bus.call(
                Message(
                    _SYSTEMD,
                    "/org/freedesktop/systemd1",
                    "org.freedesktop.DBus.Properties",
                    "Get",
                    signature="ss",
                    body=[f"{_SYSTEMD}.Manager", "Environment"],
                )
            )
    except (TimeoutError, OSError, EOFError, ValueError, LookupError, DBusError) as error:
        log.debug("systemd does not tell of the session", error=str(error) or type(error).__name__)
        return {}
    finally:
        if bus is not None:
            bus.disconnect()
    if reply is None or reply.signature != "v":
        return {}
    return dict(line.split("=", 1) for line in reply.body[0].value if "=" in line)
