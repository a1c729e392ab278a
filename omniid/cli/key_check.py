"""The part of `omniid doctor` that needs a finger: does the key arrive, and does letting go of it?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from omniid.cli.checks import Finding
from omniid.control.client import Client

WITHIN_S = 12.0  # shorter than the stream's heartbeat, which would count as a sign of life
_OWNERS = "hotkey"
_SPEAK_NOT = "Nothing you say meanwhile is used."


def prove(client: Client | None = None) -> Iterator[str | Finding]:
    """What to do, then what came of it. The take that the key begins is forgotten at once.

    Raises:
        NotRunningError: no daemon answers.
    """
    client = client or Client()
    hotkey = client.call("GET", "/v1/status")["hotkey"]
    if hotkey["backend"] is None:
        yield Finding("key", "problem", "none is listened for", "`omniid status` says why.")
        return
    yield f"Hold your key for a second, then let go of it. {_SPEAK_NOT}"
    yield _seen(client, hotkey["backend"])


def _seen(client: Client, backend: str) -> Finding:
    # One stream for both edges: between two of them a quick release would be missed.
    events = client.events(timeout_s=WITHIN_S)
    try:
        if not _comes(events, "key_pressed"):
            return Finding(
                "key",
                "problem",
                f"no press reached omniid through {backend} within {WITHIN_S:.0f} s",
                "Another program may have taken the key: choose another with hotkey.key.",
            )
        client.call("POST", "/v1/listen/cancel", {"owner": "doctor"})
        if not _comes(events, "key_released"):
            advice = 'Set hotkey.mode = "toggle", or bind `omniid listen start` and `stop` in your desktop.'
            return Finding("key", "problem", f"{backend} sees the press and not the release", advice)
    finally:
        events.close()
    return Finding("key", "ok", f"{backend} sees the press and the release")


def _comes(events: Iterator[dict[str, Any]], name: str) -> bool:
    """Whether such an event of a hotkey's comes in time."""
    deadline = time.monotonic() + WITHIN_S
    try:
        for event in events:
            if event["event"] == name and str(event["data"]["owner"]).startswith(_OWNERS):
                return True
            if time.monotonic() > deadline:
                return False
    except TimeoutError:
        return False
    return False
