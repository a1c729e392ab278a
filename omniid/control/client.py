"""The one client of the control API: the command line's way to the daemon. Light, so that it starts fast."""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from omniid.control import peer
from omniid.control.address import control_socket
from omniid.errors import (
    EXIT_FAILED,
    EXIT_REFUSED,
    EXIT_UNCERTAIN,
    EXIT_USAGE,
    BadRequestError,
    NotFoundError,
    NotRunningError,
    OmniidError,
)

_ANSWER_WITHIN_S = 20.0
_REFUSED = {403, 409, 507}
_USAGE = {400, 405, 413, 422}
_ID = re.compile(r"[A-Za-z0-9_-]+")


class DaemonError(OmniidError):
    """The daemon refused a request; code and sentence are its own."""

    def __init__(self, message: str, *, code: str, status: int) -> None:
        super().__init__(message, code=code)
        refused = status in _REFUSED or code.startswith("text_")
        self.exit_code = EXIT_REFUSED if refused else EXIT_USAGE if status in _USAGE else EXIT_FAILED


class AnswerLostError(OmniidError):
    """The daemon was there, and then it was not: never to be taken for "not running" and repeated blindly."""

    default_code = "answer_lost"
    exit_code = EXIT_UNCERTAIN


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("omniid", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
        if not peer.is_ours(self.sock):
            raise PermissionError(f"{self._path} belongs to another user")


class Client:
    """Talks to the daemon on `path`, by default this user's."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or Path(control_socket())

    def call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        key: str | None = None,
        wait_s: float = 0.0,
    ) -> dict[str, Any]:
        """One request; the answer as it came.

        Raises:
            NotRunningError: no daemon answers.
            AnswerLostError: it ended in the middle.
            DaemonError: the daemon refused it.
        """
        connection = _UnixConnection(self.path, _ANSWER_WITHIN_S + wait_s)
        headers = {"Content-Type": "application/json", **({"Idempotency-Key": key} if key else {})}
        try:
            connection.connect()
        except PermissionError as error:
            connection.close()
            raise NotRunningError(
                f"{self.path} is not your own daemon's. "
                "Set XDG_RUNTIME_DIR, or control.socket, to a place of yours."
            ) from error
        except OSError as error:
            connection.close()
            raise self._not_running() from error
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            answer: dict[str, Any] = json.loads(response.read())
        except TimeoutError as error:
            raise self._not_answering() from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise AnswerLostError(
                "The daemon ended before it answered, so what was asked may have been accepted. "
                "Look with `omniid outbox list --all` before you ask again."
            ) from error
        finally:
            connection.close()
        if response.status >= http.client.BAD_REQUEST:
            raise refusal(answer, response.status)
        return answer

    def events(self, since: int | None = None, timeout_s: float | None = None) -> Generator[dict[str, Any]]:
        """The event stream as dicts {id, event, data}, until the daemon ends it.

        Raises:
            NotRunningError: no daemon answers.
            DaemonError: the daemon refused it.
            TimeoutError: nothing came for `timeout_s` (a heartbeat comes every 15 s).
        """
        connection = _UnixConnection(self.path, timeout_s or 60.0)
        try:
            connection.request("GET", "/v1/events" + (f"?since={since}" if since is not None else ""))
            response = connection.getresponse()
        except TimeoutError as error:
            connection.close()
            raise self._not_answering() from error
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._not_running() from error
        try:
            if response.status >= http.client.BAD_REQUEST:
                raise refusal(json.loads(response.read()), response.status)
            yield from _parse_sse(response)
        finally:
            connection.close()

    def _not_answering(self) -> NotRunningError:
        return NotRunningError(
            f"The daemon on {self.path} does not answer. Its log may say why; end it and start it anew.",
            code="not_answering",
        )

    def _not_running(self) -> NotRunningError:
        return NotRunningError(
            f"No omniid daemon answers on {self.path}. Start it with `omniid run`, or as a service."
        )


def in_path(id_: str, kind: str, listed_by: str) -> str:
    """An id that a person typed, as it may stand in a path. `kind` and `listed_by` are for the sentence.

    Raises:
        BadRequestError: it is empty.
        NotFoundError: it has characters that no id has, and would name another path.
    """
    if not id_.strip():
        raise BadRequestError(f"The id of the {kind} is empty. `{listed_by}` shows the ids.")
    if not _ID.fullmatch(id_):
        raise NotFoundError(f"There is no {kind} {id_!r}. `{listed_by}` shows them.")
    return id_


def refusal(answer: dict[str, Any], status: int) -> DaemonError:
    """The error that a refused request's answer, a problem of RFC 9457, stands for."""
    return DaemonError(str(answer.get("detail")), code=str(answer.get("code")), status=status)


def _parse_sse(lines: Iterator[bytes] | http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    fields: dict[str, str] = {}
    for raw in lines:
        line = raw.decode().rstrip("\n")
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            number = fields.get("id")
            yield {
                "id": int(number) if number else None,
                "event": fields.get("event", "message"),
                "data": json.loads(fields.get("data", "null")),
            }
            fields = {}
