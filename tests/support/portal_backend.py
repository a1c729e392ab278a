"""A desktop's half of the GlobalShortcuts portal, as a process: the test is the user at the keyboard.

Obeys lines: `activate ID`, `deactivate ID`, `close`, `move TRIGGER` (the user gives another key),
`answer granted|refused|never`. Prints what it was asked as a JSON list a line, and `done` after each order.
"""


# ruff: noqa: ARG002, F722, F821, N802 - D-Bus signatures as annotations, and the interface's own names
# mypy: disable-error-code="name-defined, valid-type, no-untyped-call"

import asyncio
import json
import sys
import time
from typing import Any

from dbus_fast import PropertyAccess, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.service import ServiceInterface, dbus_property, method
from dbus_fast.service import signal as dbus_signal

NAME = "org.freedesktop.impl.portal.desktop.mock"
TRIGGER = "Ctrl+Alt+Space"
ANSWERS = {"granted": 0, "refused": 1}


def say(*words: object) -> None:
    print(json.dumps(words), flush=True)  # noqa: T201 - how the test hears us


class Session(ServiceInterface):
    def __init__(self) -> None:
        super().__init__("org.freedesktop.impl.portal.Session")

    @method()
    def Close(self) -> None:
        say("closed by omniid")

    @dbus_signal()
    def Closed(self) -> None:
        return None

    @dbus_property(access=PropertyAccess.READ)
    def version(self) -> "u":
        return 1


class GlobalShortcuts(ServiceInterface):
    def __init__(self, bus: MessageBus) -> None:
        super().__init__("org.freedesktop.impl.portal.GlobalShortcuts")
        self._bus = bus
        self._path = ""
        self._session = Session()
        self._labels: dict[str, str] = {}
        self._trigger = TRIGGER
        self._answer = "granted"
        self._never = asyncio.Event()

    @dbus_property(access=PropertyAccess.READ)
    def version(self) -> "u":
        return 1

    @method()
    def CreateSession(self, handle: "o", session_handle: "o", app_id: "s", options: "a{sv}") -> "ua{sv}":
        self._path = session_handle
        self._session = Session()
        self._bus.export(session_handle, self._session)
        return [0, {}]

    @method()
    async def BindShortcuts(
        self, handle: "o", session_handle: "o", shortcuts: "a(sa{sv})", parent_window: "s", options: "a{sv}"
    ) -> "ua{sv}":
        asked = {
            name: {key: value.value for key, value in properties.items()} for name, properties in shortcuts
        }
        self._labels = {name: properties["description"] for name, properties in asked.items()}
        say("asked", asked)
        if self._answer == "never":
            await self._never.wait()
        return [ANSWERS[self._answer], {"shortcuts": Variant("a(sa{sv})", self._listed())}]

    @method()
    def ListShortcuts(self, handle: "o", session_handle: "o") -> "ua{sv}":
        return [0, {"shortcuts": Variant("a(sa{sv})", self._listed())}]

    @dbus_signal()
    def Activated(self, name: Any) -> "osta{sv}":
        return [self._path, name, int(time.time() * 1000), {}]

    @dbus_signal()
    def Deactivated(self, name: Any) -> "osta{sv}":
        return [self._path, name, int(time.time() * 1000), {}]

    @dbus_signal()
    def ShortcutsChanged(self) -> "oa(sa{sv})":
        return [self._path, self._listed()]

    def _listed(self) -> list[Any]:
        return [
            [name, {"description": Variant("s", label), "trigger_description": Variant("s", self._trigger)}]
            for name, label in self._labels.items()
        ]

    def obey(self, order: str, argument: str) -> None:
        match order:
            case "activate":
                self.Activated(argument)
            case "deactivate":
                self.Deactivated(argument)
            case "close":
                self._session.Closed()
            case "move":
                self._trigger = argument
                self.ShortcutsChanged()
            case "answer":
                self._answer = argument


async def main() -> None:
    bus = await MessageBus().connect()
    shortcuts = GlobalShortcuts(bus)
    bus.export("/org/freedesktop/portal/desktop", shortcuts)
    await bus.request_name(NAME)
    say("up")
    orders = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    async for line in orders:
        order, _, argument = line.decode().strip().partition(" ")
        shortcuts.obey(order, argument)
        say("done")


asyncio.run(main())
