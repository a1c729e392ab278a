"""The task list: add, list, complete, remove."""

from __future__ import annotations

import re
from collections.abc import Sequence

from omniid.backend.records import Task
from omniid.backend.skills import manners
from omniid.backend.skills.request import Answer, Request

MAX_TASKS = 1_000
_SPOKEN_TASKS = 10
_SPOKEN_CHARACTERS = 120

_ORDINALS = {
    word: number
    for number, words in enumerate(
        (
            "first one 1 1st",
            "second two 2 2nd",
            "third three 3 3rd",
            "fourth four 4 4th",
            "fifth five 5 5th",
            "sixth six 6 6th",
            "seventh seven 7 7th",
            "eighth eight 8 8th",
            "ninth nine 9 9th",
            "tenth ten 10 10th",
        )
    )
    for word in words.split()
} | {"last": -1}
_POSITION = re.compile(
    rf"^(?:(?:task|item|number|no)\s+)*({'|'.join(_ORDINALS)})(?:\s+(?:task|item|one|to-?do))?$"
)
# "add lunch to my calendar", "add a meeting": but "add email Ann" is a task.
_PLACE = re.compile(r"(?:^an?\s|\b(?:to|on|onto|in|into)\s+(?:my|the|our)\s).*", re.IGNORECASE)
_FILLERS = re.compile(
    r"^(?:(?:the|my|a|an|that|this|task|item|to-?do)\s+)+(?=\S)|(?<=\S)\s+(?:task|item|one|to-?do)$"
)


def add(request: Request) -> Answer:
    return _added(request, request.slots["task"])


def add_loosely(request: Request) -> Answer:
    """`add …` without a word of a list: a task, unless it is plainly meant for something else."""
    place = _PLACE.search(request.slots["task"])
    if place is not None and manners.missing_skill(place[0]) is not None:
        return manners.unknown(request)
    return _added(request, request.slots["task"])


def remind(request: Request) -> Answer:
    note = "I can't remind you at a set time yet, so it's on your task list."
    return _added(request, request.slots["task"], note)


def listing(request: Request) -> Answer:
    tasks = request.tasks
    if not tasks:
        return Answer("You have no tasks.")
    return Answer(f"You have {_count(tasks)}: {_spoken_list(tasks)}.")


def complete(request: Request) -> Answer:
    return _taken_off(request, "Done", manners.missing_skill(request.text) is not None)


def remove(request: Request) -> Answer:
    return _taken_off(request, "Removed", manners.missing_skill(request.text) is not None)


def clear(request: Request) -> Answer:
    """One at a time: a misheard word must not empty the list."""
    if not request.tasks:
        return Answer("Your task list is already empty.")
    return Answer(
        "I only take tasks off one at a time, so nothing is lost by mistake. Which one?", done=False
    )


def _added(request: Request, text: str, note: str = "") -> Answer:
    if len(request.tasks) >= MAX_TASKS:
        return Answer(f"Your task list is full: it holds {MAX_TASKS:,}. Remove some first.", done=False)
    tail = f" {note}" if note else ""
    if any(_plain(task.text) == _plain(text) for task in request.tasks):
        return Answer(f"That's on your list already: {_short(text)}.{tail}")
    tasks = (*request.tasks, Task(text=text, added=request.now))
    return Answer(f"Added: {_sentence(text)}{tail} You have {_count(tasks)}.", tasks=tasks)


def _taken_off(request: Request, verb: str, elsewhere: bool) -> Answer:
    wanted = request.slots["task"]
    found = find(request.tasks, wanted)
    if not found and elsewhere:
        return manners.unknown(request)
    if not found:
        return Answer(f"I don't find “{_short(wanted)}” on your list. {listing(request).message}", done=False)
    if len(found) > 1:
        several = [request.tasks[index] for index in found]
        return Answer(f"Which one do you mean: {_spoken_list(several, 'or')}?", done=False)
    gone = request.tasks[found[0]]
    tasks = tuple(task for index, task in enumerate(request.tasks) if index != found[0])
    left = f"You have {_count(tasks)} left." if tasks else "Your list is empty now."
    return Answer(f"{verb}: {_sentence(gone.text)} {left}", tasks=tasks)


def find(tasks: Sequence[Task], wanted: str) -> list[int]:
    """Where the meant tasks stand: by all the words, by place ("the second one"), or by some of the words."""
    words = _plain(wanted)
    texts = [_plain(task.text) for task in tasks]
    if words in texts:
        return [texts.index(words)]
    core = _FILLERS.sub("", words)
    if core in texts:
        return [texts.index(core)]
    place = _POSITION.match(core)
    if place is not None:
        index = _ORDINALS[place[1]]
        return [index % len(tasks)] if -len(tasks) <= index < len(tasks) else []
    parts = set(core.split())
    return [index for index, text in enumerate(texts) if parts and parts <= set(text.split())]


def _plain(text: str) -> str:
    """Words only, for comparing what was said with what is kept."""
    return " ".join(re.sub(r"[^\w\s'-]", " ", text.casefold()).split())


def _count(tasks: Sequence[Task]) -> str:
    return "no tasks" if not tasks else "1 task" if len(tasks) == 1 else f"{len(tasks):,} tasks"


def _spoken_list(tasks: Sequence[Task], joint: str = "and") -> str:
    """As many as an ear can take in: "buy milk, and call Ann"."""
    spoken = [_short(task.text) for task in tasks[:_SPOKEN_TASKS]]
    if len(tasks) > _SPOKEN_TASKS:
        spoken.append(f"{len(tasks) - _SPOKEN_TASKS:,} more")
    return spoken[0] if len(spoken) == 1 else f"{', '.join(spoken[:-1])}, {joint} {spoken[-1]}"


def _short(text: str) -> str:
    """A task as it is spoken: without the end of a long one, and without a full stop of its own."""
    cut = text if len(text) <= _SPOKEN_CHARACTERS else f"{text[:_SPOKEN_CHARACTERS].rsplit(' ', 1)[0]} …"
    return cut.rstrip(".")


def _sentence(text: str) -> str:
    return f"{_short(text)}."
