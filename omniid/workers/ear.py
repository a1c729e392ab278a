"""The ear: `python -m omniid.workers.ear --channel-fd N`. It hears takes and says what was said.

The main thread reads the channel and nothing else, so that the daemon's death (the channel's end) ends this
process and closes the microphone at once, whatever hangs. It stands by with the sound library loaded and
no model; the daemon gets the memory of a model back by replacing the process.
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

from omniid.audio.files import FileSource
from omniid.audio.frames import Source
from omniid.audio.microphone import Microphone, load_library
from omniid.errors import AudioError, ProtocolError
from omniid.workers import channel
from omniid.workers.channel import (
    CancelTake,
    ConfigureEar,
    Message,
    StartTake,
    StopTake,
    TakeFailed,
    TranscribeFile,
    WorkerReady,
)
from omniid.workers.model_loader import ModelLoader
from omniid.workers.take import FileTake, LiveTake, Take

_log = logging.getLogger("omniid.ear")

EXIT_DEVICE_HANGS = 75  # sysexits: a temporary failure, start me again
EXIT_PROTOCOL = 76  # sysexits: the other end does not keep to the protocol


class Ear:
    """What the messages do. One take has the microphone at a time; earlier ones may still be recognised."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._config: ConfigureEar | None = None
        self._loader: ModelLoader | None = None
        self._takes: dict[str, Take] = {}

    def send(self, message: Message) -> None:
        """To the daemon. Without a daemon there is nothing to live for."""
        try:
            with self._sending:
                self._connection.sendall(channel.encode(message))
        except OSError:
            os._exit(0)

    def stand_by(self) -> None:
        """Load the sound library, which can hang, and say that we are ready."""
        try:
            load_library()
        except AudioError as error:
            _log.warning("no microphone for now, sound files can be recognised: %s", error)
        self.send(WorkerReady(channel.VERSION, os.getpid()))

    def handle(self, message: Message) -> None:
        """Do what the daemon says.

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
            case CancelTake(take_id):
                if take := self._running(take_id):
                    take.cancel()
            case _:
                raise ProtocolError(f"An ear is not told {type(message).__name__}.")

    def _configure(self, config: ConfigureEar) -> None:
        settings = (config.model, config.device, config.compute_type)
        if self._loader is None or self._loader.settings != settings:
            self._loader = ModelLoader(*settings)
        self._config = config

    def _running(self, take_id: str) -> Take | None:
        """That take, unless it is over: what is said about an ended take comes too late and means nothing."""
        self._takes = {id_: take for id_, take in self._takes.items() if not take.is_over}
        return self._takes.get(take_id)

    def _begin(self, take_id: str, message: StartTake | TranscribeFile) -> None:
        if self._config is None or self._loader is None:
            raise ProtocolError("An ear is configured before its first take.")
        if self._running(take_id) is not None:
            return
        if any(take.has_microphone for take in self._takes.values()):
            self.send(
                TakeFailed(take_id, "busy", "Another take is being heard: end it first, then try again.")
            )
            return
        if isinstance(message, TranscribeFile):
            take: Take = FileTake(take_id, self._config, self._loader, self.send, path=message.path)
        else:
            take = LiveTake(take_id, self._config, self._loader, self.send, source=_source(self._config))
        self._takes[take_id] = take
        take.start(after=_leave_if_hanging)


def _source(config: ConfigureEar) -> Source:
    if config.input_file is not None:
        return FileSource(config.input_file, config.input_pace)
    return Microphone(config.input_device)


def _leave_if_hanging(take: Take) -> None:
    """A device that is not let go of stays open; only the end of the process closes it."""
    if take.hangs:
        _log.error("the sound system hangs and does not close the microphone: leaving, to be started afresh")
        os._exit(EXIT_DEVICE_HANGS)


def serve(connection: socket.socket) -> NoReturn:
    """Read the channel until it ends; never returns."""
    ear = Ear(connection)
    threading.Thread(target=ear.stand_by, name="standby", daemon=True).start()
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
