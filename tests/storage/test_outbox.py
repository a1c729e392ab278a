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
from omniid.storage.outbox import Command, Kind, Limits, NewCommand, Outbox, Recipient, key_of_take

LIMITS = Limits(voice_ttl_s=600, text_ttl_s=86_400, max_commands=1_000, max_bytes=10_000_000)
REPLY = Reply("done", "Sent.", 95, raw={"type": "response"})
BACKEND = Recipient("a backend", dedupes=False)
KNOWING = Recipient("a backend", dedupes=True)
OTHER = Recipient("another backend", dedupes=False)
OTHER_KNOWING = Recipient("another backend", dedupes=True)
NEEDS_AUTH = Reply("needs_auth", "Sign in.", 80)


def new(command_id: str, key: str | None = None, message: str = "Send it") -> NewCommand:
    return NewCommand(command_id, "text", message, {"n": 1}, key)


def with_outbox(
    path: Path, work: Callable[[Outbox], Awaitable[None]], limits: Limits = LIMITS, *, keeps_text: bool = True
) -> None:
    async def run() -> None:
        async with asyncio.timeout(30), Database(path / "omniid.db") as database:
            await work(Outbox(database, limits, keeps_text=keeps_text))

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


# --- several at once ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("limit", "begun"), [(1, ["c3"]), (2, ["c3", "c1"]), (16, ["c3", "c1", "c2"])])
def test_as_many_as_are_asked_for_begin_in_the_order_they_came(
    tmp_path: Path, limit: int, begun: list[str]
) -> None:
    async def work(outbox: Outbox) -> None:
        for command_id in ("c3", "c1", "c2"):
            await outbox.add(new(command_id), wall())
        taken = await outbox.begin_attempts(wall(1), limit, BACKEND)
        assert [(c.id, c.state, c.attempts) for c in taken.commands] == [
            (command_id, State.SENDING, 1) for command_id in begun
        ]
        assert (taken.uncertain, taken.held) == ([], False)
        rest = [command.id for command in await outbox.list() if command.state is State.QUEUED]
        assert begun + rest == ["c3", "c1", "c2"]

    with_outbox(tmp_path, work)


def test_an_empty_line_and_a_limit_of_nothing_give_nothing(tmp_path: Path) -> None:
    async def work(outbox: Outbox) -> None:
        nothing = await outbox.begin_attempts(wall(), 16, BACKEND)
        assert (nothing.commands, nothing.uncertain, nothing.held) == ([], [], False)
        await outbox.add(new("c1"), wall())
        assert (await outbox.begin_attempts(wall(), 0, BACKEND)).commands == []
        assert (await outbox.get("c1")).attempts == 0

    with_outbox(tmp_path, work)


def test_what_is_overdue_takes_nobodys_place_among_them(tmp_path: Path) -> None:
    async def work(outbox: Outbox) -> None:
        for number in range(3):
            await outbox.add(NewCommand(f"stale{number}", "voice", "x", {}), wall())
            await outbox.add(new(f"good{number}"), wall())
        taken = await outbox.begin_attempts(wall(600), 2, BACKEND)
        assert [command.id for command in taken.commands] == ["good0", "good1"]
        assert [command.id for command in await outbox.expire(wall(600))] == ["stale0", "stale1", "stale2"]

    with_outbox(tmp_path, work)


@pytest.mark.parametrize("state", [State.UNCERTAIN, State.NEEDS_AUTH, State.FAILED, State.REJECTED])
def test_a_command_that_is_not_queued_steps_aside(tmp_path: Path, state: State) -> None:
    async def work(outbox: Outbox) -> None:
        await outbox.add(new("c1"), wall())
        await outbox.add(new("c2"), wall())
        await settle(outbox, state)
        taken = await outbox.begin_attempts(wall(2), 16, BACKEND)
        assert [command.id for command in taken.commands] == ["c2"]

    with_outbox(tmp_path, work)


# --- a command that may go again by itself ------------------------------------------------------------------


async def lost_at(outbox: Outbox, to: Recipient, *command_ids: str) -> None:
    """Commands that were on the wire to a backend that dedupes when the link was lost."""
    for command_id in command_ids:
        await outbox.add(new(command_id), wall())
    await outbox.begin_attempts(wall(1), len(command_ids), to)
    for command_id in command_ids:
        await outbox.move(command_id, State.WAITING, wall(2))
        again = await outbox.move(command_id, State.QUEUED, wall(3), reason="the link was lost", repeat=True)
        assert again.state is State.QUEUED


def test_a_repeat_goes_to_the_same_backend_that_dedupes_and_keeps_its_place(tmp_path: Path) -> None:
    async def work(outbox: Outbox) -> None:
        await lost_at(outbox, KNOWING, "c1", "c2")
        await outbox.add(new("c3"), wall(4))
        taken = await outbox.begin_attempts(wall(5), 16, KNOWING)
        assert [(c.id, c.attempts) for c in taken.commands] == [("c1", 2), ("c2", 2), ("c3", 1)]
        assert (taken.uncertain, taken.held) == ([], False)

    with_outbox(tmp_path, work)


def test_a_repeat_is_held_from_a_backend_that_has_not_said_that_it_dedupes(tmp_path: Path) -> None:
    async def work(outbox: Outbox) -> None:
        await outbox.add(new("c0"), wall())
        await outbox.cancel("c0", wall())
        await lost_at(outbox, KNOWING, "c1")
        await outbox.add(new("c2"), wall(4))
        held = await outbox.begin_attempts(wall(5), 16, BACKEND)
        assert (held.commands, held.uncertain, held.held) == ([], [], True)
        assert [(c.id, c.attempts) for c in await outbox.list()] == [("c1", 1), ("c2", 0)]
        said_since = await outbox.begin_attempts(wall(6), 16, KNOWING)
        assert [command.id for command in said_since.commands] == ["c1", "c2"]

    with_outbox(tmp_path, work)


def test_what_stands_before_a_held_one_still_goes(tmp_path: Path) -> None:
    async def work(outbox: Outbox) -> None:
        await outbox.add(new("c1"), wall())
        await outbox.add(new("c2"), wall())
        await outbox.begin_attempts(wall(1), 2, KNOWING)
        await outbox.move("c1", State.QUEUED, wall(2), reason="it could not be written")
        await outbox.move("c2", State.QUEUED, wall(2), reason="the link was lost", repeat=True)
        taken = await outbox.begin_attempts(wall(3), 16, BACKEND)
        assert ([command.id for command in taken.commands], taken.held) == (["c1"], True)

    with_outbox(tmp_path, work)


@pytest.mark.parametrize("to", [OTHER, OTHER_KNOWING], ids=["plain", "dedupes"])
def test_a_repeat_is_uncertain_once_another_backend_is_there(tmp_path: Path, to: Recipient) -> None:
    async def work(outbox: Outbox) -> None:
        await lost_at(outbox, KNOWING, "c1")
        await outbox.add(new("c2"), wall(4))
        taken = await outbox.begin_attempts(wall(5), 16, to)
        assert [(c.id, c.state) for c in taken.uncertain] == [("c1", State.UNCERTAIN)]
        assert taken.uncertain[0].reason == "a backend may have done it, and another backend cannot know"
        assert [command.id for command in taken.commands] == ["c2"]
        assert not taken.held
        # What was its is asked no more: the user's own retry goes to whoever is there.
        await outbox.retry("c1", wall(6))
        assert [c.id for c in (await outbox.begin_attempts(wall(7), 1, to)).commands] == ["c1"]

    with_outbox(tmp_path, work)


def test_repeats_that_wait_in_vain_are_given_up_and_nothing_else_is(tmp_path: Path) -> None:
    async def work(outbox: Outbox) -> None:
        await lost_at(outbox, KNOWING, "c1", "c2")
        await outbox.add(new("c3"), wall(4))
        given_up = await outbox.give_up_repeats(wall(8))
        assert [(c.id, c.state) for c in given_up] == [("c1", State.UNCERTAIN), ("c2", State.UNCERTAIN)]
        assert given_up[0].reason == "the backend may have done it, and no longer tells a repeated command"
        assert await outbox.give_up_repeats(wall(9)) == []
        taken = await outbox.begin_attempts(wall(9), 16, BACKEND)
        assert ([command.id for command in taken.commands], taken.held) == (["c3"], False)

    with_outbox(tmp_path, work)


def test_a_repeat_that_is_lost_again_still_goes_only_where_it_was(tmp_path: Path) -> None:
    async def work(outbox: Outbox) -> None:
        await lost_at(outbox, KNOWING, "c1")
        await outbox.begin_attempts(wall(4), 1, KNOWING)
        await outbox.move("c1", State.WAITING, wall(5))
        await outbox.move("c1", State.QUEUED, wall(6), reason="the link was lost", repeat=True)
        assert (await outbox.begin_attempts(wall(7), 1, BACKEND)).held
        assert [c.id for c in (await outbox.begin_attempts(wall(7), 1, OTHER)).uncertain] == ["c1"]

    with_outbox(tmp_path, work)


@pytest.mark.parametrize("written", [False, True], ids=["sending", "waiting"])
@pytest.mark.parametrize(
    ("to", "state", "reason"),
    [
        (BACKEND, State.UNCERTAIN, "omniid ended before its answer came"),
        (KNOWING, State.QUEUED, "omniid ended before its answer came"),
    ],
    ids=["plain", "dedupes"],
)
def test_what_was_on_the_wire_at_a_backend_that_dedupes_waits_to_be_repeated(
    tmp_path: Path, to: Recipient, state: State, reason: str, written: bool
) -> None:
    async def before(outbox: Outbox) -> None:
        await outbox.add(new("c1"), wall())
        await outbox.add(new("c2"), wall())
        await outbox.begin_attempts(wall(), 1, to)
        if written:
            await outbox.move("c1", State.WAITING, wall(1))

    async def after(outbox: Outbox) -> None:
        (recovered,) = await outbox.recover(wall(10))
        assert (recovered.id, recovered.state, recovered.reason) == ("c1", state, reason)
        assert await outbox.recover(wall(11)) == []
        again = state is State.QUEUED
        assert (await outbox.begin_attempts(wall(12), 1, BACKEND)).held == again
        taken = await outbox.begin_attempts(wall(12), 1, KNOWING)
        assert [command.id for command in taken.commands] == (["c1"] if again else [])

    with_outbox(tmp_path, before)
    with_outbox(tmp_path, after)


CALLED_OFF = "called off by the user; an earlier attempt may have been done"


@pytest.mark.parametrize("written", [False, True], ids=["sending", "waiting"])
@pytest.mark.parametrize(
    ("to", "state", "reason"),
    [
        (BACKEND, State.UNCERTAIN, "omniid ended before its answer came"),
        (KNOWING, State.CANCELLED, CALLED_OFF),
    ],
    ids=["plain", "dedupes"],
)
def test_what_was_called_off_on_the_wire_is_not_repeated_after_a_restart(
    tmp_path: Path, to: Recipient, state: State, reason: str, written: bool
) -> None:
    async def before(outbox: Outbox) -> None:
        await outbox.add(new("c1"), wall())
        await outbox.add(new("c2"), wall())
        await outbox.begin_attempts(wall(), 2, to)
        if written:
            await outbox.move("c1", State.WAITING, wall(1))
        assert not (await outbox.cancel("c1", wall(2))).answer_wanted

    async def after(outbox: Outbox) -> None:
        recovered, other = await outbox.recover(wall(10))
        assert (recovered.id, recovered.state, recovered.reason) == ("c1", state, reason)
        assert other.state is (State.QUEUED if to.dedupes else State.UNCERTAIN)
        assert await outbox.recover(wall(11)) == []
        taken = await outbox.begin_attempts(wall(12), 2, KNOWING)
        assert [command.id for command in taken.commands] == (["c2"] if to.dedupes else [])
        assert (await outbox.get("c1")).state is state

    with_outbox(tmp_path, before)
    with_outbox(tmp_path, after)


def test_what_was_called_off_does_not_go_out_again_however_it_came_back_into_the_line(
    tmp_path: Path,
) -> None:
    async def before(outbox: Outbox) -> None:
        for command_id in ("c1", "c2", "c3"):
            await outbox.add(new(command_id), wall())
        await outbox.begin_attempts(wall(), 2, BACKEND)
        await outbox.cancel("c1", wall(1))
        await outbox.cancel("c2", wall(1))

    async def after(outbox: Outbox) -> None:
        await outbox.recover(wall(10))
        await outbox.move("c1", State.QUEUED, wall(11))  # as delivery.uncertain = "resend" has it
        await outbox.retry("c2", wall(11))  # the user's own word: it is wanted again
        taken = await outbox.begin_attempts(wall(12), 2, BACKEND)
        assert [command.id for command in taken.commands] == ["c3", "c2"]
        assert [(each.id, each.state, each.reason) for each in taken.uncertain] == [
            ("c1", State.CANCELLED, CALLED_OFF)
        ]
        assert await begin(outbox, wall(13)) is None

    with_outbox(tmp_path, before)
    with_outbox(tmp_path, after)


def test_only_the_last_attempt_says_whether_it_may_be_repeated(tmp_path: Path) -> None:
    async def before(outbox: Outbox) -> None:
        await outbox.add(new("c1"), wall())
        await outbox.begin_attempts(wall(), 1, KNOWING)
        await outbox.move("c1", State.QUEUED, wall(1), reason="it could not be written")
        await outbox.begin_attempts(wall(2), 1, OTHER)

    async def after(outbox: Outbox) -> None:
        assert [c.state for c in await outbox.recover(wall(10))] == [State.UNCERTAIN]

    with_outbox(tmp_path, before)
    with_outbox(tmp_path, after)


def test_a_repeat_whose_time_is_up_is_uncertain_and_not_expired(tmp_path: Path) -> None:
    async def work(outbox: Outbox) -> None:
        await lost_at(outbox, KNOWING, "c1")
        await outbox.add(new("c2"), wall())
        overdue = await outbox.expire(wall(LIMITS.text_ttl_s))
        assert {(c.id, c.state, c.reason) for c in overdue} == {
            ("c1", State.UNCERTAIN, "it waited too long to be sent"),
            ("c2", State.EXPIRED, "it waited too long to be sent"),
        }
        assert await outbox.expire(wall(2 * LIMITS.text_ttl_s)) == []

    with_outbox(tmp_path, work)


# --- editing ------------------------------------------------------------------------------------------------


def test_a_queued_command_can_be_edited_and_keeps_its_id_its_place_and_its_time(tmp_path: Path) -> None:
    async def work(outbox: Outbox) -> None:
        for command_id in ("one-1", "two-2"):
            await outbox.add(new(command_id), wall())
        edited = await outbox.edit("one", "Send it tomorrow", wall(5))
        assert (edited.id, edited.message, edited.metadata) == ("one-1", "Send it tomorrow", {"n": 1})
        assert (edited.state, edited.reason, edited.changed_at) == (State.QUEUED, "edited", wall(5))
        assert (edited.created_at, edited.expires_at) == (wall(), wall(LIMITS.text_ttl_s))
        begun = await begin(outbox, wall(6))
        assert begun is not None
        assert (begun.id, begun.message) == ("one-1", "Send it tomorrow")

    with_outbox(tmp_path, work)


@pytest.mark.parametrize(
    "state",
    [State.SENDING, State.WAITING, State.DONE, State.FAILED, State.UNCERTAIN, State.CANCELLED, State.EXPIRED],
)
def test_only_a_queued_command_can_be_edited(tmp_path: Path, state: State) -> None:
    async def work(outbox: Outbox) -> None:
        await outbox.add(new("c1"), wall())
        if state in {State.CANCELLED, State.EXPIRED}:
            await outbox.move("c1", state, wall())
        elif state in {State.SENDING, State.WAITING}:
            await begin(outbox, wall())
            if state is State.WAITING:
                await outbox.move("c1", state, wall())
        else:
            await settle(outbox, state)
        with pytest.raises(NotAllowedError, match=f"is {state}; only a queued one"):
            await outbox.edit("c1", "Other words", wall())
        assert (await outbox.get("c1")).message == "Send it"

    with_outbox(tmp_path, work)


@pytest.mark.parametrize("again", ["by the user", "by itself"])
def test_a_command_that_may_have_been_done_cannot_become_another(tmp_path: Path, again: str) -> None:
    async def work(outbox: Outbox) -> None:
        if again == "by itself":
            await lost_at(outbox, KNOWING, "c1")
        else:
            await outbox.add(new("c1"), wall())
            await settle(outbox, State.UNCERTAIN)
            await outbox.retry("c1", wall(2))
        with pytest.raises(NotAllowedError, match="may have been done as it was"):
            await outbox.edit("c1", "Other words", wall(4))
        assert (await outbox.get("c1")).message == "Send it"

    with_outbox(tmp_path, work)


@pytest.mark.parametrize("state", [State.FAILED, State.REJECTED, State.NEEDS_AUTH])
def test_a_command_that_was_answered_may_be_edited_once_it_is_to_go_again(
    tmp_path: Path, state: State
) -> None:
    async def work(outbox: Outbox) -> None:
        await outbox.add(new("c1"), wall())
        await settle(outbox, state)
        await outbox.retry("c1", wall(2))
        assert (await outbox.edit("c1", "Other words", wall(3))).message == "Other words"

    with_outbox(tmp_path, work)


def test_an_edited_text_takes_the_room_that_it_needs(tmp_path: Path) -> None:
    async def work(outbox: Outbox) -> None:
        await outbox.add(NewCommand("c1", "text", "a" * 48, {}), wall())  # 50 bytes with its metadata
        await outbox.add(NewCommand("c2", "text", "a" * 28, {}), wall())
        with pytest.raises(OutboxFullError):
            await outbox.edit("c2", "ü" * 25, wall())
        assert (await outbox.get("c2")).message == "a" * 28
        await outbox.edit("c2", "ü" * 24, wall())
        with pytest.raises(OutboxFullError):
            await outbox.add(NewCommand("c3", "text", "", {}), wall())
        await outbox.edit("c1", "a", wall())
        await outbox.add(NewCommand("c3", "text", "a" * 45, {}), wall())

    with_outbox(tmp_path, work, Limits(600, 86_400, max_commands=10, max_bytes=100))


def test_a_full_outbox_of_as_many_commands_as_it_takes_lets_them_be_edited(tmp_path: Path) -> None:
    async def work(outbox: Outbox) -> None:
        await outbox.add(new("c1"), wall())
        assert (await outbox.edit("c1", "Longer words than before", wall())).state is State.QUEUED

    with_outbox(tmp_path, work, Limits(600, 86_400, max_commands=1, max_bytes=10_000))


# --- cancelling ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("written", [False, True], ids=["sending", "waiting"])
def test_on_the_wire_a_command_cannot_be_called_back_and_only_its_answer_is_not_wanted(
    tmp_path: Path, written: bool
) -> None:
    async def work(outbox: Outbox) -> None:
        await outbox.add(new("c1"), wall())
        await begin(outbox, wall())
        if written:
            await outbox.move("c1", State.WAITING, wall())
        before = await outbox.get("c1")
        assert before.answer_wanted
        cancelled = await outbox.cancel("c1", wall(1))
        assert (cancelled.state, cancelled.answer_wanted) == (before.state, False)
        done = await outbox.move("c1", State.DONE, wall(2), reply=REPLY)
        assert (done.state, done.answer_wanted) == (State.DONE, False)
        assert done.reply is not None

    with_outbox(tmp_path, work)


def test_a_command_that_is_asked_for_again_has_its_answer_wanted_again(tmp_path: Path) -> None:
    async def work(outbox: Outbox) -> None:
        await outbox.add(new("c1"), wall())
        await begin(outbox, wall())
        await outbox.cancel("c1", wall(1))
        await outbox.move("c1", State.UNCERTAIN, wall(2))
        assert (await outbox.retry("c1", wall(3))).answer_wanted

    with_outbox(tmp_path, work)


@pytest.mark.parametrize("waits", ["queued", "needs_auth"])
def test_a_command_that_waits_can_be_cancelled(tmp_path: Path, waits: str) -> None:
    async def work(outbox: Outbox) -> None:
        await outbox.add(new("c1"), wall())
        if waits == "needs_auth":
            await settle(outbox, State.NEEDS_AUTH)
        cancelled = await outbox.cancel("c1", wall(2))
        assert (cancelled.state, cancelled.reason) == (State.CANCELLED, "cancelled by the user")
        assert await begin(outbox, wall(3)) is None

    with_outbox(tmp_path, work)


@pytest.mark.parametrize("state", [State.DONE, State.FAILED, State.REJECTED, State.UNCERTAIN])
def test_a_command_that_is_over_or_undecided_cannot_be_cancelled(tmp_path: Path, state: State) -> None:
    async def work(outbox: Outbox) -> None:
        await outbox.add(new("c1"), wall())
        await settle(outbox, state)
        with pytest.raises(NotAllowedError, match=f"is {state} and cannot become cancelled"):
            await outbox.cancel("c1", wall(2))

    with_outbox(tmp_path, work)


# --- answered by omniid itself ------------------------------------------------------------------------------


def test_a_command_that_waits_can_be_answered_here_once(tmp_path: Path) -> None:
    async def work(outbox: Outbox) -> None:
        await outbox.add(new("c1"), wall())
        done = await outbox.answer_here("c1", REPLY, wall(1), asked="Send it")
        assert done is not None
        assert (done.state, done.attempts) == (State.DONE, 0)
        assert done.reason == "answered by omniid itself, while the backend was away"
        assert done.reply is not None
        assert done.reply["content"] == "Sent."
        assert await outbox.answer_here("c1", REPLY, wall(2), asked="Send it") is None
        assert await begin(outbox, wall(3)) is None

    with_outbox(tmp_path, work)


@pytest.mark.parametrize("meanwhile", ["sending", "waiting", "settled", "cancelled", "to be repeated"])
def test_a_command_that_has_left_the_line_is_not_answered_here(tmp_path: Path, meanwhile: str) -> None:
    async def work(outbox: Outbox) -> None:
        if meanwhile == "to be repeated":
            await lost_at(outbox, KNOWING, "c1")
        else:
            await outbox.add(new("c1"), wall())
        if meanwhile in {"sending", "waiting"}:
            await begin(outbox, wall())
        if meanwhile == "waiting":
            await outbox.move("c1", State.WAITING, wall())
        if meanwhile == "settled":
            await settle(outbox, State.FAILED)
        if meanwhile == "cancelled":
            await outbox.cancel("c1", wall())
        before = await outbox.get("c1")
        assert await outbox.answer_here("c1", REPLY, wall(9), asked="Send it") is None
        assert await outbox.get("c1") == before

    with_outbox(tmp_path, work)


def test_nothing_is_answered_here_by_half_an_id(tmp_path: Path) -> None:
    async def work(outbox: Outbox) -> None:
        await outbox.add(new("one-1"), wall())
        with pytest.raises(NotFoundError):
            await outbox.answer_here("one", REPLY, wall(), asked="Send it")

    with_outbox(tmp_path, work)


@pytest.mark.parametrize("keeps_text", [True, False])
def test_an_answer_to_what_a_command_said_before_it_was_edited_is_none(
    tmp_path: Path,
    keeps_text: bool,
) -> None:
    async def work(outbox: Outbox) -> None:
        await outbox.add(new("c1", message="What time is it?"), wall())
        edited = await outbox.edit("c1", "Call Ann", wall(1))
        assert await outbox.answer_here("c1", REPLY, wall(2), asked="What time is it?") is None
        assert await outbox.get("c1") == edited
        done = await outbox.answer_here("c1", REPLY, wall(3), asked="Call Ann")
        assert done is not None
        assert done.state is State.DONE

    with_outbox(tmp_path, work, keeps_text=keeps_text)


# --- listing and room ---------------------------------------------------------------------------------------


def test_a_list_of_all_gives_the_newest_and_a_list_of_those_that_wait_the_first(tmp_path: Path) -> None:
    async def work(outbox: Outbox) -> None:
        for number in range(6):
            await outbox.add(new(f"c{number}"), wall())
        await outbox.cancel("c0", wall())
        await outbox.cancel("c5", wall())
        assert [c.id for c in await outbox.list(ended=True, limit=3)] == ["c3", "c4", "c5"]
        assert [c.id for c in await outbox.list(limit=3)] == ["c1", "c2", "c3"]
        assert [c.id for c in await outbox.list(ended=True)] == [f"c{number}" for number in range(6)]
        assert [c.id for c in await outbox.list()] == ["c1", "c2", "c3", "c4"]

    with_outbox(tmp_path, work)


OPEN_STATES = [State.QUEUED, State.SENDING, State.WAITING, State.NEEDS_AUTH, State.UNCERTAIN]


@pytest.mark.parametrize("state", list(State))
def test_what_waits_or_needs_a_decision_takes_room_and_what_is_over_does_not(
    tmp_path: Path, state: State
) -> None:
    async def work(outbox: Outbox) -> None:
        await outbox.add(new("c1"), wall())
        if state in {State.CANCELLED, State.EXPIRED}:
            await outbox.move("c1", state, wall())
        elif state is State.DROPPED:
            await settle(outbox, State.UNCERTAIN)
            await outbox.move("c1", state, wall())
        elif state is not State.QUEUED:
            await begin(outbox, wall())
            if state is not State.SENDING:
                await outbox.move("c1", state, wall())
        assert await outbox.counts() == {state: 1}
        if state in OPEN_STATES:
            with pytest.raises(OutboxFullError, match="1 commands already wait"):
                await outbox.add(new("c2"), wall())
        else:
            await outbox.add(new("c2"), wall())
            assert await outbox.counts() == {state: 1, State.QUEUED: 1}

    with_outbox(tmp_path, work, Limits(600, 86_400, max_commands=1, max_bytes=10_000))


def test_the_room_of_a_command_that_is_forgotten_is_not_counted_twice(tmp_path: Path) -> None:
    async def work(outbox: Outbox) -> None:
        for number in range(3):
            await outbox.add(new(f"c{number}"), wall())
            await outbox.cancel(f"c{number}", wall())
        await outbox.forget_old(wall(8 * 86_400))
        assert await outbox.counts() == {}
        await outbox.add(new("last"), wall())
        with pytest.raises(OutboxFullError):
            await outbox.add(new("more"), wall())

    with_outbox(tmp_path, work, Limits(600, 86_400, max_commands=1, max_bytes=10_000))


def test_a_probe_writes_and_changes_nothing(tmp_path: Path) -> None:
    async def work(outbox: Outbox) -> None:
        await outbox.add(new("c1"), wall())
        before = await outbox.get("c1")
        await outbox.probe()
        assert (await outbox.get("c1"), await outbox.counts()) == (before, {State.QUEUED: 1})

    with_outbox(tmp_path, work)


def test_a_repeat_whose_write_failed_still_goes_only_to_the_backend_that_may_have_it(tmp_path: Path) -> None:
    async def work(outbox: Outbox) -> None:
        knowing, other = Recipient("a", dedupes=True), Recipient("b", dedupes=True)
        await outbox.add(new("c1"), wall())
        await outbox.begin_attempts(wall(1), 1, knowing)
        await outbox.move("c1", State.QUEUED, wall(2), reason="the link was lost", repeat=True)
        for seconds in (3, 5):
            await outbox.begin_attempts(wall(seconds), 1, knowing)
            await outbox.move("c1", State.QUEUED, wall(seconds + 1), reason="it could not be written")
        taken = await outbox.begin_attempts(wall(7), 1, other)
        assert taken.commands == []
        assert [command.id for command in taken.uncertain] == ["c1"]

    with_outbox(tmp_path, work)


def test_what_cannot_be_repeated_does_not_hold_up_the_next_one(tmp_path: Path) -> None:
    async def work(outbox: Outbox) -> None:
        await outbox.add(new("c1"), wall())
        await outbox.begin_attempts(wall(1), 1, Recipient("a", dedupes=True))
        await outbox.move("c1", State.QUEUED, wall(2), reason="the link was lost", repeat=True)
        await outbox.add(new("c2"), wall())
        taken = await outbox.begin_attempts(wall(5), 1, Recipient("b", dedupes=True))
        assert [command.id for command in taken.commands] == ["c2"]

    with_outbox(tmp_path, work)


def test_an_edit_that_shortens_is_taken_though_the_limits_were_lowered(tmp_path: Path) -> None:
    async def before(outbox: Outbox) -> None:
        for command_id in ("c1", "c2", "c3"):
            await outbox.add(new(command_id, message="x" * 50), wall())

    async def after(outbox: Outbox) -> None:
        assert (await outbox.edit("c1", "x", wall())).message == "x"

    with_outbox(tmp_path, before)
    with_outbox(tmp_path, after, Limits(600, 86_400, max_commands=2, max_bytes=100))


def test_a_request_that_comes_again_is_known_though_its_command_was_edited(tmp_path: Path) -> None:
    async def work(outbox: Outbox) -> None:
        await outbox.add(new("c1", key="k"), wall())
        for words in ("Send it tomorrow", "Send it on Friday"):
            await outbox.edit("c1", words, wall(1))
        again, is_new = await outbox.add(new("c2", key="k"), wall(2))
        assert (again.id, again.message, is_new) == ("c1", "Send it on Friday", False)
        with pytest.raises(RefusedError, match="belongs to another command"):
            await outbox.add(new("c3", key="k", message="Send it tomorrow"), wall(3))

    with_outbox(tmp_path, work)


@pytest.mark.parametrize("keeps_text", [True, False])
@pytest.mark.parametrize(("kind", "key"), [("text", None), ("voice", key_of_take("t1"))])
def test_what_an_edited_command_said_before_is_gone_from_the_file(
    tmp_path: Path, kind: Kind, key: str | None, keeps_text: bool
) -> None:
    async def work(outbox: Outbox) -> None:
        await outbox.add(NewCommand("c1", kind, f"Feed the {SECRET}", {}, key), wall())
        await outbox.edit("c1", "Feed the cat", wall(1))
        await outbox.forget_old(wall(2))
        assert traces(tmp_path) == []
        assert (await outbox.get("c1")).message == "Feed the cat"

    with_outbox(tmp_path, work, keeps_text=keeps_text)
    assert traces(tmp_path) == []


# --- where no history is kept -------------------------------------------------------------------------------

SECRET = "zebrafish"


def traces(folder: Path) -> list[str]:
    return [part.name for part in folder.iterdir() if SECRET.encode() in part.read_bytes()]


def secret(command_id: str, key: str | None = None) -> NewCommand:
    return NewCommand(command_id, "text", f"Feed the {SECRET}", {"where": SECRET}, key)


ANSWER = Reply("done", f"The {SECRET} is fed.", 95, raw={"type": "response", "data": SECRET})


async def settle_secret(outbox: Outbox, to: State, command_id: str = "c1") -> None:
    await outbox.add(secret(command_id, f"key {command_id}"), wall())
    assert await begin(outbox, wall(1)) is not None
    await outbox.move(command_id, to, wall(2), reply=ANSWER)


async def cancelled(outbox: Outbox) -> None:
    await outbox.add(secret("c1", "key c1"), wall())
    await outbox.cancel("c1", wall(2))


async def dropped(outbox: Outbox) -> None:
    await settle_secret(outbox, State.FAILED)
    await outbox.move("c1", State.DROPPED, wall(3))


async def done(outbox: Outbox) -> None:
    await settle_secret(outbox, State.DONE)


async def answered_here(outbox: Outbox) -> None:
    await outbox.add(secret("c1", "key c1"), wall())
    assert await outbox.answer_here("c1", ANSWER, wall(2), asked=f"Feed the {SECRET}") is not None


@pytest.mark.parametrize("way", [done, dropped, cancelled, answered_here], ids=lambda way: way.__name__)
def test_what_is_over_for_good_keeps_its_text_in_memory_only(
    tmp_path: Path, way: Callable[[Outbox], Awaitable[None]]
) -> None:
    async def work(outbox: Outbox) -> None:
        await way(outbox)
        found = await outbox.get("c1")  # as the one who waits for the answer asks
        assert found.message == f"Feed the {SECRET}"
        assert (found.reply is not None) == (way is not cancelled)

    async def later(outbox: Outbox) -> None:
        found = await outbox.get("c1")
        assert (found.message, found.metadata, found.reply) == ("", {}, None)
        assert found.state in {State.DONE, State.DROPPED, State.CANCELLED}
        again, is_new = await outbox.add(secret("c9", "key c1"), wall(9))
        assert (again.id, is_new) == ("c1", False)

    with_outbox(tmp_path, work, keeps_text=False)
    assert traces(tmp_path) == []
    with_outbox(tmp_path, later, keeps_text=False)


def test_what_was_called_off_and_is_cancelled_at_the_next_start_leaves_no_text(tmp_path: Path) -> None:
    async def before(outbox: Outbox) -> None:
        await outbox.add(secret("c1"), wall())
        await outbox.begin_attempts(wall(), 1, KNOWING)
        await outbox.cancel("c1", wall(1))

    async def after(outbox: Outbox) -> None:
        assert [each.state for each in await outbox.recover(wall(10))] == [State.CANCELLED]
        assert (await outbox.get("c1")).message == ""

    with_outbox(tmp_path, before, keeps_text=False)
    with_outbox(tmp_path, after, keeps_text=False)
    assert traces(tmp_path) == []


@pytest.mark.parametrize("state", [State.FAILED, State.REJECTED])
def test_what_can_be_sent_again_keeps_its_text_for_a_day(tmp_path: Path, state: State) -> None:
    day_s = 86_400.0

    async def work(outbox: Outbox) -> None:
        await settle_secret(outbox, state)
        await outbox.forget_old(wall(2 + day_s - 1))
        assert (await outbox.get("c1")).message == f"Feed the {SECRET}"
        await outbox.forget_old(wall(2 + day_s))
        assert traces(tmp_path) == []
        with pytest.raises(NotAllowedError, match="has been forgotten"):
            await outbox.retry("c1", wall(3 + day_s))
        assert (await outbox.get("c1")).state is state
        assert (await outbox.move("c1", State.DROPPED, wall(4 + day_s))).state is State.DROPPED

    with_outbox(tmp_path, work, keeps_text=False)


def test_turning_the_history_off_forgets_what_earlier_commands_said(tmp_path: Path) -> None:
    async def on(outbox: Outbox) -> None:
        await settle_secret(outbox, State.DONE)
        await settle_secret(outbox, State.UNCERTAIN, "c2")

    async def off(outbox: Outbox) -> None:
        await outbox.forget_old(wall(10))
        assert (await outbox.get("c1")).message == ""
        assert (await outbox.get("c2")).message == f"Feed the {SECRET}"  # nobody has decided about it

    with_outbox(tmp_path, on)
    assert traces(tmp_path) == ["omniid.db"]
    with_outbox(tmp_path, off, keeps_text=False)


def test_a_key_is_known_as_long_as_its_command(tmp_path: Path) -> None:
    async def work(outbox: Outbox) -> None:
        await outbox.add(new("c1", "a"), wall())
        await outbox.forget_texts(wall(3))
        assert await outbox.known_keys(["a", "b"]) == {"a"}
        assert await outbox.known_keys([]) == set()

    with_outbox(tmp_path, work)


def test_clearing_the_history_forgets_them_too(tmp_path: Path) -> None:
    async def work(outbox: Outbox) -> None:
        await settle_secret(outbox, State.DONE)
        await outbox.add(new("c2"), wall())
        await outbox.forget_texts(wall(3))
        assert traces(tmp_path) == []
        assert (await outbox.get("c1")).message == ""
        assert (await outbox.get("c2")).message == "Send it"

    with_outbox(tmp_path, work)


def test_only_a_few_answers_are_remembered(tmp_path: Path) -> None:
    async def work(outbox: Outbox) -> None:
        for number in range(40):
            await settle_secret(outbox, State.DONE, f"c{number:02}")
        known = [command for number in range(40) if (command := await outbox.get(f"c{number:02}")).message]
        assert [command.id for command in known] == [f"c{number:02}" for number in range(8, 40)]

    with_outbox(tmp_path, work, keeps_text=False)


def test_the_room_of_what_was_forgotten_is_free_again(tmp_path: Path) -> None:
    async def work(outbox: Outbox) -> None:
        for number in range(20):
            await settle_secret(outbox, State.DONE, f"c{number:02}")
        counts = await outbox.counts()
        assert counts == {State.DONE: 20}

    with_outbox(tmp_path, work, Limits(600, 600, 3, 500), keeps_text=False)
