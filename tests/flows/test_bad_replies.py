"""Whatever a backend answers: its words reach the history, no terminal is steered, the daemon lives on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from support import flow
from support.field import address, served
from websockets.asyncio.server import ServerConnection

from omniid.cli.private_daemon import Config, PrivateDaemon

OVERRIDE = "\u202egnp.exe\u202c"


def success(**data: Any) -> dict[str, Any]:
    return {"type": "response", "status": "success", "data": data, "timestamp": 1}


def unified(**fields: Any) -> dict[str, Any]:
    return {"type": "email", "success": True, "data": {"ui": {}}, "message": "Seen.", **fields}


WRONG: list[Any] = [None, 7, -1.5, True, [], [[]], {}, {"a": {"b": []}}, ["x"] * 50]
REPLIES: dict[str, tuple[dict[str, Any], str]] = {
    "one megabyte": (success(message="word " * 210_000), "word word"),
    "one megabyte without a space": (success(message="x" * 1_000_000), "xxxx"),
    "control characters only": (success(message="\x00\x01\x02\x7f\x1b"), "Action completed"),
    "right-to-left overrides": (success(message=f"The file {OVERRIDE} is sent."), "The file"),
    "escape sequences": (success(message="\x1b[2J\x1b]0;owned\x07Sent."), "Sent."),
    "eight-bit escapes": (success(message="\x9b2JSent."), "Sent."),
    "html": (success(message="<script>alert(1)</script><b>Sent.</b>"), "Sent."),
    "null bytes": (success(message="Se\x00nt."), "nt."),
    "half a surrogate pair": (success(message="Sent \ud83d."), "Sent"),
    "ten thousand actions": (
        success(message="Choose.", actions=[{"id": n} for n in range(10_000)]),
        "Choose.",
    ),
    "an action of a megabyte": (success(message="Choose.", actions=["x" * 1_000_000]), "Choose."),
    "a very deep one": (
        success(message="Deep.", metadata=json.loads('{"a":' * 40 + "1" + "}" * 40)),
        "Deep.",
    ),
    **{
        f"wrong types: {json.dumps(wrong)[:20]}": (
            success(
                message=wrong,
                requiresAuth=wrong if wrong is not True else "true",
                authUrl=wrong,
                actions=wrong,
                metadata={"reasoning": wrong, "suggestions": wrong, "context": wrong, "source": wrong},
            ),
            "Action completed",
        )
        for wrong in WRONG
    },
    **{
        f"wrong types in a unified reply: {json.dumps(wrong)[:20]}": (
            unified(
                data={
                    "ui": {"title": wrong, "content": wrong, "actions": wrong, "metadata": wrong},
                    "structured": wrong,
                },
                authUrl=wrong,
                timestamp=wrong,
                id=wrong,
            ),
            "Seen.",
        )
        for wrong in WRONG
    },
}


async def answers_by_name(link: ServerConnection) -> None:
    async for frame in link:
        content = json.loads(frame)
        if content["type"] == "command":
            await link.send(json.dumps(REPLIES[content["payload"]["message"]][0]))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateDaemon]:
    """A daemon that speaks into a file, in a house without keyring, bus, browser or sound server."""
    house = tmp_path_factory.mktemp("house")
    with served(answers_by_name) as port:
        config: Config = {
            "backend": {"url": address(port)},
            "audio": {"output_file": house / "speaker.wav"},
            "session": {"rate_limit_per_minute": 0},
            "notifications": {"replies": "always"},
        }
        with flow.daemon(house, config) as daemon:
            flow.until_ready(daemon)
            yield daemon


def omniid(running: PrivateDaemon, *words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "omniid", *words],
        env=flow.environment_of(running),
        capture_output=True,
        timeout=flow.WITHIN_S,
        check=False,
    )


@pytest.mark.parametrize("name", REPLIES)
def test_the_words_reach_the_history_and_no_terminal_is_steered(running: PrivateDaemon, name: str) -> None:
    pid = running.status()["pid"]

    asked = omniid(running, "ask", name)
    told = omniid(running, "history", "-n", "2")

    assert asked.returncode == 0, asked.stderr
    assert told.returncode == 0, told.stderr
    printed = (asked.stdout + asked.stderr + told.stdout + told.stderr).decode()
    steers = [
        char for char in printed if (not char.isprintable() and char not in "\n\t") or char in OVERRIDE[:1]
    ]
    assert steers == []
    newest = running.client.call("GET", "/v1/history?limit=1")["messages"][0]
    assert (newest["kind"], newest["sender"]) == ("reply", "assistant")
    assert REPLIES[name][1] in newest["text"]
    assert running.client.call("DELETE", "/v1/speech") == {"accepted": True}
    assert running.status()["pid"] == pid


def test_what_this_house_lacks_was_told_once(running: PrivateDaemon) -> None:
    running.client.call("POST", "/v1/commands", {"message": "html", "wait_s": 60}, wait_s=60)

    problems = running.status()["problems"]
    assert list(problems) == ["notifications"]
    log = running.log.read_text(encoding="utf-8")
    assert log.count("notifications_noted") == 1
    assert "Traceback" not in log
