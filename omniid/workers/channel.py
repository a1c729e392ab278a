"""What the daemon and its two children, the ear and the mouth, say to each other.

A channel is one Unix socket pair. Each message is one line of JSON, `{"type": <class name>, ...fields}`,
so that a stray print from a native library can never be taken for a message, and a captured conversation
can be read. The two ends are always the same version of omniid; `WorkerReady.version` proves it.

Sound never travels here. Times are readings of the monotonic clock in seconds, which all processes of a
machine share, so the daemon can subtract a child's reading from its own.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

from omniid.errors import ProtocolError

VERSION = 1
MAX_LINE_BYTES = 1_048_576


@dataclass(frozen=True, slots=True)
class WorkerReady:
    """First word of a child: it has loaded what it needs to stand by."""

    version: int
    pid: int


@dataclass(frozen=True, slots=True)
class ConfigureEar:
    """First word to an ear. `None` means "the default": device, model, language."""

    input_device: str | None
    input_file: str | None
    input_pace: float
    min_take_ms: int
    max_take_s: float
    model: str
    device: str
    compute_type: str
    language: str | None
    vocabulary: list[str]
    reject: float


@dataclass(frozen=True, slots=True)
class StartTake:
    """Open the microphone now; load the model meanwhile."""

    take_id: str


@dataclass(frozen=True, slots=True)
class StopTake:
    """Close the microphone and recognise what was said."""

    take_id: str


@dataclass(frozen=True, slots=True)
class CancelTake:
    """Close the microphone and forget what was said."""

    take_id: str


@dataclass(frozen=True, slots=True)
class TranscribeFile:
    """Recognise a sound file as one take; no microphone is opened."""

    take_id: str
    path: str


@dataclass(frozen=True, slots=True)
class CaptureOpened:
    """The first real block of sound is here. Only now is the microphone known to work."""

    take_id: str
    device: str
    first_sample_at: float


@dataclass(frozen=True, slots=True)
class InputFileEnded:
    """`audio.input_file` has been read to its end; silence follows, as from a real microphone."""

    take_id: str


@dataclass(frozen=True, slots=True)
class CaptureEnded:
    """The microphone is closed. `cause`: released, cancelled, cap, device_lost."""

    take_id: str
    cause: str
    ended_at: float
    duration_s: float
    overflows: int


@dataclass(frozen=True, slots=True)
class TakeRecognised:
    """What was said. `confidence` is the mean token probability, 0 to 1."""

    take_id: str
    text: str
    confidence: float
    language: str
    duration_s: float
    speech_s: float
    model: str
    model_load_s: float
    recognition_s: float


@dataclass(frozen=True, slots=True)
class TakeEmpty:
    """Nothing was said. `reason`: too_short, dead_microphone, no_speech, unsure, cancelled."""

    take_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class TakeFailed:
    """The take could not be captured or recognised; `message` says what to do."""

    take_id: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ConfigureMouth:
    """First word to a mouth. `rate` is in words a minute, `volume` 0 to 1."""

    engine: str
    voice: str | None
    rate: int
    volume: float
    output_device: str | None
    output_file: str | None


@dataclass(frozen=True, slots=True)
class Say:
    utterance_id: str
    text: str


@dataclass(frozen=True, slots=True)
class StopSpeaking:
    """Silence at once; whatever was queued in the mouth is forgotten."""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The first samples have been handed to the speaker (or written to `output_file`)."""

    utterance_id: str
    first_sound_at: float
    device: str


@dataclass(frozen=True, slots=True)
class SpeechFinished:
    """`cause`: spoken, stopped."""

    utterance_id: str
    cause: str


@dataclass(frozen=True, slots=True)
class SpeechFailed:
    utterance_id: str
    code: str
    message: str


ToEar = ConfigureEar | StartTake | StopTake | CancelTake | TranscribeFile
FromEar = (
    WorkerReady | CaptureOpened | InputFileEnded | CaptureEnded | TakeRecognised | TakeEmpty | TakeFailed
)
ToMouth = ConfigureMouth | Say | StopSpeaking
FromMouth = WorkerReady | SpeechStarted | SpeechFinished | SpeechFailed
Message = ToEar | FromEar | ToMouth | FromMouth

_CLASSES: dict[str, type[Any]] = {cls.__name__: cls for cls in get_args(Message)}


def encode(message: Message) -> bytes:
    """One message as one line, newline included."""
    fields = {"type": type(message).__name__, **dataclasses.asdict(message)}
    line = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    # Half a surrogate pair, which a peer's JSON may hold, becomes the escape that JSON has for it.
    return line.encode(errors="backslashreplace") + b"\n"


def decode(line: bytes) -> Message:
    """The message a line holds.

    Raises:
        ProtocolError: the line is no message of this version.
    """
    try:
        fields = json.loads(line)
        cls = _CLASSES[fields.pop("type")]
        message: Message = cls(**fields)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProtocolError(f"A worker message is not of version {VERSION}: {line[:200]!r}") from error
    _check_types(message)
    return message


def _check_types(message: Message) -> None:
    for name, hint in get_type_hints(type(message)).items():
        value = getattr(message, name)
        allowed = tuple(
            list if part == list[str] else part for part in (get_args(hint) if _is_union(hint) else (hint,))
        )
        if isinstance(value, bool) or not isinstance(value, (*allowed, int) if float in allowed else allowed):
            raise ProtocolError(
                f"{type(message).__name__}.{name} should be {hint}, not {type(value).__name__}."
            )


def _is_union(hint: object) -> bool:
    return type(hint).__name__ in {"UnionType", "Union"}
