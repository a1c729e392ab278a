"""A microphone closes when the user wants it, also while the disk is slow."""

from __future__ import annotations

import asyncio

import pytest
from support.core import SilentEar, ear_performer
from support.moments import at

from omniid.assistant import Assistant, AssistantSettings
from omniid.control.stream import EventHub
from omniid.effects import Effect, StartCapture
from omniid.events import ClockTicked, Event, KeyPressed, KeyReleased, Manner
from omniid.letting_go import LettingGo
from omniid.reactor import Reactor
from omniid.timeline import Timelines
from omniid.workers.channel import KeepMicrophoneShut, StopTake


@pytest.mark.parametrize(
    ("mode", "told"),
    [("hold", [StopTake("t1")]), ("hybrid", []), ("toggle", [])],
    ids=str,
)
def test_a_release_reaches_the_ear_while_a_disk_holds_up_the_events(mode: str, told: list[object]) -> None:
    async def run() -> None:
        ear, stalled, goes_on = SilentEar(), asyncio.Event(), asyncio.Event()
        assistant = Assistant(AssistantSettings())
        reactor = Reactor(assistant, Timelines(), EventHub(), at)
        letting_go = LettingGo(assistant, reactor, ear_performer(ear))

        async def perform(effect: Effect) -> list[Event]:
            if not isinstance(effect, StartCapture):  # a commit, say
                stalled.set()
                await goes_on.wait()
            return []

        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            group.create_task(reactor.run(perform))
            reactor.post_nowait(KeyPressed("key", "t1", Manner(mode)))  # type: ignore[arg-type]
            reactor.post_nowait(ClockTicked())
            await stalled.wait()
            letting_go.of_key("other")
            letting_go.of_key("key")
            assert ear.heard == told
            reactor.post_nowait(KeyReleased("key"))
            goes_on.set()
            reactor.stop()

    asyncio.run(run())


def test_where_nothing_is_slow_the_event_alone_will_do() -> None:
    ear, assistant = SilentEar(), Assistant(AssistantSettings())
    assistant.handle(KeyPressed("key", "t1"), 0.0)
    reactor = Reactor(assistant, Timelines(), EventHub(), at)

    LettingGo(assistant, reactor, ear_performer(ear)).of_key("key")

    assert ear.heard == []


def test_a_microphone_is_shut_at_once() -> None:
    ear, assistant = SilentEar(), Assistant(AssistantSettings())
    reactor = Reactor(assistant, Timelines(), EventHub(), at)

    LettingGo(assistant, reactor, ear_performer(ear)).of_microphone()

    assert ear.heard == [KeepMicrophoneShut(shut=True)]
