"""The WebSocket shell round `omniid.protocol.link`: it dials, moves frames, and reports what they mean.

One task owns one socket at a time. The dialling loop is our own: the library's reconnecting iterator resets
its delay on every handshake and would dial a server that accepts and closes in a hot loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidProxy,
    InvalidStatus,
    InvalidURI,
)
from websockets.protocol import State

from omniid.errors import OmniidError
from omniid.events import (
    CommandRejected,
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
from omniid.protocol import codec
from omniid.protocol.backoff import PROVEN_AFTER_S, Backoff
from omniid.protocol.closing import Retry, advise, classify_close, classify_status, retry_after_s
from omniid.protocol.link import Answer, Frame, Leave, Link, LinkSettings, Outgoing
from omniid.protocol.sealing import Sealer
from omniid.wire import OPEN_TIMEOUT_S, Target, Wire, WireSettings, dial

SHORTEST_REDIAL_S = 1.0
PROBED_FOR_S = 2.0
STOPPED_FOR_S = 600.0
_MAX_SUBMITTED = 1_000
_CODE = re.compile(r"(/signed-in/[^\s\"?]*\?state=)[\w-]+")

Post = Callable[[LinkEvent], Awaitable[None]]
NewLink = Callable[[Moment, codec.Codec], Link]


class Tokens(Protocol):
    """Where the token comes from; `again` when the last one was refused."""

    async def token(self, *, again: bool) -> str | None: ...


def link_maker(settings: LinkSettings, sealer: Sealer | None = None) -> NewLink:
    """What makes a fresh link for each socket."""
    return lambda now, chosen: Link(settings, now, codec=chosen, sealer=sealer)


@dataclass(frozen=True, slots=True)
class Way:
    """How to reach the backend."""

    target: Target
    wire: WireSettings
    tokens: Tokens | None = None


@dataclass(frozen=True, slots=True)
class _Ending:
    """Why a link (or the attempt at one) is over, and whether dialling again can help."""

    reason: str
    retry: Retry = "retry"
    not_before_s: float = 0.0  # the server asked to be left alone for so long


_ASKED_FOR = _Ending("a new link was asked for")


class Session:
    """Keeps one link to the backend for as long as `run` runs.

    `post` takes each event; it may make the caller wait, and so slows down a server that talks too fast.
    """

    def __init__(
        self, way: Way, new_link: NewLink, backoff: Backoff, *, clock: Callable[[], Moment], post: Post
    ) -> None:
        self._way = way
        self._new_link = new_link
        self._backoff = backoff
        self._clock = clock
        self._post = post
        self._epoch = 0
        self._conversation: _Conversation | None = None
        self._wake = asyncio.Event()
        self._insist = asyncio.Event()
        self._attempt: asyncio.Timeout | None = None
        self._dialled_at = 0.0
        self._token_refused = False
        self._heard_at: float | None = None
        self._latest: tuple[str, float] | None = None

    # --- what others may ask -----------------------------------------------------------------------------

    @property
    def target_name(self) -> str:
        return str(self._way.target)

    @property
    def last_heard_at(self) -> float | None:
        """When the backend was last heard of, in monotonic seconds; None when never."""
        return self._heard_at if self._conversation is None else self._conversation.link.heard_at

    def submit(self, outgoing: Sequence[Outgoing], epoch: int) -> bool:
        """Hand commands to the link of this epoch; False, and nothing is sent, when it is over."""
        return self._conversation is not None and epoch == self._epoch and self._conversation.submit(outgoing)

    def answer(self, answer: Answer) -> bool:
        """Hand the user's answer to the open link; False, and nothing is sent, when there is none."""
        return self._conversation is not None and self._conversation.submit([answer])

    def leave_questions(self, command_id: str) -> None:
        """Wait no longer for an answer of the user's to what was asked for this command."""
        if self._conversation is not None:
            self._conversation.submit([Leave(command_id)])

    def wake(self) -> None:
        """Dial now rather than after the delay: at most once a second, and not while the server forbids."""
        if self._conversation is None:
            self._wake.set()

    def look_again(self) -> None:
        """The machine woke up, or its network changed: an open link has to prove that it lives."""
        if self._conversation is not None:
            self._conversation.probe()
        elif time.monotonic() - self._dialled_at > PROBED_FOR_S:
            self._give_up_attempt()  # it may hang on a way that is no more
        self._insist.set()
        self._wake.set()

    def reconnect(self) -> None:
        """Give up the present link or attempt, whatever state it is in, and dial again with a fresh token."""
        self._token_refused = True
        self._insist.set()
        self._wake.set()
        self._give_up_attempt()

    def _give_up_attempt(self) -> None:
        if self._attempt is not None and not self._attempt.expired():
            self._attempt.reschedule(asyncio.get_running_loop().time())

    async def run(self) -> None:
        if self._way.target.socket is not None:
            await self._wake.wait()  # the backend that will serve this socket is only starting
        while True:
            self._wake.clear()
            self._insist.clear()
            await self._post(LinkDialling(self.target_name))
            self._dialled_at = time.monotonic()
            ending = await self._attempt_link()
            if ending.retry == "needs_token" and self._may_ask_again():
                self._token_refused = True  # the next attempt asks for a fresh one
                await self._post(LinkLost(ending.reason, SHORTEST_REDIAL_S))
                await self._pause(SHORTEST_REDIAL_S)
            elif ending.retry == "retry":
                await self._retry(ending)
            else:
                needs_token = ending.retry == "needs_token"
                await self._post(LinkStopped(ending.reason, needs_token=needs_token))
                await self._pause(None if needs_token else STOPPED_FOR_S, insist=needs_token)

    async def _retry(self, ending: _Ending) -> None:
        delay_s = max(self._backoff.next_delay(), ending.not_before_s)
        at_once = self._insist.is_set() or (self._wake.is_set() and not ending.not_before_s)
        await self._post(LinkLost(ending.reason, 0.0 if at_once else round(delay_s, 3)))
        await self._pause(delay_s, insist=ending.not_before_s > 0)

    async def _pause(self, delay_s: float | None, *, insist: bool = False) -> None:
        """Wait, unless woken. With `insist`, a command that is accepted is no reason to be woken.

        Then the server has asked to be left alone, or would only refuse the same token again.
        """
        woken = self._insist if insist else self._wake
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay_s):
                await woken.wait()
                shortest_s = 0.0 if self._way.target.socket else SHORTEST_REDIAL_S
                await asyncio.sleep(max(0.0, self._dialled_at + shortest_s - time.monotonic()))

    # --- one socket --------------------------------------------------------------------------------------

    async def _attempt_link(self) -> _Ending:
        try:
            async with asyncio.timeout(None) as self._attempt:
                return await self._dial_and_serve()
        except TimeoutError:
            return _ASKED_FOR
        finally:
            self._attempt = None

    async def _dial_and_serve(self) -> _Ending:
        try:
            wire = await dial(self._way.target, self._way.wire, await self._token())
        except OmniidError as error:
            return _Ending(error.message)
        except InvalidStatus as error:
            return self._refused(error)
        except ssl.SSLCertVerificationError as error:
            words = f"{self.target_name} has no valid certificate: {error.verify_message}"
            return _Ending(f"{words}; check backend.url, or set backend.ca_file", "stop")
        except ssl.SSLError as error:
            return _Ending(f"{self.target_name} does not speak TLS as it should: {_in_words(error)}")
        except (InvalidURI, InvalidProxy, ValueError, ImportError) as error:
            return _Ending(f"{self.target_name} is no usable address: {error}", "stop")
        except InvalidHandshake as error:
            return _Ending(f"{self.target_name} does not speak WebSocket: {error}")
        except (OSError, TimeoutError, EOFError) as error:
            return _Ending(f"{self.target_name} cannot be reached: {_in_words(error)}")
        try:
            return await self._serve(wire)
        finally:
            await wire.leave()

    def _may_ask_again(self) -> bool:
        return self._way.tokens is not None and not self._token_refused

    async def _token(self) -> str | None:
        if self._way.tokens is None:
            return None
        return await self._way.tokens.token(again=self._token_refused)

    def _refused(self, error: InvalidStatus) -> _Ending:
        status = error.response.status_code
        asked = error.response.headers.get_all("Retry-After")
        wait_s = max((retry_after_s(each, self._clock().wall) for each in asked), default=0.0)
        words = f"{self.target_name} answered HTTP {status}: {advise(status)}"
        return _Ending(words, classify_status(status), wait_s)

    async def _serve(self, wire: Wire) -> _Ending:
        self._epoch += 1
        link = self._new_link(self._clock(), codec.chosen(wire.subprotocol))
        link.latest = self._latest
        conversation = _Conversation(wire, link, self._clock, self._post)
        opened_at = time.monotonic()
        self._conversation = conversation
        try:
            await self._post(LinkOpened(self._epoch, link.window))
            ending = await conversation.run()
        finally:
            alive_s = time.monotonic() - opened_at
            self._conversation = None
            self._heard_at, self._latest = link.heard_at, link.latest
            self._backoff.link_ended(alive_s=alive_s, frames_received=link.frames_received)
            await conversation.account_for_the_rest()
        if alive_s >= PROVEN_AFTER_S or (link.frames_received and ending.retry != "needs_token"):
            self._token_refused = False  # it had taken the token; should it expire, a fresh one is asked for
        return ending


class _Conversation:
    """The three tasks of one socket: read, write, watch the deadlines. The first to end ends all."""

    def __init__(self, wire: Wire, link: Link, clock: Callable[[], Moment], post: Post) -> None:
        self.link = link
        self._wire = wire
        self._line: asyncio.Queue[Outgoing | Answer | Leave] = asyncio.Queue(_MAX_SUBMITTED)
        self._clock = clock
        self._post = post
        self._deadline_moved = asyncio.Event()
        self._probed = False
        wire.on_bytes = lambda: link.heard(clock())

    def submit(self, outgoing: Sequence[Outgoing | Answer | Leave]) -> bool:
        """Take all of these for writing, or none."""
        if self._line.qsize() + len(outgoing) > _MAX_SUBMITTED:
            return False
        for each in outgoing:
            self._line.put_nowait(each)
        return True

    def probe(self) -> None:
        """Ask for a sign of life within `PROBED_FOR_S`; without one, the link is over."""
        self._probed = True
        self._deadline_moved.set()

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

    async def account_for_the_rest(self) -> None:
        """Every command handed to this link gets its word: not written, refused, or uncertain."""
        events: list[LinkEvent] = []
        while not self._line.empty():
            left = self._line.get_nowait()
            if isinstance(left, Outgoing):
                events.append(WriteFailed(left.id))
        events += self.link.closed(*self._wire.peers_close)
        await _post_all(self._post, events)

    async def _read(self) -> _Ending:
        try:
            async for raw in self._wire:
                await _post_all(self._post, self.link.receive(raw, self._clock()))
                await self._say_what_is_due()
        except ConnectionClosed as closed:
            return _Ending(f"the link was lost: {closed}", classify_close(*self._wire.peers_close))
        return _Ending("the server closed the link", classify_close(*self._wire.peers_close))

    async def _write(self) -> _Ending:
        while True:
            burst = [await self._line.get()]
            while not self._line.empty():
                burst.append(self._line.get_nowait())
            commands = [each for each in burst if isinstance(each, Outgoing)]
            answers = [each for each in burst if isinstance(each, Answer)]
            if self.link.spoilt or self._wire.state is not State.OPEN:
                await _post_all(self._post, [WriteFailed(command.id) for command in commands])
                continue
            said = [self.link.answer(answer, self._clock()) for answer in answers]
            for left in (each for each in burst if isinstance(each, Leave)):
                self.link.leave_questions(left.command_id, self._clock())
            commands, frames = await self._carried(commands)
            try:
                await self._wire.send_burst([*said, *frames])
            except ConnectionClosed:
                continue  # the reader ends the link, once it has read what came before the end
            await _post_all(self._post, _written(commands, frames))
            self._deadline_moved.set()

    async def _carried(self, commands: list[Outgoing]) -> tuple[list[Outgoing], list[Frame]]:
        """The commands that a frame can carry, with their frames; the others are rejected."""
        try:
            return commands, self.link.commands(commands, self._clock())
        except ValueError as error:
            if len(commands) == 1:
                reason = f"it holds what no frame can carry ({error})"
                await self._post(CommandRejected(commands[0].id, reason))
                return [], []
        singly = [await self._carried([command]) for command in commands]
        return [each for one, _ in singly for each in one], [frame for _, own in singly for frame in own]

    async def _watch_deadlines(self) -> _Ending:
        while True:
            self._deadline_moved.clear()
            if self._probed:
                self._probed = False
                await self._ping(self.link.ping(self._clock(), within_s=PROBED_FOR_S))
            delay_s = max(0.0, self.link.next_deadline() - self._clock().monotonic)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay_s):
                    await self._deadline_moved.wait()
                    continue
            events = self.link.advance(self._clock())
            await _post_all(self._post, events)
            for event in events:
                if isinstance(event, LinkSpoilt):
                    return _Ending(event.reason)
            await self._say_what_is_due()

    async def _say_what_is_due(self) -> None:
        frames = self.link.frames_to_send()
        if self.link.take_ping():
            await self._ping(frames)
        elif frames:
            with contextlib.suppress(ConnectionClosed):  # the reader says so
                await self._wire.send_burst(frames)

    async def _ping(self, frames: Sequence[Frame]) -> None:
        with contextlib.suppress(ConnectionClosed):  # the reader says so
            await self._wire.ping()
            if frames:
                await self._wire.send_burst(frames)


def _written(commands: Sequence[Outgoing], frames: Sequence[Frame]) -> list[LinkEvent]:
    """A word for each command; those of one batch share their frame."""
    if len(frames) == 1:
        return [CommandWritten(command.id, _shown(frames[0])) for command in commands]
    return [
        CommandWritten(command.id, _shown(frame)) for command, frame in zip(commands, frames, strict=True)
    ]


def _shown(frame: Frame) -> str:
    """As everybody may see it: without the code that tells omniid's own page a return from a forged one."""
    return _CODE.sub(r"\1…", frame) if isinstance(frame, str) else f"{len(frame)} bytes of MessagePack"


async def _post_all(post: Post, events: Sequence[LinkEvent]) -> None:
    """Post every event, even when the waiting for room is cancelled: each may be a command's only word."""
    cancelled: asyncio.CancelledError | None = None
    for event in events:
        try:
            await post(event)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


def _in_words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"it did not answer within {OPEN_TIMEOUT_S:.0f} s"
    if isinstance(error, OSError) and (error.errno or 0) > 0:
        return os.strerror(error.errno or 0).lower()
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
