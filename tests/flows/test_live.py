"""`omniid listen --show` where omniid asks first: what it says, and what becomes of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from support import control, flow
from support.control import ANSWERS, STATUS, running_server

from omniid.cli import live
from omniid.cli.private_daemon import Config
from omniid.control.client import Client
from omniid.control.schema import HotkeyView, StatusView
from omniid.errors import EXIT_FAILED


def event(name: str, **data: Any) -> dict[str, Any]:
    return {"id": 1, "event": name, "data": data}


@pytest.mark.parametrize(
    ("backend", "words"),
    [
        ("x11", "Tap the key or say yes; no, or nothing, drops it."),
        (None, "Run `omniid reply yes` elsewhere to send it; no, or nothing, drops it."),
    ],
)
def test_a_doubt_is_shown_with_how_to_settle_it_here(
    backend: str | None,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    status = STATUS.model_copy(update={"hotkey": HotkeyView(backend=backend, sees_releases=True)})
    made: dict[type[BaseModel], BaseModel] = {**ANSWERS, StatusView: status}
    monkeypatch.setattr(control, "ANSWERS", made)
    events = [
        event("confirmation_asked", take_id="t1", text="Call Bob", why="unsure"),
        event("confirmation_answered", take_id="t1", accepted=False, by="timeout"),
    ]
    with running_server(tmp_path / "s"):
        code = live._follow(iter(events), "t1", live._Screen(), Client(tmp_path / "s"))

    assert capsys.readouterr().out.splitlines() == ["Did you say: Call Bob", words, "Not sent."]
    assert code == EXIT_FAILED


@pytest.mark.parametrize("answer", ["yes", "no"])
def test_what_is_asked_first_is_sent_or_not_as_the_user_says(answer: str, tmp_path: Path) -> None:
    recording = flow.write_wav(tmp_path / "take.wav", flow.HUMAN.read_bytes() + bytes(2 * 16_000 * 20))
    audio = {"input_file": recording, "end_silence_ms": 700}
    config: Config = {"speech": {"engine": "none"}, "audio": audio}
    with flow.daemon(tmp_path / "house", config) as running:
        flow.until_ready(running)
        flow.until_ear(running)
        os.kill(int(running.status()["workers"]["ear"]["pid"]), signal.SIGSTOP)  # it loses the beginning
        environment = flow.environment_of(running)
        with subprocess.Popen(
            [sys.executable, "-m", "omniid", "listen", "--show"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as show:
            flow.until(running, "confirmation_asked")
            (asked,) = running.client.call("GET", "/v1/questions")["questions"]
            replied = subprocess.run(
                [sys.executable, "-m", "omniid", "reply", answer],
                env=environment,
                capture_output=True,
                text=True,
                timeout=flow.WITHIN_S,
                check=True,
            )
            out, err = show.communicate(timeout=flow.WITHIN_S)
    assert replied.stdout == f"Answered: {asked['text']}\n"
    first, how, *rest = out.splitlines()
    assert first == asked["text"]
    assert how.startswith("Run `omniid reply yes`")
    if answer == "no":
        assert (rest, err) == (["Not sent."], "")
    else:
        assert "can't help with that" in rest[1]
    assert show.returncode == EXIT_FAILED  # the embedded backend cannot do that, and says so
