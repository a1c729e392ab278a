"""How verbs print: JSON for programs, plain words for people, and nothing that could steer a terminal."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from datetime import datetime
from typing import Annotated, Any

import typer

from omniid.errors import EXIT_DONE, EXIT_FAILED, EXIT_QUEUED, EXIT_REFUSED, EXIT_UNCERTAIN
from omniid.wording import UNWANTED

JsonFlag = Annotated[bool, typer.Option("--json", help="Print data for programs.")]

_EXITS = {
    "done": EXIT_DONE,
    "needs_auth": EXIT_REFUSED,
    "uncertain": EXIT_UNCERTAIN,
    "queued": EXIT_QUEUED,
    "sending": EXIT_QUEUED,
    "waiting": EXIT_QUEUED,
}


def printable(text: str) -> str:
    """Text from elsewhere, safe to print: a reply must not move the cursor."""
    return UNWANTED.sub("\N{REPLACEMENT CHARACTER}", text)


def one_line(text: str) -> str:
    """Text from elsewhere on one line: its line breaks are shown, not made."""
    return printable(text).replace("\n", "\\n").replace("\t", " ")


def fitted(text: str, indent: int) -> str:
    """Lines broken between words where the terminal ends; unbroken where nobody looks at them.

    All but the first are indented. Of those, one that begins with a space is to be copied, and never broken.
    """
    first, *rest = text.split("\n")
    margin = " " * indent
    return "\n".join(
        [
            _filled(first, "", margin),
            *(
                (margin + line).rstrip() if line[:1] in {"", " "} else _filled(line, margin, margin)
                for line in rest
            ),
        ]
    )


def _filled(line: str, before: str, margin: str) -> str:
    if not sys.stdout.isatty():
        return before + line
    width = max(shutil.get_terminal_size().columns, 2 * len(margin))
    return textwrap.fill(line, width, initial_indent=before, subsequent_indent=margin, break_on_hyphens=False)


def moment(at: str) -> str:
    """A moment as the API gives it, to the minute, in the reader's own time."""
    return datetime.fromisoformat(at).astimezone().strftime("%Y-%m-%d %H:%M")


def state_words(state: str, count: int = 1) -> str:
    """The state that so many commands have, as one would say it."""
    if state == "needs_auth":
        return "waits for a sign-in" if count == 1 else "wait for a sign-in"
    return state


def link_words(link: str) -> str:
    """The state of the link to the backend, as one would say it."""
    return "waiting for a token" if link == "needs_token" else link


def duration(seconds: float) -> str:
    """How long something took, or will: in the two largest units that it fills."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes and rest else f"{minutes} min" if minutes else f"{rest} s"


def print_json(data: Any) -> None:
    print(json.dumps(data, indent=2))


def exit_code(command: dict[str, Any]) -> int:
    """What a command's state means to a script."""
    return _EXITS.get(command["state"], EXIT_FAILED)


def outcome(command: dict[str, Any]) -> str:
    """A command's state and answer as one sentence or two."""
    reply = command.get("reply") or {}
    words = printable(str(reply.get("content", "")))
    short = command["id"]
    match command["state"]:
        case "done":
            return words
        case "needs_auth":
            return f"{words}\n{_where_to_sign_in(reply)}\nWhen you have signed in, run `omniid auth done`."
        case "uncertain":
            return (
                f"It is uncertain whether this was done: {command['reason']}. Check, then run "
                f"`omniid outbox retry {short}` or `omniid outbox drop {short}`."
            )
        case "queued" | "sending" | "waiting":
            return (
                f"Not answered yet; it is {command['state']} and nothing is lost. See `omniid outbox list`."
            )
        case state:
            reason = f": {command['reason']}" if command["reason"] else ""
            return words or f"The command is {state}{reason}."


def _where_to_sign_in(reply: dict[str, Any]) -> str:
    from omniid.weblink import judge  # noqa: PLC0415 few commands need it

    link = judge(reply.get("auth_url"))
    return str(link.problem) if link.url is None else f"Sign in at {link.url}"
