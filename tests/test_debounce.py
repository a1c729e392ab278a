"""The same words twice within a moment are one command, on a real outbox."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from support.moments import wall

from omniid.debounce import Latest, Words
from omniid.errors import OutboxFullError, RefusedError
from omniid.storage.database import Database
from omniid.storage.outbox import Command, Limits, NewCommand, Outbox

WINDOW_S = 0.3
WORDS: Words = ("voice", "text", "Send it")


class House:
    """An outbox, and what was asked of it; `most` commands have room."""

    def __init__(self, database: Database, window_s: float, most: int = 1_000) -> None:
        self.outbox = Outbox(database, Limits(600, 86_400, most, 10_000_000))
        self.latest = Latest(window_s)
        self.asked = 0

    async def ask(self, words: Words, now: float) -> tuple[Command, bool]:
        async def accept() -> tuple[Command, bool]:
            self.asked += 1
            return await self.outbox.add(NewCommand(f"c{self.asked}", "text", words[2], {}), wall())

        return await self.latest.once(words, accept, now)

    async def line(self) -> list[str]:
        return [command.id for command in await self.outbox.list()]


def with_house(
    path: Path, work: Callable[[House], Awaitable[None]], *, window_s: float = WINDOW_S, most: int = 1_000
) -> None:
    async def run() -> None:
        async with asyncio.timeout(30), Database(path / "omniid.db") as database:
            await work(House(database, window_s, most))

    asyncio.run(run())


def test_the_same_words_within_the_window_are_the_first_command(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        first, is_new = await house.ask(WORDS, 10.0)
        assert is_new
        for now in (10.0, 10.1, 10.299):
            assert await house.ask(WORDS, now) == (first, False)
        assert await house.line() == ["c1"]

    with_house(tmp_path, work)


def test_once_the_window_is_over_they_are_another_command(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        await house.ask(WORDS, 10.0)
        await house.ask(WORDS, 10.2)  # a repetition does not lengthen the window
        second, is_new = await house.ask(WORDS, 10.0 + WINDOW_S + 0.001)
        assert (second.id, is_new) == ("c2", True)
        assert await house.ask(WORDS, 10.4) == (second, False)

    with_house(tmp_path, work)


@pytest.mark.parametrize(
    "other",
    [
        ("a script", "text", "Send it"),
        ("voice", "voice", "Send it"),
        ("voice", "text", "Send it!"),
        ("voice", "text", "send it"),
    ],
)
def test_another_source_kind_or_text_is_another_command(tmp_path: Path, other: Words) -> None:
    async def work(house: House) -> None:
        await house.ask(WORDS, 10.0)
        assert (await house.ask(other, 10.0))[1]
        assert await house.line() == ["c1", "c2"]
        assert not (await house.ask(WORDS, 10.1))[1]  # what came between makes no difference

    with_house(tmp_path, work)


def test_without_a_window_every_call_is_a_command(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        assert [(await house.ask(WORDS, 10.0))[1] for _ in range(3)] == [True] * 3
        assert await house.line() == ["c1", "c2", "c3"]

    with_house(tmp_path, work, window_s=0.0)


def test_fifty_at_once_commit_once(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(house.ask(WORDS, 10.0 + n / 1_000)) for n in range(50)]
        accepted = [call.result() for call in calls]
        assert [is_new for _, is_new in accepted] == [True] + [False] * 49
        assert {command.id for command, _ in accepted} == {"c1"}
        assert house.asked == 1
        assert await house.line() == ["c1"]

    with_house(tmp_path, work)


def test_a_refusal_reaches_all_who_asked_and_the_next_one_tries_anew(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(refused(house)) for _ in range(3)]
        assert len({id(call.result()) for call in calls}) == 1
        assert house.asked == 1
        await refused(house)  # at the same moment: the first one's end is no command to give back
        assert house.asked == 2
        assert await house.line() == []

    async def refused(house: House) -> OutboxFullError:
        with pytest.raises(OutboxFullError) as error:
            await house.ask(WORDS, 10.0)
        return error.value

    with_house(tmp_path, work, most=0)


def test_what_was_refused_is_accepted_as_soon_as_there_is_room(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        await house.ask(("a script", "text", "first"), 10.0)
        with pytest.raises(OutboxFullError):
            await house.ask(WORDS, 10.0)
        await house.outbox.cancel("c1", wall())
        command, is_new = await house.ask(WORDS, 10.1)
        assert (command.id, is_new) == ("c3", True)

    with_house(tmp_path, work, most=1)


def test_a_repetition_whose_caller_went_away_disturbs_nobody(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        async with asyncio.TaskGroup() as group:
            first, second, third = (group.create_task(house.ask(WORDS, 10.0)) for _ in range(3))
            await asyncio.sleep(0)
            second.cancel()
        assert second.cancelled()
        assert first.result() == (third.result()[0], True)
        assert await house.line() == ["c1"]

    with_house(tmp_path, work)


def test_what_is_remembered_is_bounded(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        for number in range(300):
            await house.ask(("a script", "text", f"{number}"), 10.0)
        assert not (await house.ask(("a script", "text", "299"), 10.0))[1]
        assert len(house.latest._accepted) <= 101

    with_house(tmp_path, work)


def test_a_repetition_of_what_was_broken_off_is_told_so() -> None:
    async def run() -> None:
        latest, going_on = Latest(1.0), asyncio.Event()

        async def accept() -> tuple[Command, bool]:
            going_on.set()
            await asyncio.Event().wait()
            raise AssertionError

        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            first = group.create_task(latest.once(("key", "voice", "x"), accept, 0.0))
            await going_on.wait()
            second = group.create_task(_refused(latest.once(("key", "voice", "x"), accept, 0.1)))
            await asyncio.sleep(0)
            first.cancel()
        assert second.result() == "broken_off"

    asyncio.run(run())


async def _refused(asking: Awaitable[tuple[Command, bool]]) -> str:
    try:
        await asking
    except RefusedError as error:
        return error.code
    return "not refused"
