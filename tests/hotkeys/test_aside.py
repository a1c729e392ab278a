from __future__ import annotations

import asyncio
import threading

import pytest
from support.running import run

from omniid.hotkeys.aside import call_aside

WITHIN_S = 60.0


def test_a_result_and_an_error_come_as_from_a_plain_call() -> None:
    async def work() -> None:
        assert await call_aside(lambda: 7, WITHIN_S) == 7
        with pytest.raises(ZeroDivisionError):
            await call_aside(lambda: 1 // 0, WITHIN_S)

    run(work)


@pytest.mark.parametrize("is_cancelled", [True, False])
def test_a_result_that_comes_too_late_is_undone(is_cancelled: bool) -> None:
    began, may_end, undone = threading.Event(), threading.Event(), threading.Event()

    def work_slowly() -> int:
        began.set()
        may_end.wait(WITHIN_S)
        return 7

    def undo(result: int) -> None:
        assert result == 7
        undone.set()

    async def work() -> None:
        async with asyncio.TaskGroup() as group:

            async def wait() -> None:
                with pytest.raises(TimeoutError):
                    await call_aside(work_slowly, WITHIN_S if is_cancelled else 0.01, undo)

            waiting = group.create_task(wait())
            assert await asyncio.to_thread(began.wait, WITHIN_S)
            if is_cancelled:
                waiting.cancel()
            await asyncio.wait([waiting])
        may_end.set()
        assert await asyncio.to_thread(undone.wait, WITHIN_S)

    run(work)


def test_a_result_that_comes_after_the_event_loop_is_undone() -> None:
    may_end, undone = threading.Event(), threading.Event()

    def work_slowly() -> int:
        may_end.wait(WITHIN_S)
        return 7

    async def work() -> None:
        with pytest.raises(TimeoutError):
            await call_aside(work_slowly, 0.01, lambda _: undone.set())

    run(work)
    may_end.set()

    assert undone.wait(WITHIN_S)
