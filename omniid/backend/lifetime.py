"""How long the backend lives: until a signal, or until the process that started it is gone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator

from omniid.errors import ConfigError

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_READ_BYTES = 4096


@contextlib.contextmanager
def watched(parent_fd: int | None) -> Iterator[asyncio.Event]:
    """An event that is set at SIGTERM, at SIGINT, and when the other end of `parent_fd` closes.

    Raises:
        ConfigError: `parent_fd` is no pipe or socket that was handed down.
    """
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in _SIGNALS:
        loop.add_signal_handler(number, ended.set)
    try:
        if parent_fd is not None:
            _watch_parent(loop, parent_fd, ended)
        yield ended
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
        if parent_fd is not None:
            loop.remove_reader(parent_fd)


def _watch_parent(loop: asyncio.AbstractEventLoop, descriptor: int, ended: asyncio.Event) -> None:
    def on_readable() -> None:
        try:
            alive = bool(os.read(descriptor, _READ_BYTES))
        except BlockingIOError:
            return
        except OSError:
            # A reset is an end too.
            alive = False
        if not alive:
            loop.remove_reader(descriptor)
            ended.set()

    try:
        os.set_blocking(descriptor, False)
        os.set_inheritable(descriptor, False)
        loop.add_reader(descriptor, on_readable)
    except OSError as error:
        raise ConfigError(
            f"--parent-fd {descriptor} is no open pipe or socket: {(error.strerror or '').lower()}."
        ) from error
