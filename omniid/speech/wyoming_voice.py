"""A voice on another machine (or in another process), by the Wyoming protocol. The extra `wyoming`."""

from __future__ import annotations

import socket
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from typing import Any, BinaryIO, TypeVar, cast
from urllib.parse import urlsplit

from omniid.errors import SpeechError
from omniid.speech.synthesizer import Sound

HOW_TO_INSTALL = "pip install 'omniid[wyoming]'"
CONNECT_S = 2.0
ANSWER_S = 7.0  # for all of one sentence; after more than that the speaker takes it for hung
DESCRIBE_S = 3.0
MAX_ANSWER_BYTES = 32 * 1024 * 1024
_SAMPLE_BYTES = 2
_T = TypeVar("_T")


class WyomingVoice:
    """A `Synthesizer`. One connection a sentence, so that a server that was restarted is no event."""

    def __init__(self, uri: str | None, voice: str | None, *, volume: float) -> None:
        """`uri`: tcp://host:port or unix:///path; `voice`: a name the server knows, None: its default."""
        self._uri = uri
        self._voice = voice
        self._volume = volume
        self._language: str | None = None

    @property
    def language(self) -> str | None:
        return self._language

    def prepare(self) -> None:
        if self._language is not None:
            return
        offered = [voice for voice in list_voices(self._uri) if self._voice in {None, voice.name}]
        if not offered and self._voice is not None:
            raise SpeechError(f"{self._uri} has no voice {self._voice!r}.", code="no_such_voice")
        # Which of several is the server's default it does not say.
        languages = {voice.language for voice in offered}
        self._language = languages.pop() if len(languages) == 1 else ""

    def synthesize(self, text: str) -> Sound:
        wyoming = _load()
        voice = None if self._voice is None else wyoming.tts.SynthesizeVoice(name=self._voice)
        request = wyoming.tts.Synthesize(text=text, voice=voice).event()
        sound = _ask(self._uri, request, lambda events: _sound(events, wyoming), ANSWER_S)
        return sound.at_volume(self._volume)

    def close(self) -> None:
        """Nothing is kept outside this process."""


@dataclass(frozen=True, slots=True)
class RemoteVoice:
    name: str
    language: str


def list_voices(uri: str | None) -> list[RemoteVoice]:
    """What a server offers.

    Raises:
        SpeechError: it cannot be reached, or it is no Wyoming server.
    """
    wyoming = _load()

    def read(events: Iterator[Any]) -> list[RemoteVoice]:
        for event in events:
            if wyoming.info.Info.is_type(event.type):
                programs = wyoming.info.Info.from_event(event).tts
                voices = [voice for program in programs for voice in program.voices]
                return [RemoteVoice(voice.name, (voice.languages or [""])[0]) for voice in voices]
        raise SpeechError(f"{uri} broke off instead of naming its voices.")

    return _ask(uri, wyoming.info.Describe().event(), read, DESCRIBE_S)


def _load() -> Any:
    try:
        import wyoming.audio  # noqa: PLC0415 - an extra, which only this voice needs
        import wyoming.error  # noqa: PLC0415
        import wyoming.event  # noqa: PLC0415
        import wyoming.info  # noqa: PLC0415
        import wyoming.tts  # noqa: PLC0415
    except ImportError as error:
        raise SpeechError(
            f"The voice engine wyoming is not installed. Install it: {HOW_TO_INSTALL}", code="no_voice_engine"
        ) from error
    return wyoming


def _ask(uri: str | None, request: Any, read: Callable[[Iterator[Any]], _T], within_s: float) -> _T:
    """Send one request and make something of the events that answer it."""
    try:
        with _connected(uri) as connection, connection.makefile("wb") as out:
            _load().event.write_event(request, out)
            return read(_events(connection, within_s))
    except TimeoutError as error:
        raise SpeechError(f"The voice at {uri} does not answer.", code="voice_unreachable") from error
    except OSError as error:
        raise SpeechError(
            f"The voice at {uri} cannot be reached ({error.strerror or error}). Is its server running?",
            code="voice_unreachable",
        ) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SpeechError(f"What answers at {uri} is no Wyoming server ({error!r}).") from error


@contextmanager
def _connected(uri: str | None) -> Iterator[socket.socket]:
    family, address = _address(uri)
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(CONNECT_S)
        connection.connect(address)
        yield connection


def _address(uri: str | None) -> tuple[socket.AddressFamily, Any]:
    try:
        parts = urlsplit(uri or "")
        if parts.scheme == "unix" and parts.path:
            return socket.AF_UNIX, parts.path
        if parts.scheme == "tcp" and parts.hostname and parts.port:
            found = socket.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_STREAM)
            return found[0][0], found[0][4]
    except ValueError:  # a port that is none, a bracket too few
        pass
    raise SpeechError(
        "The voice engine wyoming needs an address in speech.voice such as tcp://192.0.2.7:10200.",
        code="bad_voice",
    )


def _events(connection: socket.socket, within_s: float) -> Iterator[Any]:
    """Until the peer ends, as long as it keeps to its time and size."""
    with connection.makefile("rb") as file:
        reader = cast("BinaryIO", _Measured(connection, file, within_s))
        read_event = _load().event.read_event
        while (event := read_event(reader)) is not None:
            if _load().error.Error.is_type(event.type):
                text = _load().error.Error.from_event(event).text
                raise SpeechError(f"The voice server says: {text[:200]}")
            yield event


class _Measured:
    """A reader with one deadline and one limit for all that is read from it."""

    def __init__(self, connection: socket.socket, file: BufferedReader, within_s: float) -> None:
        self._connection = connection
        self._file = file
        self._deadline = time.monotonic() + within_s
        self._left = MAX_ANSWER_BYTES

    def readline(self) -> bytes:
        return self._measured(self._file.readline(self._patience(self._left)))

    def read(self, size: int) -> bytes:
        if size > self._left:
            raise ValueError(f"an answer of more than {MAX_ANSWER_BYTES} bytes")
        return self._measured(self._file.read1(self._patience(size)))

    def _patience(self, size: int) -> int:
        remaining_s = self._deadline - time.monotonic()
        if remaining_s <= 0:
            raise TimeoutError
        self._connection.settimeout(remaining_s)
        return size

    def _measured(self, data: bytes) -> bytes:
        self._left -= len(data)
        return data


def _sound(events: Iterator[Any], wyoming: Any) -> Sound:
    """One sentence's samples, of several channels the first."""
    rate, channels, chunks = 0, 1, []
    for event in events:
        if wyoming.audio.AudioStart.is_type(event.type):
            start = wyoming.audio.AudioStart.from_event(event)
            rate, channels = int(start.rate), int(start.channels)
            if start.width != _SAMPLE_BYTES or rate <= 0 or channels <= 0:
                raise ValueError(f"sound of {start.width} bytes a sample, {channels} channels, {rate} Hz")
        elif wyoming.audio.AudioChunk.is_type(event.type):
            chunks.append(event.payload or b"")
        elif wyoming.audio.AudioStop.is_type(event.type):
            break
    else:
        raise SpeechError("The voice server broke off in the middle of a sentence.")
    samples = b"".join(chunks)
    if not rate and samples:
        raise ValueError("sound without its rate")
    whole = array("h", samples[: len(samples) // (2 * channels) * 2 * channels])
    return Sound(rate or 16_000, whole[::channels].tobytes())
