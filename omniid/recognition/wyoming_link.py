"""One conversation with a Wyoming server over a socket, under a deadline, with bounds on what it may send.

A Wyoming event is a line of JSON with its type and two lengths, then so many bytes of JSON, then so many of
payload. The library's own reader takes any lengths and waits for ever; a server is somebody else's program.
"""

from __future__ import annotations

import json
import queue
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from omniid.recognition.wyoming_uri import Address, TcpAddress, UnixAddress

MAX_LINE_BYTES = 64 * 1024
MAX_ANSWER_BYTES = 1024 * 1024  # of all that a server sends in one conversation
TICK_S = 0.05  # how often a wait looks whether it is still wanted
_PIECE_BYTES = 64 * 1024

_Resolved = list[tuple[Any, ...]]


class LinkError(Exception):
    """The server is not there, not in time, or not sane. The message goes on after the server's name."""


class NoLongerWantedError(Exception):
    """The caller has cancelled."""


@dataclass(frozen=True, slots=True)
class Received:
    """An event. `data` is what a JSON object may hold: none of it has been looked at."""

    type: str
    data: dict[str, Any]


class Link:
    """A connected socket. For one thread.

    Raises:
        LinkError: it cannot be reached within `connect_s`.
        NoLongerWantedError: `is_cancelled` says so; from every method.
    """

    def __init__(
        self, address: Address, *, connect_s: float, answer_s: float, is_cancelled: Callable[[], bool]
    ) -> None:
        self._is_cancelled = is_cancelled
        self._buffer = bytearray()
        self._received_bytes = 0
        self._socket = _connect(address, time.monotonic() + connect_s)
        self._socket.settimeout(TICK_S)
        self._answer_s = answer_s
        self._until = time.monotonic() + answer_s

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._socket.close()

    def send(self, content: bytes) -> None:
        """All of it; less where the server has stopped to listen, for it may have answered already.

        Raises:
            LinkError: it does not take it in time.
        """
        rest = memoryview(content)
        while rest:
            self._check()
            try:
                rest = rest[self._socket.send(rest) :]
            except TimeoutError:
                continue
            except OSError:
                return

    def receive(self) -> Received:
        """The next event.

        Raises:
            LinkError: it hangs up, is not in time, or sends what is no event.
        """
        header = _object(self._line())
        data = header.get("data") or {}
        if length := _length(header, "data_length"):
            data = {**_dict(data), **_object(self._exactly(length))}
        if length := _length(header, "payload_length"):
            self._exactly(length)
        if not isinstance(header.get("type"), str):
            raise LinkError("sends what is no event")
        return Received(header["type"], _dict(data))

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > MAX_LINE_BYTES:
                raise LinkError("sends a line without an end")
            self._more()
        return self._take(end + 1)

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._more()
        return self._take(size)

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _more(self) -> None:
        self._check()
        try:
            piece = self._socket.recv(_PIECE_BYTES)
        except TimeoutError:
            return
        except OSError as error:
            raise LinkError(f"broke off: {error.strerror or error}") from error
        if not piece:
            raise LinkError("hung up without an answer")
        self._received_bytes += len(piece)
        if self._received_bytes > MAX_ANSWER_BYTES:
            raise LinkError("sends far more than an answer has")
        self._buffer += piece

    def _check(self) -> None:
        if self._is_cancelled():
            raise NoLongerWantedError
        if time.monotonic() > self._until:
            raise LinkError(f"has not answered within {self._answer_s:.0f} s")


def _connect(address: Address, until: float) -> socket.socket:
    problem: OSError = TimeoutError("it takes too long")
    for family, kind, where in _candidates(address, until):
        try:
            return _connected(family, kind, where, max(until - time.monotonic(), 0.001))
        except OSError as error:
            problem = error
    raise LinkError(f"is away: {problem.strerror or problem}") from problem


def _connected(family: int, kind: int, where: Any, within_s: float) -> socket.socket:
    connection = socket.socket(family, kind)
    try:
        connection.settimeout(within_s)
        connection.connect(where)
        if family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError:
        connection.close()
        raise
    return connection


def _candidates(address: Address, until: float) -> list[tuple[int, int, Any]]:
    match address:
        case UnixAddress(path):
            return [(socket.AF_UNIX, socket.SOCK_STREAM, path)]
        case TcpAddress(host, port):
            resolved = _resolve(host, port, until - time.monotonic())
            return [(family, kind, where) for family, kind, _protocol, _name, where in resolved]


def _resolve(host: str, port: int, within_s: float) -> _Resolved:
    """The addresses of a name. The system's own look-up knows no deadline, so it may outlive its use."""
    answer: queue.SimpleQueue[_Resolved | OSError] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            answer.put(list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
        except (OSError, UnicodeError) as error:
            answer.put(error if isinstance(error, OSError) else OSError(str(error)))

    threading.Thread(target=look_up, name="look-up", daemon=True).start()
    try:
        found = answer.get(timeout=max(within_s, 0.001))
    except queue.Empty:
        raise LinkError(f"is away: no name server tells where {host} is") from None
    if isinstance(found, OSError):
        raise LinkError(f"is away: {found.strerror or found}") from found
    return found


def _object(content: bytes) -> dict[str, Any]:
    try:
        return _dict(json.loads(content))
    except (ValueError, RecursionError) as error:
        raise LinkError("sends what is no event") from error


def _dict(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise LinkError("sends what is no event")
    return value


def _length(header: dict[str, Any], name: str) -> int:
    length = header.get(name) or 0
    if not isinstance(length, int) or not 0 <= length <= MAX_ANSWER_BYTES:
        raise LinkError("sends what is no event")
    return length
