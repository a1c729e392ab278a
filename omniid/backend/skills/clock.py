"""The time and the date, as the user's own clock has them."""

from __future__ import annotations

from omniid.backend.skills.request import Answer, Request


def time(request: Request) -> Answer:
    now = request.now
    return Answer(f"It's {now.hour % 12 or 12}:{now:%M} {'AM' if now.hour < 12 else 'PM'}.")  # noqa: PLR2004 noon


def date(request: Request) -> Answer:
    now = request.now
    return Answer(f"Today is {now:%A}, {now.day} {now:%B} {now.year}.")
