"""`omniid listen --show`: one spoken command in the terminal, shown as it is heard, with its answer."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from omniid.cli.output import exit_code, one_line, outcome
from omniid.control.client import Client
from omniid.errors import EXIT_DONE, EXIT_FAILED

WAIT_S = 60.0
_REASONS = {
    "too_short": "That was too short.",
    "no_speech": "Nobody spoke.",
    "unsure": "The words could not be made out. `omniid take retry` tries again.",
    "dead_microphone": "The microphone gives nothing but zeros: it is muted or switched off.",
    "cancelled": "Forgotten.",
}
_TRIED_AGAIN = {"recognition_failed", "failed"}  # once, by the daemon itself
_BAR = 12


def show(profile: str | None) -> int:
    """Listen once; Enter ends it, Ctrl-C forgets it, silence ends it too. Returns the exit code."""
    client, owner = Client(), f"listen-{os.getpid()}"
    events = client.events()
    next(events)  # the snapshot: from here on nothing is missed
    begun = client.call("POST", "/v1/listen/toggle", {"owner": owner, "profile": profile})
    if begun["take_id"] is None or begun["capture"] not in {"opening", "listening"}:
        print("omniid is listening already; that take has ended now.", file=sys.stderr)
        return EXIT_FAILED
    screen = _Screen()
    stop = _at_enter(lambda: client.call("POST", "/v1/listen/stop", {"owner": owner}))
    try:
        return _follow(events, begun["take_id"], screen, client)
    except KeyboardInterrupt:
        client.call("POST", "/v1/listen/cancel", {"owner": owner})
        screen.settle("Forgotten.")
        return EXIT_FAILED
    finally:
        stop()
        events.close()


def _at_enter(do: Callable[[], object]) -> Callable[[], None]:
    """Have something done when Enter is pressed; the returned function calls that off."""
    called_off = threading.Event()

    def wait() -> None:
        if sys.stdin.readline() and not called_off.is_set():
            do()

    if sys.stdin.isatty():
        threading.Thread(target=wait, name="enter", daemon=True).start()
    return called_off.set


def _follow(events: Iterator[dict[str, Any]], take_id: str, screen: _Screen, client: Client) -> int:
    failed_before = recognised = False
    for event in events:
        data = event["data"]
        is_answer = event["event"] in {"question_answered", "confirmation_answered"}
        if data.get("take_id") not in {take_id, None} and not (is_answer and recognised):
            continue
        match event["event"]:
            case "capture_opened":
                screen.say("Listening: speak, then press Enter.")
            case "level_heard":
                screen.level(data["peak_db"])
            case "take_partial":
                screen.say(data["text"])
            case "capture_ended":
                screen.level(None)
            case "confirmation_asked":
                screen.settle(f"Did you say: {data['text']}\n{_how_to_confirm(client)}")
            case "confirmation_answered" if data["take_id"] == take_id and not data["accepted"]:
                screen.settle("Not sent.")
                return EXIT_FAILED
            case "take_empty":
                screen.settle(_REASONS.get(data["reason"], data["reason"]))
                return EXIT_FAILED
            case "take_failed" if data["code"] in _TRIED_AGAIN and not failed_before:
                failed_before = True
            case "take_recognised":
                recognised = True
            case "question_answered" | "confirmation_answered" if (
                recognised and data.get("take_id") != take_id
            ):
                screen.settle("Answered.")
                return EXIT_DONE
            case "take_failed" | "take_given_up" | "command_refused":
                screen.settle(data["message"])
                return EXIT_FAILED
            case "command_queued" if data["take_id"] == take_id:
                screen.settle(data["message"])
                return _await_answer(client, data["command_id"])
            case _:
                pass
    screen.settle("What came of it was not seen: `omniid outbox list --all` shows what was sent.")
    return EXIT_FAILED


def _how_to_confirm(client: Client) -> str:
    if client.call("GET", "/v1/status")["hotkey"]["backend"] is None:
        return "Run `omniid reply yes` elsewhere to send it; no, or nothing, drops it."
    return "Tap the key or say yes; no, or nothing, drops it."


def _await_answer(client: Client, command_id: str) -> int:
    print(command_id, file=sys.stderr)
    command = client.call("GET", f"/v1/commands/{command_id}?wait_s={WAIT_S:g}", wait_s=WAIT_S)
    print(outcome(command))
    return exit_code(command) if command["state"] != "done" else EXIT_DONE


class _Screen:
    """One line that is written over and over, and then settles. Without a terminal only the last is shown."""

    def __init__(self) -> None:
        self._is_live = sys.stdout.isatty()
        self._words = "Opening the microphone."
        self._bar = ""
        self._draw()

    def say(self, words: str) -> None:
        self._words = one_line(words)
        self._draw()

    def level(self, peak_db: float | None) -> None:
        """A bar from -60 dB to full scale; None takes it away."""
        full = 0 if peak_db is None else round(max(0.0, min(1.0, 1 + peak_db / 60)) * _BAR)
        self._bar = "" if peak_db is None else f"{'█' * full}{'·' * (_BAR - full)} "
        self._draw()

    def settle(self, words: str) -> None:
        if self._is_live:
            sys.stdout.write("\r\x1b[K")
        print("\n".join(one_line(line) for line in words.splitlines()), flush=True)

    def _draw(self) -> None:
        if not self._is_live:
            return
        width = shutil.get_terminal_size().columns - 1
        line = self._bar + self._words
        # The newest words are what people watch: a long line loses its beginning.
        shown = (
            line if len(line) <= width else self._bar + "…" + line[len(line) - width + len(self._bar) + 1 :]
        )
        with contextlib.suppress(BlockingIOError):  # a terminal that is held up misses a frame
            sys.stdout.write(f"\r\x1b[K{shown}")
            sys.stdout.flush()
