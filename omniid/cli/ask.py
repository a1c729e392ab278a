"""`omniid ask`: a typed command, and its answer."""

from __future__ import annotations

import http.client
import queue
import sys
import threading
import time
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from omniid.cli import sign_in
from omniid.cli.output import (
    JsonFlag,
    exit_code,
    fitted,
    link_words,
    one_line,
    outcome,
    print_json,
    printable,
)
from omniid.cli.reply import show_all
from omniid.control.client import AnswerLostError, Client
from omniid.errors import EXIT_QUEUED, NotRunningError, OmniidError

_DEFAULT_WAIT_S = 60.0
_SILENT_FOR_S = 20.0  # a heartbeat comes every 15 s
_BROKEN = (OSError, http.client.HTTPException, ValueError)
_ENDINGS = (OmniidError, *_BROKEN)
_WHERE_IT_WILL_BE = "Its answer will be in `omniid history`."


def ask(
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="What you want done; `-` reads it from standard input.")
    ],
    *,
    wait: Annotated[
        float, typer.Option(min=0, max=600, help="Seconds to wait for the answer.")
    ] = _DEFAULT_WAIT_S,
    key: Annotated[
        str | None, typer.Option(help="Idempotency key: the same key is the same command, sent once.")
    ] = None,
    json_: JsonFlag = False,
) -> None:
    """Send a command and print the answer (its id goes to standard error).

    Exit codes: 0 done, 1 failed, 4 refused or sign-in needed, 5 not answered in time, 6 uncertain.
    """
    message = sys.stdin.read() if text == "-" else text
    client = Client()
    happenings = _Happenings(client) if wait else None  # from here on nothing is missed
    command = client.call("POST", "/v1/commands", {"message": message, "source": "ask"}, key=key)
    if not json_:
        print(command["id"], file=sys.stderr, flush=True)
    if happenings is not None:
        command = _answered(client, command["id"], happenings, time.monotonic() + wait)
    if json_:
        print_json(command)
    elif command["state"] == "needs_auth":
        sign_in.show_for(command, client)
    else:
        print(outcome(command))
        if exit_code(command) == EXIT_QUEUED:
            for line in _why_it_waits(client, command["id"]):
                print(line, file=sys.stderr)
    raise typer.Exit(exit_code(command))


class _Happenings:
    """What happens, as the event stream tells it: read on a thread, since a stream cannot be waited for."""

    def __init__(self, client: Client) -> None:
        """Begin to read.

        Raises:
            NotRunningError: no daemon answers, or it is ending.
        """
        events = client.events(timeout_s=_SILENT_FOR_S)
        if not _has_begun(events):
            raise NotRunningError(
                "The daemon is ending or does not answer. Nothing was asked of it: ask again."
            )
        self._events: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, args=(events,), name="events", daemon=True).start()

    def next(self, until: float) -> dict[str, Any] | None:
        """The next event; None when the stream has ended.

        Raises:
            Empty: there was none until then, in monotonic seconds.
        """
        return self._events.get(timeout=max(0.0, until - time.monotonic()))

    def _read(self, events: Iterator[dict[str, Any]]) -> None:
        try:
            for event in events:
                self._events.put(event)
        except _ENDINGS:
            pass  # the daemon is gone or hangs; whoever waits is told that the stream has ended
        finally:
            self._events.put(None)


def _has_begun(events: Iterator[dict[str, Any]]) -> bool:
    """Whether the snapshot came, with which a stream begins."""
    try:
        return next(events, None) is not None
    except _BROKEN:
        return False


class _Questions:
    """What the backend asks while a command waits: shown whenever it is asked, and not as a reminder.

    What belongs to no command may well be about this one.
    """

    def __init__(self, client: Client, command_id: str) -> None:
        self._client = client
        self._asked_for = {command_id, None}
        self._shown: set[str] = set()
        self._answered: set[str] = set()

    def on(self, event: dict[str, Any]) -> None:
        data = event["data"]
        match event["event"]:
            case "question_answered" if data["question_id"] in self._shown:
                self._answered.add(data["question_id"])
            case "answer_acknowledged" if not data["accepted"] and self._answered:
                why = f": {one_line(data['text'])}" if data["text"] else "."
                print(fitted(f"Your answer was not taken{why}", 0), file=sys.stderr, flush=True)
            case "question_posed" if data["command_id"] in self._asked_for:
                self._show(data["question_id"])
            case _:
                pass

    def _show(self, question_id: str) -> None:
        if question_id in self._shown - self._answered:
            return
        asked = self._client.call("GET", "/v1/questions")["questions"]
        new = [each for each in asked if each["id"] == question_id]
        if new:
            self._shown.add(question_id)
            self._answered.discard(question_id)
            show_all(new, file=sys.stderr)


def _answered(client: Client, command_id: str, happenings: _Happenings, until: float) -> dict[str, Any]:
    """The command when it is settled or the time is up; what the backend asks meanwhile is shown.

    Raises:
        AnswerLostError: the daemon ended meanwhile.
    """
    path = f"/v1/commands/{command_id}"
    try:
        command = client.call("GET", path)
        if exit_code(command) != EXIT_QUEUED:
            return command
        if not _follow(happenings, command_id, _Questions(client, command_id), until):
            left_s = max(0.0, until - time.monotonic())
            return client.call("GET", f"{path}?wait_s={left_s:.1f}", wait_s=left_s)
        return client.call("GET", path)
    except NotRunningError as error:
        # It was accepted: this is not to be taken for a daemon that never had it.
        raise AnswerLostError(
            f"The daemon ended before the command was answered. {error.message} The command is kept: "
            "see `omniid outbox list --all` before you ask again."
        ) from error


def _follow(happenings: _Happenings, command_id: str, questions: _Questions, until: float) -> bool:
    """Wait until the command is settled or the time is up; False where the events ended before that."""
    while True:
        try:
            event = happenings.next(until)
        except queue.Empty:
            return True
        if event is None:
            return False
        data = event["data"]
        moved = event["event"] == "command_moved" and data["command_id"] == command_id
        if moved and exit_code(data) != EXIT_QUEUED:
            return True
        questions.on(event)


def _why_it_waits(client: Client, command_id: str) -> list[str]:
    asked = client.call("GET", "/v1/questions")["questions"]
    own = [f"omniid reply {each['id']}" for each in asked if each["command_id"] == command_id]
    if own:
        return [f"It waits for your answer: {', '.join(own)}", _WHERE_IT_WILL_BE]
    loose = [each for each in asked if each["command_id"] is None and each["kind"] != "confirmation"]
    if loose:
        names = ", ".join(f"omniid reply {each['id']}" for each in loose)
        return [f"The backend waits for your answer: {names}", _WHERE_IT_WILL_BE]
    status = client.call("GET", "/v1/status")
    if status["link"] == "ready":
        return [_WHERE_IT_WILL_BE]
    reason = f": {status['link_reason']}" if status["link_reason"] else ""
    link = f"The link to {status['backend']} is {link_words(status['link'])}{reason}."
    return [printable(link), _WHERE_IT_WILL_BE]
