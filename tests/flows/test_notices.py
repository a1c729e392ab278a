"""What a whole daemon shows on a real bus, and what a click there does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from support import flow, notification_server
from support.field import QUESTION, Handler, address, served
from support.notification_server import Desktop, Notified
from websockets.asyncio.server import ServerConnection

from omniid.cli.private_daemon import Config, PrivateDaemon

WHY_NOT = notification_server.why_unavailable()
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=WHY_NOT or "")

SENT = {"type": "response", "status": "success", "data": {"message": "Sent <b>it</b>."}, "timestamp": 1}


class House:
    """A daemon, the desktop it shows things on, and what its backend was told."""

    def __init__(self, running: PrivateDaemon, desktop: Desktop, opened: Path) -> None:
        self.running = running
        self.desktop = desktop
        self.opened = opened

    async def ask(self, text: str) -> dict[str, Any]:
        return await self._call("POST", "/v1/commands", {"message": text})

    async def said(self, text: str) -> dict[str, Any]:
        """A command as the ear would have it."""
        return await self._call("POST", "/v1/commands", {"message": text, "type": "voice_command"})

    async def until(self, name: str, **fields: Any) -> dict[str, Any]:
        def fits(data: dict[str, Any]) -> bool:
            return all(data.get(key) == value for key, value in fields.items())

        return await asyncio.to_thread(flow.until, self.running, name, where=fits)

    async def shown(self, title: str) -> tuple[int, Notified]:
        """The mock's number of the newest notice with this title, once it is there."""

        def found() -> list[tuple[int, Notified]]:
            new = 0
            numbered = []
            for notified in self.desktop.notified:
                new += 0 if notified.replaces else 1
                numbered.append((notified.replaces or new, notified))
            return [(number, each) for number, each in numbered if each.title == title]

        await self.desktop.until(lambda: bool(found()))
        return found()[-1]

    async def click(self, number: int, action: str) -> None:
        await self.desktop.emit("ActionInvoked", "us", number, action)

    async def _call(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return await asyncio.to_thread(self.running.client.call, method, path, body)


@asynccontextmanager
async def house(tmp_path: Path, backend: Handler, more: Config) -> AsyncIterator[House]:
    opened, script = tmp_path / "opened", tmp_path / "browser"
    script.write_text(f'#!/bin/sh\nprintf "%s\\n" "$1" >> {opened}\n', encoding="utf-8")
    script.chmod(0o700)
    async with notification_server.desktop() as desktop:
        with served(backend) as port:
            config: Config = {"backend": {"url": address(port)}, "speech": {"engine": "none"}, **more}
            environment = {"DBUS_SESSION_BUS_ADDRESS": desktop.address, "BROWSER": str(script)}
            with flow.daemon(tmp_path / "house", config, **environment) as running:
                await asyncio.to_thread(flow.until_ready, running)
                yield House(running, desktop, opened)


def in_a_house(
    tmp_path: Path, backend: Handler, work: Callable[[House], Awaitable[None]], more: Config | None = None
) -> None:
    async def run() -> None:
        async with asyncio.timeout(2 * flow.WITHIN_S), house(tmp_path, backend, more or {}) as found:
            await work(found)

    asyncio.run(run())


def test_what_was_heard_and_its_answer_are_one_notice(tmp_path: Path) -> None:
    async def backend(link: ServerConnection) -> None:
        async for frame in link:
            if json.loads(frame)["type"] == "command":
                await link.send(json.dumps(SENT))

    async def work(house: House) -> None:
        await house.said("Send it")
        heard, notified = await house.shown("You said")
        assert notified.body == "Send it"
        answered, notified = await house.shown("omniid")
        assert (answered, notified.body) == (heard, "Sent &lt;b&gt;it&lt;/b&gt;.")
        assert notified.hints["urgency"] == 1
        # Who types sees the answer where they typed.
        typed = await house.ask("Send that")
        await house.until("command_moved", command_id=typed["id"], state="done")
        assert len(house.desktop.notified) == 2

    in_a_house(tmp_path, backend, work)


def test_a_question_is_answered_by_a_click(tmp_path: Path) -> None:
    answers: list[dict[str, Any]] = []

    async def backend(link: ServerConnection) -> None:
        async for frame in link:
            content = json.loads(frame)
            if content["type"] == "command":
                await link.send(json.dumps(QUESTION))
            elif content["type"] == "system":
                answers.append(content["payload"])
                acknowledged = {**SENT, "data": {"sessionId": "s", "stepId": "1"}}
                await link.send(json.dumps(acknowledged))
                await link.send(json.dumps(SENT))

    async def work(house: House) -> None:
        command = await house.ask("Send it")
        number, notified = await house.shown("omniid asks")
        assert "Really send it?" in notified.body
        assert notified.actions == ["yes", "Yes", "no", "No"]

        await house.click(number, "yes")

        await house.until("command_moved", command_id=command["id"], state="done")
        assert [each["resolvedValue"] for each in answers] == ["yes"]
        await house.desktop.until(lambda: number in house.desktop.closed)
        await house.click(number, "no")
        await house.ask("Send that")
        await house.until("question_posed")
        assert len(answers) == 1

    in_a_house(tmp_path, backend, work)


def test_what_is_uncertain_is_sent_again_by_a_click(tmp_path: Path) -> None:
    ids: list[str] = []

    async def backend(link: ServerConnection) -> None:
        async for frame in link:
            content = json.loads(frame)
            if content["type"] == "command":
                ids.append(content["payload"]["requestId"])
                if len(ids) == 1:
                    await link.close()
                else:
                    await link.send(json.dumps(SENT))

    async def work(house: House) -> None:
        command = await house.ask("Send it")
        number, notified = await house.shown("Was this done?")
        assert "Send it" in notified.body

        await house.click(number, "retry")
        await house.click(number, "retry")

        await house.until("command_moved", command_id=command["id"], state="done")
        assert ids == [command["id"]] * 2
        await house.desktop.until(lambda: number in house.desktop.closed)

    in_a_house(tmp_path, backend, work)


def test_what_was_on_its_way_when_omniid_was_killed_is_asked_about_in_its_words(tmp_path: Path) -> None:
    async def backend(link: ServerConnection) -> None:
        await link.wait_closed()

    async def work(house: House) -> None:
        await house.said("Wire the rent")
        await house.until("command_written")
        assert house.running.process is not None
        house.running.process.kill()
        await asyncio.to_thread(house.running.stop)

        for number in (1, 2):  # also at the start after the next
            await asyncio.to_thread(house.running.__enter__)
            await house.desktop.until(lambda: len(asked(house)) >= number)  # noqa: B023 it is awaited here
            assert asked(house)[-1].body.startswith("“Wire the rent”")
            await asyncio.to_thread(house.running.stop)

    def asked(house: House) -> list[Notified]:
        return [each for each in house.desktop.notified if each.title == "Was this done?"]

    in_a_house(tmp_path, backend, work)


def test_the_page_of_a_sign_in_is_opened_again_by_a_click(tmp_path: Path) -> None:
    page = "https://accounts.example/auth?state=1"
    links: list[ServerConnection] = []

    async def backend(link: ServerConnection) -> None:
        links.append(link)
        asks = {**SENT, "data": {"requiresAuth": True, "authUrl": page, "message": "Sign in."}}
        async for frame in link:
            if json.loads(frame)["type"] == "command":
                await link.send(json.dumps(asks))

    async def work(house: House) -> None:
        await house.ask("Send it")
        await house.until("page_opened")
        number, _ = await house.shown("Please sign in")
        assert len([each for each in house.desktop.notified if page in each.body]) == 1

        await house.click(number, "open")
        await house.until("page_opened")

        assert house.opened.read_text(encoding="utf-8") == f"{page}\n" * 2

    in_a_house(tmp_path, backend, work)


async def answers_with_news(link: ServerConnection) -> None:
    """The first command brings a message of the server's own, before its answer."""
    news: dict[str, Any] = {
        "userId": "u",
        "notificationType": "info",
        "title": "Post",
        "message": "A letter came.",
    }
    first = True
    async for frame in link:
        if json.loads(frame)["type"] == "command":
            if first:
                await link.send(json.dumps({"type": "notification", "payload": news}))
            first = False
            await link.send(json.dumps(SENT))


def test_who_wants_no_notices_gets_none(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        command = await house.said("Send it")
        await house.until("command_moved", command_id=command["id"], state="done")
        assert house.desktop.notified == []

    in_a_house(tmp_path, answers_with_news, work, {"notifications": {"enabled": False}})


@pytest.mark.parametrize(("unsolicited", "second"), [("always", "u3"), ("never", "u2")])
def test_news_is_spoken_as_the_user_wants_it(tmp_path: Path, unsolicited: str, second: str) -> None:
    async def work(house: House) -> None:
        await house.ask("Send it")
        await house.until("speech_finished")
        command = await house.ask("Send that")
        queued = await house.until("speech_queued", command_id=command["id"])
        assert queued["utterance_id"] == second

    more: Config = {
        "speech": {"when": "always", "unsolicited": unsolicited},
        "audio": {"output_file": tmp_path / "speaker.wav"},
    }
    in_a_house(tmp_path, answers_with_news, work, more)
