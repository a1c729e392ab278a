"""The durable queue on real files."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path

import pytest
from support.moments import wall

from omniid.errors import NotAllowedError, NotFoundError, OutboxFullError, RefusedError
from omniid.fate import State
from omniid.protocol.chat import Reply
from omniid.storage.database import Database
from omniid.storage.outbox import Command, Limits, NewCommand, Outbox, Recipient

LIMITS = Limits(voice_ttl_s=600, text_ttl_s=86_400, max_commands=1_000, max_bytes=10_000_000)
REPLY = Reply("done", "Sent.", 95, raw={"type": "response"})
BACKEND = Recipient("a backend", dedupes=False)
NEEDS_AUTH = Reply("needs_auth", "Sign in.", 80)


def new(command_id: str, key: str | None = None, message: str = "Send it") -> NewCommand:
    return NewCommand(command_id, "text", message, {"n": 1}, key)


def with_outbox(path: Path, work: Callable[[Outbox], Awaitable[None]], limits: Limits = LIMITS) -> None:
    async def run() -> None:
        async with asyncio.timeout(30), Database(path / "omniid.db") as database:
            await work(Outbox(database, limits))

    asyncio.run(run())


async def begin(outbox: Outbox, now: datetime) -> Command | None:
    """The first of the line, sent; None when it is empty."""
    commands = (await outbox.begin_attempts(now, 1, BACKEND)).commands
    return commands[0] if commands else None


async def settle(outbox: Outbox, to: State, seconds: float = 1) -> str:
    """Take the first command of the line to a state that follows `waiting`."""
    command = await begin(outbox, wall(seconds))
    assert command is not None
    await outbox.move(command.id, State.WAITING, wall(seconds))
    await outbox.move(command.id, to, wall(seconds), reason="so", reply=REPLY)
    return command.id


def test_a_command_goes_all_the_way(tmp_path: Path) -> None:
    async def work(outbox: Outbox) -> None:
        accepted, is_new = await outbox.add(new("c1"), wall())
        assert is_new
        assert (accepted.state, accepted.attempts, accepted.metadata) == (State.QUEUED, 0, {"n": 1})
        begun = await begin(outbox, wall(1))
        assert begun is not None
        assert (begun.id, begun.state, begun.attempts) == ("c1", State.SENDING, 1)
        await outbox.move("c1", State.WAITING, wall(2))
        done = await outbox.move("c1", State.DONE, wall(3), reply=REPLY)
        assert done.state is State.DONE
        assert done.reply is not None
        assert done.reply["content"] == "Sent."
        assert done.changed_at == wall(3)
        assert await begin(outbox, wall(4)) is None
        assert await outbox.list() == []
        assert [command.id for command in await outbox.list(ended=True)] == ["c1"]

    with_outbox(tmp_path, work)


def test_what_was_accepted_is_there_after_a_restart(tmp_path: Path) -> None:
    async def before(outbox: Outbox) -> None:
        await outbox.add(new("c1", message="Grüße 😀"), wall())

    async def after(outbox: Outbox) -> None:
        assert (await outbox.get("c1")).message == "Grüße 😀"

    with_outbox(tmp_path, before)
    with_outbox(tmp_path, after)


def test_first_in_first_out_and_a_failed_write_keeps_its_place(tmp_path: Path) -> None:
    async def work(outbox: Outbox) -> None:
        for command_id in ("c3", "c1", "c2"):
            await outbox.add(new(command_id), wall())
        first = await begin(outbox, wall())
        assert first is not None
        await outbox.move(first.id, State.QUEUED, wall(), reason="not written")
        line = []
        while (command := await begin(outbox, wall())) is not None:
            line.append(command.id)
        assert line == ["c3", "c1", "c2"]

    with_outbox(tmp_path, work)


@pytest.mark.parametrize(
    "ended", [State.UNCERTAIN, State.FAILED, State.REJECTED, State.NEEDS_AUTH], ids=lambda state: state
)
@pytest.mark.parametrize("name", ["one-1", "one"], ids=["by its id", "by the beginning of it"])
def test_a_retry_goes_to_the_tail_with_a_fresh_time_to_live(tmp_path: Path, ended: State, name: str) -> None:
    async def work(outbox: Outbox) -> None:
        await outbox.add(new("one-1"), wall())
        await outbox.add(new("two-2"), wall())
        assert await settle(outbox, ended) == "one-1"
        again = await outbox.retry(name, wall(50_000))
        assert (again.state, again.reply) == (State.QUEUED, None)
        assert again.expires_at == wall(50_000 + LIMITS.text_ttl_s)
        assert [command.id for command in await outbox.list()] == ["two-2", "one-1"]

    with_outbox(tmp_path, work)


@pytest.mark.parametrize("state", ["queued", "sending", "done"])
def test_only_what_ended_badly_can_be_retried(tmp_path: Path, state: str) -> None:
    async def work(outbox: Outbox) -> None:
        await outbox.add(new("c1"), wall())
        if state == "sending":
            await begin(outbox, wall())
        elif state == "done":
            await settle(outbox, State.DONE)
        with pytest.raises(NotAllowedError, match=state):
            await outbox.retry("c1", wall())

    with_outbox(tmp_path, work)


def test_a_step_that_is_not_in_the_table_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    async def work(outbox: Outbox) -> None:
        await outbox.add(new("c1"), wall())
        await settle(outbox, State.DONE)
        with pytest.raises(NotAllowedError, match="done and cannot become uncertain"):
            await outbox.move("c1", State.UNCERTAIN, wall())
        assert (await outbox.get("c1")).state is State.DONE

    with_outbox(tmp_path, work)


def test_an_idempotency_key_gives_the_same_command_back(tmp_path: Path) -> None:
    async def work(outbox: Outbox) -> None:
        await outbox.add(new("c1", "key"), wall())
        await settle(outbox, State.DONE)
        again, is_new = await outbox.add(new("c2", "key"), wall())
        assert (again.id, again.state, is_new) == ("c1", State.DONE, False)
        other, is_new = await outbox.add(new("c3", "other"), wall())
        assert (other.id, is_new) == ("c3", True)
        assert await outbox.counts() == {State.DONE: 1, State.QUEUED: 1}

    with_outbox(tmp_path, work)


def test_there_is_room_for_so_many_commands(tmp_path: Path) -> None:
    async def work(outbox: Outbox) -> None:
        await outbox.add(new("c1"), wall())
        await outbox.add(new("c2"), wall())
        with pytest.raises(OutboxFullError, match="2 commands already wait"):
            await outbox.add(new("c3"), wall())
        await settle(outbox, State.FAILED)
        await outbox.add(new("c3"), wall())
        with pytest.raises(OutboxFullError):
            await outbox.retry("c1", wall())
        assert (await outbox.get("c1")).state is State.FAILED

    with_outbox(tmp_path, work, Limits(600, 86_400, max_commands=2, max_bytes=10_000))


def test_an_uncertain_command_takes_room_and_can_be_retried_in_a_full_outbox(tmp_path: Path) -> None:
    async def work(outbox: Outbox) -> None:
        await outbox.add(new("c1"), wall())
        await settle(outbox, State.UNCERTAIN)
        with pytest.raises(OutboxFullError):
            await outbox.add(new("c2"), wall())
        assert (await outbox.retry("c1", wall())).state is State.QUEUED

    with_outbox(tmp_path, work, Limits(600, 86_400, max_commands=1, max_bytes=10_000))


def test_there_is_room_for_so_many_bytes_and_not_characters(tmp_path: Path) -> None:
    async def work(outbox: Outbox) -> None:
        await outbox.add(NewCommand("c1", "text", "a" * 50, {}), wall())
        with pytest.raises(OutboxFullError):
            await outbox.add(NewCommand("c2", "text", "ü" * 25, {}), wall())
        await outbox.add(NewCommand("c3", "text", "ü" * 23, {}), wall())

    with_outbox(tmp_path, work, Limits(600, 86_400, max_commands=10, max_bytes=100))


def test_what_waited_too_long_expires_and_is_not_sent(tmp_path: Path) -> None:
    async def work(outbox: Outbox) -> None:
        await outbox.add(NewCommand("voice", "voice", "x", {}), wall())
        await outbox.add(new("text"), wall())
        assert await outbox.expire(wall(599)) == []
        assert [(c.id, c.state) for c in await outbox.expire(wall(600))] == [("voice", State.EXPIRED)]
        assert [c.id for c in await outbox.expire(wall(86_400))] == ["text"]
        assert await begin(outbox, wall(86_400)) is None
        assert [c.id for c in await outbox.list()] == ["voice", "text"]

    with_outbox(tmp_path, work)


def test_a_machine_that_slept_sends_nothing_stale_before_its_first_tick(tmp_path: Path) -> None:
    async def work(outbox: Outbox) -> None:
        await outbox.add(NewCommand("stale", "voice", "x", {}), wall())
        await outbox.add(new("good"), wall())
        begun = await begin(outbox, wall(3_600))
        assert begun is not None
        assert begun.id == "good"

    with_outbox(tmp_path, work)


def test_a_sign_in_that_never_came_expires_after_ten_minutes(tmp_path: Path) -> None:
    async def work(outbox: Outbox) -> None:
        await outbox.add(new("c1"), wall())
        await settle(outbox, State.NEEDS_AUTH, 10)
        assert await outbox.expire(wall(609)) == []
        (expired,) = await outbox.expire(wall(610))
        assert (expired.state, expired.reason) == (State.EXPIRED, "nobody signed in for it in time")
        assert (await outbox.retry("c1", wall(700))).state is State.QUEUED

    with_outbox(tmp_path, work)


def test_what_was_on_the_wire_when_omniid_ended_is_uncertain(tmp_path: Path) -> None:
    async def before(outbox: Outbox) -> None:
        for command_id in ("c1", "c2", "c3"):
            await outbox.add(new(command_id), wall())
        await begin(outbox, wall())
        begun = await begin(outbox, wall())
        assert begun is not None
        await outbox.move(begun.id, State.WAITING, wall())

    async def after(outbox: Outbox) -> None:
        assert [(c.id, c.state) for c in await outbox.recover(wall(10))] == [
            ("c1", State.UNCERTAIN),
            ("c2", State.UNCERTAIN),
        ]
        assert await outbox.recover(wall(11)) == []
        begun = await begin(outbox, wall(12))
        assert begun is not None
        assert begun.id == "c3"
        late = await outbox.move("c1", State.DONE, wall(13), reply=REPLY)
        assert late.state is State.DONE

    with_outbox(tmp_path, before)
    with_outbox(tmp_path, after)


def test_settled_rows_go_after_a_week_and_nothing_else_does(tmp_path: Path) -> None:
    async def work(outbox: Outbox) -> None:
        for command_id in ("done", "uncertain", "queued"):
            await outbox.add(new(command_id), wall())
        await settle(outbox, State.DONE)
        await settle(outbox, State.UNCERTAIN)
        await outbox.forget_old(wall(7 * 86_400))
        assert len(await outbox.list(ended=True)) == 3
        await outbox.forget_old(wall(7 * 86_400 + 2))
        assert [c.id for c in await outbox.list(ended=True)] == ["uncertain", "queued"]

    with_outbox(tmp_path, work)


def test_a_command_is_found_by_a_beginning_that_only_it_has(tmp_path: Path) -> None:
    async def work(outbox: Outbox) -> None:
        await outbox.add(new("abc-1"), wall())
        await outbox.add(new("abd-2"), wall())
        assert (await outbox.get("abc")).id == "abc-1"
        # Only a person's verb may shorten an id: a server that names "abd" has named nobody.
        with pytest.raises(NotFoundError):
            await outbox.move("abd", State.CANCELLED, wall())
        with pytest.raises(NotFoundError, match="Several"):
            await outbox.get("ab")
        for unknown in ("", "x", "%", "abc-1-more"):
            with pytest.raises(NotFoundError, match="no command"):
                await outbox.get(unknown)

    with_outbox(tmp_path, work)


def test_an_idempotency_key_of_another_command_is_refused_and_nothing_is_hidden(tmp_path: Path) -> None:
    async def work(outbox: Outbox) -> None:
        await outbox.add(new("c1", key="k"), wall())
        with pytest.raises(RefusedError, match="belongs to another command, c1") as refused:
            await outbox.add(new("c2", key="k", message="Something else"), wall())
        assert refused.value.code == "idempotency_key_reused"
        assert [command.id for command in await outbox.list(ended=True)] == ["c1"]

    with_outbox(tmp_path, work)


@pytest.mark.parametrize("to", [State.CANCELLED, State.EXPIRED])
def test_what_may_have_been_done_once_is_never_shown_as_simply_not_sent(tmp_path: Path, to: State) -> None:
    async def work(outbox: Outbox) -> None:
        await outbox.add(new("c1"), wall())
        await settle(outbox, State.UNCERTAIN)
        assert (await outbox.retry("c1", wall(2))).reason == "to be sent again"
        ended = await outbox.move("c1", to, wall(3), reason="so")
        assert ended.reason == "so; an earlier attempt may have been done"

    with_outbox(tmp_path, work)
