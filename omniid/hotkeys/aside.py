"""A blocking call that may hang, off the event loop and under a deadline."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def call_aside(work: Callable[[], T], within_s: float, undo: Callable[[T], None] | None = None) -> T:
    """What `work` returns, on a thread of its own that nothing waits for when the time is up.

    `undo` gets a result that comes when nobody wants it any more; it runs on that thread.

    Raises:
        TimeoutError: it took longer than `within_s` seconds.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: Exception | None) -> None:
        if done.done():
            if error is None and undo is not None:
                threading.Thread(target=undo, args=(result,), name="hotkeys-undo", daemon=True).start()
        elif error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # without an error there is a result

    def run() -> None:
        result, failure = None, None
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - it is raised again where it is awaited
            failure = error
        try:
            loop.call_soon_threadsafe(settle, result, failure)
        except RuntimeError:  # the loop has been closed meanwhile
            if failure is None and undo is not None:
                undo(result)  # type: ignore[arg-type]  # as above

    threading.Thread(target=run, name="hotkeys", daemon=True).start()
    try:
        async with asyncio.timeout(within_s):
            return await done
    except (TimeoutError, asyncio.CancelledError):
        if done.done() and not done.cancelled() and done.exception() is None and undo is not None:
            undo(done.result())  # it came in the very moment in which the waiting ended
        raise
