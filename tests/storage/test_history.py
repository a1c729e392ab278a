"""The conversations on real files."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.moments import wall
from support.running import run

from omniid.errors import StorageError
from omniid.storage import history as module
from omniid.storage.database import Database
from omniid.storage.history import RECENT, History
from omniid.storage.messages import MOST_REPLY_BYTES, MOST_TEXT_BYTES, HistoryMessage, fitted

DAY_S = 86_400.0


def said(number: int, text: str = "", **fields: Any) -> HistoryMessage:
    given = {"id": f"m{number}", "at": wall(number), "sender": "user", "kind": "command"}
    return HistoryMessage(**{**given, "text": text or f"message {number}", **fields})


def with_history(path: Path, work: Callable[[History, Database], Awaitable[None]], **options: Any) -> None:
    async def inside() -> None:
        async with Database(path) as database:
            assert database.set_aside is None
            await work(History(database, **options), database)

    run(inside)


async def add_all(history: History, messages: Iterable[HistoryMessage]) -> None:
    """At once, so that many share a commit; in their order all the same."""
    async with asyncio.TaskGroup() as group:
        for message in messages:
            group.create_task(history.add(message))


async def texts(history: History, limit: int = 500, **question: Any) -> list[str]:
    return [stored.message.text for stored in (await history.page(limit, **question)).messages]


def on_disk(folder: Path) -> bytes:
    return b"".join(part.read_bytes() for part in folder.iterdir())


# --- kept and found -----------------------------------------------------------------------------------------


def test_a_message_comes_back_as_it_was_from_memory_and_from_disk(tmp_path: Path) -> None:
    east = timezone(timedelta(hours=9))
    message = HistoryMessage(
        id="0193-a",
        at=datetime(2026, 3, 1, 21, 0, 0, 123_000, tzinfo=east),
        sender="assistant",
        kind="reply",
        text="Grüße\n\t👋 \x1b[2J \u202eevil <b>bold</b>",
        command_id="0193",
        metadata={"language": "de", "n": [1, None, {"ü": "ö"}]},
        reply={"outcome": "done", "content": "x", "raw": {"type": "response", "data": {}}},
    )

    async def first(history: History, _: Database) -> None:
        await history.add(message)
        assert [stored.message for stored in (await history.page(5)).messages] == [message]

    async def again(history: History, _: Database) -> None:
        assert [stored.message for stored in (await history.page(5)).messages] == [message]
        assert [stored.message for stored in (await history.page(5, query="grusse")).messages] == []
        assert [stored.message for stored in (await history.page(5, query="gruße")).messages] == [message]
        assert (await history.page(1)).messages[0].message.at.tzinfo is UTC

    with_history(tmp_path / "omniid.db", first)
    with_history(tmp_path / "omniid.db", again)


def test_the_same_message_twice_is_one(tmp_path: Path) -> None:
    async def work(history: History, _: Database) -> None:
        await history.add(said(1, "first"))
        await history.add(said(1, "second"))
        await history.add(said(2, "third"))
        assert await texts(history) == ["third", "first"]
        assert await history.count() == 2

    with_history(tmp_path / "omniid.db", work)


@pytest.mark.parametrize("question", [{}, {"query": "message"}, {"since": wall(-1)}], ids=str)
@pytest.mark.parametrize("limit", [3, 40, 500])
def test_pages_follow_each_other_without_a_gap_or_a_repeat_while_more_is_said(
    tmp_path: Path, question: dict[str, Any], limit: int
) -> None:
    async def work(history: History, _: Database) -> None:
        await add_all(history, (said(number) for number in range(450)))
        seen: list[str] = []
        before = None
        for turn in range(1_000):
            page = await history.page(limit, before=before, **question)
            seen += [stored.message.id for stored in page.messages]
            before = page.before
            if before is None:
                break
            await history.add(said(1_000 + turn))  # newer than where the reader is
        assert seen == [f"m{number}" for number in reversed(range(450))]

    with_history(tmp_path / "omniid.db", work)


def test_the_recent_ones_are_answered_without_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(history: History, _: Database) -> None:
        await add_all(history, (said(number) for number in range(RECENT + 50)))
        newest = await texts(history, 20)

        def broken(*_: object) -> None:
            pytest.fail("the disk was asked")

        monkeypatch.setattr(module, "_select", broken)
        assert await texts(history, 20) == newest == [f"message {number}" for number in range(249, 229, -1)]
        await history.add(said(999, "a new one"))
        page = await history.page(2)
        assert [stored.message.text for stored in page.messages] == ["a new one", "message 249"]
        assert await texts(history, 5, before=page.before) == [f"message {n}" for n in range(248, 243, -1)]
        monkeypatch.undo()
        assert len(await texts(history, 500)) == RECENT + 51

    with_history(tmp_path / "omniid.db", work)


def test_only_what_is_new_enough(tmp_path: Path) -> None:
    async def work(history: History, _: Database) -> None:
        await add_all(history, (said(number) for number in range(300)))
        assert await texts(history, since=wall(298)) == ["message 299", "message 298"]
        assert await texts(history, since=wall(299.5)) == []
        assert await texts(history, since=wall(298), query="mess") == ["message 299", "message 298"]
        assert len(await texts(history, since=wall(10))) == 290

    with_history(tmp_path / "omniid.db", work)


def test_a_clock_that_is_set_back_loses_nothing(tmp_path: Path) -> None:
    async def work(history: History, _: Database) -> None:
        for number, at in enumerate([100.0, 50.0, 75.0, 200.0, 10.0]):
            await history.add(said(number, at=wall(at)))
        both = [await texts(history, 2), await texts(history, 2, before=4), await texts(history, 2, before=2)]
        assert both == [["message 4", "message 3"], ["message 2", "message 1"], ["message 0"]]
        assert await texts(history, since=wall(75)) == ["message 3", "message 2", "message 0"]

    with_history(tmp_path / "omniid.db", work)


def test_a_search_looks_at_all_words_and_brings_the_newest_first(tmp_path: Path) -> None:
    async def work(history: History, _: Database) -> None:
        for number, text in enumerate(
            ["buy milk", "Café au lait, and milk", "BUY bread", "会議は明日です", "*"]
        ):
            await history.add(said(number, text))
        assert await texts(history, query="buy") == ["BUY bread", "buy milk"]
        assert await texts(history, query="milk buy") == ["buy milk"]
        assert await texts(history, query="cafe mil") == ["Café au lait, and milk"]
        assert await texts(history, query="明日") == ["会議は明日です"]
        for nothing in ("", "*", '"', "NEAR(", "milk NOT", "%", "\x00"):
            assert await texts(history, query=nothing) == []
        page = await history.page(1, query="milk")
        assert await texts(history, 1, query="milk", before=page.before) == ["buy milk"]

    with_history(tmp_path / "omniid.db", work)


# --- bounds -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kept_bytes"),
    [
        ("x" * 1_000_000, MOST_TEXT_BYTES),
        ("ü" * 1_000_000, MOST_TEXT_BYTES),
        ("家" * 500_000, MOST_TEXT_BYTES - 2),
    ],
    ids=["ascii", "two bytes", "three bytes"],
)
def test_a_huge_text_is_cut_between_characters_and_says_so(
    tmp_path: Path, text: str, kept_bytes: int
) -> None:
    async def work(history: History, _: Database) -> None:
        await history.add(said(1, text))
        kept = (await history.page(1)).messages[0].message
        assert text.startswith(kept.text)
        assert len(kept.text.encode()) == kept_bytes
        assert kept.whole_bytes == len(text.encode())

    with_history(tmp_path / "omniid.db", work)


def test_a_huge_record_keeps_what_it_is_about() -> None:
    raw = fitted(said(1, reply={"outcome": "done", "content": "x", "raw": {"x": "y" * 300_000}})).reply
    assert raw is not None
    assert {**raw, "omitted_bytes": 0} == {"outcome": "done", "content": "x", "omitted_bytes": 0}
    assert raw["omitted_bytes"] > 300_000

    huge = fitted(
        said(1, reply={"outcome": "done", "content": "x" * 300_000, "confidence": 95, "actions": []})
    )
    assert huge.reply is not None
    assert {**huge.reply, "omitted_bytes": 0} == {"outcome": "done", "confidence": 95, "omitted_bytes": 0}

    small = {"outcome": "done", "raw": {"x": "y" * (MOST_REPLY_BYTES - 100)}}
    assert fitted(said(1, reply=small)).reply == small
    assert fitted(said(1, metadata={"x": "y" * 50_000})).metadata.keys() == {"omitted_bytes"}


def test_long_messages_fill_neither_a_page_nor_the_memory(tmp_path: Path) -> None:
    async def work(history: History, _: Database) -> None:
        await add_all(history, (said(number, "x" * MOST_TEXT_BYTES) for number in range(100)))
        await history.page(1)
        await add_all(history, (said(number, "x" * MOST_TEXT_BYTES) for number in range(100, 130)))
        assert len(history._recent._messages) < 25
        seen: list[str] = []
        before = None
        while True:
            page = await history.page(500, before=before)
            assert len(page.messages) < 50
            seen += [stored.message.id for stored in page.messages]
            before = page.before
            if before is None:
                break
        assert seen == [f"m{number}" for number in reversed(range(130))]

    with_history(tmp_path / "omniid.db", work)


@pytest.mark.parametrize(
    "text",
    ["\x00", "a\x00b", "\x01\x02\x1b", "\u202e", "\x1b[2J", "<script>", "\ud83d", "", "\U0010ffff"],
    ids=repr,
)
def test_no_text_is_too_strange_to_be_kept_found_and_deleted(tmp_path: Path, text: str) -> None:
    async def work(history: History, _: Database) -> None:
        await history.add(HistoryMessage("m", wall(), "assistant", "reply", f"{text} milk"))
        kept = (await history.page(1, query="milk")).messages[0].message.text
        assert kept == f"{text} milk".replace("\x00", "\ufffd").replace("\ud83d", "?")
        assert await history.clear() == 1
        assert await texts(history, query="milk") == []

    with_history(tmp_path / "omniid.db", work)


# --- forgotten ----------------------------------------------------------------------------------------------

SECRET = "zebrafish"


def traces(folder: Path) -> list[str]:
    """Where the word can be read; the index has it in pieces, since neighbours share their beginnings."""
    return [part.name for part in folder.iterdir() if b"brafish" in part.read_bytes().lower()]


async def chatter(history: History, count: int) -> None:
    await add_all(history, (said(number, f"{SECRET} and other words {number}") for number in range(count)))


def test_clear_deletes_every_trace(tmp_path: Path) -> None:
    async def work(history: History, _: Database) -> None:
        await chatter(history, 300)
        assert "omniid.db-wal" in traces(tmp_path)
        assert await history.clear() == 300
        assert traces(tmp_path) == []
        assert await history.clear() == 0
        assert await texts(history) == await texts(history, query=SECRET) == []
        await history.add(said(1, "a new start"))
        assert await texts(history, query="start") == ["a new start"]
        assert (await history.page(1)).messages[0].number == 301  # an old place never points at a new message

    with_history(tmp_path / "omniid.db", work)
    assert traces(tmp_path) == []


def test_what_is_too_old_goes_with_every_trace_and_the_rest_stays(tmp_path: Path) -> None:
    async def work(history: History, _: Database) -> None:
        await add_all(
            history,
            (said(number, f"{SECRET} {number}", at=wall(-40 * DAY_S + number)) for number in range(700)),
        )
        await add_all(
            history, (said(number, f"codfish {number}", at=wall(number)) for number in range(700, 1_000))
        )
        assert await history.forget_older_than(30, wall()) == 700
        assert traces(tmp_path) == []
        assert len(await texts(history)) == len(await texts(history, query="cod")) == 300
        assert await texts(history, query=SECRET) == []
        assert await history.forget_older_than(30, wall()) == 0

    with_history(tmp_path / "omniid.db", work)
    assert traces(tmp_path) == []


def test_retention_is_exact_to_the_moment(tmp_path: Path) -> None:
    async def work(history: History, _: Database) -> None:
        for number, age_s in enumerate([7 * DAY_S + 1, 7 * DAY_S, 7 * DAY_S - 1]):
            await history.add(said(number, at=wall(-age_s)))
        assert await history.forget_older_than(7, wall()) == 1
        assert await texts(history) == ["message 2", "message 1"]

    with_history(tmp_path / "omniid.db", work)


def test_a_deletion_that_was_cut_short_is_finished_by_the_next_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "omniid.db"

    async def cut_short(history: History, _: Database) -> None:
        await chatter(history, 300)
        await history.add(said(999, "still here", at=wall(50 * DAY_S)))

        async def killed(*_: object, **__: object) -> None:
            raise StorageError("omniid ended here")

        monkeypatch.setattr(history, "_tidy", killed)
        with pytest.raises(StorageError, match="ended here"):
            await history.forget_older_than(30, wall(50 * DAY_S))

    async def next_time(history: History, _: Database) -> None:
        assert await history.forget_older_than(30, wall(50 * DAY_S)) == 0
        assert traces(tmp_path) == []
        assert await texts(history) == ["still here"]

    with_history(path, cut_short)
    assert traces(tmp_path) == ["omniid.db"]
    with_history(path, next_time)


def test_forgetting_does_not_keep_a_command_waiting(tmp_path: Path) -> None:
    async def work(history: History, database: Database) -> None:
        await add_all(
            history, (said(number, f"{number} {number * 7} words {number % 100}") for number in range(3_000))
        )
        order: list[str] = []

        async def forget() -> None:
            await history.forget_older_than(0, wall(10_000))
            order.append("forgotten")

        async def command() -> None:
            await database.run(lambda connection: connection.execute("SELECT 1").close())
            order.append("command")

        async with asyncio.TaskGroup() as group:
            group.create_task(forget())
            await asyncio.sleep(0)
            group.create_task(command())
        assert order == ["command", "forgotten"]

    with_history(tmp_path / "omniid.db", work)


def test_with_history_off_nothing_is_written_and_what_is_there_can_be_read_and_cleared(
    tmp_path: Path,
) -> None:
    path = tmp_path / "omniid.db"

    async def on(history: History, _: Database) -> None:
        await history.add(said(1))

    async def off(history: History, _: Database) -> None:
        await history.add(said(2, SECRET))
        assert await texts(history) == ["message 1"]
        assert traces(tmp_path) == []
        assert await history.clear() == 1
        assert await texts(history) == []

    with_history(path, on)
    with_history(path, off, enabled=False)


def test_a_message_whose_writer_went_away_is_not_missing_from_the_recent_ones(tmp_path: Path) -> None:
    async def work(history: History, _: Database) -> None:
        await history.add(said(1))
        await history.page(5)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(history.add(said(2)))
            await asyncio.sleep(0)
            task.cancel()
        await history.add(said(3))
        assert await texts(history) == ["message 3", "message 2", "message 1"]

    with_history(tmp_path / "omniid.db", work)


# --- what is said again, or in other words ------------------------------------------------------------------


def test_a_message_can_be_reworded_at_its_place_and_is_found_by_its_new_words_only(tmp_path: Path) -> None:
    async def work(history: History, _: Database) -> None:
        await add_all(history, [said(1, "call Bob"), said(2, "buy milk")])
        assert await texts(history) == ["buy milk", "call Bob"]  # they are in memory now

        await history.reword("m1", "call Ann \x00 at six")
        await history.reword("m9", "nobody said this")

        assert await texts(history) == ["buy milk", "call Ann \ufffd at six"]
        assert await texts(history, query="ann") == ["call Ann \ufffd at six"]
        assert await texts(history, query="bob") == []

    async def later(history: History, _: Database) -> None:
        assert await texts(history) == ["buy milk", "call Ann \ufffd at six"]

    with_history(tmp_path / "omniid.db", work)
    with_history(tmp_path / "omniid.db", later)


def test_other_words_are_cut_to_what_fits_and_say_so(tmp_path: Path) -> None:
    async def work(history: History, _: Database) -> None:
        await history.add(said(1, "short"))
        for text, whole_bytes in (("x" * (MOST_TEXT_BYTES + 1), MOST_TEXT_BYTES + 1), ("short again", None)):
            await history.reword("m1", text)
            (stored,) = (await history.page(1)).messages
            assert stored.message.text == text[:MOST_TEXT_BYTES]
            assert stored.message.whole_bytes == whole_bytes

    with_history(tmp_path / "omniid.db", work)


def test_what_a_message_said_before_goes_with_every_trace_when_things_are_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "omniid.db"

    async def work(history: History, database: Database) -> None:
        await chatter(history, 300)
        for number in range(300):
            await history.reword(f"m{number}", f"codfish {number}")
        assert await history.forget_older_than(30, wall()) == 0
        assert traces(tmp_path) == []
        assert len(await texts(history, query="codfish")) == 300
        # Nothing is left of where rows lay before they were moved.
        assert await database.run(lambda it: it.execute("PRAGMA freelist_count").fetchone()[0]) == 0

    with_history(path, work)
    assert traces(tmp_path) == []


def test_the_next_start_sees_to_what_was_reworded_before_the_end(tmp_path: Path) -> None:
    path = tmp_path / "omniid.db"

    async def ended(history: History, _: Database) -> None:
        await history.add(said(1, f"feed the {SECRET}"))
        await history.reword("m1", "feed the cat")

    async def next_time(history: History, _: Database) -> None:
        await history.forget_older_than(30, wall())
        assert traces(tmp_path) == []
        assert await texts(history, query="cat") == ["feed the cat"]

    with_history(path, ended)
    assert traces(tmp_path) == ["omniid.db"]
    with_history(path, next_time)
    assert traces(tmp_path) == []


def test_what_is_reworded_while_things_are_forgotten_goes_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(history: History, database: Database) -> None:
        await add_all(history, [said(1, "call Bob"), said(2, f"feed the {SECRET}")])
        scrub = database.scrub

        async def meanwhile(*, compact: bool = False) -> None:
            await scrub(compact=compact)
            await history.reword("m2", "feed the cat")

        with monkeypatch.context() as patched:
            patched.setattr(database, "scrub", meanwhile)
            await history.reword("m1", "call Ann")
            await history.forget_older_than(30, wall())
        assert traces(tmp_path) != []
        await history.forget_older_than(30, wall())
        assert traces(tmp_path) == []

    with_history(tmp_path / "omniid.db", work)


def test_with_history_off_nothing_is_reworded(tmp_path: Path) -> None:
    async def on(history: History, _: Database) -> None:
        await history.add(said(1, "call Bob"))

    async def off(history: History, _: Database) -> None:
        await history.reword("m1", "call Ann")
        assert await texts(history) == ["call Bob"]

    with_history(tmp_path / "omniid.db", on)
    with_history(tmp_path / "omniid.db", off, enabled=False)


def test_what_is_said_once_of_a_command_is_kept_once_over_restarts_too(tmp_path: Path) -> None:
    def reply(number: int, text: str, command_id: str = "c1") -> HistoryMessage:
        return said(number, text, sender="assistant", kind="reply", command_id=command_id)

    async def first(history: History, _: Database) -> None:
        await history.add(said(1, "Booked.", command_id="c1"))  # the user's own words are no reply
        await history.add(reply(2, "Booked."), once=True)
        await history.add(reply(3, "Booked."), once=True)

    async def second(history: History, _: Database) -> None:
        await history.add(reply(4, "Booked."), once=True)
        await history.add(reply(5, "Booked."))
        await history.add(reply(6, "Paid."), once=True)
        await history.add(reply(7, "Booked.", "c2"), once=True)
        kept = [stored.message.id for stored in (await history.page(10)).messages]
        assert kept == ["m7", "m6", "m5", "m2", "m1"]

    with_history(tmp_path / "omniid.db", first)
    with_history(tmp_path / "omniid.db", second)


# --- the index ----------------------------------------------------------------------------------------------

WORDS = st.sampled_from(["milk", "Bread", "été", "会議", "a b", "x" * 30, "", "\x00"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 20), WORDS),
        st.tuples(st.just("reword"), st.integers(0, 20), WORDS),
        st.tuples(st.just("forget"), st.integers(0, 20), st.just("")),
        st.tuples(st.just("clear"), st.just(0), st.just("")),
        st.tuples(st.just("page"), st.integers(1, 5), WORDS),
    ),
    max_size=30,
)


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_memory_index_and_table_always_say_the_same(steps: list[tuple[str, int, str]]) -> None:
    import tempfile  # noqa: PLC0415 hypothesis calls this many times, each with a folder of its own

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "omniid.db")

        async def work(history: History, database: Database) -> None:
            model: dict[str, tuple[int, str]] = {}
            for step, number, word in steps:
                match step:
                    case "add":
                        await history.add(said(number, word or " "))
                        model.setdefault(f"m{number}", (number, (word or " ").replace("\x00", "\ufffd")))
                    case "reword":
                        await history.reword(f"m{number}", word)
                        if f"m{number}" in model:
                            model[f"m{number}"] = (number, word.replace("\x00", "\ufffd"))
                    case "forget":
                        await history.forget_older_than(1, wall(number + DAY_S))
                        model = {key: value for key, value in model.items() if value[0] >= number}
                    case "clear":
                        assert await history.clear() == len(model)
                        model = {}
                    case _:
                        await history.page(number)
                expected = [text for _, text in reversed(model.values())]
                assert await texts(history) == expected
                for asked in ("milk", "bread", "ete"):
                    hits = [text for text in expected if text.lower().startswith(asked) or text == "été"]
                    assert await texts(history, query=asked) == [
                        text for text in hits if (text == "été") == (asked == "ete")
                    ]
                # FTS5's own check of the index against the table.
                await database.run(
                    lambda c: c.execute(
                        "INSERT INTO words (words, rank) VALUES ('integrity-check', 1)"
                    ).close()
                )

        with_history(path, work)


def test_a_file_of_the_second_schema_gets_a_history(tmp_path: Path) -> None:
    from omniid.storage.schema import MIGRATIONS  # noqa: PLC0415 only this test looks at the steps

    path = tmp_path / "omniid.db"
    connection = sqlite3.connect(path)
    connection.executescript(f"BEGIN; {MIGRATIONS[0]} {MIGRATIONS[1]} PRAGMA user_version=2; COMMIT;")
    connection.close()

    async def work(history: History, _: Database) -> None:
        await history.add(said(1))
        assert await texts(history, query="mess") == ["message 1"]

    with_history(path, work)


CHILD = """
import asyncio, sys
from pathlib import Path
from support.moments import wall
from omniid.storage.database import Database
from omniid.storage.history import History
from omniid.storage.messages import HistoryMessage

async def main():
    async with Database(Path(sys.argv[1])) as database:
        history = History(database)
        number = await history.count()
        while True:
            number += 1
            message = HistoryMessage(f"m{number}", wall(number), "user", "command", f"words {number}")
            await history.add(message)
            print(number, flush=True)

asyncio.run(main())
"""


def test_nothing_that_was_kept_is_lost_when_omniid_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "omniid.db"
    here = Path(__file__).parent.parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here), str(here.parent)])}
    kept = 0
    for kill in range(6):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(path)], env=environment, stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        with child.stdout:
            for _ in range(1 + 7 * kill):
                kept = int(child.stdout.readline())
            child.send_signal(signal.SIGKILL)
            rest = child.stdout.read().rpartition("\n")[0].split()
            kept = int(rest[-1]) if rest else kept
            child.wait()

    async def work(history: History, database: Database) -> None:
        assert await history.count() >= kept
        ids = {stored.message.id for stored in (await history.page(500)).messages}
        with contextlib.suppress(IndexError):
            assert {f"m{number}" for number in range(1, kept + 1)} <= ids
        assert len(await texts(history, query="words")) == len(ids)
        await database.run(
            lambda c: c.execute("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)").close()
        )

    with_history(path, work)
