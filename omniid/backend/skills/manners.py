"""Greeting, help, and saying plainly what cannot be done yet."""

from __future__ import annotations

import re

from omniid.backend.skills.request import Answer, Request

_CAN = "I can tell you the time, the date and what is on your calendar, and keep your task list"
_SUGGESTIONS = ("What's on my calendar today?", "Add buy milk to my tasks", "What are my tasks?")
_NOON, _EVENING = 12, 18

# What people ask an assistant for, and how a sentence names what is missing.
_TOPICS = tuple(
    (re.compile(rf"\b(?:{words})\b", re.IGNORECASE), missing)
    for words, missing in (
        (r"calendars?|meetings?|appointments?|events?|agenda|schedule[ds]?", "do that with your calendar"),
        (r"e-?mails?|mails?|inbox", "read or send email"),
        (r"contacts?|phone numbers?|address book", "look after your contacts"),
        (r"weather|forecast|rain(?:ing|y)?|snow(?:ing)?|temperature|sunny|umbrella", "check the weather"),
        (r"text messages?|sms|whatsapp|messages?|slack", "read or send messages"),
        (r"timers?|alarms?|stopwatch|wake me", "set timers or alarms"),
        (r"music|songs?|playlists?|radio|podcasts?|spotify", "play music"),
        (r"(?:^|please |you )(?:call|phone|dial)", "make calls"),
        (r"lights?|lamps?|thermostat|heating", "control your home"),
        (r"news|search|google|wikipedia|look up", "look things up"),
    )
)


def greeting(request: Request) -> Answer:
    hour = request.now.hour
    part = "morning" if hour < _NOON else "afternoon" if hour < _EVENING else "evening"
    return Answer(f"Good {part}! What can I do for you?", suggestions=_SUGGESTIONS)


def thanks(_request: Request) -> Answer:
    return Answer("You're welcome.")


def helping(_request: Request) -> Answer:
    return Answer(
        f"{_CAN}: say “add buy milk to my tasks”, “what are my tasks”, or “what is my next appointment”.",
        suggestions=_SUGGESTIONS,
    )


def unknown(request: Request) -> Answer:
    missing = missing_skill(request.text)
    if missing is None:
        return Answer(f"I can't help with that yet, but {_CAN}.", done=False, suggestions=_SUGGESTIONS)
    return Answer(f"I can't {missing} yet, but {_CAN}.", done=False, suggestions=_SUGGESTIONS)


def missing_skill(text: str) -> str | None:
    """What a sentence asks for that is not there yet ("check the weather"), where it can be told."""
    return next((missing for words, missing in _TOPICS if words.search(text)), None)
