"""The one queue: order, consequences before the next event, nothing lost."""

from __future__ import annotations

import asyncio

import pytest
from support.moments import at
from support.reports import recognised

from omniid.assistant import Assistant, AssistantSettings
from omniid.control.stream import EventHub
from omniid.effects import Effect, Enqueue, ExpireOverdue, Speak, SweepTakes
from omniid.events import (
    ClockTicked,
    CommandMoved,
    CommandProgressed,
    CommandQueued,
    Event,
    KeyPressed,
    LinkOpened,
    MessageArrived,
    SpeechRequested,
)
from omniid.fate import State
from omniid.reactor import Reactor
from omniid.timeline import Timelines
from omniid.workers.channel import SpeechFinished


def new_reactor() -> Reactor:
    return Reactor(Assistant(AssistantSettings("always", 300.0)), Timelines(), EventHub(), at)


def message(number: int) -> MessageArrived:
    return MessageArrived("chat", str(number), {})


async def nothing(_: Effect) -> list[Event]:
    return []


def test_events_are_handled_in_the_order_they_came() -> None:
    async def run() -> None:
        reactor = new_reactor()
        seen: list[Event] = []
        posted = [message(number) for number in range(100)]
        for event in posted:
            reactor.post_nowait(event)
        reactor.stop()
        with reactor.observing(seen.append):
            async with asyncio.timeout(10):
                await reactor.run(nothing)
        assert seen == posted

    asyncio.run(run())


def test_what_follows_from_an_event_comes_before_the_next_event() -> None:
    async def perform(effect: Effect) -> list[Event]:
        await asyncio.sleep(0)
        match effect:
            case Enqueue(take_id=take_id, text=text):
                return [CommandQueued("c1", "voice", text, take_id), SpeechRequested("u1", "Hi")]
            case Speak(text="Hi"):
                return [CommandMoved("c9", State.DONE)]
            case _:
                return []

    async def run() -> None:
        reactor = new_reactor()
        seen: list[str] = []
        reactor.post_nowait(LinkOpened(1, 1))
        reactor.post_nowait(KeyPressed("key", "t1"))
        reactor.post_nowait(recognised("t1"))
        reactor.post_nowait(message(2))
        reactor.stop()
        with reactor.observing(lambda event: seen.append(type(event).__name__)):
            async with asyncio.timeout(10):
                await reactor.run(perform)
        assert seen == [
            "LinkOpened",
            "KeyPressed",
            "TakeRecognised",
            "CommandQueued",
            "SpeechRequested",
            "CommandMoved",
            "MessageArrived",
        ]

    asyncio.run(run())


def test_effects_are_performed_one_at_a_time() -> None:
    running = 0
    performed: list[Effect] = []

    async def perform(effect: Effect) -> list[Event]:
        nonlocal running
        running += 1
        assert running == 1
        await asyncio.sleep(0)
        running -= 1
        performed.append(effect)
        return []

    async def run() -> None:
        reactor = new_reactor()
        for number in range(20):
            reactor.post_nowait(SpeechRequested(f"u{number}", str(number)))
            reactor.post_nowait(SpeechFinished(f"u{number}", "spoken"))
        reactor.stop()
        async with asyncio.timeout(10):
            await reactor.run(perform)

    asyncio.run(run())
    assert [effect.text for effect in performed if isinstance(effect, Speak)] == [str(n) for n in range(20)]


def test_a_long_queue_makes_posters_wait_and_a_cancelled_one_has_still_posted() -> None:
    async def run() -> None:
        reactor = new_reactor()
        seen: list[Event] = []
        for number in range(999):
            await reactor.post(message(number))
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            waiting = group.create_task(reactor.post(message(999)))
            await asyncio.sleep(0)
            assert not waiting.done()
            waiting.cancel()
        reactor.stop()
        with reactor.observing(seen.append):
            async with asyncio.timeout(10):
                await reactor.run(nothing)
        assert seen == [message(number) for number in range(1_000)]

    asyncio.run(run())


def test_a_poster_goes_on_once_there_is_room() -> None:
    async def run() -> None:
        reactor = new_reactor()
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            posters = [group.create_task(reactor.post(message(number))) for number in range(1_500)]
            await asyncio.sleep(0)
            assert any(not poster.done() for poster in posters)
            running = group.create_task(reactor.run(nothing))
            await asyncio.wait(posters)
            reactor.stop()
            await running

    asyncio.run(run())


def test_a_stop_drains_what_was_posted_before_it() -> None:
    async def run() -> None:
        reactor = new_reactor()
        performed: list[Effect] = []

        async def perform(effect: Effect) -> list[Event]:
            performed.append(effect)
            return []

        reactor.post_nowait(ClockTicked())
        reactor.stop()
        reactor.post_nowait(SpeechRequested("u1", "too late"))
        async with asyncio.timeout(10):
            await reactor.run(perform)
        assert performed == [SweepTakes(), ExpireOverdue()]

    asyncio.run(run())


def test_an_observer_sees_no_more_once_it_has_left() -> None:
    async def run() -> None:
        reactor = new_reactor()
        seen: list[Event] = []
        with reactor.observing(seen.append):
            pass
        reactor.post_nowait(message(1))
        reactor.stop()
        await reactor.run(nothing)
        assert seen == []

    asyncio.run(run())


def test_an_observer_sees_an_event_before_its_effects_are_performed() -> None:
    """Whoever waits for an event is answered with the state it led to, not with what came of it."""

    async def run() -> None:
        reactor = new_reactor()
        order: list[str] = []

        async def perform(_: Effect) -> list[Event]:
            order.append("performed")
            return []

        reactor.post_nowait(SpeechRequested("u1", "Hi"))
        reactor.stop()
        with reactor.observing(lambda _: order.append("seen")):
            await reactor.run(perform)
        assert order == ["seen", "performed"]

    asyncio.run(run())


def test_words_stay_out_of_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    async def run() -> None:
        reactor = new_reactor()
        reactor.post_nowait(CommandQueued("c1", "text", "my-secret-words"))
        reactor.post_nowait(CommandProgressed("c1", "thinking", "my-secret-words"))
        reactor.post_nowait(MessageArrived("chat", "my-secret-words", {"a": "my-secret-words"}))
        reactor.post_nowait(recognised("t1", "my-secret-words"))
        reactor.post_nowait(SpeechRequested("u1", "my-secret-words"))
        reactor.stop()
        await reactor.run(nothing)

    asyncio.run(run())
    said = capsys.readouterr()
    assert "command_queued" in said.out + said.err
    assert "my-secret-words" not in said.out + said.err
