"""`omniid ask`: a typed command, and its answer."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from omniid.cli.output import JsonFlag, exit_code, outcome, print_json
from omniid.control.client import Client

_DEFAULT_WAIT_S = 60.0


def ask(
    text: Annotated[str, typer.Argument(help="What you want done; `-` reads it from standard input.")],
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
    body = {"message": message, "wait_s": wait}
    command = Client().call("POST", "/v1/commands", body, key=key, wait_s=wait)
    if json_:
        print_json(command)
    else:
        print(command["id"], file=sys.stderr)
        print(outcome(command))
    raise typer.Exit(exit_code(command))
