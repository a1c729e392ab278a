"""`omniid listen EDGE` in the form that keys are bound to, without the weight of a command line parser.

Between the key and the microphone stands the start of this process. So this one form is served by a bare
request; everything else, every error included, is left to the full command line.
"""

from __future__ import annotations

import socket
import sys

from omniid.control import peer
from omniid.control.address import control_socket

_EDGES = ("start", "stop", "toggle", "cancel")
_ANSWER_WITHIN_S = 20.0
_WORDS = 2

STATES = {
    "idle": "The microphone is closed.",
    "opening": "Opening the microphone.",
    "listening": "Listening.",
    "closing": "Closing the microphone.",
}


def try_edge(arguments: list[str]) -> bool:
    """Serve `listen EDGE`; False where the full command line has to see to it."""
    if len(arguments) != _WORDS or arguments[0] != "listen" or arguments[1] not in _EDGES:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_ANSWER_WITHIN_S)
        try:
            connection.connect(control_socket())
        except OSError:
            return False
        if not peer.is_ours(connection):
            return False
        answer = _post(connection, f"/v1/listen/{arguments[1]}")
    if not answer.startswith(b"HTTP/1.1 200 "):
        # Not repeated: a toggle that is done twice is undone.
        sys.exit("omniid: the daemon did not do it; its log or `omniid status` may say why.")
    print(next(words for state, words in STATES.items() if f'"capture":"{state}"'.encode() in answer))
    return True


def _post(connection: socket.socket, path: str) -> bytes:
    """The answer to a request; empty where the daemon went away meanwhile."""
    request = f"POST {path} HTTP/1.1\r\nHost: omniid\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    pieces = []
    try:
        connection.sendall(request.encode())
        while piece := connection.recv(65_536):
            pieces.append(piece)
    except OSError:
        return b""
    return b"".join(pieces)


def main() -> None:
    """The console script: the short way where it will do, the long way otherwise."""
    if not try_edge(sys.argv[1:]):
        from omniid.cli.app import main as full  # noqa: PLC0415 only when it is needed

        full()
