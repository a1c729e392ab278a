"""What is said of a calendar."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from omniid.backend.diary.events import Diary, Event
from omniid.backend.skills import calendar
from omniid.backend.skills.request import Answer, Request

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 26, 15, 30, tzinfo=BERLIN)  # a Thursday
FRIDAY = datetime(2026, 11, 27, tzinfo=BERLIN)


def event(title: str, start: datetime, hours: float = 1, **changes: bool | str) -> Event:
    return Event(title, start, start + timedelta(hours=hours), **changes)  # type: ignore[arg-type]


def at(hour: int, minute: int = 0, day: int = 27) -> datetime:
    return NOW.replace(day=day, hour=hour, minute=minute)


DENTIST = event("Dentist.", at(10), place="Main Street 5")
LUNCH = event("lunch with Ann", at(12, 30))
TRIP = event("trip to Rome", FRIDAY, 24, all_day=True)
NOTE = event("bin day", FRIDAY, 24, all_day=True, busy=False)
NAMELESS = event("", at(0))
GOING_ON = event("review", at(15, 0, 26), 2)
LATER = event("concert", at(20, 0, 26))
FAIR = event("fair", at(9), 56)
FAR = event("checkup", NOW + timedelta(days=20))
CONFERENCE = event("Conference", at(9, 0, 30), 56)


def days_off(day: int, month: int, days: int) -> Event:
    return event("days off", datetime(2026, month, day, tzinfo=BERLIN), days * 24, all_day=True)


def asked(
    skill: Callable[[Request], Answer], span: str, diary: Diary, *, folders: tuple[str, ...] = ("f",)
) -> Answer:
    def read(start: datetime, end: datetime) -> Diary:
        inside = tuple(each for each in diary.events if each.start < end and each.end > start)
        return Diary(inside, diary.unread, diary.reasons, diary.failed)

    slots = {"span": span} if span else {}
    return skill(Request("text", slots, NOW, (), folders, permitted=True, read=read))


SAID = [
    (calendar.agenda, "", (), "There is nothing more on your calendar today."),
    (calendar.agenda, "tomorrow", (), "There is nothing on your calendar tomorrow."),
    (calendar.agenda, "tomorrow", (DENTIST,), "You have one appointment tomorrow: Dentist at 10 AM."),
    (
        calendar.agenda, "tomorrow", (TRIP, NAMELESS, DENTIST, LUNCH),
        ("You have 4 appointments tomorrow: trip to Rome all day, something without a name at 12 AM, "
         "Dentist at 10 AM, and lunch with Ann at 12:30 PM."),
    ),
    (
        calendar.agenda, "today", (GOING_ON, LATER),
        "You have 2 appointments today: review until 5 PM, and concert at 8 PM.",
    ),
    (
        calendar.agenda, "this week", (GOING_ON, LATER, TRIP, DENTIST),
        ("You have 4 appointments this week: review until 5 PM, concert today at 8 PM, "
         "trip to Rome tomorrow, all day, and Dentist tomorrow at 10 AM."),
    ),
    (
        calendar.agenda, "next week", (event("yoga", at(8, 0, 30)),),
        "You have one appointment next week: yoga on Monday at 8 AM.",
    ),
    (calendar.agenda, "this morning", (), "This morning is over already."),
    (calendar.free, "this morning", (), "This morning is over already."),
    (calendar.free, "tomorrow", (), "You are free tomorrow."),
    (calendar.free, "tomorrow", (NOTE,), "You are free tomorrow."),
    (calendar.free, "", (), "You are free for the rest of today."),
    (calendar.free, "", (LATER,), "You are free for the rest of today, but for concert at 8 PM."),
    (calendar.free, "tomorrow morning", (DENTIST,),
     "You are free tomorrow morning, but for Dentist at 10 AM."),
    (calendar.free, "on friday", (TRIP,),
     "You are not free on Friday, 27 November: you have trip to Rome all day."),
    (calendar.agenda, "on the 27th of November", (DENTIST,),
     "You have one appointment on Friday, 27 November: Dentist at 10 AM."),
    (calendar.agenda, "on Thursday", (GOING_ON, LATER),
     "You have 2 appointments today: review until 5 PM, and concert at 8 PM."),
    (calendar.agenda, "next Thursday", (), "There is nothing on your calendar on Thursday, 3 December."),
    (calendar.agenda, "in December", (FAR,),
     "You have one appointment in December: checkup on Wednesday, 16 December at 3:30 PM."),
    (calendar.agenda, "on 27 November", (FAIR,),
     "You have one appointment on Friday, 27 November: fair at 9 AM."),
    (calendar.agenda, "on 28 November", (FAIR,),
     "You have one appointment on Saturday, 28 November: fair all day."),
    (calendar.agenda, "on 29 November", (FAIR,),
     "You have one appointment on Sunday, 29 November: fair until 5 PM."),
    (calendar.agenda, "on 5 January 2026", (), "Monday, 5 January is over already."),
    (calendar.free, "on 28 November", (FAIR,),
     "You are not free on Saturday, 28 November: you have fair all day."),
    (calendar.free, "on January 3rd", (), "You are free on Sunday, 3 January 2027."),
    (calendar.free, "on Thursday", (), "You are free for the rest of today."),
    (calendar.free, "on 2026-11-27", (TRIP,),
     "You are not free on Friday, 27 November: you have trip to Rome all day."),
    (calendar.upcoming, "", (GOING_ON, LATER), "Next is concert, today at 8 PM."),
    (calendar.upcoming, "", (TRIP, DENTIST), "Next is Dentist, tomorrow at 10 AM, at Main Street 5."),
    (calendar.upcoming, "", (TRIP,), "Next is trip to Rome, tomorrow, all day."),
    (calendar.upcoming, "", (TRIP, FAR), "Next is checkup, on Wednesday, 16 December at 3:30 PM."),
    (calendar.upcoming, "", (), "There is nothing on your calendar in the year to come."),
    (calendar.upcoming, "", (GOING_ON,), "There is nothing on your calendar in the year to come."),
    # What goes on for days is told from when until when, and what has begun only until when.
    (calendar.agenda, "next week", (CONFERENCE, event("yoga", at(8, 0, 30))),
     ("You have 2 appointments next week: Conference from Monday at 9 AM until Wednesday at 5 PM, "
      "and yoga on Monday at 8 AM.")),
    (calendar.agenda, "in December", (CONFERENCE,),
     "You have one appointment in December: Conference from Monday at 9 AM until Wednesday at 5 PM."),
    (calendar.free, "in December", (CONFERENCE,),
     "You are free in December, but for Conference from Monday at 9 AM until Wednesday at 5 PM."),
    (calendar.upcoming, "", (CONFERENCE,),
     "Next is Conference, from Monday at 9 AM until Wednesday at 5 PM."),
    (calendar.agenda, "this week", (FAIR,),
     "You have one appointment this week: fair from tomorrow at 9 AM until Sunday at 5 PM."),
    (calendar.agenda, "in December", (days_off(30, 11, 3),),
     "You have one appointment in December: days off from Monday until Wednesday."),
    (calendar.agenda, "this week", (days_off(27, 11, 2),),
     "You have one appointment this week: days off from tomorrow until Saturday."),
    (calendar.agenda, "this week", (days_off(25, 11, 3),),
     "You have one appointment this week: days off until tomorrow."),
    (calendar.agenda, "this week", (days_off(25, 11, 9),),
     "You have one appointment this week: days off until Thursday, 3 December."),
    (calendar.agenda, "this week", (days_off(25, 11, 2), days_off(26, 11, 1)),
     "You have 2 appointments this week: days off today, all day, and days off today, all day."),
    (calendar.agenda, "in December", (days_off(30, 12, 5),),
     ("You have one appointment in December: days off from Wednesday, 30 December "
      "until Sunday, 3 January.")),
    (calendar.agenda, "in January", (event("cruise", at(18, 0, 30).replace(month=12), 5 * 24 - 10),),
     ("You have one appointment in January 2027: cruise from Wednesday, 30 December at 6 PM "
      "until Monday, 4 January at 8 AM.")),
    (calendar.agenda, "next week", (days_off(24, 11, 365),),
     "You have one appointment next week: days off until Tuesday, 23 November."),
    (calendar.agenda, "next week", (days_off(24, 11, 368),),
     "You have one appointment next week: days off until Friday, 26 November 2027."),
    (calendar.agenda, "this week", (event("camp", at(9, 0, 25), 63),),
     "You have one appointment this week: camp until Saturday at 12 AM."),
    (calendar.agenda, "this week", (event("camp", at(9, 0, 25), 39),),
     "You have one appointment this week: camp until 12 AM."),
    (calendar.agenda, "this week", (event("late call", at(23), 2),),
     "You have one appointment this week: late call tomorrow at 11 PM."),
    (calendar.agenda, "today", (event("review", at(9, 0, 26), 56),),
     "You have one appointment today: review until Saturday at 5 PM."),
    (calendar.agenda, "tomorrow afternoon", (FAIR,),
     "You have one appointment tomorrow afternoon: fair until Sunday at 5 PM."),
    (calendar.agenda, "tomorrow", (event("move", FRIDAY, 24),),
     "You have one appointment tomorrow: move all day."),
    # Time is free as long as one appointment does not take up all of it.
    (calendar.free, "in December", (days_off(8, 12, 1),),
     "You are free in December, but for days off on Tuesday, 8 December, all day."),
    (calendar.free, "this week", (days_off(26, 11, 2),),
     "You are free for the rest of this week, but for days off until tomorrow."),
    (calendar.free, "next week", (days_off(28, 11, 10),),
     "You are not free next week: you have days off from Saturday until Monday, 7 December."),
    (calendar.free, "in December", (event("cruise", at(9, 0, 30), 40 * 24),),
     "You are not free in December: you have cruise from Monday at 9 AM until Saturday, 9 January at 9 AM."),
    (calendar.free, "tomorrow morning", (event("hike", at(4), 9),),
     "You are not free tomorrow morning: you have hike until 1 PM."),
    (calendar.free, "today", (days_off(26, 11, 1),),
     "You are not free today: you have days off all day."),
]  # fmt: skip


@pytest.mark.parametrize(("skill", "span", "events", "words"), SAID)
def test_what_is_said(
    skill: Callable[[Request], Answer], span: str, events: tuple[Event, ...], words: str
) -> None:
    answer = asked(skill, span, Diary(events))
    assert (answer.message, answer.done) == (words, True)


@pytest.mark.parametrize("skill", [calendar.agenda, calendar.free])
def test_a_day_that_never_comes_is_said_to_be_none(skill: Callable[[Request], Answer]) -> None:
    answer = asked(skill, "on the 31st of February", Diary((DENTIST,)))
    assert (answer.message, answer.done) == ("There is no 31 February.", False)


SKILLS = [calendar.agenda, calendar.free, calendar.upcoming]


@pytest.mark.parametrize("skill", SKILLS)
@pytest.mark.parametrize(
    ("unread", "end"),
    [
        (1, " One calendar file could not be read, or not wholly."),
        (1_200, " 1,200 calendar files could not be read, or not wholly."),
    ],
)
def test_what_was_not_read_is_said(skill: Callable[[Request], Answer], unread: int, end: str) -> None:
    for events in ((), (DENTIST,)):
        assert asked(skill, "tomorrow", Diary(events, unread)).message.endswith(end)


@pytest.mark.parametrize("skill", SKILLS)
def test_without_a_calendar_or_an_answer_nothing_is_made_up(skill: Callable[[Request], Answer]) -> None:
    answer = asked(skill, "tomorrow", Diary(), folders=())
    assert (answer.done, answer.message.startswith("I find no calendar")) == (False, True)
    answer = asked(skill, "tomorrow", Diary(failed="It broke."))
    assert (answer.done, answer.message) == (False, "It broke.")


def test_a_full_week_is_told_in_a_breath() -> None:
    many = tuple(event(f"meeting {number}", at(8, number)) for number in range(40))
    words = asked(calendar.agenda, "tomorrow", Diary(many)).message
    assert words.startswith("You have 40 appointments tomorrow: meeting 0 at 8 AM, meeting 1 at 8:01 AM, ")
    assert words.endswith(", and 32 more.")


def test_forgetting_withdraws_the_consent_where_there_is_one() -> None:
    request = Request("text", {}, NOW, (), (), permitted=True, read=lambda _start, _end: Diary())
    assert calendar.forget(request).withdraws == "calendar"
    never = Request("text", {}, NOW, (), (), permitted=False, read=lambda _start, _end: Diary())
    assert calendar.forget(never).withdraws is None
