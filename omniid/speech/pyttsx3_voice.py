"""Voices of the operating system through pyttsx3: eSpeak NG on Linux, the system's own on macOS.

pyttsx3 is only asked to write files. When it plays by itself it goes through `aplay`, cannot choose the
device and cannot be silenced. Its volume is left at full and applied here, since eSpeak honours only silence.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from omniid.errors import SpeechError
from omniid.speech.sound_file import read_sound
from omniid.speech.synthesizer import Sound

FOLDER_PREFIX = "omniid-speech-"
STALE_S = 60.0  # far longer than a sentence takes to make
NAMED_VOICES = 5
_NO_ENGINE = {
    "linux": "No voice can be loaded: install libespeak-ng1 (Debian) or espeak-ng.",
    "darwin": "No voice can be loaded: install pyobjc beside pyttsx3.",
}


class Pyttsx3Voice:
    """A `Synthesizer`. Its engine lives in the thread that calls it and is made anew after an error."""

    def __init__(self, voice: str | None, *, rate: int, volume: float) -> None:
        """`voice`: an id, a name or a language as pyttsx3 lists them; `rate`: words a minute."""
        self._voice = voice
        self._rate = rate
        self._volume = volume
        self._engine: Any = None
        self._errors: list[str] = []
        self._folder: Path | None = None
        self._folder_lock = threading.Lock()
        self._closed = False
        self._language: str | None = None

    @property
    def language(self) -> str | None:
        return self._language

    def prepare(self) -> None:
        if self._engine is None:
            _remove_stale_folders()
            self._engine = self._new_engine()
            self._language = _language(self._engine)

    def synthesize(self, text: str) -> Sound:
        self.prepare()
        try:
            return self._through_a_file(text).at_volume(self._volume)
        except SpeechError:
            self._engine = None
            raise

    def close(self) -> None:
        with self._folder_lock:
            self._closed = True
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)

    def _new_engine(self) -> Any:
        engine = load_engine()
        if self._voice is not None:
            engine.setProperty("voice", find_voice(self._voice, engine.getProperty("voices")))
        engine.setProperty("rate", self._rate)
        engine.connect("error", self._note_error)
        engine.connect("finished-utterance", self._note_end)
        # It believes that it is busy until its first run: it keeps the settings above to itself until then,
        # and returns from that run before the sound is made.
        engine.proxy.setBusy(False)
        return engine

    def _note_error(self, name: str | None, exception: Exception) -> None:  # noqa: ARG002 - pyttsx3's names
        self._errors.append(str(exception))

    def _note_end(self, name: str | None, completed: bool) -> None:  # noqa: ARG002
        if not completed:
            self._errors.append("it ended before its time")

    def _through_a_file(self, text: str) -> Sound:
        self._errors.clear()
        with self._private_folder() as folder:
            path = folder / "speech.wav"
            # It announces each file it writes, with its path.
            with contextlib.redirect_stdout(None):
                _wait_until_idle()
                self._engine.save_to_file(text, str(path))
                self._engine.runAndWait()
            if self._errors:
                raise SpeechError(f"The voice engine failed: {self._errors[-1]}.")
            return read_sound(path)

    @contextlib.contextmanager
    def _private_folder(self) -> Iterator[Path]:
        """A folder only we can read, gone afterwards."""
        with self._folder_lock:
            if self._closed:
                raise SpeechError("The voice has been closed.")
            try:
                folder = self._folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir=_base_folder()))
            except OSError as error:
                raise SpeechError(f"There is no room for a temporary sound file ({error}).") from error
        try:
            yield folder
        finally:
            with self._folder_lock:
                shutil.rmtree(folder, ignore_errors=True)
                self._folder = None


def load_engine() -> Any:
    """pyttsx3's engine for this system.

    Raises:
        SpeechError: there is none, or the library that it needs is missing.
    """
    try:
        import pyttsx3  # noqa: PLC0415 - only the mouth speaks, and only when asked

        with _no_sound_server():
            return pyttsx3.init()
    except (ImportError, RuntimeError, OSError) as error:
        sentence = _NO_ENGINE.get(sys.platform, "No voice can be loaded on this system.")
        raise SpeechError(f"{sentence} ({error})", code="no_voice_engine") from error


def _language(engine: Any) -> str | None:
    """Of the voice that is set, as the list of voices has it."""
    used = engine.getProperty("voice")
    for voice in engine.getProperty("voices"):
        if voice.id == used and voice.languages:
            return str(voice.languages[0])
    return None


def _wait_until_idle() -> None:
    """Until eSpeak's own thread is done: else pyttsx3 begins a new text by cancelling it."""
    espeak = sys.modules.get("pyttsx3.drivers._espeak")
    while espeak is not None and espeak.IsPlaying():
        time.sleep(0.001)


@contextlib.contextmanager
def _no_sound_server() -> Iterator[None]:
    """While eSpeak is loaded: it looks for PulseAudio and hangs with it, though here it never plays."""
    kept = os.environ.get("PULSE_SERVER")
    os.environ["PULSE_SERVER"] = "unix:/nonexistent"
    try:
        yield
    finally:
        if kept is None:
            del os.environ["PULSE_SERVER"]
        else:
            os.environ["PULSE_SERVER"] = kept


def _base_folder() -> Path:
    """The runtime folder where there is one: memory, ours alone, gone at logout."""
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR", ""))
    return runtime if runtime.is_absolute() and os.access(runtime, os.W_OK) else Path(tempfile.gettempdir())


def _remove_stale_folders() -> None:
    """What a mouth that was killed in mid-sentence has left behind."""
    for folder in _base_folder().glob(f"{FOLDER_PREFIX}*"):
        with contextlib.suppress(FileNotFoundError):
            status = folder.lstat()
            if status.st_uid == os.getuid() and time.time() - status.st_mtime > STALE_S:
                shutil.rmtree(folder, ignore_errors=True)


def find_voice(wanted: str, voices: list[Any]) -> str:
    """The id of the wanted voice: by its id, the id's last part, its name or its language.

    Raises:
        SpeechError: there is none; a few that are near are named.
    """
    folded = wanted.casefold()
    ways: tuple[Callable[[Any], list[str]], ...] = (
        lambda voice: [voice.id],
        lambda voice: [voice.id.rpartition("/")[2]],
        lambda voice: [voice.name],
        lambda voice: voice.languages or [],
    )
    for names in ways:
        for voice in voices:
            if folded in {str(name).casefold() for name in names(voice)}:
                return str(voice.id)
    known = ", ".join(str(voice.id) for voice in _nearest(folded, voices))
    raise SpeechError(f"There is no voice {wanted!r}; there are {known} and others.", code="no_such_voice")


def _nearest(wanted: str, voices: list[Any]) -> list[Any]:
    """A few voices to name: those that begin alike first, then the list's own order."""
    alike = [voice for voice in voices if wanted[:2] in {str(name)[:2] for name in voice.languages or []}]
    return [*alike, *(voice for voice in voices if voice not in alike)][:NAMED_VOICES]
