"""The mouth: the process that speaks. `python -m omniid.workers.mouth --channel-fd N`.

It says WorkerReady and is told ConfigureMouth, then Say and StopSpeaking. Each Say is answered, in order, by
SpeechStarted (where there is something to hear) and then one SpeechFinished or SpeechFailed.

The main thread reads the channel and waits for nothing else, so the end of the channel ends the process at
once, whatever a native library is doing. A library that hangs is reported, then the process goes: the
supervisor starts one in which it works.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from omniid.audio.player import make_player, make_spare
from omniid.errors import AudioError, OmniidError, ProtocolError, SpeechError
from omniid.speech.speaker import Speaker
from omniid.speech.synthesizer import Synthesizer
from omniid.speech.voices import make_fallback, make_voice
from omniid.workers.channel import (
    VERSION,
    ConfigureMouth,
    FromMouth,
    Message,
    Say,
    SpeechFailed,
    SpeechFinished,
    SpeechStarted,
    StopSpeaking,
    VoiceNoted,
    WorkerReady,
    decode,
    encode,
)

EXIT_CHANNEL_ENDED = 0
EXIT_BROKEN = 1
EXIT_HUNG = 3
_BEYOND_REPAIR = {"speaker_hung", "voice_hung"}


class Mouth:
    """Carries messages between the channel and the speaker; it is the speaker's `Listener`."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._sending = threading.Lock()
        self._voices: list[Synthesizer] = []
        self._speaker: Speaker | None = None
        self._device = ""
        self._notes: dict[str, str] = {}

    def run(self) -> NoReturn:
        self._send(WorkerReady(VERSION, os.getpid()))
        with self._channel.makefile("rb") as lines:
            for line in lines:
                self._handle(decode(line))
        self._exit(EXIT_CHANNEL_ENDED)

    def _handle(self, message: Message) -> None:
        match message:
            case ConfigureMouth() if self._speaker is None:
                self._configure(message)
            case Say() if self._speaker is not None:
                self._speaker.say(message.utterance_id, message.text, in_history=message.in_history)
            case StopSpeaking() if self._speaker is not None:
                self._speaker.stop()
            case _:
                raise ProtocolError(f"{type(message).__name__} is not for a mouth to hear now.")

    def _configure(self, config: ConfigureMouth) -> None:
        voice = make_voice(config.engine, voice=config.voice, rate=config.rate, volume=config.volume)
        fallback = make_fallback(config.engine, rate=config.rate, volume=config.volume)
        self._voices = [voice] if fallback is None else [voice, fallback]
        self._device = config.output_device or ""
        place = (config.output_device, config.output_file)
        self._speaker = Speaker(voice, make_player(*place), self, fallback=fallback, spare=make_spare(*place))
        self._speaker.start()

    def started(self, utterance_id: str, first_sound_at: float, device: str) -> None:
        self._send(SpeechStarted(utterance_id, first_sound_at, device))

    def finished(self, utterance_id: str, cause: str) -> None:
        self._send(SpeechFinished(utterance_id, cause))

    def failed(self, utterance_id: str, error: OmniidError) -> None:
        self._send(SpeechFailed(utterance_id, error.code, error.message))
        if error.code in _BEYOND_REPAIR and self._speaker is not None:
            for waiting in self._speaker.unfinished():
                self._send(SpeechFailed(waiting, error.code, error.message))
            self._exit(EXIT_HUNG)

    def replaced(self, error: SpeechError) -> None:
        self._note("voice", f"The system's own voice speaks instead. {error.message}")

    def moved(self, error: AudioError | None) -> None:
        if error is None:
            self._note("speaker", None)
        elif error.code == "no_speaker":
            self._note(
                "speaker",
                f"The speaker {self._device!r} does not open; the system's own is used. {error.message}",
            )
        else:
            self._note(
                "speaker",
                f"The speaker {self._device!r} is not there; the system's own is used. Plug it in, or set "
                "audio.output_device to one that `omniid devices` lists.",
            )

    def _note(self, part: str, note: str | None) -> None:
        """The voice and the speaker are noted together, so that neither hides what is said of the other."""
        self._notes.pop(part, None)
        if note is not None:
            self._notes[part] = note
        self._send(VoiceNoted(" ".join(self._notes.values()) or None))

    def _send(self, message: FromMouth) -> None:
        with self._sending:
            self._channel.sendall(encode(message))

    def _exit(self, status: int) -> NoReturn:
        """Without the interpreter's orderly end, which would wait for threads that may hang."""
        sys.stderr.flush()
        # A voice whose temporary file is removed from under it would complain, and nobody should care.
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - it lives until the next line but two
        for voice in self._voices:
            voice.close()
        os._exit(status)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    parser = argparse.ArgumentParser(prog="python -m omniid.workers.mouth", description=__doc__)
    parser.add_argument("--channel-fd", type=int, required=True, help="our end of the channel's socket pair")
    _silence_native_libraries()
    channel = socket.socket(fileno=parser.parse_args(arguments).channel_fd)
    channel.set_inheritable(False)
    mouth = Mouth(channel)

    def exit_with(failure: BaseException | None) -> NoReturn:
        """A mistake in any thread must not leave a mouth that only looks alive."""
        traceback.print_exception(failure)
        mouth._exit(EXIT_BROKEN)  # noqa: SLF001 - this module's own

    threading.excepthook = lambda args: exit_with(args.exc_value)
    try:
        mouth.run()
    except (OmniidError, OSError) as error:
        exit_with(error)


def _silence_native_libraries() -> None:
    """ALSA, JACK and eSpeak tell descriptor 2 whatever this machine lacks; our own words stay."""
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    os.close(nothing)


if __name__ == "__main__":
    main()
