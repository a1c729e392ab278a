"""What is written down of what happens, into a real history."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from omniid.chronicle import Chronicle, message_of
from omniid.errors import StorageError
from omniid.events import (
    ClockTicked,
    CommandProgressed,
    CommandQueued,
    CommandSettled,
    Event,
    LateReplyArrived,
    MessageArrived,
    QuestionAnswered,
    QuestionAsked,
    SettledHere,
    StorageFailed,
)
from omniid.protocol.chat import Note, Reply
from omniid.storage.database import Database
from omniid.storage.history import History
from omniid.storage.messages import HistoryMessage

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
REPLY = Reply("done", "Sent.", 95)


@pytest.mark.parametrize(
    ("event", "written"),
    [
        (CommandQueued("c1", "voice", "Send it"), ("user", "command", "Send it")),
        (CommandQueued("c1", "voice", "Send it", again=True), None),
        (CommandSettled("c1", REPLY), ("assistant", "reply", "Sent.")),
        (LateReplyArrived("c1", REPLY), ("assistant", "reply", "Sent.")),
        (SettledHere("c1", "text", REPLY), ("assistant", "reply", "Sent.")),
        (CommandProgressed("c1", "stream", "Sen"), ("assistant", "partial", "Sen")),
        (CommandProgressed("c1", "progress", None), None),
        (QuestionAsked("c1", "approval", "Send it?", {}), ("assistant", "question", "Send it?")),
        (MessageArrived("notification", "New mail.", {}), ("assistant", "notification", "New mail.")),
        (QuestionAnswered("q1", "approve all"), ("user", "answer", "approve all")),
        (ClockTicked(), None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_said_is_written_down(event: Event, written: tuple[str, str, str] | None) -> None:
    message = message_of(event, NOW)

    assert (message and (message.sender, message.kind, message.text)) == written


def test_it_is_in_the_history_in_order_also_what_came_just_before_the_end(tmp_path: Path) -> None:
    async def run() -> list[str]:
        async with Database(tmp_path / "omniid.db") as database:
            history = History(database)
            chronicle = Chronicle(history, lambda: NOW, lambda _: None)
            for number in range(50):
                chronicle.observe(MessageArrived("chat", f"message {number}", {}))
            async with asyncio.timeout(30), asyncio.TaskGroup() as group:
                task = group.create_task(chronicle.run())
                await asyncio.sleep(0)
                task.cancel()
            page = await history.page(100)
            return [stored.message.text for stored in page.messages]

    assert asyncio.run(run()) == [f"message {number}" for number in reversed(range(50))]


class FullBook:
    async def add(self, message: HistoryMessage) -> None:
        raise StorageError(f"No room for {message.kind}.")


def test_a_disk_that_takes_nothing_is_an_event_and_no_end() -> None:
    async def run() -> list[Event]:
        posted: list[Event] = []
        told = asyncio.Event()

        def post(event: Event) -> None:
            posted.append(event)
            if len(posted) == 2:
                told.set()

        chronicle = Chronicle(FullBook(), lambda: NOW, post)
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            task = group.create_task(chronicle.run())
            for _ in range(2):
                chronicle.observe(MessageArrived("chat", "Hi", {}))
            await told.wait()
            task.cancel()
        return posted

    assert asyncio.run(run()) == [StorageFailed("No room for chat.")] * 2


def test_what_is_said_unasked_is_kept_whole_beside_the_command_it_may_be_about() -> None:
    frame = {"type": "notification", "payload": {"title": "Mail"}}
    note = Note("notification", "notification", "Mail", category="warning", sender="system")

    message = message_of(MessageArrived("notification", "Mail", frame, note, "c1"), NOW)

    assert message is not None
    assert (message.sender, message.command_id, message.metadata) == ("system", "c1", {"inferred": True})
    assert message.reply is not None
    assert (message.reply["category"], message.reply["raw"]) == ("warning", frame)


def test_news_of_a_command_in_work_is_kept_with_its_frame() -> None:
    note = Note("partial", "thinking", "Looking", raw={"type": "ai_thinking"})

    message = message_of(CommandProgressed("c1", "thinking", "Looking", note), NOW)

    assert message is not None
    assert (message.command_id, message.metadata) == ("c1", {})
    assert message.reply is not None
    assert message.reply["raw"] == {"type": "ai_thinking"}
