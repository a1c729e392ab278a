"""What is written down of what happens, into a real history."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from support import flow
from support.field import address, served, silent
from support.moments import at
from support.world import MortalDatabase

from omniid.chronicle import Chronicle, message_of
from omniid.cli.private_daemon import Config, PrivateDaemon
from omniid.events import (
    AnswerAcknowledged,
    ClockTicked,
    CommandEdited,
    CommandFound,
    CommandProgressed,
    CommandQueued,
    CommandSettled,
    Event,
    LateReplyArrived,
    LinkEvent,
    MessageArrived,
    QuestionAnswered,
    QuestionAsked,
    QuestionExpired,
    SettledHere,
    StorageFailed,
    StorageWorks,
)
from omniid.fate import State
from omniid.protocol.chat import Note, Reply
from omniid.protocol.link import Link, LinkSettings, Outgoing
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
        (QuestionExpired("q1", "Send it?"), ("system", "expired", "Too late to answer: Send it?")),
        (AnswerAcknowledged("s", "1", accepted=True, text="Thanks."), None),
        (AnswerAcknowledged("s", "1", accepted=False, text="No."), ("assistant", "partial", "No.")),
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


def found(command_id: str, accepted_at: datetime) -> CommandFound:
    return CommandFound(
        command_id, "text", f"say {command_id}", State.QUEUED, accepted_at=accepted_at.isoformat()
    )


def said_after(tmp_path: Path, *events: Event, cleared: bool = False) -> list[str]:
    """What the history has after a message at NOW and these events."""

    async def run() -> list[str]:
        async with Database(tmp_path / "omniid.db") as database:
            history = History(database)
            chronicle = Chronicle(history, lambda: NOW, lambda _: None)
            async with asyncio.TaskGroup() as group:
                writing = group.create_task(chronicle.run())
                chronicle.observe(CommandQueued("c1", "text", "say c1"))
                await chronicle.caught_up()
                if cleared:
                    await history.clear()
                for event in events:
                    chronicle.observe(event)
                await chronicle.caught_up()
                page = await history.page(500)
                writing.cancel()
            return [stored.message.text for stored in reversed(page.messages)]

    return asyncio.run(run())


def test_a_command_whose_line_died_with_its_run_gets_it_at_the_next_start(tmp_path: Path) -> None:
    events = [found("c1", NOW), found("c2", NOW - timedelta(seconds=1))]
    assert said_after(tmp_path, *events, *events) == ["say c1", "say c2"]


def test_a_line_that_was_deleted_does_not_come_back(tmp_path: Path) -> None:
    assert said_after(tmp_path, found("c0", NOW - timedelta(minutes=5))) == ["say c1"]
    assert said_after(tmp_path, found("c2", NOW), cleared=True) == []


def test_nor_does_one_from_before_a_clear_or_from_while_no_history_was_kept(tmp_path: Path) -> None:
    async def run() -> list[str]:
        now = datetime.now(UTC)
        async with Database(tmp_path / "omniid.db") as database:
            history = History(database)
            lost = HistoryMessage("c1", now - timedelta(seconds=1), "user", "command", "before the clear")
            await history.clear()
            later = now + timedelta(seconds=8)
            await history.add(HistoryMessage("c2", later, "user", "command", "after it"))
            await history.add_lost(lost)
            await History(database, enabled=False).forget_older_than(30, later)
            secret = HistoryMessage("c3", later + timedelta(hours=1), "user", "command", "while it was off")
            on_again = History(database)
            await on_again.forget_older_than(30, later + timedelta(hours=2))
            await on_again.add_lost(secret)
            fresh = replace(secret, id="c4", at=later + timedelta(hours=3), text="while it is on")
            await on_again.add_lost(fresh)
            return [stored.message.text for stored in reversed((await on_again.page(10)).messages)]

    assert asyncio.run(run()) == ["after it", "while it is on"]


def test_whoever_asks_waits_for_what_was_said_before(tmp_path: Path) -> None:
    said = [MessageArrived("chat", f"message {number}", {}) for number in range(100)]
    assert len(said_after(tmp_path, *said)) == 101


def test_nobody_waits_for_a_disk_that_takes_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        async with MortalDatabase(tmp_path / "omniid.db") as database:
            told = asyncio.Event()
            chronicle = Chronicle(History(database), lambda: NOW, lambda _: told.set())
            await database.cap()
            async with asyncio.TaskGroup() as group:
                writing = group.create_task(chronicle.run())
                chronicle.observe(CommandQueued("c1", "text", "x" * 50_000))
                began = time.monotonic()
                for _ in range(20):
                    await chronicle.caught_up()
                assert time.monotonic() - began < 20, "or each would have cost two seconds"
                assert told.is_set()
                await database.uncap()
                writing.cancel()

    asyncio.run(run())


class WatchedHistory(History):
    """A real one that says when something was written into it."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.written = asyncio.Event()

    async def add(self, message: HistoryMessage, *, once: bool = False) -> None:
        await super().add(message, once=once)
        self.written.set()

    async def reword(self, message_id: str, text: str) -> None:
        await super().reword(message_id, text)
        self.written.set()


class Desk:
    """A chronicle at work over a real history on a disk that can be full."""

    def __init__(self, database: MortalDatabase) -> None:
        self.database = database
        self.history = WatchedHistory(database)
        self.posted: asyncio.Queue[Event] = asyncio.Queue()
        self.chronicle = Chronicle(self.history, lambda: NOW, self.posted.put_nowait)

    def hear(self, *texts: str) -> None:
        for text in texts:
            self.chronicle.observe(MessageArrived("chat", text, {}))

    async def refused(self) -> None:
        """Until the chronicle says that the disk refused something."""
        assert isinstance(await self.posted.get(), StorageFailed)

    async def written(self) -> list[str]:
        return [stored.message.text for stored in (await self.history.page(500)).messages][::-1]

    async def until_written(self, *texts: str) -> None:
        while await self.written() != list(texts):
            await self.history.written.wait()
            self.history.written.clear()


def at_the_desk(folder: Path, work: Callable[[Desk], Awaitable[None]]) -> list[str]:
    """What is in the history when the chronicle has ended after the work."""

    async def run() -> list[str]:
        async with asyncio.timeout(30), MortalDatabase(folder / "omniid.db") as database:
            desk = Desk(database)
            async with asyncio.TaskGroup() as group:
                task = group.create_task(desk.chronicle.run())
                await asyncio.sleep(0)
                await work(desk)
                task.cancel()
            return await desk.written()

    return asyncio.run(run())


def test_what_a_full_disk_refuses_is_written_once_it_takes_words_again_and_in_order(tmp_path: Path) -> None:
    long = "b" * 50_000

    async def work(desk: Desk) -> None:
        await desk.database.cap()
        desk.hear("a", long)
        await desk.refused()
        desk.hear("c")
        desk.chronicle.observe(StorageWorks())  # so it seems; the disk is full all the same
        await desk.refused()
        assert desk.posted.empty()
        await desk.database.uncap()
        desk.chronicle.observe(StorageWorks())
        await desk.until_written("a", long, "c")
        desk.hear("d")
        await desk.until_written("a", long, "c", "d")
        assert desk.posted.empty()

    assert at_the_desk(tmp_path, work) == ["a", long, "c", "d"]


def test_at_the_end_the_disk_is_asked_once_more(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        await desk.database.cap()
        desk.hear("a" * 50_000, "b")
        await desk.refused()
        await desk.database.uncap()

    with capture_logs() as logs:
        assert at_the_desk(tmp_path, work) == ["a" * 50_000, "b"]
    assert logs == []


def test_what_a_full_disk_refuses_to_the_end_is_counted_and_keeps_nobody_waiting(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        await desk.database.cap()
        desk.hear("a" * 50_000, "b", "c" * 50_000, "d")
        await desk.refused()

    with capture_logs() as logs:
        assert at_the_desk(tmp_path, work) == ["b", "d"]  # there was room for these
    assert [(entry["event"], entry["messages"]) for entry in logs] == [("left out of the history", 2)]


@pytest.mark.parametrize(
    ("count", "length", "kept"), [(1_300, 1, 999), (60, 500_000, 39)], ids=["many", "large"]
)
def test_only_so_much_waits_and_what_is_left_out_is_counted(
    tmp_path: Path, count: int, length: int, kept: int
) -> None:
    async def work(desk: Desk) -> None:
        await desk.database.cap()
        desk.hear("x" * 50_000)
        await desk.refused()
        desk.hear(*(f"{number} {'x' * length}" for number in range(count)))
        await desk.database.uncap()

    with capture_logs() as logs:
        written = at_the_desk(tmp_path, work)
    assert [text.split()[0] for text in written[1:]] == [str(number) for number in range(kept)][-499:]
    assert [(entry["event"], entry["messages"]) for entry in logs] == [
        ("left out of the history", count - kept)
    ]


def test_what_still_waits_when_the_history_is_cleared_is_never_written(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        await desk.database.cap()
        desk.hear("a secret " + "x" * 50_000, "another")
        await desk.refused()
        await desk.database.uncap()
        await desk.history.clear()
        desk.hear("after it")
        desk.chronicle.observe(StorageWorks())
        await desk.until_written("after it")

    assert at_the_desk(tmp_path, work) == ["after it"]


@pytest.mark.parametrize("is_written", [True, False], ids=["written", "waiting"])
def test_a_command_that_is_edited_says_its_new_words_in_the_history(tmp_path: Path, is_written: bool) -> None:
    async def work(desk: Desk) -> None:
        desk.chronicle.observe(CommandQueued("c1", "text", "call Bob"))
        if is_written:
            await desk.until_written("call Bob")
        desk.chronicle.observe(CommandEdited("c1", "call Ann"))
        desk.hear("noted")
        await desk.until_written("call Ann", "noted")
        assert (await desk.history.page(5, query="bob")).messages == []
        (found,) = (await desk.history.page(5, query="ann")).messages
        assert (found.message.id, found.message.sender, found.message.kind) == ("c1", "user", "command")

    at_the_desk(tmp_path, work)


def test_an_edit_behind_a_full_disk_comes_after_the_words_it_changes(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        await desk.database.cap()
        desk.chronicle.observe(CommandQueued("c1", "text", "x" * 8_000))
        await desk.refused()
        desk.chronicle.observe(CommandEdited("c1", "call Ann"))
        await desk.database.uncap()
        desk.chronicle.observe(StorageWorks())
        await desk.until_written("call Ann")

    at_the_desk(tmp_path, work)


def test_a_reply_that_comes_again_is_written_once(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        for event in (
            CommandSettled("c1", REPLY),
            LateReplyArrived("c1", REPLY),
            LateReplyArrived("c2", REPLY),
            LateReplyArrived("c2", REPLY),
            LateReplyArrived("c2", replace(REPLY, content="Sent, twice.")),
            CommandSettled("c1", REPLY),  # of another attempt, which somebody waited for
            CommandSettled("c3", replace(REPLY, outcome="needs_auth", content="Sign in.")),
            CommandSettled("c3", replace(REPLY, outcome="needs_auth", content="Sign in.")),
        ):
            desk.chronicle.observe(event)

    assert at_the_desk(tmp_path, work) == ["Sent.", "Sent.", "Sent, twice.", "Sent.", "Sign in."]


UNIFIED = {
    "type": "calendar", "success": True, "message": "Here is your day.", "id": "x",
    "data": {
        "ui": {
            "content": "10:00 dentist", "actions": [{"label": "Open"}],
            "metadata": {"category": "calendar", "confidence": 0.9, "source": "Calendar"},
        },
    },
}  # fmt: skip


@pytest.mark.parametrize(
    "frame",
    [
        UNIFIED,
        {"type": "response", "status": "success", "data": {"message": "Late.", "actions": [{"do": "x"}]}},
        {"type": "response", "status": "error", "data": {"error": "No."}},
        {"type": "error", "error": {"message": "No."}, "timestamp": 1},
    ],
    ids=["unified", "success", "failed", "error"],
)
def test_a_settling_frame_nobody_waits_for_is_kept_as_any_reply_is(frame: dict[str, Any]) -> None:
    def received(*commands: str) -> tuple[LinkEvent, HistoryMessage]:
        link = Link(LinkSettings("ann", "UTC", 1, 60.0), at())
        link.commands([Outgoing(command, "text", "x", {}) for command in commands], at())
        (event,) = link.receive(json.dumps(frame), at())
        message = message_of(event, NOW)
        assert message is not None
        return event, message

    settled, usual = received("c1")
    unasked, message = received()

    assert isinstance(settled, CommandSettled)
    assert isinstance(unasked, MessageArrived)
    assert message.reply == usual.reply
    assert (message.text, message.sender) == (usual.text, "assistant")
    assert message.reply is not None
    assert message.reply["raw"] == frame


def test_a_settling_frame_too_large_to_be_kept_claims_no_outcome() -> None:
    event = MessageArrived("response", "Late.", {"type": "response", "omitted_bytes": 300_000})
    error = MessageArrived("error", "Late.", {"type": "error", "omitted_bytes": 300_000})

    for message in (message_of(event, NOW), message_of(error, NOW)):
        assert message is not None
        assert (message.text, message.reply) == ("Late.", None)


def test_an_edit_over_the_control_api_is_in_the_history(tmp_path: Path) -> None:
    with served(silent) as port:
        pass  # nobody listens there any more
    config: Config = {"backend": {"url": address(port)}, "speech": {"engine": "none"}}
    with flow.daemon(tmp_path, config) as running:
        command_id = running.client.call("POST", "/v1/commands", {"message": "call Bob"})["id"]
        running.client.call("PATCH", f"/v1/commands/{command_id}", {"message": " call  Ann\x07 "})
        until = time.monotonic() + flow.WITHIN_S
        while (said := said_in(running)) != ["call  Ann"]:
            assert time.monotonic() < until, said
        assert flow.until(running, "command_edited") == {
            "event": "command_edited", "command_id": command_id, "text": "call  Ann",
        }  # fmt: skip


def said_in(running: PrivateDaemon) -> list[str]:
    return [each["text"] for each in running.client.call("GET", "/v1/history")["messages"]]


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
