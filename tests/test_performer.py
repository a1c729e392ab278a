"""Effects carried out: what is told to the children, and what the disk is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from pathlib import Path

import pytest
from support.core import NO_FLAG, SilentEar, SilentMouth, ear_performer
from support.moments import START, at, wall

from omniid.effects import (
    AnswerQuestion,
    AskHere,
    CancelCapture,
    Decide,
    Effect,
    Enqueue,
    ExpireOverdue,
    GiveUpRepeats,
    LeaveQuestions,
    Move,
    OpenPage,
    ProbeStorage,
    PutBack,
    RecordWhatFailed,
    ReplaceEar,
    SendLater,
    SendNext,
    SettleHere,
    Speak,
    StartCapture,
    StopCapture,
    StopSpeech,
)
from omniid.errors import StorageError, TextRefusedError
from omniid.events import (
    AnsweredHere,
    AttemptBegun,
    CommandMoved,
    CommandQueued,
    CommandRefused,
    Event,
    LineServed,
    QuestionAnswered,
    QuestionNotAnswered,
    SendingDue,
    SettledHere,
    SpeechQueued,
    StorageFailed,
    StorageWorks,
    WriteFailed,
)
from omniid.fate import State
from omniid.performer import Asked, Parts, Performer
from omniid.protocol.chat import Reply
from omniid.protocol.link import Answer, Outgoing
from omniid.storage.database import Database
from omniid.storage.outbox import Limits, NewCommand, Outbox, Recipient, Taken
from omniid.workers.channel import CancelTake, Say, SpeechFailed, StartTake, StopSpeaking, StopTake

SENT = Reply("done", "Sent.", 95)
EPOCH = 3
SEND = SendNext(1, EPOCH)


class House:
    """A performer with parts that remember; the link takes commands while `open` holds."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.ear, self.mouth = SilentEar(), SilentMouth()
        self.outbox = Outbox(database, Limits(600, 86_400, 3, 10_000))
        self.takes_work = True
        self.pages: list[tuple[str, str]] = []
        self.submitted: list[Outgoing] = []
        self.answers: list[Answer] = []
        self.left: list[str] = []
        self.woken = 0
        self.target_name = "a backend"
        self.reminders: list[tuple[float, Event]] = []
        self.asked: list[tuple[str, str, str]] = []
        self.performer = self.made(self.outbox, self.mouth)

    def made(self, outbox: Outbox, mouth: SilentMouth | None) -> Performer:
        return Performer(
            Parts(outbox, self, ear_performer(self.ear), mouth, self.later, NO_FLAG, self, self),
            at,
            debounce_s=0.3,
        )

    def open(self, sign_in_id: str, url: str) -> None:
        self.pages.append((sign_in_id, url))

    def later(self, delay_s: float, event: Event) -> None:
        self.reminders.append((delay_s, event))

    def ask(self, command_id: str, kind: str, message: str) -> bool:
        self.asked.append((command_id, kind, message))
        return self.takes_work

    def submit(self, outgoing: Sequence[Outgoing], epoch: int) -> bool:
        assert epoch == EPOCH
        if self.takes_work:
            self.submitted += outgoing
        return self.takes_work

    def answer(self, answer: Answer) -> bool:
        self.answers.append(answer)
        return self.takes_work

    def leave_questions(self, command_id: str) -> None:
        self.left.append(command_id)

    def wake(self) -> None:
        self.woken += 1


def with_house(path: Path, work: Callable[[House], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(30), Database(path / "omniid.db") as database:
            await work(House(database))

    asyncio.run(run())


@pytest.mark.parametrize(
    ("effect", "told"),
    [
        (StartCapture("t1"), StartTake("t1")),
        (StopCapture("t1"), StopTake("t1")),
        (CancelCapture("t1"), CancelTake("t1")),
    ],
)
def test_the_ear_is_told(tmp_path: Path, effect: Effect, told: object) -> None:
    async def work(house: House) -> None:
        assert await house.performer.perform(effect) == []
        assert house.ear.heard == [told]

    with_house(tmp_path, work)


def test_the_ear_is_replaced(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        await house.performer.perform(ReplaceEar())
        assert house.ear.replaced == 1

    with_house(tmp_path, work)


def test_the_mouth_says_what_it_is_given_under_an_id(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        assert await house.performer.perform(Speak("u1", "Hi")) == [SpeechQueued("u1", None)]
        (queued,) = await house.performer.perform(Speak("u2", "Sent.", "c1"))
        assert isinstance(queued, SpeechQueued)
        assert queued.command_id == "c1"
        await house.performer.perform(StopSpeech())
        assert house.mouth.heard == [Say("u1", "Hi"), Say(queued.utterance_id, "Sent."), StopSpeaking()]

    with_house(tmp_path, work)


def test_without_a_voice_nothing_is_said(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        mute = house.made(house.outbox, None)
        (failed,) = await mute.perform(Speak("u1", "Hi"))
        assert isinstance(failed, SpeechFailed)
        assert (failed.utterance_id, failed.code) == ("u1", "no_voice")
        assert await mute.perform(StopSpeech()) == []

    with_house(tmp_path, work)


def test_a_page_is_opened_while_nobody_waits(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        assert await house.performer.perform(OpenPage("s1", "https://a.example/")) == []
        assert house.pages == [("s1", "https://a.example/")]

    with_house(tmp_path, work)


async def needing_a_sign_in(house: House) -> str:
    """A command that waits for one."""
    command, _ = await house.performer.accept(Asked("text", "Send it"))
    await house.outbox.begin_attempts(at().wall, 1, Recipient("x", dedupes=False))
    await house.outbox.move(
        command.id, State.NEEDS_AUTH, at().wall, reply=Reply("needs_auth", "Sign in.", 80)
    )
    return command.id


def test_a_command_goes_again_under_its_id_once_the_user_has_signed_in(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        command_id = await needing_a_sign_in(house)
        late = wall(30 * 3600)

        await house.outbox.put_back(command_id, late, reason="signed in")
        assert await house.outbox.expire(wall(30 * 3600 + 1)) == []
        (taken,) = (await house.outbox.begin_attempts(late, 5, Recipient("x", dedupes=False))).commands
        assert (taken.id, taken.reply) == (command_id, None)

    with_house(tmp_path, work)


def test_what_waits_for_a_sign_in_is_put_back_in_front_of_what_came_later(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        command_id = await needing_a_sign_in(house)
        later, _ = await house.performer.accept(Asked("text", "Another"))

        moved, queued = await house.performer.perform(PutBack(command_id, "signed in"))

        assert moved == CommandMoved(command_id, State.QUEUED)
        assert queued == CommandQueued(command_id, "text", "Send it", again=True)
        taken = (await house.outbox.begin_attempts(at().wall, 5, Recipient("x", dedupes=False))).commands
        assert [each.id for each in taken] == [command_id, later.id]
        assert await house.performer.perform(PutBack(later.id, "signed in")) == []

    with_house(tmp_path, work)


def test_the_user_decides_what_becomes_of_an_uncertain_command(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        once, again = [await uncertain(house, text) for text in ("Send it", "Send that")]

        assert await house.performer.perform(Decide(once, again=False)) == [CommandMoved(once, State.DROPPED)]
        assert await house.performer.perform(Decide(again, again=True)) == [
            CommandMoved(again, State.QUEUED),
            CommandQueued(again, "text", "Send that", again=True),
        ]
        assert await house.performer.perform(Decide(again, again=False)) == []
        assert await house.performer.perform(Decide("unknown", again=True)) == []

    with_house(tmp_path, work)


def test_what_the_user_decided_on_a_full_disk_is_done_once_it_takes_words_again(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        waits, unsure = await needing_a_sign_in(house), await uncertain(house, "Send that")
        decisions: list[Effect] = [PutBack(waits, "signed in"), Decide(unsure, again=False)]
        refusing = FullDisk(house.database, Limits(600, 86_400, 3, 10_000))
        performer = house.made(refusing, house.mouth)

        refusing.full = True
        for decision in decisions:
            assert await performer.perform(decision) == [StorageFailed("The disk is full.")]
        refusing.full = False

        assert await performer.perform(RecordWhatFailed()) == [
            CommandMoved(waits, State.QUEUED),
            CommandQueued(waits, "text", "Send it", again=True),
            CommandMoved(unsure, State.DROPPED),
        ]

    with_house(tmp_path, work)


async def uncertain(house: House, text: str) -> str:
    command, _ = await house.performer.accept(Asked("text", text))
    await house.outbox.begin_attempts(at().wall, 1, Recipient("x", dedupes=False))
    await house.outbox.move(command.id, State.UNCERTAIN, at().wall)
    return command.id


def test_what_was_said_is_cleaned_and_committed_before_anybody_hears_of_it(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        (event,) = await house.performer.perform(Enqueue("t1", " Send\x00 it ", {"confidence": 0.9}))
        assert isinstance(event, CommandQueued)
        assert (event.kind, event.message, event.take_id) == ("voice", "Send it", "t1")
        command = await house.outbox.get(event.command_id)
        assert (command.message, command.metadata) == ("Send it", {"confidence": 0.9})
        assert (command.state, command.created_at) == (State.QUEUED, START)
        assert house.woken == 1

    with_house(tmp_path, work)


@pytest.mark.parametrize(("text", "code"), [("\x00", "text_empty"), ("x" * 8_001, "text_too_long")])
def test_a_spoken_command_that_cannot_be_is_refused_as_an_event(tmp_path: Path, text: str, code: str) -> None:
    async def work(house: House) -> None:
        (event,) = await house.performer.perform(Enqueue("t1", text, {}))
        assert isinstance(event, CommandRefused)
        assert (event.take_id, event.code) == ("t1", code)
        with pytest.raises(TextRefusedError):
            await house.performer.accept(Asked("text", text))
        assert await house.outbox.counts() == {}
        assert house.woken == 0

    with_house(tmp_path, work)


def test_the_same_words_twice_in_a_moment_leave_one_command_and_one_sound(
    tmp_path: Path,
) -> None:
    async def work(house: House) -> None:
        ear = ear_performer(house.ear, tmp_path)
        parts = Parts(house.outbox, house, ear, house.mouth, house.later, NO_FLAG, house)
        performer = Performer(parts, at, debounce_s=0.3)
        for take_id in ("t1", "t2"):
            (tmp_path / f"{take_id}.wav").write_bytes(b"sound")
        (queued,) = await performer.perform(Enqueue("t1", "Send it", {}))
        assert isinstance(queued, CommandQueued)
        assert await performer.perform(Enqueue("t2", "Send it", {})) == []
        assert [take.id for take in ear.takes.list()] == ["t1"], "which is kept until it is on the wire"

    with_house(tmp_path, work)


def test_a_full_outbox_refuses_a_spoken_command_as_an_event(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        for number in range(3):
            await house.performer.perform(Enqueue(f"t{number}", f"x{number}", {}))
        (event,) = await house.performer.perform(Enqueue("t4", "x", {}))
        assert isinstance(event, CommandRefused)
        assert (event.take_id, event.code) == ("t4", "outbox_full")

    with_house(tmp_path, work)


def test_the_attempt_is_on_disk_when_the_link_is_given_the_command(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        command, _ = await house.performer.accept(Asked("text", "Send it", {"n": 1}))
        assert await house.performer.perform(SEND) == [AttemptBegun(command.id, "text"), LineServed(1, 1)]
        assert house.submitted == [Outgoing(command.id, "text", "Send it", {"n": 1})]
        assert (await house.outbox.get(command.id)).state is State.SENDING
        assert await house.performer.perform(SEND) == [LineServed(1, 0)]

    with_house(tmp_path, work)


def test_a_link_that_takes_nothing_is_said(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        house.takes_work = False
        command, _ = await house.performer.accept(Asked("text", "Send it"))
        assert await house.performer.perform(SEND) == [
            AttemptBegun(command.id, "text"),
            WriteFailed(command.id),
            LineServed(1, 1, refused=True),
        ]

    with_house(tmp_path, work)


def test_a_step_that_is_not_possible_changes_nothing(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        command, _ = await house.performer.accept(Asked("text", "x"))
        assert await house.performer.perform(Move(command.id, State.FAILED, reply=SENT)) == []
        assert await house.performer.perform(Move("unknown", State.DONE, reply=SENT)) == []
        assert (await house.outbox.get(command.id)).state is State.QUEUED

    with_house(tmp_path, work)


def test_a_step_is_recorded_and_said(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        command, _ = await house.performer.accept(Asked("text", "x"))
        await house.performer.perform(SEND)
        event = await house.performer.perform(Move(command.id, State.WAITING))
        assert event == [CommandMoved(command.id, State.WAITING)]

    with_house(tmp_path, work)


class FullDisk(Outbox):
    """An outbox that can be told that its disk is full."""

    full = False

    async def begin_attempts(self, now: datetime, limit: int, to: Recipient) -> Taken:
        if self.full:
            raise StorageError("The disk is full.")
        return await super().begin_attempts(now, limit, to)

    async def put_back(self, *arguments: object, **options: object) -> object:  # type: ignore[override]
        if self.full:
            raise StorageError("The disk is full.")
        return await super().put_back(*arguments, **options)  # type: ignore[arg-type]

    async def move(self, *arguments: object, **options: object) -> object:  # type: ignore[override]
        if self.full:
            raise StorageError("The disk is full.")
        return await super().move(*arguments, **options)  # type: ignore[arg-type]


def test_an_answer_the_full_disk_refused_is_recorded_once_there_is_room(tmp_path: Path) -> None:
    async def run() -> None:
        async with asyncio.timeout(30), Database(tmp_path / "omniid.db") as database:
            house = House(database)
            outbox = FullDisk(database, Limits(600, 86_400, 3, 10_000))
            performer = house.made(outbox, house.mouth)
            command, _ = await performer.accept(Asked("text", "x"))
            await performer.perform(SEND)
            outbox.full = True
            for move in (Move(command.id, State.WAITING), Move(command.id, State.DONE, reply=SENT)):
                assert await performer.perform(move) == [StorageFailed("The disk is full.")]
            assert await performer.perform(RecordWhatFailed()) == [StorageFailed("The disk is full.")]
            outbox.full = False
            assert await performer.perform(ProbeStorage()) == [StorageWorks()]
            assert await performer.perform(RecordWhatFailed()) == [
                CommandMoved(command.id, State.WAITING),
                CommandMoved(command.id, State.DONE),
            ]
            settled = await outbox.get(command.id)
            assert settled.reply is not None
            assert settled.reply["content"] == "Sent."
            assert await performer.perform(RecordWhatFailed()) == []

    asyncio.run(run())


# --- the line -----------------------------------------------------------------------------------------------


async def accept(house: House, *texts: str) -> list[str]:
    return [(await house.performer.accept(Asked("text", text)))[0].id for text in texts]


def test_several_go_to_the_link_at_once_and_in_order(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        first, second, third = await accept(house, "x1", "x2", "x3")
        assert await house.performer.perform(SendNext(2, EPOCH)) == [
            AttemptBegun(first, "text"),
            AttemptBegun(second, "text"),
            LineServed(2, 2),
        ]
        assert [each.id for each in house.submitted] == [first, second]
        assert await house.performer.perform(SendNext(16, EPOCH)) == [
            AttemptBegun(third, "text"),
            LineServed(16, 1),
        ]

    with_house(tmp_path, work)


async def lost(house: House, *, dedupes: bool = True) -> str:
    """A command whose link was lost after it went to a backend that dedupes."""
    (command_id,) = await accept(house, "x")
    await house.performer.perform(SendNext(1, EPOCH, dedupes=dedupes))
    await house.performer.perform(Move(command_id, State.QUEUED, "the link was lost", repeat=True))
    return command_id


def test_a_repeat_is_held_until_the_backend_says_that_it_dedupes(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        command_id = await lost(house)
        assert await house.performer.perform(SEND) == [LineServed(1, 0, held=True)]
        assert await house.performer.perform(SendNext(1, EPOCH, dedupes=True)) == [
            AttemptBegun(command_id, "text"),
            LineServed(1, 1),
        ]
        assert [each.id for each in house.submitted] == [command_id, command_id]

    with_house(tmp_path, work)


def test_a_repeat_does_not_go_to_another_backend(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        command_id = await lost(house)
        house.target_name = "another backend"
        assert await house.performer.perform(SendNext(1, EPOCH, dedupes=True)) == [
            CommandMoved(command_id, State.UNCERTAIN),
            LineServed(1, 0),
        ]
        assert len(house.submitted) == 1

    with_house(tmp_path, work)


def test_repeats_that_wait_in_vain_are_given_up(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        command_id = await lost(house)
        assert await house.performer.perform(GiveUpRepeats()) == [CommandMoved(command_id, State.UNCERTAIN)]
        assert await house.performer.perform(GiveUpRepeats()) == []

    with_house(tmp_path, work)


def test_a_line_that_the_disk_does_not_let_move_gives_nothing_and_sends_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        async with asyncio.timeout(30), Database(tmp_path / "omniid.db") as database:
            house = House(database)
            outbox = FullDisk(database, Limits(600, 86_400, 3, 10_000))
            performer = house.made(outbox, house.mouth)
            command, _ = await performer.accept(Asked("text", "x"))
            outbox.full = True
            assert await performer.perform(SEND) == [StorageFailed("The disk is full."), LineServed(1, 0)]
            assert house.submitted == []
            outbox.full = False
            assert await performer.perform(RecordWhatFailed()) == []  # there is no step to make good
            assert await performer.perform(SEND) == [AttemptBegun(command.id, "text"), LineServed(1, 1)]

    asyncio.run(run())


def test_a_reminder_is_asked_for_and_says_that_sending_is_due(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        assert await house.performer.perform(SendLater(2.5)) == []
        assert house.reminders == [(2.5, SendingDue())]

    with_house(tmp_path, work)


def test_what_is_overdue_expires_and_is_said(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        await house.outbox.add(NewCommand("stale", "voice", "x", {}), wall(-600))
        await house.outbox.add(NewCommand("good", "voice", "x", {}), wall(-599))
        assert await house.performer.perform(ExpireOverdue()) == [CommandMoved("stale", State.EXPIRED)]
        assert await house.performer.perform(ExpireOverdue()) == []

    with_house(tmp_path, work)


# --- the embedded backend as a stand-in ---------------------------------------------------------------------


def test_the_stand_in_is_asked_where_there_is_one(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        assert await house.performer.perform(AskHere("c1", "voice", "What time is it?")) == []
        assert house.asked == [("c1", "voice", "What time is it?")]
        parts = Parts(house.outbox, house, ear_performer(house.ear), house.mouth, house.later, NO_FLAG, house)
        alone = Performer(parts, at)
        assert await alone.perform(AskHere("c2", "voice", "What time is it?")) == [AnsweredHere("c2", None)]
        assert len(house.asked) == 1
        house.takes_work = False  # too many wait for it
        assert await house.performer.perform(AskHere("c3", "text", "x")) == [AnsweredHere("c3", None)]

    with_house(tmp_path, work)


def test_an_answer_of_the_stand_in_is_recorded_and_then_said(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        (command_id,) = await accept(house, "What time is it?")
        reply = Reply("done", "Noon.", 95)
        assert await house.performer.perform(SettleHere(command_id, "voice", reply, "What time is it?")) == [
            CommandMoved(command_id, State.DONE),
            SettledHere(command_id, "voice", reply),
        ]
        settled = await house.outbox.get(command_id)
        assert settled.reply is not None
        assert settled.reply["content"] == "Noon."
        assert await house.performer.perform(SEND) == [LineServed(1, 0)]

    with_house(tmp_path, work)


def test_an_answer_of_the_stand_in_that_comes_too_late_changes_nothing(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        (command_id,) = await accept(house, "What time is it?")
        await house.performer.perform(SEND)
        assert await house.performer.perform(SettleHere(command_id, "voice", SENT, "What time is it?")) == []
        assert (await house.outbox.get(command_id)).state is State.SENDING

    with_house(tmp_path, work)


# --- a key that bounces -------------------------------------------------------------------------------------


def test_the_same_spoken_words_twice_in_a_moment_are_one_command_and_told_once(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        (queued,) = await house.performer.perform(Enqueue("t1", "Send it", {}))
        assert isinstance(queued, CommandQueued)
        assert await house.performer.perform(Enqueue("t2", " Send it ", {})) == []
        assert await house.outbox.counts() == {State.QUEUED: 1}

    with_house(tmp_path, work)


@pytest.mark.parametrize(
    ("second", "commands"),
    [
        (Asked("text", "Send it", source="a script"), 1),
        (Asked("text", "Send  it", source="a script"), 2),
        (Asked("text", "Send it", source="another script"), 2),
        (Asked("voice", "Send it", source="a script"), 2),
        (Asked("text", "Send it"), 2),
        (Asked("text", "Send it", idempotency_key="k"), 2),
    ],
)
def test_only_the_same_words_from_the_same_source_are_one_command(
    tmp_path: Path, second: Asked, commands: int
) -> None:
    async def work(house: House) -> None:
        first, is_new = await house.performer.accept(Asked("text", "Send it", source="a script"))
        assert is_new
        other, is_new = await house.performer.accept(second)
        assert is_new == (commands == 2)
        assert (other.id != first.id) == (commands == 2)
        assert await house.outbox.counts() == {State.QUEUED: commands}

    with_house(tmp_path, work)


def test_with_an_idempotency_key_only_the_key_decides_what_is_the_same(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        for key in ("k1", "k2"):
            _, is_new = await house.performer.accept(Asked("text", "Send it", {}, key, "a script"))
            assert is_new

    with_house(tmp_path, work)


@pytest.mark.parametrize("open_", [True, False])
def test_an_answer_is_passed_on_or_said_not_to_be(tmp_path: Path, open_: bool) -> None:
    async def work(house: House) -> None:
        house.takes_work = open_
        effect = AnswerQuestion("q1", "s1", "step", action="approve_all")
        outcome = QuestionAnswered("q1", "approve all") if open_ else QuestionNotAnswered("q1")

        assert await house.performer.perform(effect) == [outcome]
        assert house.answers == [Answer("s1", "step", None, "approve_all")]

    with_house(tmp_path, work)


def test_an_answer_of_the_stand_in_to_words_that_were_edited_meanwhile_is_none(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        (command_id,) = await accept(house, "What time is it?")
        await house.outbox.edit(command_id, "Call Ann", at().wall)
        assert await house.performer.perform(SettleHere(command_id, "voice", SENT, "What time is it?")) == []
        assert (await house.outbox.get(command_id)).state is State.QUEUED

    with_house(tmp_path, work)


def test_a_question_that_is_left_is_left_on_the_link(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        assert await house.performer.perform(LeaveQuestions("c1")) == []
        assert house.left == ["c1"]

    with_house(tmp_path, work)
