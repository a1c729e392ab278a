"""Effects carried out: what is told to the children, and what the disk is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from support.core import SilentEar, SilentMouth
from support.moments import START, at

from omniid.effects import (
    CancelCapture,
    Effect,
    Enqueue,
    Move,
    ProbeStorage,
    RecordWhatFailed,
    ReplaceEar,
    SendNext,
    Speak,
    StartCapture,
    StopCapture,
    StopSpeech,
)
from omniid.errors import StorageError, TextRefusedError
from omniid.events import (
    AttemptBegun,
    CommandMoved,
    CommandQueued,
    CommandRefused,
    Event,
    LineServed,
    SpeechQueued,
    StorageFailed,
    StorageWorks,
    WriteFailed,
)
from omniid.fate import State
from omniid.performer import Asked, Parts, Performer
from omniid.protocol.chat import Reply
from omniid.protocol.link import Outgoing
from omniid.storage.database import Database
from omniid.storage.outbox import Limits, Outbox
from omniid.workers.channel import CancelTake, Say, StartTake, StopSpeaking, StopTake

SENT = Reply("done", "Sent.", 95)
EPOCH = 3
SEND = SendNext(1, EPOCH)


class House:
    """A performer with parts that remember; the link takes commands while `open` holds."""

    def __init__(self, database: Database) -> None:
        self.ear, self.mouth = SilentEar(), SilentMouth()
        self.outbox = Outbox(database, Limits(600, 86_400, 3, 10_000))
        self.open = True
        self.submitted: list[Outgoing] = []
        self.woken = 0
        self.target_name = "a backend"
        self.reminders: list[tuple[float, Event]] = []
        self.asked: list[tuple[str, str, str]] = []
        self.performer = self.made(self.outbox, self.mouth)

    def made(self, outbox: Outbox, mouth: SilentMouth | None) -> Performer:
        return Performer(Parts(outbox, self, self.ear, mouth, self.later, self), at, debounce_s=0.3)

    def later(self, delay_s: float, event: Event) -> None:
        self.reminders.append((delay_s, event))

    def ask(self, command_id: str, kind: str, message: str) -> None:
        self.asked.append((command_id, kind, message))

    def submit(self, outgoing: Sequence[Outgoing], epoch: int) -> bool:
        assert epoch == EPOCH
        if self.open:
            self.submitted += outgoing
        return self.open

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
        assert await house.performer.perform(Speak("Hi", utterance_id="u1")) == [SpeechQueued("u1", None)]
        (queued,) = await house.performer.perform(Speak("Sent.", "c1"))
        assert isinstance(queued, SpeechQueued)
        assert queued.command_id == "c1"
        await house.performer.perform(StopSpeech())
        assert house.mouth.heard == [Say("u1", "Hi"), Say(queued.utterance_id, "Sent."), StopSpeaking()]

    with_house(tmp_path, work)


def test_without_a_voice_nothing_is_said(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        mute = house.made(house.outbox, None)
        assert await mute.perform(Speak("Hi")) == []
        assert await mute.perform(StopSpeech()) == []

    with_house(tmp_path, work)


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


def test_a_full_outbox_refuses_a_spoken_command_as_an_event(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        for number in range(3):
            await house.performer.perform(Enqueue("t1", f"x{number}", {}))
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
        house.open = False
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
