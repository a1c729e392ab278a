"""`omniid listen EDGE` and `hush` as keys are bound to them, without the weight of a command line parser.

Between the key and the microphone, or silence, stands the start of this process. So these forms are served by
a bare request; everything else is left to the full command line. Only a refusal costs its client's weight.
"""

from __future__ import annotations

import socket
import sys

from omniid.control import peer
from omniid.control.address import control_socket

_REQUESTS = {
    ("listen", "start"): "POST /v1/listen/start",
    ("listen", "stop"): "POST /v1/listen/stop",
    ("listen", "toggle"): "POST /v1/listen/toggle",
    ("listen", "cancel"): "POST /v1/listen/cancel",
    ("hush",): "DELETE /v1/speech",
}
_ANSWER_WITHIN_S = 20.0

STATES = {
    "idle": "The microphone is closed.",
    "opening": "Opening the microphone.",
    "listening": "Listening.",
    "closing": "Closing the microphone.",
}


def try_edge(arguments: list[str]) -> bool:
    """Serve one of the short forms; False where the full command line has to see to it."""
    request = _REQUESTS.get(tuple(arguments))
    if request is None:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_ANSWER_WITHIN_S)
        try:
            connection.connect(control_socket())
        except OSError:
            return False
        if not peer.is_ours(connection):
            return False
        answer = _ask(connection, request)
    if not answer.startswith(b"HTTP/1.1 200 "):
        sys.exit(_why_not(answer))  # not repeated: a toggle that is done twice is undone
    for state, words in STATES.items():
        if f'"capture":"{state}"'.encode() in answer:
            print(words)
    return True


def _ask(connection: socket.socket, request: str) -> bytes:
    """The answer to a request; empty where the daemon went away meanwhile."""
    head = f"{request} HTTP/1.1\r\nHost: omniid\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    pieces = []
    try:
        connection.sendall(head.encode())
        while piece := connection.recv(65_536):
            pieces.append(piece)
    except OSError:
        return b""
    return b"".join(pieces)


def _why_not(answer: bytes) -> int:
    """Print the daemon's own sentence; the exit code for it, as the full command line has it."""
    import json  # noqa: PLC0415 only when something is wrong

    from omniid.control.client import refusal  # noqa: PLC0415
    from omniid.errors import EXIT_FAILED  # noqa: PLC0415

    head, _, body = answer.partition(b"\r\n\r\n")
    try:
        error = refusal(json.loads(body), int(head.split(maxsplit=2)[1]))
    except (ValueError, IndexError, AttributeError):  # the daemon went away in the middle
        print("omniid: the daemon did not do it; its log or `omniid status` may say why.", file=sys.stderr)
        return EXIT_FAILED
    print(f"omniid: {error.message}", file=sys.stderr)
    return error.exit_code


def main() -> None:
    """The console script: the short way where it will do, the long way otherwise."""
    if not try_edge(sys.argv[1:]):
        from omniid.cli.app import main as full  # noqa: PLC0415 only when it is needed

        full()
