"""A sound file into words, by an ear of its own: no daemon and no microphone are needed."""

from __future__ import annotations

import asyncio
from pathlib import Path

from omniid.children import ear_config
from omniid.config import Settings
from omniid.errors import RecognitionError, WorkerError
from omniid.events import HOLD, Manner
from omniid.workers.channel import Message, TakeEmpty, TakeFailed, TakeRecognised, TranscribeFile
from omniid.workers.supervisor import Worker, WorkerLost, worker_command

# An ear recognises several times faster than people speak; this is for the slowest machine that is of use.
_DEADLINE_S = 60.0
_DEADLINE_PER_TAKE_S = 3.0
_TAKE_ID = "file"

Outcome = TakeRecognised | TakeEmpty


def transcribe(path: Path, settings: Settings, manner: Manner = HOLD) -> Outcome:
    """What is said in a sound file.

    Raises:
        RecognitionError: there is no model, or the file cannot be recognised; `code` says which.
        WorkerError: the recogniser crashed or hung.
    """
    outcome = asyncio.run(_transcribe(path.absolute(), settings, manner))
    match outcome:
        case TakeFailed(code=code, message=message):
            raise RecognitionError(message, code=code)
        case WorkerLost(message=message):
            raise WorkerError(f"{message} Try again; if it happens again, try a smaller model.")
        case _:
            return outcome


async def _transcribe(path: Path, settings: Settings, manner: Manner) -> Outcome | TakeFailed | WorkerLost:
    ended: asyncio.Future[Outcome | TakeFailed | WorkerLost] = asyncio.get_running_loop().create_future()

    def on_message(report: Message | WorkerLost) -> None:
        if isinstance(report, TakeRecognised | TakeEmpty | TakeFailed | WorkerLost) and not ended.done():
            ended.set_result(report)

    ear = Worker(
        "the recogniser",
        worker_command("ear"),
        configure=lambda: ear_config(settings),
        on_message=on_message,
        log=_ignore,
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(ear.run())
        ear.send(TranscribeFile(_TAKE_ID, str(path), manner.language, manner.model))
        ear.expect(_TAKE_ID, _DEADLINE_S + _DEADLINE_PER_TAKE_S * settings.audio.max_take_s)
        outcome = await ended
        await ear.stop()
    return outcome


def _ignore(_stream: str, _line: str) -> None:
    """What went wrong comes as a message; the recogniser's chatter is for the daemon's log."""
