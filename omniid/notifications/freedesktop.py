"""Linux and its kin: org.freedesktop.Notifications on the session bus, whoever serves it there.

The bus gives each sender's messages in the order they were sent. So what is learnt of an answer is noted
while it is handled, and not when the caller goes on: the next message may be about it already.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from dbus_fast import BusType, DBusError, Message, MessageFlag, MessageType
from dbus_fast.aio import MessageBus

from omniid.notice_board import Notice
from omniid.notifications import text
from omniid.notifications.contract import PACE, NotShownError, OnAction, Pace
from omniid.notifications.freedesktop_words import (
    BUS,
    does_not_answer,
    hints,
    no_bus,
    nobody,
    refused,
    texts,
)
from omniid.notifications.leftovers import Leftovers

log = structlog.get_logger()

_SERVER = "org.freedesktop.Notifications"
_PATH = "/org/freedesktop/Notifications"
_RULES = (
    f"type='signal',sender='{BUS}',member='NameOwnerChanged',arg0='{_SERVER}'",
    f"type='signal',sender='{_SERVER}',interface='{_SERVER}'",
)
_BUS_ERRORS = (OSError, EOFError, ValueError, LookupError, DBusError)
_MOST_SHOWN = 50
_MOST_UNANSWERED = 50
_AS_THE_SERVER_LIKES = -1


@dataclass(frozen=True, slots=True)
class _Shown:
    id: int
    keys: frozenset[str]


@dataclass(slots=True)
class _Unanswered:
    """A notice that was sent and has no id yet."""

    tag: str
    keys: frozenset[str]
    withdrawn: bool = False


class Freedesktop:
    """`on_return` is called when a server comes, or comes to itself, so that it is worth trying again.

    `address`: of the bus; None: the session's. `leftovers`: the file that names what to take away should this
    process be killed; None: nobody does.
    """

    def __init__(
        self,
        on_action: OnAction,
        on_return: Callable[[], None],
        *,
        address: str | None = None,
        leftovers: Path | None = None,
        pace: Pace = PACE,
    ) -> None:
        self._on_action = on_action
        self._on_return = on_return
        self._address = address
        self._leftovers = Leftovers(leftovers)
        self._pace = pace
        self._bus: MessageBus | None = None
        self._gone: asyncio.Future[Any] | None = None
        self._bus_id = ""
        self._owner = ""
        self._abilities: frozenset[str] | None = None
        self._shown: OrderedDict[str, _Shown] = OrderedDict()
        self._unanswered: OrderedDict[int, _Unanswered] = OrderedDict()
        self._late = 0  # the serial of the latest call that was not answered in time

    async def begin(self) -> None:
        if self._leftovers.are_there():
            with contextlib.suppress(NotShownError):  # the next notice tries again, and tells
                await self._connected()

    def shows(self, tag: str) -> bool:
        return tag in self._shown or any(sent.tag == tag for sent in self._unanswered.values())

    async def show(self, notice: Notice) -> None:
        bus = await self._connected()
        abilities = await self._what_it_can(bus)
        actions = notice.actions if "actions" in abilities else ()
        title, body = texts(notice, abilities)
        replaced = self._shown.get(notice.tag)
        arguments = (
            "omniid",
            0 if replaced is None else replaced.id,
            "",
            title,
            body,
            [word for key, label in actions for word in (key, text.title(label))],
            hints(notice),
            _AS_THE_SERVER_LIKES,
        )
        message = self._message(bus, "Notify", "susssasa{sv}i", *arguments)
        sent = _Unanswered(notice.tag, frozenset(key for key, _ in actions))
        self._unanswered[message.serial] = sent
        while len(self._unanswered) > _MOST_UNANSWERED:
            self._unanswered.popitem(last=False)
        reply = await self._call(bus, message)
        if not _is_id(reply):
            raise NotShownError("The desktop's notification server does not say which notice it shows.")

    async def withdraw(self, tag: str) -> None:
        for sent in self._unanswered.values():
            sent.withdrawn = sent.withdrawn or sent.tag == tag
        shown = self._shown.pop(tag, None)
        if shown is not None and self._take_away(shown.id) is not None:  # else the next connection does it
            self._remember()

    async def close(self) -> None:
        """What is only to be read stays."""
        if self._bus is None:
            return
        ids = [shown.id for shown in self._shown.values() if shown.keys]
        written = [future for future in map(self._take_away, ids) if future is not None]
        try:
            if written:
                await asyncio.wait(written)
                self._leftovers.keep(self._server, frozenset())
        finally:
            self._forget()
            await self._leave()

    async def server(self) -> str:
        """The name of who shows notices here, with what it cannot do.

        Raises:
            NotShownError: nobody does.
        """
        bus = await self._connected()
        reply = await self._call(bus, self._message(bus, "GetServerInformation", ""))
        name = text.title(str(reply.body[0])) if reply.body else "a server without a name"
        return name if "actions" in await self._what_it_can(bus) else f"{name} (it has no buttons)"

    # --- the bus ------------------------------------------------------------------------------------------

    async def _connected(self) -> MessageBus:
        if self._bus is not None and self._bus.connected:
            return self._bus
        self._forget()
        await self._leave()
        bus: MessageBus | None = None
        try:
            bus = MessageBus(self._address, BusType.SESSION)
            async with asyncio.timeout(self._pace.answer_s):
                self._bus = await bus.connect()
        except _BUS_ERRORS as error:
            raise no_bus() from error
        finally:
            if bus is not None and self._bus is not bus:
                bus.disconnect()
        # Gathered, because the library hands on whatever exception ended the connection.
        gone = self._bus.wait_for_disconnect()  # type: ignore[no-untyped-call]
        self._gone = asyncio.gather(gone, return_exceptions=True)
        try:
            await self._listen(self._bus)
        except NotShownError:
            await self._leave()
            raise
        for notice_id in self._leftovers.take(self._server):
            self._take_away(notice_id)
        return self._bus

    async def _listen(self, bus: MessageBus) -> None:
        bus.add_message_handler(self._heard)
        for rule in _RULES:
            await self._call(bus, _to_the_bus(bus, "AddMatch", rule))
        self._bus_id = str((await self._call(bus, _to_the_bus(bus, "GetId"))).body[0])
        try:
            reply = await self._call(bus, _to_the_bus(bus, "GetNameOwner", _SERVER))
        except NotShownError:
            return  # the bus starts it with the first call, or says that it cannot
        self._owner = self._owner or str(reply.body[0])

    async def _leave(self) -> None:
        bus, gone, self._bus, self._gone = self._bus, self._gone, None, None
        if bus is not None and gone is not None:
            bus.disconnect()
            await asyncio.wait([gone], timeout=self._pace.leave_s)  # it closes its socket a moment later

    @property
    def _server(self) -> str:
        """In one word, and with its bus: the unique names of two buses are alike."""
        return f"{self._bus_id}/{self._owner}"

    def _remember(self) -> None:
        """What is only to be read may stay, as in `close`."""
        ids = frozenset(shown.id for shown in self._shown.values() if shown.keys)
        self._leftovers.keep(self._server, ids)

    def _forget(self) -> None:
        """What a server knew that is not there any more."""
        self._owner, self._abilities, self._late = "", None, 0
        self._shown.clear()
        self._unanswered.clear()

    async def _what_it_can(self, bus: MessageBus) -> frozenset[str]:
        if self._abilities is not None:
            return self._abilities
        reply = await self._call(bus, self._message(bus, "GetCapabilities", ""))
        if reply.signature != "as":
            raise NotShownError("The desktop's notification server does not say what it can do.")
        abilities = frozenset(reply.body[0])
        if reply.sender == self._owner:  # and not another's by now
            self._abilities = abilities
        return abilities

    def _message(self, bus: MessageBus, member: str, signature: str, *body: Any) -> Message:
        return Message(
            _SERVER, _PATH, _SERVER, member, signature=signature, body=list(body), serial=bus.next_serial()
        )

    async def _call(self, bus: MessageBus, message: Message) -> Message:
        """The answer.

        Raises:
            NotShownError: there is none, or it is an error.
        """
        try:
            async with asyncio.timeout(self._pace.answer_s):
                reply = await bus.call(message)
        except TimeoutError as error:
            self._late = message.serial
            is_lost = message.member != "Notify"  # that one is shown when the server comes to itself
            raise does_not_answer(is_lost=is_lost) from error
        except _BUS_ERRORS as error:
            raise no_bus() from error
        if reply is None:
            raise no_bus()
        if reply.message_type is MessageType.ERROR:
            raise nobody(message, reply) if reply.sender == BUS else refused(reply)
        return reply

    def _take_away(self, notice_id: int) -> asyncio.Future[None] | None:
        """Nothing is asked in return, so nothing can hang. None: no bus, so no notice of ours."""
        bus = self._bus
        if bus is None or not bus.connected:
            return None
        message = self._message(bus, "CloseNotification", "u", notice_id)
        message.flags = MessageFlag.NO_REPLY_EXPECTED
        written: asyncio.Future[None] = bus.send(message)
        written.add_done_callback(lambda future: future.cancelled() or future.exception())
        return written

    # --- what is heard ------------------------------------------------------------------------------------

    def _heard(self, message: Message) -> None:
        match message.message_type:
            case MessageType.SIGNAL if message.sender == BUS and message.member == "NameOwnerChanged":
                self._on_owner(message)
            case MessageType.SIGNAL if message.sender == self._owner and message.interface == _SERVER:
                self._on_signal(message)
            case MessageType.METHOD_RETURN | MessageType.ERROR:
                self._on_answer(message)
            case _:
                pass

    def _on_owner(self, message: Message) -> None:
        if message.signature != "sss" or message.body[0] != _SERVER:
            return
        _, before, after = message.body
        unanswered = self._unanswered.copy()
        self._forget()
        self._owner = after
        self._remember()
        if not before:  # what was sent meanwhile has waited for this one to be started
            self._unanswered = unanswered
        if after:
            log.debug("a notification server has come", owner=after)
            self._on_return()

    def _on_answer(self, message: Message) -> None:
        sent = self._unanswered.pop(message.reply_serial or 0, None)
        if sent is not None and _is_id(message) and message.sender == self._owner:
            self._note(sent, message.body[0])
            self._remember()
        if self._late and message.reply_serial == self._late:
            self._late = 0
            self._on_return()

    def _note(self, sent: _Unanswered, notice_id: int) -> None:
        """Never two with one tag: also where an answer came so late that the notice was sent once more."""
        before = self._shown.pop(sent.tag, None)
        if before is not None and before.id != notice_id:
            self._take_away(before.id)
        if sent.withdrawn:
            self._take_away(notice_id)
            return
        self._shown[sent.tag] = _Shown(notice_id, sent.keys)
        while len(self._shown) > _MOST_SHOWN:
            _, oldest = self._shown.popitem(last=False)
            self._take_away(oldest.id)

    def _on_signal(self, message: Message) -> None:
        match message.member, message.signature, message.body:
            case "ActionInvoked", "us", [int(notice_id), str(key)]:
                tag = self._tag_of(notice_id)
                if tag is None or key not in self._shown[tag].keys:
                    return
                # A click that comes before the answer to what replaces the notice was meant for the old one.
                if not any(sent.tag == tag for sent in self._unanswered.values()):
                    self._on_action(tag, key)
            case "NotificationClosed", "uu", [int(notice_id), _]:
                tag = self._tag_of(notice_id)
                if tag is not None:
                    del self._shown[tag]
                    self._remember()
            case _:
                pass

    def _tag_of(self, notice_id: int) -> str | None:
        return next((tag for tag, shown in self._shown.items() if shown.id == notice_id), None)


def _to_the_bus(bus: MessageBus, member: str, *arguments: str) -> Message:
    return Message(
        BUS,
        "/org/freedesktop/DBus",
        BUS,
        member,
        signature="s" * len(arguments),
        body=list(arguments),
        serial=bus.next_serial(),
    )


def _is_id(reply: Message) -> bool:
    return reply.message_type is MessageType.METHOD_RETURN and reply.signature == "u" and reply.body[0] > 0
