"""What is said to a client: frames, what is remembered and the time in; frames and what to remember out.

Pure: no clock, no socket, and no disk but the calendars that it is given. A connection begins with
`frames.hello()`. Each text then goes through `receive`, which gives the answers that need no work at once, or
the command to do; `answer` does that.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from omniid.backend import frames
from omniid.backend.consent import redirect
from omniid.backend.consent.register import Ask
from omniid.backend.diary.events import Diary
from omniid.backend.intents import recognise
from omniid.backend.records import Answered, Consent, Memory, Scope
from omniid.backend.skills import NEEDS_CONSENT, SAFE, SKILLS, Answer, Request
from omniid.errors import OmniidError, ProtocolError, StorageError
from omniid.protocol.messages import (
    BatchFrame,
    CommandFrame,
    CommandPayload,
    PingFrame,
    PongFrame,
    parse_client_frame,
)

# As many as the outbox of a client holds: none that it may still repeat is forgotten.
MAX_ANSWERED = 1_000
MAX_MESSAGE_CHARACTERS = 8_000
# Asked so in a command's metadata, only an answer that needs and changes nothing of the user's is given.
ONLY_IF_SAFE = "onlyIfSafe"
MAX_REQUEST_ID_CHARACTERS = 200
_CONSENT_NEEDED = "Please allow me to read your calendar on the page that opens."
_FORGOTTEN = "I have forgotten that answer, since you asked me to forget your calendar."
_REUSED = ("request_id_reused", "This requestId belongs to another command. Nothing was done.")
_NOT_SAFE = ("not_answered_here", "Only your own assistant can answer that.")
_SEALED = ("sealed_not_supported", "This server has no key to open a sealed command. Send it in clear.")


@dataclass(frozen=True, slots=True)
class Step:
    """A frame to send once `memory` is kept; `memory` is the one given where there is nothing new to keep."""

    frame: str
    memory: Memory


class Calendars(Protocol):
    """The user's calendars on this machine."""

    def present(self) -> tuple[str, ...]:
        """The folders that are there."""

    def read(self, folders: Sequence[str], start: datetime, end: datetime) -> Diary:
        """What they hold between two times."""


def receive(raw: str | bytes, at_ms: int) -> CommandPayload | tuple[str, ...]:
    """What a client sent: a command, or the frames that answer it at once. Never raises."""
    try:
        frame = parse_client_frame(raw)
    except ProtocolError as error:
        return (frames.error("invalid_frame", f"Not understood: {error.message}.", at_ms, _request_id(raw)),)
    match frame:
        case CommandFrame(payload=payload):
            problem = _problem(payload)
            return (_refused(payload, *problem, at_ms),) if problem else payload
        case PingFrame(payload=ping):
            return (frames.pong(ping.sequence, at_ms),)
        case PongFrame():
            return ()
        case BatchFrame(payload=batch):
            words = ("batch_not_supported", "Send the commands one by one: this server names no `batch`.")
            return tuple(_refused(payload, *words, at_ms) for payload in batch.commands)
        case _:
            return (frames.error("nothing_was_asked", "No question is open here.", at_ms),)


def answer(
    command: CommandPayload, memory: Memory, now: datetime, calendars: Calendars, notice: str = ""
) -> Step | Ask:
    """Does a command, or gives what the user must allow first.

    One that was answered before gets the same answer, and nothing is done. `now` is aware. `notice` is said
    first.
    """
    message = command.message
    if message is None:
        return Step(_refused(command, *_SEALED, _ms(now)), memory)
    digest = hashlib.sha256(message.encode()).hexdigest()[:32]
    before = next((each for each in memory.answered if each.request_id == command.request_id), None)
    if before is not None:
        frame = frames.response(before) if before.digest == digest else _refused(command, *_REUSED, _ms(now))
        return Step(frame, memory)
    understood = recognise(message)
    if (command.metadata or {}).get(ONLY_IF_SAFE) is True and understood.name not in SAFE:
        return Step(_refused(command, *_NOT_SAFE, _ms(now)), memory)
    scope = NEEDS_CONSENT.get(understood.name)
    folders = calendars.present() if scope else ()
    if scope and not set(folders) <= _allowed(memory, scope):
        return Ask(scope, folders, redirect.wanted(command.metadata))
    read = functools.partial(calendars.read, folders)
    time, permitted = users_time(command, now), bool(memory.consents)
    request = Request(message, understood.slots, time, memory.tasks, folders, permitted, read)
    given = SKILLS[understood.name](request)
    answered = _answered(command, digest, given, f"{notice} {given.message}".strip(), scope, now)
    return Step(frames.response(answered), _kept(memory, given, answered) if given.lasting else memory)


def permit(memory: Memory, ask: Ask, now: datetime) -> Memory:
    """What is remembered once the user has allowed it."""
    others = tuple(each for each in memory.consents if each.scope != ask.scope)
    given = Consent(scope=ask.scope, folders=ask.folders, at_ms=_ms(now))
    return memory.model_copy(update={"consents": (*others, given)})


def consent_needed(command: CommandPayload, url: str, now: datetime) -> str:
    """The answer to a command that waits for the user's consent; it is not remembered as its answer."""
    return frames.consent_needed(command.request_id, command.user_id, url, _CONSENT_NEEDED, _ms(now))


def consent_given(url: str, now: datetime, *, success: bool) -> str:
    """What every client is told once the user has decided."""
    words = "I may read your calendar now." if success else "I won't read your calendar."
    return frames.consent_given(url, words, _ms(now), success=success)


def refused(command: CommandPayload, error: OmniidError, now: datetime) -> str:
    """The answer to a command for which the system gives no means."""
    return _failed(command, error.message, now)


def not_kept(command: CommandPayload, error: StorageError, now: datetime) -> str:
    """The answer to a command whose result could not be written down, and so has not happened."""
    return _failed(command, f"I couldn't save that: {error.message}. Nothing was changed.", now)


def broken(command: CommandPayload, now: datetime) -> str:
    """The answer to a command at which the backend itself failed."""
    return _failed(command, "Something went wrong on my side, and nothing was changed. I'm sorry.", now)


def users_time(command: CommandPayload, now: datetime) -> datetime:
    """The user's own clock: what the command says; else this clock in their zone; else this clock."""
    try:
        said = datetime.fromisoformat(command.local_datetime)
    except ValueError:
        said = None
    try:
        zone = ZoneInfo(command.user_timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # A name of no zone, or of a folder or file that is none: this clock is the best there is.
        return said if said and said.tzinfo else said.replace(tzinfo=now.tzinfo) if said else now
    if said is not None and said.tzinfo is not None:
        # The zone knows when the clocks change, but what the user's clock shows counts.
        there = said.astimezone(zone)
        return there if there.utcoffset() == said.utcoffset() else said
    return said.replace(tzinfo=zone) if said else now.astimezone(zone)


def _allowed(memory: Memory, scope: Scope) -> set[str]:
    return {folder for each in memory.consents if each.scope == scope for folder in each.folders}


def _answered(
    command: CommandPayload, digest: str, given: Answer, words: str, scope: Scope | None, now: datetime
) -> Answered:
    return Answered(
        request_id=command.request_id,
        digest=digest,
        done=given.done,
        message=words,
        suggestions=given.suggestions,
        at_ms=_ms(now),
        scope=scope,
    )


def _kept(memory: Memory, given: Answer, answered: Answered) -> Memory:
    """What is remembered after an answer. With a consent goes all that was read by it."""
    consents, before = memory.consents, memory.answered
    if given.withdraws is not None:
        consents = tuple(each for each in consents if each.scope != given.withdraws)
        gone = {"message": _FORGOTTEN, "done": False}
        before = tuple(
            each.model_copy(update=gone) if each.scope == given.withdraws else each for each in before
        )
    return Memory(
        tasks=memory.tasks if given.tasks is None else given.tasks,
        answered=(*before, answered)[-MAX_ANSWERED:],
        consents=consents,
    )


def _problem(command: CommandPayload) -> tuple[str, str] | None:
    """Why a command is refused: code and sentence."""
    if not 1 <= len(command.request_id) <= MAX_REQUEST_ID_CHARACTERS:
        return "invalid_frame", f"A requestId has 1 to {MAX_REQUEST_ID_CHARACTERS} characters."
    if command.message is None:
        return _SEALED
    if not command.message.strip():
        return "text_empty", "I heard no words. Say or type what you want done."
    if len(command.message) > MAX_MESSAGE_CHARACTERS:
        return "text_too_long", f"That is too long for me: {MAX_MESSAGE_CHARACTERS:,} characters is the most."
    return None


def _refused(command: CommandPayload, code: str, words: str, at_ms: int) -> str:
    return frames.error(code, words, at_ms, command.request_id)


def _failed(command: CommandPayload, words: str, now: datetime) -> str:
    return frames.response(
        Answered(request_id=command.request_id, digest="", done=False, message=words, at_ms=_ms(now))
    )


def _request_id(raw: str | bytes) -> str | None:
    """The id that a broken frame names all the same, at the top or in its payload."""
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    payload = content.get("payload")
    for holder in (content, payload if isinstance(payload, dict) else {}):
        found = holder.get("requestId")
        if isinstance(found, str) and 1 <= len(found) <= MAX_REQUEST_ID_CHARACTERS and found.isprintable():
            return found
    return None


def _ms(now: datetime) -> int:
    return int(now.timestamp() * 1000)
