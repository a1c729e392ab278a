"""A key that bounces, or a script that is started twice, means one command."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from omniid.errors import RefusedError
from omniid.storage.outbox import Command

Words = tuple[str, str, str]

_MOST_REMEMBERED = 100


class Latest:
    """What was accepted within the last `window_s` seconds, or is being accepted now."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._accepted: dict[Words, tuple[float, asyncio.Future[tuple[Command, bool]]]] = {}

    async def once(
        self, words: Words, accept: Callable[[], Awaitable[tuple[Command, bool]]], now: float
    ) -> tuple[Command, bool]:
        """What `accept` gives; or, for the same words so soon again, the first command and False.

        Whatever `accept` raises reaches everyone who asked, and the next one tries anew.

        Raises:
            RefusedError: the first one was broken off, and may have been accepted or not.
        """
        self._accepted = {
            key: (at, first)
            for key, (at, first) in list(self._accepted.items())[-_MOST_REMEMBERED:]
            if now - at < self._window_s
        }
        if words in self._accepted:
            return await self._same_as(self._accepted[words][1])
        first: asyncio.Future[tuple[Command, bool]] = asyncio.get_running_loop().create_future()
        self._accepted[words] = (now, first)
        try:
            accepted = await accept()
        except BaseException as error:
            self._accepted.pop(words, None)
            if isinstance(error, Exception):
                first.set_exception(error)
                first.exception()  # there may be nobody else who asked
            else:
                first.cancel()
            raise
        first.set_result(accepted)
        return accepted

    async def _same_as(self, first: asyncio.Future[tuple[Command, bool]]) -> tuple[Command, bool]:
        try:
            command, _ = await asyncio.shield(first)
        except asyncio.CancelledError:
            if not first.cancelled():
                raise  # it is we who are to stop waiting
        else:
            return command, False
        raise RefusedError(
            "The same command was just being accepted, and that was broken off. "
            "Look with `omniid outbox list` before you ask again.",
            code="broken_off",
        )
