"""PortAudio, used in turn by the microphone and the speaker of one process.

It cannot open, close and look for devices in parallel, and looking for devices anew closes every stream. So
these go one at a time, and devices are looked for only while nothing is open. Nobody waits for long for a
call that hangs: the others go on beside it, and the process should soon be replaced.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from omniid.audio import jack
from omniid.errors import AudioError

_log = logging.getLogger(__name__)

TURN_S = 0.5


class _Use:
    """Who uses the library; it is one for the whole process. `hanging`: turns nobody waits for any more."""

    def __init__(self) -> None:
        self.turn = threading.Condition()
        self.hanging: set[threading.Condition] = set()
        self.streams: set[int] = set()


_use = _Use()
# While an import fails in one thread, another gets the half-made module without an error.
_importing = threading.Lock()


def load() -> Any:
    """The library, ready for use. The first call is slow, and hangs if the sound server hangs.

    Raises:
        AudioError: it is not installed (`no_audio_library`), or finds no sound system (`no_sound_system`).
    """
    try:
        with _importing:
            if "sounddevice" not in sys.modules:
                jack.clear_locks()
            import sounddevice  # noqa: PLC0415 - it starts the sound system, which may be absent or hang
    except OSError as error:
        raise AudioError(
            "The sound library PortAudio is missing: install it (Debian, Ubuntu: apt install libportaudio2; "
            "Fedora: dnf install portaudio; macOS: brew install portaudio).",
            code="no_audio_library",
        ) from error
    except Exception as error:
        if type(error).__name__ != "PortAudioError":  # the class belongs to the module that failed to load
            raise
        raise AudioError(f"The sound system does not start: {error}.", code="no_sound_system") from error
    return sounddevice


def start(make: Callable[[Any], Any]) -> Any:
    """The stream that `make` builds from the library, started.

    What goes wrong the first time is tried once more after PortAudio has looked for devices anew, since it
    does not see by itself what was plugged in, or which sound server was started, after it was.

    Raises:
        AudioError: the library is not there, or what `make` raised.
        sounddevice.PortAudioError: the stream cannot be opened.
    """
    sd = load()
    with _in_turn() as turn:
        try:
            return _started(make(sd), sd)
        except (sd.PortAudioError, AudioError) as error:
            if _use.hanging or not turn.wait_for(lambda: not _use.streams, TURN_S):
                raise
            _log.info("no stream opens, looking for devices anew: %s", error)
        _look_again(sd)
        return _started(make(sd), sd)


def close(stream: Any) -> None:
    """Stop at once and let go of the device."""
    with _in_turn() as turn:
        stream.abort(ignore_errors=True)
        stream.close(ignore_errors=True)
        _use.streams.discard(id(stream))
        turn.notify_all()


def has_hung() -> bool:
    """Whether a call hangs, so that this process does not see new devices."""
    return bool(_use.hanging)


@contextlib.contextmanager
def _in_turn() -> Iterator[threading.Condition]:
    """Nobody else is inside, except who hangs there."""
    turn = _use.turn
    if not turn.acquire(timeout=TURN_S):
        _log.warning("the sound library hangs in another thread, going on without it")
        _use.hanging.add(turn)
        _use.turn = turn = threading.Condition()
        turn.acquire()
    try:
        yield turn
    finally:
        _use.hanging.discard(turn)
        turn.release()


def _started(stream: Any, sd: Any) -> Any:
    try:
        stream.start()
    except sd.PortAudioError:
        stream.close(ignore_errors=True)
        raise
    _use.streams.add(id(stream))
    return stream


def _look_again(sd: Any) -> None:
    try:
        sd._terminate()  # noqa: SLF001 - the documented way to look for devices again
    except sd.PortAudioError as error:
        _log.debug("PortAudio was not running: %s", error)
    jack.clear_locks()
    sd._initialize()  # noqa: SLF001
