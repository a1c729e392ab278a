"""What the assistant can do: one file a subject, one pure function an intent."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from omniid.backend.records import Scope
from omniid.backend.skills import calendar, clock, manners, tasks
from omniid.backend.skills.request import Answer, Request

__all__ = ["NEEDS_CONSENT", "SAFE", "SKILLS", "Answer", "Request"]

SKILLS: Mapping[str, Callable[[Request], Answer]] = {
    "time": clock.time,
    "date": clock.date,
    "greeting": manners.greeting,
    "thanks": manners.thanks,
    "help": manners.helping,
    "agenda": calendar.agenda,
    "upcoming": calendar.upcoming,
    "free": calendar.free,
    "forget_calendar": calendar.forget,
    "list_tasks": tasks.listing,
    "clear_tasks": tasks.clear,
    "remind": tasks.remind,
    "complete_task": tasks.complete,
    "remove_task": tasks.remove,
    "add_task": tasks.add,
    "add_loosely": tasks.add_loosely,
    "unknown": manners.unknown,
}
# These answer from the clock and from good manners alone.
SAFE = frozenset({"time", "date", "greeting", "thanks"})
# These read what other programs keep, and do so only where the user has allowed it.
NEEDS_CONSENT: Mapping[str, Scope] = {"agenda": "calendar", "upcoming": "calendar", "free": "calendar"}
