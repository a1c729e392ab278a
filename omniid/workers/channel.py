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

VERSION = 3
MOUTH_LOST = "mouth_lost"  # the code of a SpeechFailed that the daemon makes for a mouth which cannot
MAX_LINE_BYTES = 1_048_576


@dataclass(frozen=True, slots=True)
class WorkerReady:
    """First word of a child: it has loaded what it needs to stand by."""

    version: int
    pid: int


@dataclass(frozen=True, slots=True)
class ConfigureEar:
    """First word to an ear. `None` means "the default": device, model, language.

    `shut`: the microphone stays shut, however warm the user wanted it. `takes_folder` is where the sound of
    each take is kept until the daemon has no more need of it.
    """

    input_device: str | None = None
    input_file: str | None = None
    input_pace: float = 1.0
    output_device: str | None = None
    cues: bool = True
    preroll_ms: int = 0
    end_silence_ms: int = 1_200
    min_take_ms: int = 300
    max_take_s: float = 60.0
    takes_folder: str | None = None
    shut: bool = False
    engine: str = "whisper"
    uri: str | None = None
    model: str = "auto"
    device: str = "auto"
    compute_type: str = "auto"
    language: str | None = None
    languages: list[str] = dataclasses.field(default_factory=list)
    vocabulary: list[str] = dataclasses.field(default_factory=list)
    keep_model: bool = False
    partials: bool = True
    accept: float = 0.65
    reject: float = 0.3


@dataclass(frozen=True, slots=True)
class StartTake:
    """Open the microphone now; load the model meanwhile.

    `language` and `model` are wishes of the key's profile. `ends_by_silence`: so much silence after speech
    as is configured ends the take, since no key is held.
    """

    take_id: str
    language: str | None = None
    model: str | None = None
    ends_by_silence: bool = False


@dataclass(frozen=True, slots=True)
class LatchTake:
    """The key is up and the take goes on: from now on silence ends it."""

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
    """Recognise a sound file as one take; no microphone is opened.

    What an earlier ear kept of a take is such a file too.
    """

    take_id: str
    path: str
    language: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class KeepMicrophoneShut:
    """Whether the microphone must stay shut between takes too, however warm the user wanted it."""

    shut: bool


@dataclass(frozen=True, slots=True)
class PlayCue:
    """A short sound. `cue`: listening, done, nothing_heard, error, question, waiting (offline)."""

    cue: str


@dataclass(frozen=True, slots=True)
class TakeBegun:
    """The ear has understood and is opening the microphone."""

    take_id: str


@dataclass(frozen=True, slots=True)
class CaptureOpened:
    """The first real block of sound is here. Only now is the microphone known to work."""

    take_id: str
    device: str
    first_sample_at: float


@dataclass(frozen=True, slots=True)
class LevelHeard:
    """How loud it has been since the last such message: the peak in dB below full scale, -96 to 0."""

    take_id: str
    peak_db: float


@dataclass(frozen=True, slots=True)
class TakePartial:
    """What has been understood so far, while the user still speaks. It may still change."""

    take_id: str
    text: str


@dataclass(frozen=True, slots=True)
class InputFileEnded:
    """`audio.input_file` has been read to its end; silence follows, as from a real microphone."""

    take_id: str


@dataclass(frozen=True, slots=True)
class CaptureEnded:
    """The microphone is closed. `cause`: released, silence, cancelled, cap, device_lost."""

    take_id: str
    cause: str
    ended_at: float
    duration_s: float
    overflows: int


@dataclass(frozen=True, slots=True)
class TakeRecognised:
    """What was said. `confidence`: how sure the recogniser is of the words, 0 to 1.

    `recognition_s` is the time from the capture's end to the text; `speculated`: it was known before that.
    """

    take_id: str
    text: str
    confidence: float
    language: str
    duration_s: float
    speech_s: float
    model: str
    model_load_s: float
    recognition_s: float
    speculated: bool = False


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
class ModelReady:
    """A recogniser can be used. `note` says what is not as the user wanted it, such as a GPU that failed."""

    model: str
    device: str
    compute_type: str
    load_s: float
    note: str | None = None


@dataclass(frozen=True, slots=True)
class RecogniserNoted:
    """The recogniser elsewhere is away and the local one has taken over; None: it is back."""

    note: str | None = None


@dataclass(frozen=True, slots=True)
class MicrophoneKept:
    """The microphone stands open between takes, as `audio.preroll_ms` wants it, or does so no longer."""

    is_open: bool
    device: str | None = None


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
    """`in_history`: the whole text can be read there, so a long one may be cut with a word of that."""

    utterance_id: str
    text: str
    in_history: bool = True


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


@dataclass(frozen=True, slots=True)
class VoiceNoted:
    """Another voice speaks, or another speaker sounds, in place of the wanted one; None: all is as wanted."""

    note: str | None = None


ToEar = (
    ConfigureEar
    | StartTake
    | LatchTake
    | StopTake
    | CancelTake
    | TranscribeFile
    | KeepMicrophoneShut
    | PlayCue
)
FromEar = (
    WorkerReady
    | TakeBegun
    | CaptureOpened
    | LevelHeard
    | TakePartial
    | InputFileEnded
    | CaptureEnded
    | TakeRecognised
    | TakeEmpty
    | TakeFailed
    | ModelReady
    | RecogniserNoted
    | MicrophoneKept
)
ToMouth = ConfigureMouth | Say | StopSpeaking
FromMouth = WorkerReady | SpeechStarted | SpeechFinished | SpeechFailed | VoiceNoted
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
        if float in allowed:
            allowed = (*allowed, int)
        if (isinstance(value, bool) and bool not in allowed) or not isinstance(value, allowed):
            raise ProtocolError(
                f"{type(message).__name__}.{name} should be {hint}, not {type(value).__name__}."
            )


def _is_union(hint: object) -> bool:
    return type(hint).__name__ in {"UnionType", "Union"}
