"""A real notification server's stand-in (python3-dbusmock's template) on a private session bus."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus
from support import portal
from support.hotkeys import WITHIN_S

MOCK = ("/usr/bin/python3", "-m", "dbusmock", "--template", "notification_daemon")
NAME = "org.freedesktop.Notifications"
PATH = "/org/freedesktop/Notifications"
ABLE = "body body-markup actions"
_CONTROL = "org.freedesktop.DBus.Mock"
_BUS = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")
_TEMPLATES = Path("/usr/lib/python3/dist-packages/dbusmock/templates")


def why_unavailable() -> str | None:
    if sys.platform != "linux":
        return "the session bus needs Linux"
    if shutil.which("dbus-daemon") is None or shutil.which("dbus-send") is None:
        return "not installed (Debian: dbus)"
    if not (_TEMPLATES / "notification_daemon.py").exists():
        return "not installed (Debian: python3-dbusmock)"
    return None


@dataclass(frozen=True)
class Notified:
    """What a call of Notify said."""

    replaces: int
    title: str
    body: str
    actions: list[str]
    hints: dict[str, Any]


class Desktop(portal.Desktop):
    """`calls`: what the server was asked, in order. The mock numbers its notices from 1."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.calls: list[tuple[str, list[Any]]] = []
        self._changed = asyncio.Event()
        self._control: MessageBus | None = None

    @property
    def notified(self) -> list[Notified]:
        return [
            Notified(args[1], args[3], args[4], args[5], {key: hint.value for key, hint in args[6].items()})
            for name, args in self.calls
            if name == "Notify"
        ]

    @property
    def closed(self) -> list[int]:
        return [args[0] for name, args in self.calls if name == "CloseNotification"]

    async def start_server(self, capabilities: str = ABLE) -> None:
        await self._listen()
        parameters = f'{{"capabilities": "{capabilities}"}}'
        await self._start("server", *MOCK, "--parameters", parameters)
        await self._wait_for_owner(NAME)

    def resume(self, name: str) -> None:
        self._running[name].send_signal(signal.SIGCONT)

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Until what the server was asked makes it so."""
        async with asyncio.timeout(WITHIN_S):
            while not is_so():
                self._changed.clear()
                await self._changed.wait()

    async def emit(self, member: str, signature: str, *body: Any) -> None:
        """Have the server send a signal; it has gone out when this returns."""
        values = [Variant(kind, value) for kind, value in zip(signature, body, strict=True)]
        await self.ask_server("EmitSignal", "sssav", NAME, member, signature, values)

    async def behave(self, member: str, takes: str, gives: str, code: str) -> None:
        """Have the server's method do something else from now on."""
        await self.ask_server("AddMethod", "sssss", NAME, member, takes, gives, code)

    async def ask_server(self, member: str, signature: str = "", *body: Any) -> None:
        await self._ask((NAME, PATH, _CONTROL), member, signature, *body)

    async def restart_bus(self) -> None:
        """All connections end; a server comes to the new bus."""
        await self.kill("server")
        await self._stop_listening()
        await self.kill("bus")
        (self.folder / "bus").unlink()
        await self.start_bus()
        await self.start_server()

    async def end(self) -> None:
        await self._stop_listening()
        await super().end()

    async def _stop_listening(self) -> None:
        if self._control is not None:
            self._control.disconnect()
            await asyncio.gather(
                self._control.wait_for_disconnect(),  # type: ignore[no-untyped-call]
                return_exceptions=True,
            )
            self._control = None

    async def stranger(self) -> MessageBus:
        """Another program on the bus."""
        return await MessageBus(self.address).connect()

    async def _listen(self) -> None:
        if self._control is not None:
            return
        self._control = await MessageBus(self.address).connect()
        self._control.add_message_handler(self._heard)
        await self._ask(_BUS, "AddMatch", "s", f"type='signal',interface='{_CONTROL}'")

    async def _ask(self, whom: tuple[str, str, str], member: str, signature: str, *body: Any) -> None:
        assert self._control is not None
        message = Message(*whom, member, signature=signature, body=list(body))
        async with asyncio.timeout(WITHIN_S):
            reply = await self._control.call(message)
        assert reply is not None
        assert reply.message_type is MessageType.METHOD_RETURN, reply.body

    def _heard(self, message: Message) -> None:
        if message.message_type is MessageType.SIGNAL and message.member == "MethodCalled":
            name, arguments = message.body
            self.calls.append((name, [argument.value for argument in arguments]))
            self._changed.set()


@contextlib.asynccontextmanager
async def desktop(*, server: bool = True, capabilities: str = ABLE) -> AsyncIterator[Desktop]:
    """A bus, with a notification server on it."""
    with tempfile.TemporaryDirectory(prefix="omniid-notify-") as folder:
        one = Desktop(Path(folder))
        try:
            await one.start_bus()
            if server:
                await one.start_server(capabilities)
            yield one
        finally:
            await one.end()
