"""The event stream: a snapshot first, then numbered events; a reader that lags is told so and let go."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, is_dataclass
from typing import Any, Self

from pydantic import BaseModel

HEARTBEAT_S = 15.0
_READER_HOLDS = 256
_RING_HOLDS = 1_000
_RING_HOLDS_BYTES = 4 * 1024 * 1024  # a server may push frames of megabytes
_LAGGED = b'event: lagged\ndata: {"advice": "read again without since, and take the snapshot"}\n\n'


@dataclass(frozen=True, slots=True)
class Published:
    """`sse` is the event in the form of server-sent events."""

    number: int
    sse: bytes

    @classmethod
    def of(cls, number: int, name: str, data: dict[str, Any]) -> Self:
        body = json.dumps(data, default=_plain)
        return cls(number, f"id: {number}\nevent: {name}\ndata: {body}\n\n".encode())


def fields_of(event: Any) -> dict[str, Any]:
    """A dataclass as a record, without copies: `dataclasses.asdict` would copy whole frames."""
    return {name: getattr(event, name) for name in event.__dataclass_fields__}


def _plain(value: object) -> Any:
    return fields_of(value) if is_dataclass(value) else str(value)


class EventHub:
    """Numbers events, keeps the latest, and hands them to any number of readers without waiting for one."""

    def __init__(self) -> None:
        self._ring: deque[Published] = deque()
        self._ring_bytes = 0
        self._readers: set[asyncio.Queue[Published | None]] = set()
        self._number = 0
        self._closed = False

    def publish(self, name: str, data: dict[str, Any], *, passing: bool = False) -> None:
        """`passing`: of no interest a moment later, so that a reader who comes back does not get it."""
        self._number += 1
        event = Published.of(self._number, name, data)
        if not passing:
            self._keep(event)
        for queue in list(self._readers):
            if queue.full():
                self._readers.discard(queue)  # its reader finds itself gone and says `lagged`
            else:
                queue.put_nowait(event)

    def _keep(self, event: Published) -> None:
        self._ring.append(event)
        self._ring_bytes += len(event.sse)
        while len(self._ring) > _RING_HOLDS or self._ring_bytes > _RING_HOLDS_BYTES:
            self._ring_bytes -= len(self._ring.popleft().sse)

    def close(self) -> None:
        """End every stream."""
        self._closed = True
        for queue in self._readers:
            while queue.full():
                queue.get_nowait()
            queue.put_nowait(None)

    async def read(
        self, since: int | None, snapshot: Callable[[], Awaitable[BaseModel]]
    ) -> AsyncIterator[bytes]:
        """The stream from event number `since`, or from a snapshot where that is not kept any more."""
        queue: asyncio.Queue[Published | None] = asyncio.Queue(_READER_HOLDS)
        missed = self._after(since)
        self._readers.add(queue)
        try:
            if missed is None:
                # Numbered before it is taken: what happens meanwhile comes after it, and nothing is missed.
                number = self._number
                yield Published.of(number, "snapshot", (await snapshot()).model_dump(mode="json")).sse
            for event in missed or ():
                yield event.sse
            async for piece in self._follow(queue):
                yield piece
        finally:
            self._readers.discard(queue)

    async def _follow(self, queue: asyncio.Queue[Published | None]) -> AsyncIterator[bytes]:
        while not self._closed:
            if queue not in self._readers and queue.empty():
                yield _LAGGED
                return
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    event = await queue.get()
            except TimeoutError:
                yield b": heartbeat\n\n"
                continue
            if event is None:
                return
            yield event.sse

    def _after(self, since: int | None) -> list[Published] | None:
        """The kept events after `since`; None when a snapshot has to stand in for them."""
        if since is None or since > self._number:
            return None
        oldest = self._ring[0].number if self._ring else self._number + 1
        return [event for event in self._ring if event.number > since] if since >= oldest - 1 else None
