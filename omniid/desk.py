"""The embedded backend as a stand-in: asked what it may answer while the remote backend is away.

It answers only what touches nothing and asks nobody ("what time is it"), and says so of itself; everything
else stays in the line. Each question has a connection of its own: they are rare.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from omniid.events import AnsweredHere, CommandSettled
from omniid.moment import Moment
from omniid.protocol.chat import Reply
from omniid.protocol.link import Link, Outgoing
from omniid.storage.outbox import Kind
from omniid.wire import Target, Wire, WireSettings, dial

log = structlog.get_logger()

ANSWERED_WITHIN_S = 5.0
ONLY_IF_SAFE = "onlyIfSafe"
_MOST_WAITING = 100


class StandIn:
    """Answers one command after the other for as long as `run` runs."""

    def __init__(
        self,
        target: Target,
        wire: WireSettings,
        new_link: Callable[[Moment], Link],
        *,
        clock: Callable[[], Moment],
        post: Callable[[AnsweredHere], Awaitable[None]],
    ) -> None:
        self._target = target
        self._wire = wire
        self._new_link = new_link
        self._clock = clock
        self._post = post
        self._line: asyncio.Queue[Outgoing] = asyncio.Queue(_MOST_WAITING)

    def ask(self, command_id: str, kind: Kind, message: str) -> bool:
        """Have a command looked at; False, and it only stays in the outbox's line, where too many wait."""
        if self._line.full():
            return False
        self._line.put_nowait(Outgoing(command_id, kind, message, {ONLY_IF_SAFE: True}))
        return True

    async def run(self) -> None:
        while True:
            outgoing = await self._line.get()
            await self._post(AnsweredHere(outgoing.id, await self._answer(outgoing)))

    async def _answer(self, outgoing: Outgoing) -> Reply | None:
        """What it says; None where it may not answer, or cannot."""
        try:
            async with asyncio.timeout(ANSWERED_WITHIN_S):
                wire = await dial(self._target, self._wire, None)
                try:
                    return await self._converse(wire, outgoing)
                finally:
                    await wire.leave()
        except (OSError, TimeoutError, EOFError, InvalidHandshake, ConnectionClosed) as error:
            log.info("the embedded backend did not answer", problem=type(error).__name__)
            return None

    async def _converse(self, wire: Wire, outgoing: Outgoing) -> Reply | None:
        link = self._new_link(self._clock())
        await wire.send_burst(link.commands([outgoing], self._clock()))
        async for raw in wire:
            for event in link.receive(raw, self._clock()):
                if isinstance(event, CommandSettled):
                    return event.reply if event.reply.outcome == "done" else None
        return None
