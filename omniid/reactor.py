"""The daemon's heart: one queue of events; each goes to the assistant, and its effects are performed."""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import structlog

from omniid.assistant import Assistant
from omniid.control.stream import EventHub, fields_of
from omniid.effects import Effect
from omniid.events import (
    ClockTicked,
    CommandProgressed,
    CommandRefused,
    Event,
    FrameIgnored,
    LineServed,
    LinkDialling,
    LinkLost,
    LinkOpened,
    LinkStopped,
    StorageFailed,
    TakeGivenUp,
    WorkerFailed,
)
from omniid.moment import Moment
from omniid.restraint import Restraint
from omniid.timeline import Timelines
from omniid.workers.channel import LevelHeard, SpeechFailed, TakeFailed, TakePartial

log = structlog.get_logger()

_COMFORTABLE = 1_000
_UNSEEN = (ClockTicked, LineServed)
_PASSING = (LevelHeard, TakePartial)
_FREQUENT = (CommandProgressed, FrameIgnored, *_PASSING)
_PROBLEMS = (WorkerFailed, TakeFailed, TakeGivenUp, SpeechFailed, StorageFailed, CommandRefused)
_FLAPPING = (LinkDialling, LinkOpened, LinkLost, LinkStopped)
_LOGGED = ("command_id", "take_id", "worker", "pid", "state", "reason", "cause", "backend", "model", "device")


class Reactor:
    """Takes events in the order they come; each is handled with all its consequences before the next."""

    def __init__(
        self,
        assistant: Assistant,
        timelines: Timelines,
        hub: EventHub,
        clock: Callable[[], Moment],
    ) -> None:
        self._assistant = assistant
        self._timelines = timelines
        self._hub = hub
        self._clock = clock
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._room = asyncio.Event()
        self._room.set()
        self._restraint = Restraint()
        self._is_busy = False
        self._observers: set[Callable[[Event], None]] = set()

    @property
    def is_busy(self) -> bool:
        """Whether an event is being handled: what is posted now has to wait, perhaps for a slow disk."""
        return self._is_busy

    def post_nowait(self, event: Event) -> None:
        self._queue.put_nowait(event)
        if self._queue.qsize() >= _COMFORTABLE:
            self._room.clear()

    async def post(self, event: Event) -> None:
        """Post, then wait while the queue is long. The event is in even if the waiting is cancelled."""
        self.post_nowait(event)
        await self._room.wait()

    async def handled(self, event: Event) -> None:
        """Post, and return once the policy has handled it; what follows from that may still be under way."""
        handled = asyncio.Event()

        def watch(seen: Event) -> None:
            if seen is event:
                handled.set()

        with self.observing(watch):
            self.post_nowait(event)
            await handled.wait()

    def stop(self) -> None:
        """Let `run` end once all that was posted before this has been handled."""
        self._queue.put_nowait(None)

    @contextmanager
    def observing(self, *observers: Callable[[Event], None]) -> Iterator[None]:
        """Show every event to these after it has been handled."""
        self._observers.update(observers)
        try:
            yield
        finally:
            self._observers.difference_update(observers)

    async def run(self, perform: Callable[[Effect], Awaitable[list[Event]]]) -> None:
        while (event := await self._queue.get()) is not None:
            if self._queue.qsize() < _COMFORTABLE:
                self._room.set()
            self._is_busy = True
            await self._handle(event, perform)
            self._is_busy = False

    async def _handle(self, first: Event, perform: Callable[[Effect], Awaitable[list[Event]]]) -> None:
        events = [first]
        while events:
            event = events.pop(0)
            self._timelines.observe(event, self._clock().monotonic)
            effects = self._assistant.handle(event, self._clock().monotonic)
            self._tell(event)
            follow_ups: list[Event] = []
            for effect in effects:
                follow_ups += await perform(effect)
            events = follow_ups + events

    def _tell(self, event: Event) -> None:
        name = _snake(type(event).__name__)
        if not isinstance(event, _UNSEEN):
            self._hub.publish(name, fields_of(event), passing=isinstance(event, _PASSING))
            self._log(name, event)
        for observer in list(self._observers):
            observer(event)

    def _log(self, name: str, event: Event) -> None:
        """Ids and reasons only: what people say and hear stays out of the log."""
        if isinstance(event, _PROBLEMS):
            log.warning(name, problem=event.message)
        elif not isinstance(event, _FREQUENT):
            known = {key: getattr(event, key, None) for key in _LOGGED}
            if isinstance(event, _FLAPPING):
                held_back = self._restraint.admit(name, self._clock().monotonic)
                if held_back is None:
                    return
                known["not_logged"] = held_back
            log.info(name, **{key: value for key, value in known.items() if value})


@functools.cache
def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
