"""`omniid ask`: a typed command, and its answer."""

from __future__ import annotations

import sys
import time
from typing import Annotated, Any

import typer

from omniid.cli import sign_in
from omniid.cli.output import JsonFlag, exit_code, outcome, print_json, printable
from omniid.cli.reply import show_all
from omniid.control.client import Client
from omniid.errors import EXIT_QUEUED

_DEFAULT_WAIT_S = 60.0
_SHORTEST_WAIT_S = 0.1
_MOST_OPEN = 50  # questions at a time


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
    command = client.call("POST", "/v1/commands", {"message": message, "source": "ask"}, key=key)
    if not json_:
        print(command["id"], file=sys.stderr, flush=True)
    if wait:
        command = _answered(client, command["id"], wait)
    if json_:
        print_json(command)
    elif command["state"] == "needs_auth":
        sign_in.show_for(command, client)
    else:
        print(outcome(command))
        if exit_code(command) == EXIT_QUEUED:
            print(_why_it_waits(client), file=sys.stderr)
    raise typer.Exit(exit_code(command))


def _answered(client: Client, command_id: str, wait_s: float) -> dict[str, Any]:
    """The command when it is settled or the time is up; what the backend asks meanwhile is shown."""
    until = time.monotonic() + wait_s
    shown: list[str] = []
    while True:
        left_s = max(0.0, until - time.monotonic())
        path = f"/v1/commands/{command_id}?wait_s={left_s:.1f}&or_asked={','.join(shown)}"
        command = client.call("GET", path, wait_s=left_s)
        if exit_code(command) != EXIT_QUEUED or left_s < _SHORTEST_WAIT_S:
            return command
        asked = client.call("GET", "/v1/questions")["questions"]
        new = [each for each in asked if each["command_id"] == command_id and each["id"] not in shown]
        if new:
            show_all(new, file=sys.stderr)
        shown = [*shown, *(each["id"] for each in new)][-_MOST_OPEN:]


def _why_it_waits(client: Client) -> str:
    status = client.call("GET", "/v1/status")
    reason = f": {status['link_reason']}" if status["link_reason"] else ""
    return printable(f"The link to {status['backend']} is {status['link'].replace('_', ' ')}{reason}.")
