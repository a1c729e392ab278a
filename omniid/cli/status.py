"""`omniid status`: what the daemon is doing, in a screenful."""

from __future__ import annotations

from typing import Any

from omniid.cli.output import JsonFlag, duration, fitted, link_words, print_json, printable, state_words
from omniid.control.client import Client

_SETTLED = ("done", "failed", "cancelled", "dropped")


def status(*, json_: JsonFlag = False) -> None:
    """Show what omniid is doing, what waits, and what is wrong."""
    answer = Client().call("GET", "/v1/status")
    if json_:
        print_json(answer)
    else:
        for line in _lines(answer):
            print(fitted(line, 14))


def _lines(status: dict[str, Any]) -> list[str]:
    reason = f" ({printable(status['link_reason'])})" if status["link_reason"] else ""
    open_ = {state: count for state, count in status["outbox"].items() if state not in _SETTLED}
    waiting = ", ".join(f"{count} {state_words(state, count)}" for state, count in open_.items()) or "empty"
    workers = ", ".join(
        f"{name} {'pid ' + str(worker['pid']) if worker['running'] else 'not running'}"
        for name, worker in status["workers"].items()
    )
    return [
        f"omniid is {status['headline']}",
        f"  daemon      pid {status['pid']}, version {status['version']}, up {duration(status['uptime_s'])}",
        f"  backend     {printable(status['backend'])}: {link_words(status['link'])}{reason}",
        *_open_matters(status),
        f"  microphone  {_microphone(status)}",
        f"  key         {_key(status['hotkey'])}",
        *([f"  model       {status['model']}"] if status["model"] else []),
        *(["  voice       muted; `omniid unmute` lets it speak again"] if status["muted"] else []),
        f"  outbox      {waiting}",
        f"  processes   {workers}",
        *(f"  problem     {part}: {printable(text)}" for part, text in status["problems"].items()),
    ]


def _microphone(status: dict[str, Any]) -> str:
    words = {
        "kept open": "open all the time, as audio.preroll_ms wants it",
        "kept shut": "kept shut; `omniid listen enable` allows it again",
    }
    return words.get(status["microphone"], str(status["microphone"]))


def _key(hotkey: dict[str, Any]) -> str:
    if hotkey["backend"] is None:
        return "none is listened for; `omniid listen` can be bound to one"
    held = "" if hotkey["sees_releases"] else ", which cannot tell when it is let go: it toggles"
    note = f" ({printable(hotkey['note'])})" if hotkey["note"] else ""
    return f"listened for by {hotkey['backend']}{held}{note}"


def _open_matters(status: dict[str, Any]) -> list[str]:
    lines = []
    if status["confirming"]:
        lines.append(f"  asks you    did you say: {printable(status['confirming'])}")
    if status["in_flight"]:
        lines.append(f"  on its way  {status['in_flight']} waiting for an answer")
    if status["questions"]:
        lines.append(f"  questions   {status['questions']} open: the backend waits for your answer")
    if status["sign_ins"]:
        lines.append("  sign in     commands wait for you to sign in: see `omniid auth status`")
    if status["outbox"].get("uncertain"):
        lines.append("  decide      what is uncertain may have been done: see `omniid outbox list`")
    return lines
