"""An async test as a plain function: it has a deadline and leaves no task behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

WITHIN_S = 120.0


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(WITHIN_S):
            await work()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(bounded())
