"""A recogniser on another machine, or in another process, that speaks the Wyoming protocol.

Wyoming gives text and no confidence, so none is invented: each answer has UNKNOWN_CONFIDENCE, by the
Recognizer's contract the value of one that gives none, which no model reaches. What can be judged without a
number still is: an answer that repeats itself, or has more words than fit in the sound, was not said, and the
checks for phantoms come after this as for any recogniser.
"""

from __future__ import annotations

import io
import logging
import time
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

from omniid.errors import RecognitionError
from omniid.recognition import wyoming_uri
from omniid.recognition.doubt import MAX_COMPRESSION_RATIO, compression_ratio, token_budget
from omniid.recognition.recognizer import NOTHING, Recognition, Wishes
from omniid.recognition.wyoming_link import Link, LinkError, NoLongerWantedError, Received

_log = logging.getLogger(__name__)

UNKNOWN_CONFIDENCE = 1.0
CONNECT_S = 1.0
ANSWER_S = 4.0  # for the shortest sound; a longer one gets its own length on top
RATE = 16_000
WIDTH_BYTES = 2
CHUNK_BYTES = RATE * WIDTH_BYTES // 4
MAX_TEXT_CHARS = 8_000
_FORMAT = {"rate": RATE, "width": WIDTH_BYTES, "channels": 1}
_MAX_NAME_CHARS = 100
_MAX_LANGUAGE_CHARS = 16
_MAX_EVENTS = 1_000
_JOINERS = "\u200c\u200d"  # Persian and Hindi cannot be written without


class WyomingRecognizer:
    """A server that can be reached. Each sound is a connection of its own. One thread at a time.

    `uri`: tcp://HOST:PORT or unix:///PATH. The server chooses the model.

    Raises:
        RecognitionError: the extra is not installed (`wyoming_missing`), `uri` is none (`bad_uri`), nobody is
            there (`recogniser_away`), or who is there recognises nothing (`recogniser_broken`).
    """

    compute_type = ""  # the server does not say
    note: str | None = None
    may_draft = False

    def __init__(self, uri: str, *, connect_s: float = CONNECT_S, answer_s: float = ANSWER_S) -> None:
        began = time.monotonic()
        _require_library()
        try:
            self._address = wyoming_uri.parse(uri)
        except ValueError as error:
            raise RecognitionError(f"recognition.uri: {error}.", code="bad_uri") from error
        self.device = uri
        self._connect_s = connect_s
        self._answer_s = answer_s
        self.model_name = self._ask_model_name()
        self.load_s = time.monotonic() - began
        _log.info("recogniser %s with model %s", uri, self.model_name)

    def recognise(self, pcm: bytes, wishes: Wishes, is_cancelled: Callable[[], bool]) -> Recognition:
        """As the Recognizer says.

        Raises:
            RecognitionError: the server is away (`recogniser_away`), or gives no sane answer in time
                (`recogniser_broken`).
        """
        duration_s = len(pcm) / (RATE * WIDTH_BYTES)
        language = _language(wishes)
        try:
            with self._connect(self._answer_s + duration_s, is_cancelled) as link:
                for content in _question(pcm, language, wishes.vocabulary):
                    link.send(content)
                answer = _await(link, "transcript")
                text = _text(answer)
        except NoLongerWantedError:
            return NOTHING
        except LinkError as error:
            raise self._broken(error) from error
        if is_cancelled() or not _can_be_said(text, duration_s):
            return NOTHING
        return Recognition(text, UNKNOWN_CONFIDENCE, _language_of(answer) or language or "")

    def _ask_model_name(self) -> str:
        try:
            with self._connect(self._answer_s, lambda: False) as link:
                link.send(_framed("describe"))
                return _model_name(_await(link, "info").data)
        except LinkError as error:
            raise self._broken(error) from error

    def _connect(self, answer_s: float, is_cancelled: Callable[[], bool]) -> Link:
        try:
            return Link(
                self._address, connect_s=self._connect_s, answer_s=answer_s, is_cancelled=is_cancelled
            )
        except LinkError as error:
            raise RecognitionError(
                f"The recogniser {self.device} {error}. Start it, or correct recognition.uri.",
                code="recogniser_away",
            ) from error

    def _broken(self, error: LinkError) -> RecognitionError:
        return RecognitionError(
            f"The recogniser {self.device} {error}. Look into its log.", code="recogniser_broken"
        )


def _require_library() -> None:
    try:
        import wyoming.event  # noqa: F401, PLC0415 - an extra, and only for who uses it
    except ImportError as error:
        raise RecognitionError(
            "engine = \"wyoming\" needs an extra: pip install 'omniid[wyoming]'.", code="wyoming_missing"
        ) from error


def _question(pcm: bytes, language: str | None, vocabulary: tuple[str, ...]) -> Iterator[bytes]:
    wishes: dict[str, Any] = {"language": language} if language is not None else {}
    if vocabulary:
        wishes["transcript_names"] = list(vocabulary)
    yield _framed("transcribe", wishes)
    yield _framed("audio-start", _FORMAT)
    for start in range(0, len(pcm), CHUNK_BYTES):
        yield _framed("audio-chunk", _FORMAT, pcm[start : start + CHUNK_BYTES])
    yield _framed("audio-stop")


def _framed(kind: str, data: dict[str, Any] | None = None, payload: bytes | None = None) -> bytes:
    """An event's bytes. The library's classes for sound are left out: they import the deprecated audioop."""
    from wyoming.event import Event, write_event  # noqa: PLC0415 - an extra, and only for who uses it

    buffer = io.BytesIO()
    write_event(Event(kind, data or {}, payload), buffer)
    return buffer.getvalue()


def _await(link: Link, wanted: str) -> Received:
    """The event of this type; parts of an answer and whatever else come before it are passed over."""
    for _ in range(_MAX_EVENTS):
        received = link.receive()
        if received.type == wanted:
            return received
        if received.type == "error":
            raise LinkError(f"refuses: {_clean(str(received.data.get('text', '')))[:200]!r}")
    raise LinkError("talks without answering")


def _text(answer: Received) -> str:
    text = answer.data.get("text")
    if not isinstance(text, str):
        raise LinkError("answers without a text")
    if len(text) > MAX_TEXT_CHARS:
        raise LinkError("answers with far more text than anybody says")
    return _clean(text)


def _can_be_said(text: str, duration_s: float) -> bool:
    """Whether somebody may have said it in that time, and not a recogniser that went round in a loop."""
    if not text or compression_ratio(text) > MAX_COMPRESSION_RATIO:
        return False
    return len(text.split()) <= token_budget(duration_s)


def _clean(text: str) -> str:
    """On one line, without control characters, bidi overrides and halves of characters."""
    kept = (
        char if char in _JOINERS or not unicodedata.category(char).startswith("C") else " " for char in text
    )
    return " ".join("".join(kept).split())


def _language(wishes: Wishes) -> str | None:
    """Wyoming takes one language, so of several the server has to find out by itself."""
    if wishes.language is not None:
        return wishes.language
    return wishes.languages[0] if len(wishes.languages) == 1 else None


def _language_of(answer: Received) -> str | None:
    language = answer.data.get("language")
    is_code = isinstance(language, str) and language.isascii() and language.replace("-", "").isalnum()
    return str(language) if is_code and len(str(language)) <= _MAX_LANGUAGE_CHARS else None


def _model_name(info: dict[str, Any]) -> str:
    """The first model of the first recogniser.

    Raises:
        LinkError: there is none.
    """
    for program in _dicts(info.get("asr")):
        for model in [*_dicts(program.get("models")), program]:
            name = model.get("name")
            if isinstance(name, str) and _clean(name):
                return _clean(name)[:_MAX_NAME_CHARS]
    raise LinkError("recognises no speech: it is a server of another kind")


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
