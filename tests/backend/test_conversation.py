from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from omniid.backend import conversation, frames
from omniid.backend.consent.register import Ask
from omniid.backend.conversation import Step
from omniid.backend.diary.events import Diary, Event
from omniid.backend.records import Consent, Memory, Task
from omniid.backend.skills import tasks as tasks_skill
from omniid.errors import StorageError
from omniid.protocol.messages import CommandPayload, HelloFrame, PongReply, ResponseFrame, parse_server_frame

NOW = datetime(2026, 11, 22, 16, 4, tzinfo=UTC)
AT = int(NOW.timestamp() * 1000)


def command(message: str, request_id: str = "r1", **changes: Any) -> CommandPayload:
    fields = {
        "commandType": "voice_command",
        "message": message,
        "userId": "u",
        "userTimezone": "Europe/Berlin",
        "localDatetime": "2026-11-22T17:04:05+01:00",
        "requestId": request_id,
    }
    return CommandPayload.model_validate({**fields, **changes})


def with_tasks(*texts: str) -> Memory:
    return Memory(tasks=tuple(Task(text=text, added=NOW) for text in texts))


@dataclass
class Calendars:
    """Calendars in folders, and what was asked of them."""

    folders: tuple[str, ...] = ()
    diary: Diary = field(default_factory=Diary)
    asked: list[tuple[Sequence[str], datetime, datetime]] = field(default_factory=list)

    def present(self) -> tuple[str, ...]:
        return self.folders

    def read(self, folders: Sequence[str], start: datetime, end: datetime) -> Diary:
        self.asked.append((folders, start, end))
        return self.diary


def answer(given: CommandPayload, memory: Memory, now: datetime, notice: str = "") -> Step:
    """What needs no calendar."""
    step = conversation.answer(given, memory, now, Calendars(), notice)
    assert isinstance(step, Step)
    return step


def said(frame: str) -> tuple[str, str]:
    content = json.loads(frame)
    return content["status"], content["data"]["message"]


def test_the_hello_names_what_is_true() -> None:
    hello = parse_server_frame(frames.hello())
    assert isinstance(hello, HelloFrame)
    assert hello.features == {"correlate", "dedupe", "redirect"}


NO_REMINDERS = "I can't remind you at a set time yet, so it's on your task list."
LIST = ("buy milk", "call Ann", "call Bob about oat milk")
TALK: list[tuple[str, tuple[str, ...], str, str, tuple[str, ...]]] = [
    ("What time is it?", (), "success", "It's 5:04 PM.", ()),
    ("what's the date", (), "success", "Today is Sunday, 22 November 2026.", ()),
    ("add buy milk to my tasks", (), "success", "Added: buy milk. You have 1 task.", ("buy milk",)),
    ("add call Ann", ("a", "b"), "success", "Added: call Ann. You have 3 tasks.", ("a", "b", "call Ann")),
    ("Add Buy milk.", ("buy milk",), "success", "That's on your list already: Buy milk.", ("buy milk",)),
    (
        "Remind me to call Ann at 5 p.m.", (), "success",
        f"Added: call Ann at 5 p.m. {NO_REMINDERS} You have 1 task.", ("call Ann at 5 p.m.",),
    ),
    ("what are my tasks", (), "success", "You have no tasks.", ()),
    ("what are my tasks", ("buy milk",), "success", "You have 1 task: buy milk.", ("buy milk",)),
    (
        "read my tasks", ("buy milk", "call Ann"), "success",
        "You have 2 tasks: buy milk, and call Ann.", ("buy milk", "call Ann"),
    ),
    ("complete call Ann", LIST, "success", "Done: call Ann. You have 2 tasks left.", (LIST[0], LIST[2])),
    ("the task call Ann is done", LIST[:2], "success", "Done: call Ann. You have 1 task left.", LIST[:1]),
    ("remove bob", LIST, "success", "Removed: call Bob about oat milk. You have 2 tasks left.", LIST[:2]),
    ("remove the first one", ("a",), "success", "Removed: a. Your list is empty now.", ()),
    ("delete the last task", LIST[:2], "success", "Removed: call Ann. You have 1 task left.", LIST[:1]),
    ("complete task 2", LIST, "success", "Done: call Ann. You have 2 tasks left.", (LIST[0], LIST[2])),
    ("remove milk", LIST, "error", "Which one do you mean: buy milk, or call Bob about oat milk?", LIST),
    ("remove task 9", ("a",), "error", "I don't find “9” on your list. You have 1 task: a.", ("a",)),
    ("remove the sofa", (), "error", "I don't find “sofa” on your list. You have no tasks.", ()),
    ("clear my list", (), "success", "Your task list is already empty.", ()),
    (
        "remove all tasks", LIST, "error",
        "I only take tasks off one at a time, so nothing is lost by mistake. Which one?", LIST,
    ),
    ("thanks", (), "success", "You're welcome.", ()),
    ("good morning", (), "success", "Good afternoon! What can I do for you?", ()),
]  # fmt: skip


@pytest.mark.parametrize(("message", "before", "status", "reply", "after"), TALK)
def test_talk(message: str, before: tuple[str, ...], status: str, reply: str, after: tuple[str, ...]) -> None:
    step = answer(command(message), with_tasks(*before), NOW)
    assert said(step.frame) == (status, reply)
    assert tuple(task.text for task in step.memory.tasks) == after


CAN = "but I can tell you the time, the date and what is on your calendar, and keep your task list."


@pytest.mark.parametrize(
    ("message", "start"),
    [
        ("What's the weather like?", "I can't check the weather yet"),
        ("send an email to Ann", "I can't read or send email yet"),
        ("Check my inbox", "I can't read or send email yet"),
        ("when is the meeting with Bob", "I can't do that with your calendar yet"),
        ("add lunch with Ann to my calendar", "I can't do that with your calendar yet"),
        ("remove the meeting with Bob", "I can't do that with your calendar yet"),
        ("what is Ann's phone number", "I can't look after your contacts yet"),
        ("add a meeting with Bob", "I can't do that with your calendar yet"),
        ("Please call Ann", "I can't make calls yet"),
        ("sing like a bird", "I can't help with that yet"),
    ],
)
def test_what_it_cannot_do_is_said_and_not_done(message: str, start: str) -> None:
    step = answer(command(message), Memory(), NOW)
    assert said(step.frame) == ("error", f"{start}, {CAN}")
    assert step.memory.tasks == ()


def test_a_response_is_in_the_contracts_form() -> None:
    frame = parse_server_frame(answer(command("help", "id-7"), Memory(), NOW).frame)
    assert isinstance(frame, ResponseFrame)
    assert frame.request_id == "id-7"
    assert frame.data is not None
    assert frame.data["metadata"]["source"] == "omniid local"
    assert frame.data["metadata"]["sourceType"] == "local"
    assert frame.model_dump()["timestamp"] == AT


@pytest.mark.parametrize(
    ("local", "zone", "spoken"),
    [
        ("2026-11-22T00:05:00+01:00", "Europe/Berlin", "It's 12:05 AM."),
        ("2026-11-22T12:05:00-08:00", "Europe/Berlin", "It's 12:05 PM."),
        ("2026-11-22T09:30:00", "Europe/Berlin", "It's 9:30 AM."),
        ("no time", "America/New_York", "It's 11:04 AM."),
        ("no time", "Not/AZone", "It's 4:04 PM."),
        ("no time", "../../etc/passwd", "It's 4:04 PM."),
        ("no time", "Europe", "It's 4:04 PM."),
        ("no time", "", "It's 4:04 PM."),
    ],
)
def test_the_time_is_the_users(local: str, zone: str, spoken: str) -> None:
    given = command("what time is it", localDatetime=local, userTimezone=zone)
    assert said(answer(given, Memory(), NOW).frame) == ("success", spoken)


def test_a_command_seen_before_gets_the_same_frame_and_is_not_done_twice() -> None:
    first = answer(command("add milk"), Memory(), NOW)
    again = answer(command("add milk"), first.memory, NOW + timedelta(hours=1))
    assert again.frame == first.frame
    assert again.memory is first.memory


def test_an_id_with_other_words_is_refused() -> None:
    first = answer(command("add milk"), Memory(), NOW)
    other = answer(command("add eggs"), first.memory, NOW)
    content = json.loads(other.frame)
    assert (content["type"], content["error"]["code"]) == ("error", "request_id_reused")
    assert content["requestId"] == "r1"
    assert other.memory is first.memory


def test_what_was_answered_is_bounded_and_keeps_the_latest() -> None:
    memory = Memory()
    for number in range(conversation.MAX_ANSWERED + 5):
        memory = answer(command("thanks", f"r{number}"), memory, NOW).memory
    assert len(memory.answered) == conversation.MAX_ANSWERED
    assert memory.answered[0].request_id == "r5"


def test_a_full_list_and_a_long_list_are_told() -> None:
    full = with_tasks(*(f"task number {number}" for number in range(tasks_skill.MAX_TASKS)))
    assert said(answer(command("add one thing more"), full, NOW).frame)[0] == "error"
    spoken = said(answer(command("my tasks"), full, NOW).frame)[1]
    assert spoken.startswith("You have 1,000 tasks: task number 0, ")
    assert spoken.endswith(", and 990 more.")


def test_a_long_task_is_kept_whole_and_spoken_short() -> None:
    text = "write " + "very " * 200 + "much"
    step = answer(command(f"remind me to {text}"), Memory(), NOW)
    assert step.memory.tasks[0].text == text
    assert len(said(step.frame)[1]) < 300


def test_a_notice_is_said_first() -> None:
    assert said(answer(command("thanks"), Memory(), NOW, "Note this.").frame)[1].startswith(
        "Note this. You're"
    )


def test_what_could_not_be_saved_is_an_error() -> None:
    frame = conversation.not_kept(command("add milk"), StorageError("the disk is full"), NOW)
    assert said(frame) == ("error", "I couldn't save that: the disk is full. Nothing was changed.")
    assert json.loads(frame)["requestId"] == "r1"


FOLDERS = ("/a", "/b")
TOMORROW = datetime(2026, 11, 23, 10, tzinfo=ZoneInfo("Europe/Berlin"))
DENTIST = Diary((Event("dentist", TOMORROW, TOMORROW + timedelta(hours=1)),))
QUESTION = "what is on my calendar tomorrow"


def allowed(*folders: str) -> Memory:
    return Memory(consents=(Consent(scope="calendar", folders=folders, at_ms=1),))


@pytest.mark.parametrize("memory", [Memory(), allowed("/a"), allowed("/c"), allowed()])
@pytest.mark.parametrize("message", [QUESTION, "am I free today", "what's my next appointment"])
def test_a_calendar_is_read_only_where_it_is_allowed(memory: Memory, message: str) -> None:
    calendars = Calendars(FOLDERS, DENTIST)
    step = conversation.answer(command(message), memory, NOW, calendars)
    assert step == Ask("calendar", FOLDERS)
    assert calendars.asked == []


def test_once_allowed_the_same_command_is_done_and_remembered() -> None:
    calendars = Calendars(FOLDERS, DENTIST)
    wanted = conversation.answer(command(QUESTION), with_tasks("milk"), NOW, calendars)
    assert isinstance(wanted, Ask)
    memory = conversation.permit(with_tasks("milk"), wanted, NOW)
    assert memory.tasks == with_tasks("milk").tasks
    assert memory.consents == (Consent(scope="calendar", folders=FOLDERS, at_ms=AT),)
    step = conversation.answer(command(QUESTION), memory, NOW, calendars)
    assert isinstance(step, Step)
    assert said(step.frame) == ("success", "You have one appointment tomorrow: dentist at 10 AM.")
    ((folders, start, end),) = calendars.asked
    assert (folders, f"{start:%d %H:%M}", f"{end:%d %H:%M}") == (FOLDERS, "23 00:00", "24 00:00")
    assert isinstance(start.tzinfo, ZoneInfo)
    again = conversation.answer(command(QUESTION), step.memory, NOW, calendars)
    assert again == Step(step.frame, step.memory)
    assert len(calendars.asked) == 1


def test_fewer_folders_than_allowed_need_no_new_consent() -> None:
    calendars = Calendars(("/a",), DENTIST)
    assert isinstance(conversation.answer(command(QUESTION), allowed(*FOLDERS), NOW, calendars), Step)
    assert calendars.asked[0][0] == ("/a",)


def test_without_a_calendar_no_consent_is_asked_for() -> None:
    step = answer(command(QUESTION), Memory(), NOW)
    status, words = said(step.frame)
    assert (status, words.startswith("I find no calendar")) == ("error", True)
    # There may be one when the same command comes again.
    assert step.memory == Memory()


def test_a_calendar_that_could_not_be_read_may_be_tried_again() -> None:
    broken = Calendars(FOLDERS, Diary(failed="It broke."))
    step = conversation.answer(command(QUESTION), allowed(*FOLDERS), NOW, broken)
    assert isinstance(step, Step)
    assert (said(step.frame), step.memory) == (("error", "It broke."), allowed(*FOLDERS))


def test_only_if_safe_opens_no_consent() -> None:
    given = command(QUESTION, metadata={"onlyIfSafe": True})
    for memory in (Memory(), allowed(*FOLDERS)):
        step = conversation.answer(given, memory, NOW, Calendars(FOLDERS, DENTIST))
        assert isinstance(step, Step)
        assert json.loads(step.frame)["error"]["code"] == "not_answered_here"


@pytest.mark.parametrize(
    ("metadata", "redirect"),
    [
        ({"redirectUrl": "http://127.0.0.1:8080/x"}, "http://127.0.0.1:8080/x"),
        ({"redirectUrl": "http://example.com:8080/x"}, None),
        ({}, None),
        (None, None),
    ],
)
def test_the_way_back_comes_with_the_command(metadata: dict[str, Any] | None, redirect: str | None) -> None:
    step = conversation.answer(command(QUESTION, metadata=metadata), Memory(), NOW, Calendars(FOLDERS))
    assert step == Ask("calendar", FOLDERS, redirect)


def test_the_answer_that_asks_for_consent_is_in_the_contracts_form() -> None:
    frame = json.loads(conversation.consent_needed(command(QUESTION), "http://x", NOW))
    assert frame.pop("data") == {
        "requiresAuth": True, "authUrl": "http://x", "userId": "u", "action": "oauth_required",
        "message": "Please allow me to read your calendar on the page that opens.",
    }  # fmt: skip
    assert frame == {"type": "response", "status": "success", "timestamp": AT, "requestId": "r1"}


@pytest.mark.parametrize("success", [True, False])
def test_the_decision_is_told_in_the_agreed_form(success: bool) -> None:
    frame = json.loads(conversation.consent_given("http://x", NOW, success=success))
    data = frame.pop("data")
    assert isinstance(data.pop("message"), str)
    assert data == {"action": "oauth_completed", "success": success, "authUrl": "http://x"}
    assert frame == {"type": "system", "timestamp": AT}


def test_forgetting_takes_the_consent_and_what_was_read_by_it() -> None:
    calendars = Calendars(FOLDERS, DENTIST)
    memory = allowed(*FOLDERS)
    for message, request_id in ((QUESTION, "r1"), ("add milk", "r2"), ("forget my calendar", "r3")):
        step = conversation.answer(command(message, request_id), memory, NOW, calendars)
        assert isinstance(step, Step)
        memory = step.memory
    assert memory.consents == ()
    assert "dentist" not in memory.model_dump_json()
    assert [each.message for each in memory.answered[1:]] == [
        "Added: milk. You have 1 task.",
        "I have forgotten your calendar and won't read it again, unless you allow it anew.",
    ]
    # Asked again under its id, the answer is gone; asked anew, the user is asked.
    status, words = said(answer(command(QUESTION), memory, NOW).frame)
    assert (status, "forgotten" in words) == ("error", True)
    assert isinstance(conversation.answer(command(QUESTION, "r4"), memory, NOW, calendars), Ask)


def received(frame: Any) -> list[dict[str, Any]]:
    answers = conversation.receive(frame if isinstance(frame, str | bytes) else json.dumps(frame), AT)
    assert isinstance(answers, tuple)
    return [json.loads(answer) for answer in answers]


def test_a_ping_is_answered_with_its_sequence() -> None:
    (pong,) = received({"type": "ping", "payload": {"userId": "u", "sequence": 7}, "timestamp": 1})
    assert pong == {"type": "pong", "data": {"pong": True, "sequence": 7}, "timestamp": AT}
    assert isinstance(parse_server_frame(json.dumps(pong)), PongReply)


def test_a_pong_is_ignored() -> None:
    assert received({"type": "pong", "timestamp": 1}) == []


def test_a_good_command_comes_through() -> None:
    payload = command("add milk")
    frame = {
        "type": "command",
        "payload": payload.model_dump(by_alias=True, exclude_none=True),
        "timestamp": 1,
    }
    assert conversation.receive(json.dumps(frame), AT) == payload


@pytest.mark.parametrize(
    "junk",
    [
        "", "nothing", "{", "null", "[]", "3", '"x"', "[" * 50_000, '{"type":"nope"}', b"\xff\xfe",
        '{"type":"command"}', '{"type":"ping"}', '{"type":"command","payload":{"message":"\\ud800"}}',
        '{"requestId":7,"type":"x"}', '{"payload":[1]}',
    ],
)  # fmt: skip
def test_junk_gets_an_error_frame(junk: str | bytes) -> None:
    (error,) = received(junk)
    assert error["type"] == "error"
    assert error["error"]["code"] == "invalid_frame"
    assert error["error"]["message"]
    assert "requestId" not in error


@pytest.mark.parametrize(
    "frame", [{"requestId": "r9", "type": "x"}, {"type": "command", "payload": {"requestId": "r9"}}]
)
def test_a_broken_frame_with_an_id_gets_it_back(frame: dict[str, Any]) -> None:
    assert received(frame)[0]["requestId"] == "r9"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"message": "  "}, "text_empty"),
        ({"message": "x" * 8_001}, "text_too_long"),
        ({"requestId": ""}, "invalid_frame"),
        ({"requestId": "r" * 201}, "invalid_frame"),
    ],
)
def test_an_unfit_command_is_refused(changes: dict[str, str], code: str) -> None:
    payload = command("x").model_dump(by_alias=True, exclude_none=True) | changes
    (error,) = received({"type": "command", "payload": payload, "timestamp": 1})
    assert (error["error"]["code"], error["requestId"]) == (code, payload["requestId"])


def test_a_sealed_command_is_refused_and_nothing_is_done() -> None:
    payload = command("x").model_dump(by_alias=True, exclude={"message"}, exclude_none=True)
    payload["sealed"] = "a.b.c.d.e"
    (error,) = received({"type": "command", "payload": payload, "timestamp": 1})
    assert (error["error"]["code"], error["requestId"]) == ("sealed_not_supported", "r1")

    step = answer(CommandPayload.model_validate(payload), with_tasks("milk"), NOW)
    assert json.loads(step.frame)["error"]["code"] == "sealed_not_supported"
    assert step.memory == with_tasks("milk")


def test_a_batch_is_refused_command_by_command() -> None:
    payloads = [command("x", name).model_dump(by_alias=True, exclude_none=True) for name in ("a", "b")]
    errors = received({"type": "batch", "payload": {"commands": payloads}, "timestamp": 1})
    assert [(each["requestId"], each["error"]["code"]) for each in errors] == [
        ("a", "batch_not_supported"),
        ("b", "batch_not_supported"),
    ]


def test_an_answer_to_no_question_is_told() -> None:
    payload = {"action": "intervention_response", "sessionId": "s", "stepId": "t", "resolvedValue": "v"}
    (error,) = received({"type": "system", "payload": payload, "timestamp": 1})
    assert error["error"]["code"] == "nothing_was_asked"
