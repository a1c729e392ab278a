"""When the machine woke from sleep, and when the network came up: moments at which a link may be dead unseen.

The timers of a process stand still while the machine sleeps, so a socket that died meanwhile looks alive for
long. Three sources tell: the clocks (how long the machine has slept in all), logind's word on the system bus,
and the kernel's on rtnetlink. Each is a hint: none is needed, and two may tell of the same wake.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import struct
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, NamedTuple

import structlog

log = structlog.get_logger()

Reason = Literal["resume", "network"]
Tell = Callable[[Reason], None]


@dataclass(frozen=True, slots=True)
class Pace:
    """How often to look, and how long to wait. Only tests change it."""

    tick_s: float = 5.0
    slept_s: float = 2.0  # the clocks part by less when one of them is set right
    frozen_s: float = 15.0
    burst_s: float = 0.5
    call_s: float = 5.0
    retry_s: float = 30.0


async def watch(tell: Tell, pace: Pace = Pace()) -> None:
    """Tell of each resume and each network that came up, until cancelled. `tell` must be quick and not raise.

    A source that this machine does not have is left out, with a line in the log; one that breaks is tried
    again every `pace.retry_s`.
    """
    async with asyncio.TaskGroup() as group:
        group.create_task(_watch_clocks(tell, pace), name="wake-clocks")
        group.create_task(_keep("logind", _watch_logind, tell, pace), name="wake-logind")
        group.create_task(_keep("rtnetlink", _watch_network, tell, pace), name="wake-network")


class _AbsentError(Exception):
    """This machine has no such source, or will not let us hear it."""


class _LostError(Exception):
    """The source is there, but broke or did not answer in time."""


async def _keep(name: str, source: Callable[[Tell, Pace], Awaitable[None]], tell: Tell, pace: Pace) -> None:
    seen = False
    while True:
        try:
            await source(tell, pace)
        except _AbsentError as why:
            if not seen:
                log.info("not listening for wake-ups", source=name, why=str(why))
                return
            log.debug("the source of wake-ups is still away", source=name, why=str(why))
        except _LostError as why:
            seen = True
            log.info("lost a source of wake-ups", source=name, why=str(why), retry_in_s=pace.retry_s)
        await asyncio.sleep(pace.retry_s)


# --- the clocks ---------------------------------------------------------------------------------------------


class Reading(NamedTuple):
    """Seconds on two clocks: one that stands still while the machine sleeps, and one that does not."""

    awake_s: float
    all_s: float


def read_clocks() -> Reading:
    if sys.platform == "linux":
        return Reading(time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME))
    return Reading(time.monotonic(), time.time())


class SleepMeter:
    """Tells from readings taken at even intervals whether the machine slept, or this process stood still.

    A process that was stopped (or its virtual machine) saw no sleep, but its peers may have given it up.
    """

    def __init__(self, first: Reading, *, slept_s: float, frozen_s: float) -> None:
        self._last = first
        self._slept_s = slept_s
        self._frozen_s = frozen_s

    def woke(self, now: Reading) -> bool:
        awake_s = now.awake_s - self._last.awake_s
        slept_s = now.all_s - self._last.all_s - awake_s
        self._last = now
        return slept_s > self._slept_s or awake_s > self._frozen_s


async def _watch_clocks(tell: Tell, pace: Pace) -> None:
    meter = SleepMeter(read_clocks(), slept_s=pace.slept_s, frozen_s=pace.frozen_s)
    while True:
        await asyncio.sleep(pace.tick_s)
        if meter.woke(read_clocks()):
            tell("resume")


# --- logind -------------------------------------------------------------------------------------------------

_LOGIND = "org.freedesktop.login1"
_MANAGER = "org.freedesktop.login1.Manager"
_SIGNAL = "PrepareForSleep"
_RULE = f"type='signal',sender='{_LOGIND}',interface='{_MANAGER}',member='{_SIGNAL}'"


async def _watch_logind(tell: Tell, pace: Pace) -> None:
    """Wait for PrepareForSleep(false). All it takes is a match rule, which outlives restarts of logind."""
    try:
        from dbus_fast import BusType, DBusError, Message, MessageType  # noqa: PLC0415 heavy, and Linux only
        from dbus_fast.aio import MessageBus  # noqa: PLC0415
    except ImportError as error:
        raise _AbsentError("the library dbus-fast is not installed") from error

    def heard(message: Message) -> None:
        is_ours = message.message_type is MessageType.SIGNAL and message.interface == _MANAGER
        if is_ours and message.member == _SIGNAL and message.body == [False]:
            tell("resume")

    async def ask(member: str, argument: str) -> Message:
        bus_itself = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")
        async with asyncio.timeout(pace.call_s):
            reply = await bus.call(Message(*bus_itself, member, signature="s", body=[argument]))
        if reply is None or reply.message_type is not MessageType.METHOD_RETURN:
            raise _AbsentError(f"the system bus refuses {member}: {reply.body if reply else 'no reply'}")
        return reply

    try:
        bus = MessageBus(bus_type=BusType.SYSTEM)
        async with asyncio.timeout(pace.call_s):
            await bus.connect()
    except (TimeoutError, EOFError) as error:
        raise _LostError(f"the system bus does not answer: {_in_words(error)}") from error
    except (OSError, ValueError, LookupError, DBusError) as error:  # lookups: how the library parses noise
        raise _AbsentError(f"no system bus: {_in_words(error)}") from error
    # Gathered, because the library hands on whatever exception ended the connection.
    lost = bus.wait_for_disconnect()  # type: ignore[no-untyped-call]
    ended = asyncio.gather(lost, return_exceptions=True)
    try:
        bus.add_message_handler(heard)
        await ask("AddMatch", _RULE)
        if not (await ask("NameHasOwner", _LOGIND)).body[0]:
            log.info("logind is not running; its wake-ups will be heard once it is")
        log.debug("listening for wake-ups", source="logind")
        (why,) = await asyncio.shield(ended)
    except (TimeoutError, EOFError, OSError, ValueError, LookupError, DBusError) as error:
        raise _LostError(f"the system bus does not answer: {_in_words(error)}") from error
    finally:
        bus.disconnect()
        await asyncio.wait([ended], timeout=pace.call_s)  # the library closes its socket a moment later
    raise _LostError(f"the system bus ended the connection: {_in_words(why)}")


def _in_words(error: BaseException | None) -> str:
    return str(error) or type(error).__name__


# --- the network --------------------------------------------------------------------------------------------


class _Kind(IntEnum):
    """Message types of linux/rtnetlink.h."""

    NEW_LINK = 16
    GONE_LINK = 17
    NEW_ADDRESS = 20
    GONE_ADDRESS = 21
    NEW_ROUTE = 24
    GONE_ROUTE = 25


# Links, and the addresses and routes of IPv4 and IPv6.
_GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
_LARGEST_BYTES = 65_536
_MOST_KNOWN = 1_000

_HEADER = struct.Struct("=IHHII")  # nlmsghdr
_LINK = struct.Struct("=BxHiII")  # ifinfomsg
_ADDRESS = struct.Struct("=BBBBI")  # ifaddrmsg
_ROUTE = struct.Struct("=8BI")  # rtmsg
_ATTRIBUTE = struct.Struct("=HH")  # rtattr

_UP_AND_RUNNING = 0x1 | 0x40
_TENTATIVE_OR_DUPLICATE = 0x40 | 0x08  # an IPv6 address that may not be used, or not yet
_UNICAST = 1
_CLONED = 0x200
# What makes an address or a route the same one as before. The others tell of lifetimes, which each router
# advertisement renews.
_ADDRESS_NAMES = (1, 2)  # address, local
_ROUTE_NAMES = (1, 4, 5, 6, 9, 15, 18)  # destination, interface, gateway, priority, multipath, table, via


class Change(NamedTuple):
    """A link, an address or a route that is there (`what` names it), or something that went away."""

    is_there: bool
    what: bytes = b""


_WENT_AWAY = Change(is_there=False)


def changes(datagram: bytes) -> list[Change]:
    """What one datagram from rtnetlink tells. What cannot be understood is left out."""
    found: list[Change] = []
    while len(datagram) >= _HEADER.size:
        length, kind, *_ = _HEADER.unpack_from(datagram)
        if not _HEADER.size <= length <= len(datagram):
            break
        with contextlib.suppress(struct.error):  # shorter than its type demands
            change = _change(kind, datagram[_HEADER.size : length])
            if change is not None:
                found.append(change)
        datagram = datagram[_aligned(length) :]
    return found


def _change(kind: int, body: bytes) -> Change | None:
    match kind:
        case _Kind.GONE_LINK | _Kind.GONE_ADDRESS | _Kind.GONE_ROUTE:
            return _WENT_AWAY
        case _Kind.NEW_LINK:
            *_, index, flags, _ = _LINK.unpack_from(body)
            runs = flags & _UP_AND_RUNNING == _UP_AND_RUNNING
            return Change(True, b"link %d" % index) if runs else _WENT_AWAY
        case _Kind.NEW_ADDRESS:
            family, prefix, flags, _, index = _ADDRESS.unpack_from(body)
            if flags & _TENTATIVE_OR_DUPLICATE:
                return None
            names = _attributes(body[_ADDRESS.size :], _ADDRESS_NAMES)
            return Change(True, b"address %d %d %d " % (family, prefix, index) + names)
        case _Kind.NEW_ROUTE:
            *_, kind_of_route, flags = _ROUTE.unpack_from(body)
            # The others are broadcast, multicast and the machine's own addresses, or lead nowhere.
            if kind_of_route != _UNICAST or flags & _CLONED:
                return None
            return Change(True, b"route " + body[:8] + _attributes(body[_ROUTE.size :], _ROUTE_NAMES))
        case _:
            return None


def _attributes(data: bytes, wanted: tuple[int, ...]) -> bytes:
    found = b""
    while len(data) >= _ATTRIBUTE.size:
        length, number = _ATTRIBUTE.unpack_from(data)
        if not _ATTRIBUTE.size <= length <= len(data):
            break
        if number in wanted:
            found += data[:length]
        data = data[_aligned(length) :]
    return found


def _aligned(length: int) -> int:
    return (length + 3) & ~3


class NetworkMeter:
    """Tells from datagrams whether the network came up: something is there that was not since the last loss.

    The kernel repeats itself (each radio scan announces the link, each router advertisement the addresses),
    and takes routes away without a word when their link goes. So any loss makes all that follows news.
    """

    def __init__(self) -> None:
        self._known: set[bytes] = set()

    def came_up(self, datagram: bytes) -> bool:
        is_news = False
        for change in changes(datagram):
            if not change.is_there or len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            if change.is_there and change.what not in self._known:
                self._known.add(change.what)
                is_news = True
        return is_news

    def missed_some(self) -> None:
        self._known.clear()


class _Burst:
    """Happenings within `window_s` of the first become one call, at the window's end."""

    def __init__(self, window_s: float, call: Callable[[], None]) -> None:
        self._window_s = window_s
        self._call = call
        self._timer: asyncio.TimerHandle | None = None

    def happened(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._window_s, self._end)

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _end(self) -> None:
        self._timer = None
        self._call()


async def _watch_network(tell: Tell, pace: Pace) -> None:
    if sys.platform != "linux":
        raise _AbsentError("only Linux has rtnetlink")
    kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    try:
        sock = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
    except OSError as error:
        raise _AbsentError(f"no rtnetlink: {error}") from error
    with sock:
        try:
            sock.bind((0, _GROUPS))
        except OSError as error:
            raise _AbsentError(f"no rtnetlink: {error}") from error
        await _listen(sock, _Burst(pace.burst_s, lambda: tell("network")))


async def _listen(sock: socket.socket, burst: _Burst) -> None:
    meter = NetworkMeter()
    loop = asyncio.get_running_loop()
    broken: asyncio.Future[None] = loop.create_future()

    def readable() -> None:
        try:
            datagram, (port, _groups) = sock.recvfrom(_LARGEST_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno == errno.ENOBUFS:  # the kernel dropped what we were too slow for
                meter.missed_some()
                burst.happened()
            elif not broken.done():
                broken.set_exception(error)
            return
        if port == 0 and meter.came_up(datagram):  # from the kernel, not from another process
            burst.happened()

    loop.add_reader(sock, readable)
    log.debug("listening for wake-ups", source="rtnetlink")
    try:
        await broken
    except OSError as error:
        raise _LostError(f"rtnetlink failed: {error}") from error
    finally:
        loop.remove_reader(sock)
        burst.cancel()
