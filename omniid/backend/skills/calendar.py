"""What is on the user's calendar, in sentences fit for speaking."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from omniid.backend.diary.events import Diary, Event
from omniid.backend.skills.days import DAY, NoSuchDayError
from omniid.backend.skills.request import Answer, Request
from omniid.backend.skills.spans import Span, named

_SPOKEN_EVENTS = 8
_NEAR_DAYS = 7
# From here on, a day needs its year.
_FAR_DAYS = 365
# How far "what's next" looks, step by step: nearly always the first is enough.
_AHEAD_DAYS = (_NEAR_DAYS, 92, 366)
_NO_FOLDER = "I find no calendar on this computer: none of the folders in which I look is there."


def agenda(request: Request) -> Answer:
    """All that is left of the days asked for."""
    asked = _left(request)
    if isinstance(asked, Answer):
        return asked
    span, diary = asked
    if not diary.events:
        more = " more" if _begun(span, request.now) else ""
        return _answer(f"There is nothing{more} on your calendar {span.name}.", diary)
    told = _told(diary.events, span, request.now)
    return _answer(f"You have {_count(diary.events)} {span.name}: {told}.", diary)


def upcoming(request: Request) -> Answer:
    """The next that begins; one that lasts all day only where nothing else is to come."""
    now = request.now
    whole_day: Event | None = None
    diary = Diary()
    for days in _AHEAD_DAYS:
        found = _read(request, now, now + timedelta(days=days))
        if isinstance(found, Answer):
            return found
        diary = found
        to_come = [event for event in diary.events if event.start > now]
        at_an_hour = next((event for event in to_come if not event.all_day), None)
        if at_an_hour is not None:
            place = f", at {at_an_hour.place}" if at_an_hour.place else ""
            return _answer(f"Next is {_titled(at_an_hour)}, {_when(at_an_hour, now)}{place}.", diary)
        whole_day = whole_day or next(iter(to_come), None)
    if whole_day is not None:
        return _answer(f"Next is {_titled(whole_day)}, {_when(whole_day, now)}.", diary)
    return _answer("There is nothing on your calendar in the year to come.", diary)


def free(request: Request) -> Answer:
    """Whether nothing takes up the time; what is only a note in the calendar does not."""
    asked = _left(request)
    if isinstance(asked, Answer):
        return asked
    span, diary = asked
    busy = [event for event in diary.events if event.busy]
    rest = "for the rest of " if _begun(span, request.now) else ""
    if not busy:
        return _answer(f"You are free {rest}{span.name}.", diary)
    told = _told(busy, span, request.now)
    if any(event.start <= span.start and event.end >= span.end for event in busy):
        return _answer(f"You are not free {span.name}: you have {told}.", diary)
    return _answer(f"You are free {rest}{span.name}, but for {told}.", diary)


def forget(request: Request) -> Answer:
    if not request.permitted:
        return Answer("I have no access to your calendar, so there is nothing to forget.")
    return Answer(
        "I have forgotten your calendar and won't read it again, unless you allow it anew.",
        withdraws="calendar",
    )


def _left(request: Request) -> tuple[Span, Diary] | Answer:
    """The days asked for and what is left of them, or why there is nothing to tell."""
    try:
        span = named(request.slots.get("span", ""), request.now)
    except NoSuchDayError as error:
        return Answer(str(error), done=False)
    if span.over:
        name = span.name.removeprefix("on ").removeprefix("in ")
        return Answer(f"{name[0].upper()}{name[1:]} is over already.")
    diary = _read(request, span.start, span.end)
    return diary if isinstance(diary, Answer) else (span, diary)


def _read(request: Request, start: datetime, end: datetime) -> Diary | Answer:
    """What is there, or why there is nothing to tell."""
    if not request.folders:
        return Answer(_NO_FOLDER, done=False, lasting=False)
    diary = request.read(start, end)
    if diary.failed:
        return Answer(diary.failed, done=False, lasting=False)
    return diary


def _answer(words: str, diary: Diary) -> Answer:
    if diary.unread:
        files = "One calendar file" if diary.unread == 1 else f"{diary.unread:,} calendar files"
        words = f"{words} {files} could not be read, or not wholly."
    return Answer(words)


def _begun(span: Span, now: datetime) -> bool:
    return span.start == now


def _count(events: Sequence[Event]) -> str:
    return "one appointment" if len(events) == 1 else f"{len(events):,} appointments"


def _told(events: Sequence[Event], span: Span, now: datetime) -> str:
    """As many as an ear can take in: "the dentist at 10 AM, and a call at noon"."""
    told = [
        f"{_titled(event)} {_hours(event, span.start, now) if span.one_day else _when(event, now)}"
        for event in events
    ]
    spoken = told[:_SPOKEN_EVENTS]
    if len(told) > _SPOKEN_EVENTS:
        spoken.append(f"{len(told) - _SPOKEN_EVENTS:,} more")
    return spoken[0] if len(spoken) == 1 else f"{', '.join(spoken[:-1])}, and {spoken[-1]}"


def _titled(event: Event) -> str:
    return event.title.rstrip(".") or "something without a name"


def _when(event: Event, now: datetime) -> str:
    """The days, and the hours where there are any: "tomorrow at 10 AM", "from Monday until Wednesday"."""
    if event.start > now:
        begins = _moment(event.start, event, now)
        if _lasts(event):
            return f"from {begins} until {_end(event, now)}"
        begins = begins if event.start.date() <= now.date() + DAY else f"on {begins}"
        return f"{begins}, all day" if event.all_day else begins
    if event.all_day and _last_day(event) <= now.date():
        return "today, all day"
    return f"until {_end(event, now)}"


def _hours(event: Event, since: datetime, now: datetime) -> str:
    """The hours of the day of `since` that it takes up, from `since` on; and the day, where it ends later."""
    if _fills(event, since):
        return "all day"
    if not event.start < since < event.end:
        return f"at {_clock(event.start)}"
    ends_then = _last_day(event) == since.date()
    return f"until {_clock(event.end) if ends_then else _end(event, now)}"


def _fills(event: Event, since: datetime) -> bool:
    """Whether it takes up the whole day of `since`, be it as one of several."""
    midnight = since.replace(hour=0, minute=0, second=0, microsecond=0)
    return event.all_day or (event.start <= midnight and event.end >= midnight + DAY)


def _lasts(event: Event) -> bool:
    """Whether it goes on for days. What only goes on into the night does not."""
    return _last_day(event) > event.start.date() if event.all_day else event.end - event.start >= DAY


def _last_day(event: Event) -> date:
    """What ends at midnight ends with the day before."""
    return max(event.start.date(), (event.end - datetime.resolution).date())


def _end(event: Event, now: datetime) -> str:
    if not event.all_day and _last_day(event) == now.date():
        return _clock(event.end)
    return _moment(event.end, event, now)


def _moment(moment: datetime, event: Event, now: datetime) -> str:
    """Its beginning or its end: "Monday at 9 AM", and "Monday" where it lasts all day."""
    if event.all_day:
        return _day(min(moment.date(), _last_day(event)), now.date())
    return f"{_day(moment.date(), now.date())} at {_clock(moment)}"


def _day(day: date, today: date) -> str:
    days = (day - today).days
    if days < _NEAR_DAYS:
        return {0: "today", 1: "tomorrow"}.get(days, f"{day:%A}")
    return f"{day:%A}, {day.day} {day:%B}{f' {day.year}' if days >= _FAR_DAYS else ''}"


def _clock(moment: datetime) -> str:
    hour = f"{moment.hour % 12 or 12}"
    minutes = f":{moment:%M}" if moment.minute else ""
    return f"{hour}{minutes} {'AM' if moment.hour < 12 else 'PM'}"  # noqa: PLR2004 noon
