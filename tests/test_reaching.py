"""How the backend is reached: tokens, waking, pace and seals, against real servers on loopback."""

from __future__ import annotations

import asyncio
import http
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey
from support.core import core, local, server
from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from omniid.credentials import CredentialsError
from omniid.events import (
    AnswerAcknowledged,
    CommandMoved,
    CommandWritten,
    FrameIgnored,
    LinkDialling,
    LinkLost,
    LinkOpened,
    LinkStopped,
    QuestionAsked,
    SendingDue,
)
from omniid.fate import State
from omniid.line import LineSettings
from omniid.protocol.link import Answer
from omniid.protocol.sealing import Sealer, Unsealer

SUCCESS = json.dumps({"type": "response", "status": "success", "data": {"message": "Sent."}})


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await work()

    asyncio.run(bounded())


async def answer_all(connection: ServerConnection) -> None:
    async for _ in connection:
        await connection.send(SUCCESS)


# --- tokens -------------------------------------------------------------------------------------------------


class Tokens:
    """Gives `first` until it is asked again, then `second`. What it was asked is in `asked`."""

    def __init__(self, first: str, second: str) -> None:
        self._first = first
        self._second = second
        self.asked: list[bool] = []

    async def token(self, *, again: bool) -> str | None:
        self.asked.append(again)
        return self._second if again else self._first


def guard(connection: ServerConnection, request: Request) -> Response | None:
    if request.headers.get("Authorization") == "Bearer new":
        return None
    return connection.respond(http.HTTPStatus.UNAUTHORIZED, "no\n")


def test_a_refused_token_is_asked_for_once_more_and_the_new_one_used(tmp_path: Path) -> None:
    async def work() -> None:
        tokens = Tokens("old", "new")
        async with (
            server(answer_all, process_request=guard) as (_, port),
            core(tmp_path, local(port), tokens=tokens) as house,
        ):
            await house.until_moved(await house.ask("x"), State.DONE)
            assert tokens.asked == [False, True]
            assert house.of(LinkStopped) == []

    run(work)


def test_a_token_that_is_refused_twice_waits_for_another_and_says_so(tmp_path: Path) -> None:
    async def work() -> None:
        tokens = Tokens("old", "stale")
        async with (
            server(answer_all, process_request=guard) as (_, port),
            core(tmp_path, local(port), tokens=tokens) as house,
        ):
            stopped = await house.until_seen(LinkStopped)
            assert stopped.needs_token
            assert "omniid auth status" in stopped.reason
            assert house.assistant.snapshot().link == "needs_token"
            house.session.wake()  # a command that is accepted is no reason to be refused again
            dialled = len(house.of(LinkDialling))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1.5):
                    await house.until_seen(LinkDialling, dialled + 1)
            tokens._second = "new"
            house.session.reconnect()
            await house.until_seen(LinkOpened)
            assert tokens.asked[-1] is True

    run(work)


@pytest.mark.parametrize(("code", "reason"), [(4401, ""), (1008, "token expired")])
def test_a_link_that_is_closed_over_its_token_is_dialled_with_a_fresh_one(
    tmp_path: Path, code: int, reason: str
) -> None:
    async def picky(connection: ServerConnection) -> None:
        assert connection.request is not None
        if connection.request.headers["Authorization"] != "Bearer new":
            await connection.close(code, reason)
            return
        await answer_all(connection)

    async def work() -> None:
        async with (
            server(picky) as (_, port),
            core(tmp_path, local(port), tokens=Tokens("old", "new")) as house,
        ):
            await house.until_moved(await house.ask("x"), State.DONE)
            assert house.of(LinkStopped) == []

    run(work)


def test_a_source_of_tokens_that_fails_is_told_and_tried_again(tmp_path: Path) -> None:
    class Failing(Tokens):
        async def token(self, *, again: bool) -> str | None:
            if len(self.asked) < 2:
                self.asked.append(again)
                raise CredentialsError("The token command failed.")
            return await super().token(again=again)

    async def work() -> None:
        async with (
            server(answer_all, process_request=guard) as (_, port),
            core(tmp_path, local(port), tokens=Failing("new", "new")) as house,
        ):
            await house.until_seen(LinkOpened)
            assert [event.reason for event in house.of(LinkLost)] == ["The token command failed."] * 2

    run(work)


# --- waking -------------------------------------------------------------------------------------------------


def test_after_a_resume_a_link_that_lives_is_kept(tmp_path: Path) -> None:
    async def work() -> None:
        asked = asyncio.Event()

        async def answering(connection: ServerConnection) -> None:
            async for frame in connection:
                if json.loads(frame)["type"] == "ping":
                    asked.set()
                else:
                    await connection.send(SUCCESS)

        async with server(answering) as (_, port), core(tmp_path, local(port)) as house:
            await house.until_seen(LinkOpened)
            house.session.look_again()
            await asked.wait()
            await house.until_moved(await house.ask("x"), State.DONE)
            assert len(house.of(LinkOpened)) == 1

    run(work)


def test_after_a_resume_a_link_that_is_dead_is_replaced_at_once(tmp_path: Path) -> None:
    links = 0

    async def dead_once(connection: ServerConnection) -> None:
        nonlocal links
        links += 1
        if links == 1:
            connection.transport.pause_reading()  # as a peer whose packets go nowhere any more
            await connection.wait_closed()
        await answer_all(connection)

    async def work() -> None:
        async with server(dead_once) as (running, port), core(tmp_path, local(port)) as house:
            await house.until_seen(LinkOpened)
            house.session.look_again()
            lost = await house.until_seen(LinkLost)
            assert "nothing was heard" in lost.reason
            await house.until_moved(await house.ask("x"), State.DONE)
            for connection in running.connections:
                connection.transport.abort()

    run(work)


def test_a_network_that_comes_up_cuts_the_wait_short(tmp_path: Path) -> None:
    async def work() -> None:
        async with core(tmp_path, local(1)) as house:
            await house.until_seen(LinkLost)
            house.session.look_again()
            dialled = len(house.of(LinkDialling))
            await house.until_seen(LinkDialling, dialled + 1)

    run(work)


def test_a_command_does_not_cut_short_what_the_server_asked_for_and_a_person_does(tmp_path: Path) -> None:
    busy = True

    def turn_away(connection: ServerConnection, _: Request) -> Response | None:
        if not busy:
            return None
        response = connection.respond(http.HTTPStatus.TOO_MANY_REQUESTS, "later\n")
        response.headers["Retry-After"] = "500"
        return response

    async def work() -> None:
        nonlocal busy
        async with (
            server(answer_all, process_request=turn_away) as (_, port),
            core(tmp_path, local(port)) as house,
        ):
            lost = await house.until_seen(LinkLost)
            assert lost.retry_in_s == 500
            busy = False
            command_id = await house.ask("x")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1.5):
                    await house.until_seen(LinkDialling, 2)
            house.session.reconnect()
            await house.until_moved(command_id, State.DONE)

    run(work)


@pytest.mark.parametrize("values", [["Fri, 31 Dec 9999 23:59:59 -1200"], ["1", "2"]])
def test_a_strange_wish_to_be_left_alone_ends_nothing(tmp_path: Path, values: list[str]) -> None:
    def turn_away(_: ServerConnection, _request: Request) -> Response:
        headers = Headers([*(("Retry-After", value) for value in values), ("Content-Length", "0")])
        return Response(503, "Busy", headers, b"")

    async def work() -> None:
        async with (
            server(answer_all, process_request=turn_away) as (_, port),
            core(tmp_path, local(port)) as house,
        ):
            assert "HTTP 503" in (await house.until_seen(LinkLost)).reason

    run(work)


# --- pace ---------------------------------------------------------------------------------------------------


def test_more_commands_than_the_rate_allows_are_delayed_and_none_is_dropped(tmp_path: Path) -> None:
    async def work() -> None:
        line = LineSettings(rate_per_minute=60)  # a burst of 60, then one each second
        async with server(answer_all) as (_, port), core(tmp_path, local(port), line=line) as house:
            await house.until_seen(LinkOpened)
            ids = [await house.ask(f"n{number}") for number in range(64)]
            await house.until_moved(ids[-1], State.DONE)
            assert house.of(SendingDue)
            assert [event.command_id for event in house.of(CommandWritten)] == ids

    run(work)


def test_commands_that_are_uncertain_are_sent_again_where_the_user_says_so(tmp_path: Path) -> None:
    got: list[str] = []

    async def cut_once(connection: ServerConnection) -> None:
        async for frame in connection:
            got.append(json.loads(frame)["payload"]["message"])
            if len(got) == 1:
                connection.transport.abort()
                return
            await connection.send(SUCCESS)

    async def work() -> None:
        line = LineSettings(uncertain="resend")
        async with server(cut_once) as (_, port), core(tmp_path, local(port), line=line) as house:
            first, second = await house.ask("first"), await house.ask("second")
            await house.until_moved(second, State.DONE)
            assert CommandMoved(first, State.DONE) in house.events
            assert got == ["first", "first", "second"]

    run(work)


# --- questions ----------------------------------------------------------------------------------------------


def test_a_question_is_answered_and_its_acknowledgement_is_not_the_commands_reply(tmp_path: Path) -> None:
    question = {
        "type": "system",
        "data": {
            "action": "user_intervention_required",
            "sessionId": "s",
            "stepId": "1",
            "message": "Which Bob?",
            "timeout": 60_000,
        },
    }
    answers: list[dict[str, Any]] = []

    async def asking(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send(json.dumps(question))
        answers.append(json.loads(await connection.recv()))
        data = {"sessionId": "s", "stepId": "1", "message": "Taken."}
        await connection.send(json.dumps({"type": "response", "status": "success", "data": data}))
        await connection.send(SUCCESS)
        await connection.wait_closed()

    async def work() -> None:
        async with server(asking) as (_, port), core(tmp_path, local(port)) as house:
            command_id = await house.ask("Call Bob")
            asked: QuestionAsked = await house.until_seen(QuestionAsked)
            assert list(house.assistant.questions) == ["q1"]
            assert house.session.answer(Answer(asked.session_id or "", asked.step_id, "Bob Smith"))
            acknowledged = await house.until_seen(AnswerAcknowledged)
            assert (acknowledged.accepted, acknowledged.text) == (True, "Taken.")
            await house.until_moved(command_id, State.DONE)
            command = await house.outbox.get(command_id)
            assert command.reply is not None
            assert command.reply["content"] == "Sent."

    run(work)
    assert answers[0]["payload"] == {
        "action": "intervention_response",
        "sessionId": "s",
        "stepId": "1",
        "resolvedValue": "Bob Smith",
    }


# --- seals --------------------------------------------------------------------------------------------------


def test_sealed_words_are_read_by_nobody_between_and_a_tampered_reply_settles_nothing(tmp_path: Path) -> None:
    key = ECKey.generate_key("P-256")
    unsealer = Unsealer.from_key_text(json.dumps(key.as_dict(private=True)))
    sealer = Sealer.from_key_text(json.dumps(key.as_dict(private=False)))
    wire: list[str] = []

    async def sealed(connection: ServerConnection) -> None:
        async for raw in connection:
            assert isinstance(raw, str)
            wire.append(raw)
            payload = json.loads(raw)["payload"]
            message, _, reply_key = unsealer.open_command(payload["sealed"])
            reply = unsealer.seal_reply({"message": f"re: {message}"}, reply_key)
            for text in (reply[:-8] + "AAAAAAAA", reply):
                wire.append(json.dumps({"type": "response", "status": "success", "data": {"sealed": text}}))
                await connection.send(wire[-1])

    async def work() -> None:
        async with server(sealed) as (_, port), core(tmp_path, local(port), sealer=sealer) as house:
            command_id = await house.ask("my secret plan")
            await house.until_moved(command_id, State.DONE)
            command = await house.outbox.get(command_id)
            assert command.reply is not None
            assert command.reply["content"] == "re: my secret plan"
            assert len(house.of(FrameIgnored)) == 1

    run(work)
    assert not any("secret" in frame for frame in wire)
