"""The WebSocket shell round `omniid.protocol.link`: it dials, moves frames, and reports what they mean.

One task owns one socket at a time. The dialling loop is our own: the library's reconnecting iterator resets
its delay on every handshake and would dial a server that accepts and closes in a hot loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidProxy,
    InvalidStatus,
    InvalidURI,
)
from websockets.protocol import State

from omniid.events import (
    CommandWritten,
    LinkDialling,
    LinkEvent,
    LinkLost,
    LinkOpened,
    LinkSpoilt,
    LinkStopped,
    WriteFailed,
)
from omniid.moment import Moment
from omniid.protocol.backoff import Backoff
from omniid.protocol.link import (
    Link,
    LinkSettings,
    Outgoing,
    Retry,
    advise,
    classify_close,
    classify_status,
)
from omniid.protocol.messages import SUBPROTOCOL_JSON

log = structlog.get_logger()

CLOSE_TIMEOUT_S = 2.0
OPEN_TIMEOUT_S = 10.0
SHORTEST_REDIAL_S = 1.0
_MAX_SUBMITTED = 1_000


@dataclass(frozen=True, slots=True)
class Target:
    """Where the backend is. With `socket` the URL only fills the handshake."""

    url: str
    user_id: str
    token: str | None = field(default=None, repr=False)
    socket: Path | None = None

    @property
    def uri(self) -> str:
        separator = "&" if urlsplit(self.url).query else "?"
        return f"{self.url}{separator}userId={quote(self.user_id, safe='')}"

    def __str__(self) -> str:
        return "the embedded backend" if self.socket else self.url.partition("?")[0]


@dataclass(frozen=True, slots=True)
class SessionSettings:
    ping_interval_s: float
    ping_timeout_s: float
    max_frame_bytes: int


@dataclass(frozen=True, slots=True)
class _Ending:
    """Why a link (or the attempt at one) is over, and whether dialling again can help."""

    reason: str
    retry: Retry = "retry"


class _ConnectHere(connect):
    """Follows no redirect: words go to the address that was set, and a hotel's login page is none."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class Session:
    """Keeps one link to the backend for as long as `run` runs.

    `post` takes each event; it may make the caller wait, and so slows down a server that talks too fast.
    """

    def __init__(
        self,
        target: Target,
        settings: SessionSettings,
        link_settings: LinkSettings,
        backoff: Backoff,
        *,
        clock: Callable[[], Moment],
        post: Callable[[LinkEvent], Awaitable[None]],
    ) -> None:
        self._target = target
        self._settings = settings
        self._link_settings = link_settings
        self._backoff = backoff
        self._clock = clock
        self._post = post
        self._epoch = 0
        self._line: asyncio.Queue[Outgoing] | None = None
        self._wake = asyncio.Event()
        self._attempt: asyncio.Timeout | None = None
        self._dialled_at = 0.0

    # --- what others may ask -----------------------------------------------------------------------------

    @property
    def target_name(self) -> str:
        return str(self._target)

    def submit(self, outgoing: Outgoing) -> bool:
        """Hand a command to the open link; False, and nothing is sent, when there is none."""
        if self._line is None or self._line.full():
            return False
        self._line.put_nowait(outgoing)
        return True

    def wake(self) -> None:
        """Dial now rather than after the delay (at most once a second)."""
        if self._line is None:
            self._wake.set()

    def reconnect(self) -> None:
        """Give up the present link or attempt, whatever state it is in, and dial again."""
        self._wake.set()
        if self._attempt is not None and not self._attempt.expired():
            self._attempt.reschedule(asyncio.get_running_loop().time())

    async def run(self) -> None:
        if self._target.socket is not None:
            await self._wake.wait()  # the backend that will serve this socket is only starting
        while True:
            self._wake.clear()
            await self._post(LinkDialling(str(self._target)))
            self._dialled_at = time.monotonic()
            ending = await self._attempt_link()
            if ending.retry == "retry":
                delay_s = self._backoff.next_delay()
                shown_s = 0.0 if self._wake.is_set() else round(delay_s, 3)
                await self._post(LinkLost(ending.reason, shown_s))
                await self._pause(delay_s)
            else:
                await self._post(LinkStopped(ending.reason, needs_token=ending.retry == "needs_token"))
                await self._pause(None)

    async def _pause(self, delay_s: float | None) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay_s):
                await self._wake.wait()
                shortest_s = 0.0 if self._target.socket else SHORTEST_REDIAL_S
                await asyncio.sleep(max(0.0, self._dialled_at + shortest_s - time.monotonic()))

    # --- one socket --------------------------------------------------------------------------------------

    async def _attempt_link(self) -> _Ending:
        try:
            async with asyncio.timeout(None) as self._attempt:
                return await self._dial_and_serve()
        except TimeoutError:
            return _Ending("a new link was asked for")
        finally:
            self._attempt = None

    async def _dial_and_serve(self) -> _Ending:
        try:
            socket = await self._dial()
        except InvalidStatus as error:
            status = error.response.status_code
            return _Ending(
                f"{self._target} answered HTTP {status}: {advise(status)}", classify_status(status)
            )
        except ssl.SSLCertVerificationError as error:
            return _Ending(f"{self._target} has no valid certificate: {error.verify_message}", "stop")
        except (InvalidURI, InvalidProxy, ValueError, ImportError) as error:
            return _Ending(f"{self._target} is no usable address: {error}", "stop")
        except InvalidHandshake as error:
            return _Ending(f"{self._target} does not speak WebSocket: {error}")
        except (OSError, TimeoutError, EOFError) as error:
            return _Ending(f"{self._target} cannot be reached: {_in_words(error)}")
        try:
            return await self._serve(socket)
        finally:
            await _close(socket)

    async def _dial(self) -> ClientConnection:
        token = self._target.token
        options = {
            "subprotocols": [SUBPROTOCOL_JSON],
            "additional_headers": {"Authorization": f"Bearer {token}"} if token else {},
            "open_timeout": OPEN_TIMEOUT_S,
            "close_timeout": CLOSE_TIMEOUT_S,
            "ping_interval": self._settings.ping_interval_s,
            "ping_timeout": self._settings.ping_timeout_s,
            "max_size": self._settings.max_frame_bytes,
        }
        if self._target.socket is not None:
            options |= {"unix": True, "path": str(self._target.socket)}
        else:
            options |= {"happy_eyeballs_delay": 0.25}
        return await _ConnectHere(self._target.uri, **options)  # type: ignore[arg-type]

    async def _serve(self, socket: ClientConnection) -> _Ending:
        self._epoch += 1
        link = Link(self._link_settings)
        opened_at = time.monotonic()
        self._line = asyncio.Queue(_MAX_SUBMITTED)
        try:
            await self._post(LinkOpened(self._epoch, link.window))
            return await _Conversation(socket, link, self._line, self._clock, self._post).run()
        finally:
            line, self._line = self._line, None
            self._backoff.link_ended(
                alive_s=time.monotonic() - opened_at, frames_received=link.frames_received
            )
            await self._account_for_the_rest(socket, link, line)

    async def _account_for_the_rest(
        self, socket: ClientConnection, link: Link, line: asyncio.Queue[Outgoing]
    ) -> None:
        """Every command handed to this link gets its word: not written, refused, or uncertain."""
        events: list[LinkEvent] = []
        while not line.empty():
            events.append(WriteFailed(line.get_nowait().id))
        events += link.closed(_peers_code(socket), socket.close_reason or "")
        await _post_all(self._post, events)


class _Conversation:
    """The three tasks of one socket: read, write, watch the deadlines. The first to end ends all."""

    def __init__(
        self,
        socket: ClientConnection,
        link: Link,
        line: asyncio.Queue[Outgoing],
        clock: Callable[[], Moment],
        post: Callable[[LinkEvent], Awaitable[None]],
    ) -> None:
        self._socket = socket
        self._link = link
        self._line = line
        self._clock = clock
        self._post = post
        self._deadline_moved = asyncio.Event()

    async def run(self) -> _Ending:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._read(), name="link-read"),
                group.create_task(self._write(), name="link-write"),
                group.create_task(self._watch_deadlines(), name="link-deadlines"),
            ]
            done, running = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in running:
                task.cancel()
        return next(iter(done)).result()

    async def _read(self) -> _Ending:
        try:
            async for raw in self._socket:
                await _post_all(self._post, self._link.receive(raw, self._clock()))
                for frame in self._link.frames_to_send():
                    await self._socket.send(frame)
                self._deadline_moved.set()
        except ConnectionClosed as closed:
            return _closed(closed)
        return _Ending("the server closed the link", classify_close(_peers_code(self._socket)))

    async def _write(self) -> _Ending:
        while True:
            outgoing = await self._line.get()
            if self._link.spoilt or self._socket.state is not State.OPEN:
                await self._post(WriteFailed(outgoing.id))
                continue
            frame = self._link.command(outgoing, self._clock())
            try:
                await self._socket.send(frame)
            except ConnectionClosed:
                continue  # the reader ends the link, once it has read what came before the end
            await self._post(CommandWritten(outgoing.id, frame))
            self._deadline_moved.set()

    async def _watch_deadlines(self) -> _Ending:
        while True:
            self._deadline_moved.clear()
            deadline = self._link.next_deadline()
            delay_s = None if deadline is None else max(0.0, deadline - self._clock().monotonic)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay_s):
                    await self._deadline_moved.wait()
                    continue
            events = self._link.advance(self._clock())
            await _post_all(self._post, events)
            for event in events:
                if isinstance(event, LinkSpoilt):
                    return _Ending(event.reason)


async def _post_all(post: Callable[[LinkEvent], Awaitable[None]], events: list[LinkEvent]) -> None:
    """Post every event, even when the waiting for room is cancelled: each may be a command's only word."""
    cancelled: asyncio.CancelledError | None = None
    for event in events:
        try:
            await post(event)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


async def _close(socket: ClientConnection) -> None:
    try:
        await socket.close()
    except AttributeError as error:
        # websockets 17 can trip over its own transport when the peer closes in the middle of a large write.
        # The socket is gone all the same.
        log.debug("closing a link", problem=str(error))


def _in_words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"it did not answer within {OPEN_TIMEOUT_S:.0f} s"
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()


def _closed(closed: ConnectionClosed) -> _Ending:
    return _Ending(f"the link was lost: {closed}", classify_close(closed.rcvd.code if closed.rcvd else None))


def _peers_code(socket: ClientConnection) -> int | None:
    """The close code the peer sent; None when it only vanished or when we closed first."""
    received = socket.protocol.close_rcvd
    return received.code if received and socket.protocol.close_rcvd_then_sent is not False else None
