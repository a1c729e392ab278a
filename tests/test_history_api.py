"""What the verbs about the history do, on a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.moments import at, wall
from support.running import run

from omniid.chronicle import Chronicle
from omniid.control.server import Call
from omniid.errors import StorageError
from omniid.events import MessageArrived
from omniid.history_api import HistoryVerbs
from omniid.storage.database import Database
from omniid.storage.history import History
from omniid.storage.outbox import Limits, NewCommand, Outbox

CALL = Call("", None, None, {})


class House:
    def __init__(self, database: Database, history: History) -> None:
        self.outbox = Outbox(database, Limits(600, 86_400, 10, 10_000))
        self.chronicle = Chronicle(history, wall, lambda _: None)
        self.verbs = HistoryVerbs(history, self.outbox, self.chronicle.caught_up, at)


@asynccontextmanager
async def house(folder: Path, kind: type[History] = History) -> AsyncIterator[House]:
    async with Database(folder / "omniid.db") as database, asyncio.TaskGroup() as group:
        made = House(database, kind(database))
        writing = group.create_task(made.chronicle.run())
        yield made
        writing.cancel()


def test_whoever_asks_gets_what_was_said_a_moment_ago(tmp_path: Path) -> None:
    async def work() -> None:
        async with house(tmp_path) as made:
            for number in range(50):
                made.chronicle.observe(MessageArrived("chat", f"message {number}", {}))
            page = await made.verbs.history(CALL)
            assert [message.text for message in page.messages][:1] == ["message 49"]
            assert len(page.messages) == 50

    run(work)


class Stubborn(History):
    """A real one on a disk that lets nothing be deleted."""

    async def clear(self) -> int:
        raise StorageError("The disk is full.")


def test_a_clear_that_is_cut_short_leaves_what_can_be_seen_and_cleared_again(tmp_path: Path) -> None:
    async def work() -> None:
        async with house(tmp_path, Stubborn) as made:
            made.chronicle.observe(MessageArrived("chat", "hello", {}))
            await made.outbox.add(NewCommand("c1", "text", "buy milk", {}), wall(-60))
            await made.outbox.cancel("c1", wall(-60))
            with pytest.raises(StorageError):
                await made.verbs.history_clear(CALL)
            assert (await made.outbox.get("c1")).message == ""
            assert len((await made.verbs.history(CALL)).messages) == 1

    run(work)
