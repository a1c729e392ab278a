"""What a sentence asks for: hassil templates, tried in order; the first that fits wins.

The sentences come from a speech recogniser as often as from a keyboard, so case, punctuation and polite words
do not count. What the user said of a task is kept as it was said: slots are cut out of the original text.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from omniid.backend.skills import spans

if TYPE_CHECKING:
    from hassil import Intents, RecognizeResult

_RULES = {
    "list": (
        "[(my|the|our)] [(to-do|to do|todo|task|shopping|grocery|groceries|daily)] "
        "(list|lists|tasks|task list|to-dos|to dos|todos|to-do|to do|todo)"
    ),
    "tasks": "(tasks|task|todos|to-dos)",
    "a_task": "[(a|another|the|one|my)] [new] (task|to-do|to do|todo|item)",
    "named": "(to|called|named|saying|that says|about|for|that|:)",
    "have": "(do i have|have i got|are there|is there|are left|is left|are open)",
    "read": "(read|list|show|tell|give|say|repeat|check|open|see|get|go through|go over)",
    "aloud": "(out|to me|out loud|aloud|back|back to me|out to me|again)",
    "add": "(add|put|write|note|jot|place|stick|include|throw)",
    "make": "(add|create|make|set|set up|write|note|put|give me|make me)",
    "take_off": "(remove|delete|take|strike|drop|erase|scratch|wipe)",
    "finish": "(complete|finish|check off|tick off|cross off|check|tick|cross)",
    "calendar": "[(my|the|our)] (calendar|calendars|agenda|diary|schedule)",
    "events": "[(more|other|upcoming)] (appointment|appointments|meeting|meetings|event|events|plans)",
    "i_have": "(do i have|have i got)",
    "consent": "(access|consent|permission)",
    "unit": "(day|date|month|year|weekday|day of the week)",
}

# Order matters twice: across intents, and inside one from the exact sentence to the loose one.
_TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "time": (
        "what time is it [(right now|now|at the moment|please|here)]",
        "what time [do we have|have you got]",
        "what(['s]| is) the [(current|exact|right|local)] time [(right now|now|at the moment|here)]",
        "(tell|give|show) me (the [(current|exact)] time|what time it is) [(right now|now)]",
        "(do you know|do you have|have you got|say|check) (the time|what time it is) [(right now|now)]",
        "[the] [current] time [(right now|now|check)]",
        "how late is it [now]",
    ),
    "date": (
        "what(['s]| is) [the] [(today's|current)] (date|day) [(is it|today|of today)]",
        "what(['s]| is) the (date|day) today",
        "what(['s]| is) (today|the date of today|the day of the week)",
        "(what|which) <unit> (is it|is today|is this|do we have|are we in) [(today|now)]",
        "what(['s]| is) the (month|year|weekday)",
        "(tell|give|show) me ([the] [today's] date|what <unit> (it|today) is|the day) [today]",
        "(do you know|say) ([the] [today's] date|what (day|date) it is) [today]",
        "[the] [(today's|current)] date [today]",
        "what day of the (week|month) is it [today]",
    ),
    "greeting": (
        "(hello|hi|hey|good morning|good afternoon|good evening) [(there|omni|omnii|omniid|again)]",
        "hey hey",
    ),
    "thanks": ("(thanks|thank you|cheers) [(a lot|very much|so much|omni|omnii|omniid)]", "many thanks"),
    "help": (
        "help [me] [out]",
        "what (can|could|do) you [even|actually] (do|help with|help me with|understand|know) [for me]",
        "what (can|could|should|may) i (say|ask|do|ask you|say to you|tell you|ask you to do) [here]",
        "what (are you able to|are your skills|are your commands|are your features) [do]",
        "how (can|could|do) you help [me]",
        "how (do|does) (you|this|it) work",
        "(tell|show) me what you can do",
        "(who|what) are you",
        "what(['s]| is) possible",
    ),
    "upcoming": (
        "(what|when)(['s]| is) [my|the] next (appointment|meeting|event) [(today|on <calendar>)]",
        "(what|when) do i have (my|the|a) next (appointment|meeting|event)",
        "what(['s]| is) [(up|coming up)] next (on|in) <calendar>",
        "what(['s]| is) [(the|my)] next [(thing|entry|appointment|meeting|event)] (on|in) <calendar>",
        "<read> [me] (my|the) next (appointment|meeting|event)",
        "[my] next (appointment|meeting|event)",
        "what(['s]| is) coming up [(on|in) <calendar>]",
    ),
    "agenda": (
        "what(['s]| is| <i_have>) [(left|still|planned|scheduled)] (on|in) <calendar> [[for] {span}]",
        "what(['s]| is) <calendar> [like] [for] {span}",
        "what (does|will) <calendar> look like [[for] {span}]",
        "what(['s]| is| <i_have>) (on|planned|scheduled|happening) [for] {span}",
        "what <i_have> {span}",
        "what am i doing {span}",
        "(what|how) does {span} look [like]",
        "what(['re]| are) my (appointments|meetings|events|plans) [[for] {span}]",
        "(what|which|how many) <events> (<i_have>|are there|are on <calendar>) [[for] {span}]",
        "(<i_have>|are there|is there) [(any|an|a|some)] <events> [(on|in) <calendar>] [[for] {span}]",
        "(<i_have>|is there|is) anything (on|in) <calendar> [[for] {span}]",
        "<i_have> anything [(on|planned|scheduled)] [for] {span}",
        "<read> [out] [me] [what(['s]| is) (on|in)] <calendar> [[for] {span}] [<aloud>]",
        "<read> [out] [me] [(my|the)] <events> [[for] {span}] [<aloud>]",
        "[any|my] <events> [for] {span}",
        "<calendar> [[for] {span}]",
    ),
    "free": (
        "(am i|are we|will i be) (free|available|busy|booked) [[for] {span}]",
        "<i_have> [any] (time|free time|time free) [for] {span}",
        "is my <calendar> (free|empty|clear|full) [for] {span}",
        "is {span} (free|busy)",
        "how busy am i {span}",
    ),
    "forget_calendar": (
        "(forget|disconnect|unlink) [about] <calendar>",
        "(stop reading|don't read|do not read|never read) <calendar> [(again|any more|anymore)]",
        "(withdraw|revoke|remove|take back) [(my|your|the)] <consent> (to|for|from|of) <calendar>",
    ),
    "list_tasks": (
        "what(['s]| is) [there] [(left|still|next)] (on|in) <list> [(today|for today|right now|now)]",
        "what(['s]| is| are) [all] <list> [(today|for today|right now|now)]",
        "what [else] (<have>|do i need|am i supposed) [left] to do [(today|now|next)]",
        "what <tasks> (<have>|are on <list>) [(left|open|today|to do)]",
        "what are [all] [the|my] <tasks> on <list>",
        "<read> [out] [me] [back] [out] [what(['s]| is) on] [all] [of] <list> [<aloud>]",
        "<read> [out] [me] [all] [the|my] <tasks> on <list> [<aloud>]",
        "<have> [any] (<tasks>|anything) [left] [(to do|on <list>|left|open)] [today]",
        "how many (<tasks>|things) (<have>|are on <list>) [(left|open|to do|on <list>)] [today]",
        "how (long is|many are on) <list>",
        "[(all|any)] <list>",
        "any [open] tasks [left]",
    ),
    "clear_tasks": (
        "(clear|empty|reset) [out] [all] [of] <list>",
        "(<take_off>|<finish>) (all|everything|every task) [(on|from|off) <list>]",
        "(<take_off>|<finish>) all [of] [my|the] (<tasks>|items) [(on|from|off) <list>]",
        "<take_off> [my|the] [(whole|entire)] (list|to-do list|task list|tasks)",
    ),
    "remind": (
        "remind me {when} to {task}",
        "remind me (to|about|of|that) {task}",
        "<make> a [new] reminder {when} to {task}",
        "<make> a [new] reminder [(to|about|that|for|:)] {task}",
        "[make sure] [i] (don't|do not) [let me] forget (to|about|that) {task}",
        "don't let me forget [(to|about|that)] {task}",
        "(i have to|i must|i need to) remember (to|that) {task}",
        "remember to {task}",
        "reminder [(to|:)] {task}",
        "remind me {task}",
    ),
    "complete_task": (
        "<finish> {task} (on|from|off|in) <list>",
        "(mark|set|tick|check) {task} (as|to|off as) (done|complete|completed|finished)",
        "(mark|tick|check|cross) {task} (done|complete|completed|finished|off) [(on|off|from|of) <list>]",
        "<finish> [the] (task|to-do|todo|item) [(called|named)] {task}",
        "<finish> {task}",
        "i(['ve]| have) [already] [just] (done|finished|completed) [with] {task}",
        "i(['m]| am) (done|finished) with {task}",
        "i [already] [just] (did|finished|completed) {task}",
        "{task} is [already] (done|finished|completed|complete)",
        "done with {task}",
    ),
    "remove_task": (
        "<take_off> [out] {task} (from|off|off of|on|out of) <list>",
        "<take_off> [off] [the] (task|to-do|todo|item) [(called|named|to)] {task}",
        "<take_off> [the] {task}",
        "(forget|cancel) {task} (task|to-do|todo|reminder)",
        "(forget|cancel) [the] (task|to-do|todo|reminder) [(called|named|to|about)] {task}",
    ),
    "add_task": (
        "<make> <a_task> [<named>] {task} (to|on|onto|in|into) <list>",
        "<add> [down] {task} (to|on|onto|in|into) <list>",
        "(add|put) (to|on|onto) <list> [(to|that|:)] {task}",
        "<make> <a_task> [(to|on|onto) <list>] [<named>] {task}",
        "<make> a (note|memo) [<named>] {task}",
        "new (task|to-do|todo) [(to|:)] {task}",
        "(task|to-do|todo) [(to|:)] {task}",
        "(jot|note|write) (down that|down|that) {task}",
        "i (need|want) {task} on <list>",
    ),
    "add_loosely": ("add {task}",),
}

# Said around a command, never part of it. "thanks" only behind a mark: "remind me to say thanks" is a task.
_LEAD = re.compile(
    r"^(?:(?:hey|hi|hello|okay|ok|so|well|um+|uh+|erm|now|and|please|kindly|just|omnii?d?|go ahead and"
    r"|(?:could|can|would|will) you|i(?:'d| would) like you to|i want you to|i need you to"
    r"|(?:could|can|may) i ask)\b[\s,.!]+)+(?=\S)",
    re.IGNORECASE,
)
_TAIL = re.compile(
    r"(?:(?<!\bsay)[\s,.!?]+please"
    r"|[,.!?]\s*(?:thanks|thank you|will you|would you|could you|can you))+[\s.!?]*$",
    re.IGNORECASE,
)
_TIME_WORDS = re.compile(
    r"^(?:at|on|in|by|before|after|around|when|every|each|next|this|later|tomorrow|today|tonight|noon|midnight"
    r"|for|mondays?|tuesdays?|wednesdays?|thursdays?|fridays?|saturdays?|sundays?|once|again)\b",
    re.IGNORECASE,
)
# The second half of "at ten to five": that "to" does not begin a task.
_HOUR = re.compile(
    r"^(?:\d|(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)\b)", re.IGNORECASE
)
# What is left of a sentence that was cut off before it named a task.
_NO_TASK = frozenset({"to", "that", "about", "of", "for", "a", "the", "me", "task", "a task", "off", "down"})
_QUOTES = "\"'“”‘’«»` "


@dataclass(frozen=True, slots=True)
class Understood:
    """`name` is a key of the skills, or "unknown". Slots hold the user's own words."""

    name: str
    slots: Mapping[str, str] = field(default_factory=dict)


UNKNOWN = Understood("unknown")


def recognise(text: str) -> Understood:
    """The intent of a sentence; `UNKNOWN` where no template fits. Never raises."""
    from hassil import recognize_all  # noqa: PLC0415 its 90 ms and 3 MB come with the first command

    line = " ".join(unicodedata.normalize("NFC", text).replace("’", "'").split()).strip(_QUOTES)
    # "Hello there" is nothing but polite words; without them there is nothing left to understand.
    for sentence in dict.fromkeys((_trimmed(line), line)):
        for result in recognize_all(sentence, _intents()):
            found = _read(result, sentence)
            if found is not None:
                return found
    return UNKNOWN


@functools.cache
def _intents() -> Intents:
    from hassil import Intents  # noqa: PLC0415 see recognise()

    return Intents.from_dict(
        {
            "language": "en",
            # A block for each template: within one, hassil tries them in an order of its own.
            "intents": {
                name: {"data": [{"sentences": [template]} for template in templates]}
                for name, templates in _TEMPLATES.items()
            },
            "expansion_rules": _RULES,
            "lists": {
                "task": {"wildcard": True},
                "when": {"wildcard": True},
                "span": {"wildcard": True},
            },
        }
    )


def _trimmed(line: str) -> str:
    """Without the polite words around it."""
    return _TAIL.sub("", _LEAD.sub("", line)).strip()


def _read(result: RecognizeResult, sentence: str) -> Understood | None:
    """A match as an intent; None where its words are no time, no days or no task after all."""
    slots = {}
    for name, entity in result.entities.items():
        start, end = entity.text_span or (0, 0)
        slots[name] = (sentence[start:end] or entity.text).strip(_QUOTES)
    if not all(any(map(str.isalnum, words)) and words.lower() not in _NO_TASK for words in slots.values()):
        return None
    if not spans.known(slots.get("span", "today")):
        return None
    when = slots.pop("when", None)
    if when is not None:
        if not _TIME_WORDS.match(when) or _HOUR.match(slots["task"]):
            return None
        slots["task"] = f"{slots['task']} {when}"
    return Understood(result.intent.name, slots)
