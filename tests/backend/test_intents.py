from __future__ import annotations

import time

import pytest

from omniid.backend.intents import recognise

PLAIN = {
    "time": [
        "what time is it",
        "What time is it?",
        "What's the time?",
        "What’s the time",
        "WHAT IS THE TIME",
        "Could you tell me the time, please?",
        "Hey Omni, what time is it right now?",
        "time",
        "Time, please.",
        "Um, what's the current time?",
        "do you know what time it is",
        "Do you have the time?",
    ],
    "date": [
        "what's the date",
        "What day is it today?",
        "What is today's date?",
        "what date is it",
        "What's today?",
        "tell me the date",
        "what year is it",
        "What day of the week is it?",
        "today's date, please",
    ],
    "help": [
        "help",
        "Help me.",
        "What can you do?",
        "what can I say",
        "How can you help me?",
        "Can you help me?",
        "What are you able to do?",
    ],
    "greeting": ["hello", "Hi!", "Good morning.", "Hello there."],
    "thanks": ["thanks", "Thank you very much."],
    "list_tasks": [
        "what are my tasks",
        "What are my tasks?",
        "What's on my list?",
        "what is on my to-do list",
        "Read my tasks.",
        "Please read me my to do list.",
        "List my tasks",
        "Show me what's on my list.",
        "my tasks",
        "Do I have any tasks?",
        "How many tasks do I have?",
        "What do I have to do today?",
        "What are my tasks for today?",
        "Is there anything on my list?",
        "what are the tasks on my list",
        "Could you read my tasks out loud?",
        "what tasks do I have",
    ],
    "agenda": [
        "what is on my calendar today",
        "What's on my calendar?",
        "What’s on my calendar tomorrow?",
        "what is on my calendar this week",
        "What do I have on my calendar this weekend?",
        "What appointments do I have on Monday?",
        "How many meetings do I have tomorrow?",
        "Do I have any meetings today?",
        "Do I have anything on tomorrow?",
        "What do I have planned for next week?",
        "What's on tonight?",
        "Read me my calendar for tomorrow, please.",
        "Show me my schedule for the day after tomorrow.",
        "List my appointments for this week.",
        "Any meetings tomorrow?",
        "Hey Omni, check my calendar",
        "what do I have tomorrow",
        "What have I got on Friday?",
        "What's on my calendar on 31 December?",
        "What's happening on December 31st, 2026?",
        "Do I have any appointments on Thursday, the 31st of December?",
        "Show me my calendar for 2026-12-31, please.",
        "my calendar next weekend",
        "What am I doing on the 3rd of January?",
        "What does my calendar look like next week?",
        "What does my Friday look like?",
        "How does next month look?",
        "Is anything on my calendar on the 31st of February?",
        "my calendar",
    ],
    "upcoming": [
        "What's my next appointment?",
        "when is my next meeting",
        "What's next on my calendar?",
        "What is coming up?",
        "Tell me my next event.",
        "next appointment",
    ],
    "free": [
        "Am I free tomorrow?",
        "am i free",
        "Am I busy this evening?",
        "Am I free on Friday afternoon?",
        "Do I have time tomorrow afternoon?",
        "Is tomorrow free?",
        "Is the 31st of December free?",
        "Am I free on December 31st in the afternoon?",
    ],
    "forget_calendar": [
        "Forget my calendar.",
        "Disconnect my calendar, please.",
        "Stop reading my calendar.",
        "Revoke access to my calendar",
    ],
    "clear_tasks": [
        "clear my list",
        "Remove all tasks.",
        "delete everything",
        "Remove all my tasks",
        "delete my list",
    ],
    "unknown": [
        "what's the weather",
        "What do I have first?",
        "What am I doing wrong?",
        "What does that look like?",
        "Is this free?",
        "Send an email to Ann.",
        "play some music",
        "schedule a meeting with Bob",
        "",
        "...",
        "?!",
        "add",
        "remind me to",
        "Remind me.",
        "delete",
        "{task}",
        "[(]",
        "<list>",
        "ünïcödé ☃",
        "How do you spell beautiful?",
    ],
}

WITH_TASK = [
    ("add_task", "add buy milk to my tasks", "buy milk"),
    ("add_task", "Add buy milk to my tasks.", "buy milk"),
    ("add_task", "Add buy milk, eggs and Bread to my to-do list, please.", "buy milk, eggs and Bread"),
    ("add_task", "add a task to buy milk", "buy milk"),
    ("add_task", "Add a task: buy milk.", "buy milk"),
    ("add_task", "add task buy milk", "buy milk"),
    ("add_task", "add the task buy milk to my list", "buy milk"),
    ("add_task", "put call Ann on my list", "call Ann"),
    ("add_task", "Could you please put milk on the shopping list?", "milk"),
    ("add_task", "Create a new task called water the plants.", "water the plants"),
    ("add_task", "New task: fix the door", "fix the door"),
    ("add_task", "Add to my list: buy milk", "buy milk"),
    ("add_task", "Write down eggs", "eggs"),
    ("add_task", "Note down that the car needs oil.", "the car needs oil"),
    ("add_task", "Make a note to call Mum.", "call Mum"),
    ("add_task", "add put the bins on the street to my list", "put the bins on the street"),
    ("add_task", "add 'buy milk' to my list", "buy milk"),
    ("add_task", "“Add buy milk to my list.”", "buy milk"),
    ("add_loosely", "Add milk.", "milk"),
    ("remind", "remind me to call Ann", "call Ann"),
    ("remind", "Remind me to call Ann at 5 p.m.", "call Ann at 5 p.m."),
    ("remind", "Can you remind me to call Ann tomorrow, please?", "call Ann tomorrow"),
    ("remind", "Remind me tomorrow to call Ann.", "call Ann tomorrow"),
    ("remind", "Remind me at five to call Ann.", "call Ann at five"),
    ("remind", "Remind me at ten to five to call Ann.", "call Ann at ten to five"),
    ("remind", "remind me about the letter to Ann", "the letter to Ann"),
    ("remind", "Remind me Friday is bin day.", "Friday is bin day"),
    ("remind", "Remind me on December 31 to call Ann.", "call Ann on December 31"),
    ("remind", "Set a reminder to lock the door", "lock the door"),
    ("remind", "set a reminder for 5 pm to call Ann", "call Ann for 5 pm"),
    ("remind", "Don't let me forget to lock up.", "lock up"),
    ("remind", "Don’t forget to lock up", "lock up"),
    ("remind", "remember to breathe", "breathe"),
    ("remind", "remind me to say thank you", "say thank you"),
    ("remind", "remind me to say please", "say please"),
    ("remind", "remind me to email Ann about the meeting", "email Ann about the meeting"),
    ("complete_task", "complete buy milk", "buy milk"),
    ("complete_task", "Mark buy milk as done.", "buy milk"),
    ("complete_task", "mark buy milk done", "buy milk"),
    ("complete_task", "I've done buy milk", "buy milk"),
    ("complete_task", "I finished the report.", "the report"),
    ("complete_task", "buy milk is done", "buy milk"),
    ("complete_task", "Cross buy milk off my list.", "buy milk"),
    ("complete_task", "tick off milk", "milk"),
    ("complete_task", "Complete the first task", "the first task"),
    ("remove_task", "remove buy milk", "buy milk"),
    ("remove_task", "Delete buy milk from my list.", "buy milk"),
    ("remove_task", "take milk off my list", "milk"),
    ("remove_task", "Remove task two.", "two"),
    ("remove_task", "forget the milk task", "the milk"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in PLAIN.items() for text in texts])
def test_a_sentence_is_understood(name: str, text: str) -> None:
    assert recognise(text).name == name


SPANS = [
    ("what is on my calendar today", "today"),
    ("What's on my calendar this week?", "this week"),
    ("Am I free on Friday afternoon?", "on Friday afternoon"),
    ("Do I have any meetings the day after tomorrow?", "the day after tomorrow"),
    ("What's on my calendar, December 31, 2026?", "December 31, 2026"),
    (
        "“Is there anything on my calendar on Thursday, the 31st of December?”",
        "on Thursday, the 31st of December",
    ),
    ("Read me my calendar for the 14th of March out loud, please.", "the 14th of March"),
    ("Am I free?", ""),
]


@pytest.mark.parametrize(("text", "span"), SPANS)
def test_the_days_asked_for_are_cut_out(text: str, span: str) -> None:
    assert recognise(text).slots.get("span", "").rstrip("?") == span


@pytest.mark.parametrize(("name", "text", "task"), WITH_TASK)
def test_a_task_is_kept_as_it_was_said(name: str, text: str, task: str) -> None:
    understood = recognise(text)
    assert (understood.name, understood.slots["task"]) == (name, task)


LONG = [
    *(("add remind me ", piece) for piece in ("foo to on my list bar ", "at to ", "is done ", "(")),
    ("what does ", "look like "),
    ("read my calendar for ", "out loud "),
]


@pytest.mark.parametrize(("lead", "piece"), LONG)
def test_the_longest_text_takes_no_minutes(lead: str, piece: str) -> None:
    text = (lead + piece * 8_000)[:8_000]
    started = time.perf_counter()
    recognise(text)
    assert time.perf_counter() - started < 10
