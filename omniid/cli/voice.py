"""`omniid say`, `hush`, `mute` and `unmute`: omniid's own voice."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from omniid.control.client import Client


def say(
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="What to say; `-` reads it from standard input.")
    ],
) -> None:
    """Say a text aloud."""
    words = sys.stdin.read() if text == "-" else text
    if not words.strip():
        raise typer.BadParameter("there is nothing to say.")
    Client().call("POST", "/v1/speech", {"text": words})


def hush() -> None:
    """Be silent at once."""
    Client().call("DELETE", "/v1/speech")


def mute() -> None:
    """Say nothing any more, over restarts too; answers are still shown."""
    Client().call("POST", "/v1/mute")


def unmute() -> None:
    """Speak again."""
    Client().call("POST", "/v1/unmute")
