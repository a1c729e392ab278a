"""The ear: `python -m omniid.workers.ear --channel-fd N`. It hears takes and says what was said.

The main thread reads the channel and nothing else, so that the daemon's death (the channel's end) ends this
process and closes the microphone at once, whatever hangs. It stands by with the sound library loaded (on a
thread of its own: loading it hangs when the sound server does) and no model; the daemon gets the memory of a
model back by replacing the process.
"""

from __future__ import annotations

import argparse
import faulthandler
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from typing import NoReturn

from omniid.audio import cues, portaudio
from omniid.audio.cue_player import CuePlayer
from omniid.audio.files import FileSource
from omniid.audio.frames import Source
from omniid.audio.keeper import Keeper, Wish
from omniid.audio.take_file import is_plain_name
from omniid.errors import AudioError, ProtocolError
from omniid.workers import channel
from omniid.workers.channel import (
    CancelTake,
    ConfigureEar,
    KeepMicrophoneShut,
    LatchTake,
    Message,
    MicrophoneKept,
    PlayCue,
    StartTake,
    StopTake,
    TakeBegun,
    TakeFailed,
    TranscribeFile,
    WorkerReady,
)
from omniid.workers.live_take import LiveTake
from omniid.workers.model_loader import ModelLoader, ModelSettings
from omniid.workers.take import FileTake, Means, Take

_log = logging.getLogger("omniid.ear")

EXIT_DEVICE_HANGS = 75  # sysexits: a temporary failure, start me again
EXIT_PROTOCOL = 76  # sysexits: the other end does not keep to the protocol
MOST_MODELS = 2


class Ear:
    """What the messages do. One take has the microphone at a time; earlier ones may still be recognised."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._config: ConfigureEar | None = None
        self._loaders: dict[ModelSettings, ModelLoader] = {}
        self._takes: dict[str, Take] = {}
        self._keeper = Keeper(on_kept=self._tell_kept, on_hang=_leave)
        self._cues = CuePlayer(on_hang=self._leave_when_idle)
        self._is_worn_out = False

    def send(self, message: Message) -> None:
        """To the daemon. Without a daemon there is nothing to live for."""
        try:
            with self._sending:
                self._connection.sendall(channel.encode(message))
        except OSError:
            os._exit(0)

    def handle(self, message: Message) -> None:
        """Do what the daemon says. Never waits for a device.

        Raises:
            ProtocolError: an ear is never told this, or not now.
        """
        match message:
            case ConfigureEar():
                self._configure(message)
            case StartTake(take_id) | TranscribeFile(take_id):
                self._begin(take_id, message)
            case StopTake(take_id):
                if take := self._running(take_id):
                    take.release()
            case LatchTake(take_id):
                if take := self._running(take_id):
                    take.latch()
            case CancelTake(take_id):
                if take := self._running(take_id):
                    take.cancel()
            case KeepMicrophoneShut(shut):
                self._keep_shut(shut=shut)
            case PlayCue(cue):
                self._cue(cue)
            case _:
                raise ProtocolError(f"An ear is not told {type(message).__name__}.")

    def _configure(self, config: ConfigureEar) -> None:
        self._config = config
        if config.keep_model:
            self._loader(config).start()
        self._keeper.shut(shut=config.shut)
        preroll_s = 0.0 if config.input_file is not None else config.preroll_ms / 1000
        self._keeper.wish(Wish(config.input_device, preroll_s))

    def _loader(self, config: ConfigureEar, model: str | None = None) -> ModelLoader:
        """The one for the model that is wished for. Those used last are kept: a key may have its own."""
        settings = ModelSettings.of(config, model)
        loader = self._loaders.pop(settings, None) or ModelLoader(settings, self.send)
        self._loaders[settings] = loader
        while len(self._loaders) > MOST_MODELS:
            del self._loaders[next(iter(self._loaders))]
        return loader

    def _running(self, take_id: str) -> Take | None:
        """That take, unless it is over: what is said about an ended take comes too late and means nothing."""
        self._takes = {id_: take for id_, take in self._takes.items() if not take.is_over}
        return self._takes.get(take_id)

    def _begin(self, take_id: str, asked: StartTake | TranscribeFile) -> None:
        if self._config is None:
            raise ProtocolError("An ear is configured before its first take.")
        if self._running(take_id) is not None:
            return
        means = Means(self._config, self._loader(self._config, asked.model), self.send, self._cue)
        take: Take
        if isinstance(asked, TranscribeFile):
            take = FileTake(asked, means)
        else:
            if not is_plain_name(take_id):
                raise ProtocolError(f"{take_id!r} cannot name a take.")
            refusal = self._refusal(take_id)
            if refusal is not None:
                self.send(refusal)
                return
            take = LiveTake(asked, means, source=self._source(self._config))
            self.send(TakeBegun(take_id))
        self._takes[take_id] = take
        take.start(after=self._after)

    def _refusal(self, take_id: str) -> TakeFailed | None:
        if any(take.has_microphone for take in self._takes.values()):
            return TakeFailed(take_id, "busy", "Another take is being heard: end it first, then try again.")
        if self._keeper.is_shut:
            sentence = "The microphone is kept shut: run `omniid listen enable` to allow it again."
            return TakeFailed(take_id, "microphone_shut", sentence)
        return None

    def _source(self, config: ConfigureEar) -> Source:
        if config.input_file is not None:
            return FileSource(config.input_file, config.input_pace)
        return self._keeper.lend()

    def _keep_shut(self, *, shut: bool) -> None:
        self._keeper.shut(shut=shut)
        if shut:
            for take in self._takes.values():
                if take.has_microphone:
                    take.cancel()

    def _cue(self, cue: str) -> None:
        if self._config is not None and self._config.cues:
            self._cues.play(cue, self._config.output_device)

    def _tell_kept(self, is_open: bool, device: str | None) -> None:
        self.send(MicrophoneKept(is_open, device))

    def _after(self, take: Take) -> None:
        if take.hangs:
            _leave()
        if self._is_worn_out:
            self._leave_when_idle()

    def _leave_when_idle(self) -> None:
        """A speaker that hangs leaves a sound library behind that sees no new devices any more."""
        self._is_worn_out = True
        if all(take.is_over for take in list(self._takes.values())):
            _leave()


def _leave() -> NoReturn:
    """A device that is not let go of stays open; only the end of the process closes it."""
    _log.error("the sound system hangs: leaving, to be started afresh")
    os._exit(EXIT_DEVICE_HANGS)


def _load_ahead() -> None:
    """What the first take will need. Loading the sound library can hang; nobody waits for this."""
    for cue in cues.CUES:
        cues.samples(cue)
    try:
        portaudio.load()
    except AudioError as error:
        _log.warning("no microphone for now, sound files can be recognised: %s", error)


def serve(connection: socket.socket) -> NoReturn:
    """Read the channel until it ends; never returns."""
    ear = Ear(connection)
    ear.send(WorkerReady(channel.VERSION, os.getpid()))
    threading.Thread(target=_load_ahead, name="standby", daemon=True).start()
    with connection.makefile("rb") as lines:
        while True:
            try:
                line = lines.readline(channel.MAX_LINE_BYTES)
            except OSError:
                line = b""
            if not line:
                os._exit(0)
            try:
                ear.handle(channel.decode(line))
            except ProtocolError as error:
                _log.error("leaving: %s", error)
                os._exit(EXIT_PROTOCOL)


def _keep_stderr_for_the_log() -> None:
    """ALSA, JACK and PortAudio write to the descriptors 1 and 2 as they please: only Python keeps stderr."""
    log = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    os.close(nothing)
    sys.stderr = log
    faulthandler.enable(log)
    logging.basicConfig(stream=log, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")


def main(argv: Sequence[str] | None = None) -> NoReturn:
    parser = argparse.ArgumentParser(
        prog="python -m omniid.workers.ear", description="The ear of omniid's daemon."
    )
    parser.add_argument("--channel-fd", type=int, required=True, help="an inherited Unix stream socket")
    arguments = parser.parse_args(argv)
    _keep_stderr_for_the_log()
    # Ctrl-C in a terminal reaches the whole group; it is the daemon that decides when its ear goes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve(socket.socket(fileno=arguments.channel_fd))


if __name__ == "__main__":
    main()
