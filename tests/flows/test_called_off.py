"""A command called off while it was on the wire stays called off, also where omniid is killed meanwhile.

The backend says that it dedupes, so what was on the wire is repeated to it after a restart: but not this.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

from support import flow
from support.field import address, served
from websockets.asyncio.server import ServerConnection

from omniid.cli.private_daemon import Config, PrivateDaemon

HELLO = {"type": "hello", "payload": {"features": ["correlate", "dedupe"]}}


class Backend:
    """Keeps each command that it receives. With `answers`, each is answered once `may_answer` is set."""

    def __init__(self) -> None:
        self.received: list[str] = []
        self.answers = False
        self.may_answer = threading.Event()

    async def on_link(self, link: ServerConnection) -> None:
        await link.send(json.dumps(HELLO))
        async for frame in link:
            content = json.loads(frame)
            if content["type"] != "command":
                continue
            self.received.append(content["payload"]["message"])
            if self.answers:
                await asyncio.to_thread(self.may_answer.wait, flow.WITHIN_S)
                request_id = content["payload"]["requestId"]
                data = {"message": "Ordered."}
                reply = {"type": "response", "status": "success", "requestId": request_id, "data": data}
                await link.send(json.dumps(reply))

    def until_received(self, number: int) -> None:
        """That a command was written does not say that it was read."""
        deadline = time.monotonic() + flow.WITHIN_S
        while len(self.received) < number:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def ask(running: PrivateDaemon, message: str) -> str:
    """The id of a command that is on the wire now."""
    command_id: str = running.client.call("POST", "/v1/commands", {"message": message})["id"]
    sent = {"command_id": command_id, "state": "waiting"}
    flow.until(running, "command_moved", where=lambda data: data == sent)
    return command_id


def call_off(running: PrivateDaemon, command_id: str) -> str:
    """What the user is told."""
    done = subprocess.run(
        [sys.executable, "-m", "omniid", "outbox", "cancel", command_id],
        env=flow.environment_of(running),
        capture_output=True,
        text=True,
        timeout=flow.WITHIN_S,
        check=True,
    )
    return done.stdout


def spoken_for(running: PrivateDaemon) -> list[str | None]:
    """Whose answers are spoken, up to the end of the first utterance."""
    commands: list[str | None] = []
    while True:
        event = flow.until(running, "speech_queued", "speech_finished", "speech_failed")
        if event["event"] != "speech_queued":
            return commands
        commands.append(event["command_id"])


def test_it_is_not_sent_again_after_a_kill_and_nothing_of_it_is_spoken(tmp_path: Path) -> None:
    backend = Backend()
    with served(backend.on_link) as port:
        config: Config = {
            "backend": {"url": address(port)},
            "audio": {"output_file": tmp_path / "speaker.wav"},
        }
        with flow.daemon(tmp_path, config) as running:
            flow.until_ready(running)
            called_off = ask(running, "order 10 pizzas")
            assert "cannot be called back" in call_off(running, called_off)
            wanted = ask(running, "buy milk")
            backend.until_received(2)
            assert running.process is not None
            running.process.kill()
            running.process.wait()
        assert backend.received == ["order 10 pizzas", "buy milk"]
        backend.answers = True
        with flow.daemon(tmp_path, config) as running:
            flow.until_ready(running)
            backend.may_answer.set()  # the test hears of all that follows
            # What stood behind it goes again and is answered: its own turn would have been before that.
            assert spoken_for(running) == [wanted]
            command = running.client.call("GET", f"/v1/commands/{called_off}")
            assert (command["state"], command["attempts"]) == ("cancelled", 1)
            assert command["reason"] == "called off by the user; an earlier attempt may have been done"
            said = running.client.call("GET", "/v1/history")["messages"]
            assert [each["text"] for each in said if each["command_id"] == called_off] == ["order 10 pizzas"]
        assert backend.received == ["order 10 pizzas", "buy milk", "buy milk"]
