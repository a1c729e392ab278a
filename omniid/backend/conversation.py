"""What is said to a client: frames, what is remembered and the time in; frames and what to remember out.

Pure: no clock, no disk, no socket. A connection begins with `frames.hello()`. Each text then goes through
`receive`, which gives the answers that need no work at once, or the command to do; `answer` does that.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from omniid.backend import frames
from omniid.backend.intents import recognise
from omniid.backend.records import Answered, Memory
from omniid.backend.skills import SAFE, SKILLS, Request
from omniid.errors import ProtocolError, StorageError
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
_SEALED = ("sealed_not_supported", "This server has no key to open a sealed command. Send it in clear.")


@dataclass(frozen=True, slots=True)
class Step:
    """A frame to send once `memory` is kept; `memory` is the one given where there is nothing new to keep."""

    frame: str
    memory: Memory


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


def answer(command: CommandPayload, memory: Memory, now: datetime, notice: str = "") -> Step:
    """Does a command. One that was answered before gets the same answer, and nothing is done.

    `now` is aware. `notice` is said first.
    """
    message = command.message
    if message is None:
        return Step(_refused(command, *_SEALED, _ms(now)), memory)
    digest = hashlib.sha256(message.encode()).hexdigest()[:32]
    before = next((each for each in memory.answered if each.request_id == command.request_id), None)
    if before is not None:
        if before.digest == digest:
            return Step(frames.response(before), memory)
        words = ("request_id_reused", "This requestId belongs to another command. Nothing was done.")
        return Step(_refused(command, *words, _ms(now)), memory)
    understood = recognise(message)
    if (command.metadata or {}).get(ONLY_IF_SAFE) is True and understood.name not in SAFE:
        words = ("not_answered_here", "Only your own assistant can answer that.")
        return Step(_refused(command, *words, _ms(now)), memory)
    request = Request(message, understood.slots, users_time(command, now), memory.tasks)
    given = SKILLS[understood.name](request)
    answered = Answered(
        request_id=command.request_id,
        digest=digest,
        done=given.done,
        message=f"{notice} {given.message}".strip(),
        suggestions=given.suggestions,
        at_ms=_ms(now),
    )
    kept = Memory(
        tasks=memory.tasks if given.tasks is None else given.tasks,
        answered=(*memory.answered, answered)[-MAX_ANSWERED:],
    )
    return Step(frames.response(answered), kept)


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
    if said is not None and said.tzinfo is not None:
        return said
    try:
        zone = ZoneInfo(command.user_timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # A name of no zone, or of a folder or file that is none: this clock is the best there is.
        return said.replace(tzinfo=now.tzinfo) if said else now
    return said.replace(tzinfo=zone) if said else now.astimezone(zone)


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
