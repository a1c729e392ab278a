"""The portal's calls and signals on the session bus."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

import structlog
from dbus_fast import BusType, DBusError, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from omniid.errors import HotkeyError
from omniid.hotkeys.contract import Binding
from omniid.hotkeys.portal_words import shortcut_id, trigger

log = structlog.get_logger()

# The desktop's description of each key it gave, by shortcut id; empty where it gave none.
Shortcuts = dict[str, str]

APP_ID = "org.omniid.omniid"
_PORTAL = "org.freedesktop.portal.Desktop"
_PATH = "/org/freedesktop/portal/desktop"
_SHORTCUTS = "org.freedesktop.portal.GlobalShortcuts"
_REQUEST = "org.freedesktop.portal.Request"
_SESSION = "org.freedesktop.portal.Session"
_BUS = "org.freedesktop.DBus"
_RULES = (
    f"type='signal',sender='{_PORTAL}'",
    f"type='signal',sender='{_BUS}',member='NameOwnerChanged',arg0='{_PORTAL}'",
)
_BUS_ERRORS = (OSError, EOFError, ValueError, LookupError, DBusError)
_GRANTED, _REFUSED = 0, 1


class Desktop:
    """A connection to the portal with one session on it, as a context manager."""

    def __init__(self, address: str | None, answer_within_s: float) -> None:
        self.on_signal: Callable[[str, str | Shortcuts], None] = lambda _member, _what: None
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._address = address
        self._answer_within_s = answer_within_s
        self._owner = ""
        self._session = ""
        self._responses: dict[str, asyncio.Future[list[Any]]] = {}
        self._tokens = (f"omniid{number}" for number in itertools.count(1))

    async def __aenter__(self) -> Self:
        bus: MessageBus | None = None
        try:
            bus = MessageBus(self._address, BusType.SESSION)
            async with asyncio.timeout(self._answer_within_s):
                self._bus = await bus.connect()
        except (TimeoutError, *_BUS_ERRORS) as error:
            if bus is not None:
                bus.disconnect()
            log.debug("the session bus cannot be used", error=str(error) or type(error).__name__)
            hangs = isinstance(error, TimeoutError)
            why = "the session bus does not answer" if hangs else "there is no session bus"
            raise _no_portal(why) from error
        # Gathered, because the library hands on whatever exception ended the connection.
        lost = self._bus.wait_for_disconnect()  # type: ignore[no-untyped-call]
        self._lost = asyncio.gather(lost, return_exceptions=True)
        self._lost.add_done_callback(lambda _: self._end(_gone("The session bus")))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.ended.cancel() and not self.ended.cancelled():
            self.ended.exception()  # it has been told, or something else was first
        self._bus.disconnect()  # the portal ends our session with the connection
        await asyncio.wait([self._lost], timeout=self._answer_within_s)

    async def bind(self, bindings: Sequence[Binding]) -> Shortcuts:
        """Ask for the keys.

        Raises:
            HotkeyError: as `Portal.run`.
        """
        self._bus.add_message_handler(self._heard)
        for rule in _RULES:
            await self._ask_bus("AddMatch", "s", rule)
        await self._find()
        options = {"session_handle_token": Variant("s", next(self._tokens))}
        results = await self._request("CreateSession", "", options=options)
        self._session = str(results["session_handle"].value)
        wanted = [
            [
                shortcut_id(binding.owner),
                {
                    "description": Variant("s", binding.label),
                    "preferred_trigger": Variant("s", trigger(binding.chord)),
                },
            ]
            for binding in bindings
        ]
        results = await self._request("BindShortcuts", "oa(sa{sv})s", self._session, wanted, "")
        return _shortcuts(results["shortcuts"].value) if "shortcuts" in results else {}

    async def _find(self) -> None:
        """Start the portal if need be, and see that it has shortcuts."""
        try:
            try:
                self._owner = await self._owner_of_portal()
            except DBusError:  # it does not run yet
                await self._ask_bus("StartServiceByName", "su", _PORTAL, 0)
                self._owner = await self._owner_of_portal()
            await self._introduce()
            properties = "org.freedesktop.DBus.Properties"
            await self._call(_PORTAL, _PATH, properties, "Get", "ss", _SHORTCUTS, "version")
        except DBusError as error:
            raise _no_portal(error.text) from error

    async def _owner_of_portal(self) -> str:
        (name,) = await self._ask_bus("GetNameOwner", "s", _PORTAL)
        return str(name)

    async def _introduce(self) -> None:
        """Say who we are, to portals that want to know; older ones have no such call."""
        try:
            registry = "org.freedesktop.host.portal.Registry"
            await self._call(_PORTAL, _PATH, registry, "Register", "sa{sv}", APP_ID, {})
        except DBusError as error:
            log.debug("the portal does not register omniid", error=error.text)

    async def _request(
        self, member: str, signature: str, *arguments: Any, options: dict[str, Variant] | None = None
    ) -> dict[str, Variant]:
        """A call that is answered by a signal later on, perhaps after the user was asked."""
        token = next(self._tokens)
        sender = str(self._bus.unique_name).removeprefix(":").replace(".", "_")
        response = asyncio.get_running_loop().create_future()
        self._responses[f"{_PATH}/request/{sender}/{token}"] = response
        options = {**(options or {}), "handle_token": Variant("s", token)}
        try:
            await self._call(_PORTAL, _PATH, _SHORTCUTS, member, f"{signature}a{{sv}}", *arguments, options)
        except DBusError as error:
            raise _no_portal(error.text) from error
        await asyncio.wait([response, self.ended], return_when=asyncio.FIRST_COMPLETED)
        if not response.done():
            self.ended.result()
        code, results = response.result()
        if code == _REFUSED:
            raise HotkeyError(
                "You, or your desktop, said no to omniid's key. Start omniid again to be asked once more, "
                "or choose another way with hotkey.backend.",
                code="key_refused",
            )
        if code != _GRANTED:
            raise _no_portal(f"{member} failed")
        return dict(results)

    async def _ask_bus(self, member: str, signature: str, *body: Any) -> Any:
        return await self._call(_BUS, "/org/freedesktop/DBus", _BUS, member, signature, *body)

    async def _call(
        self, destination: str, path: str, interface: str, member: str, signature: str, *body: Any
    ) -> Any:
        """A reply's body.

        Raises:
            DBusError: the other side refuses.
            HotkeyError: it does not answer.
        """
        message = Message(destination, path, interface, member, signature=signature, body=list(body))
        try:
            async with asyncio.timeout(self._answer_within_s):
                reply = await self._bus.call(message)
        except (TimeoutError, OSError, EOFError) as error:
            raise _no_portal(f"{member} is not answered") from error
        if reply is not None and reply.error_name == f"{_BUS}.Error.NoReply":  # it ended meanwhile
            raise _gone("The desktop's portal")
        if reply is None or reply.message_type is MessageType.ERROR:
            text = str(reply.body[0]) if reply is not None and reply.body else "no reason given"
            raise DBusError(str(reply.error_name) if reply else _PORTAL, text)
        return reply.body

    def _heard(self, message: Message) -> None:
        if message.message_type is not MessageType.SIGNAL:
            return
        if message.sender == _BUS and message.member == "NameOwnerChanged":
            if self._owner and message.body[0] == _PORTAL and message.body[2] != self._owner:
                self._end(_gone("The desktop's portal"))
        elif message.sender == self._owner:
            self._on_portal(message)

    def _on_portal(self, message: Message) -> None:
        match message.interface, message.member:
            case (str(interface), "Response") if interface == _REQUEST:
                response = self._responses.pop(str(message.path), None)
                if response is not None and not response.done():
                    response.set_result(message.body)
            case (str(interface), "Closed") if interface == _SESSION and message.path == self._session:
                self._end(_closed())
            case (str(interface), str(member)) if (
                interface == _SHORTCUTS and message.body[0] == self._session
            ):
                what = message.body[1]
                self.on_signal(member, what if isinstance(what, str) else _shortcuts(what))
            case _:
                pass

    def _end(self, error: HotkeyError) -> None:
        if not self.ended.done():
            self.ended.set_exception(error)


def _shortcuts(listed: list[Any]) -> Shortcuts:
    found = {}
    for name, properties in listed:
        described = properties.get("trigger_description")
        found[str(name)] = str(described.value) if described is not None else ""
    return found


def _no_portal(why: str) -> HotkeyError:
    return HotkeyError(
        f"Your desktop offers no global shortcuts to programs ({why.rstrip('.')}).", code="no_portal"
    )


def _gone(what: str) -> HotkeyError:
    return HotkeyError(f"{what} has ended. omniid asks again soon.", code="server_gone")


def _closed() -> HotkeyError:
    return HotkeyError("The desktop has ended omniid's key. omniid asks again soon.", code="session_closed")
