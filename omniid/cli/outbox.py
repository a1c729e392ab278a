"""`omniid outbox`: the commands that wait, and what to do about those that went wrong."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from omniid.cli.output import (
    JsonFlag,
    exit_code,
    moment,
    one_line,
    outcome,
    print_json,
    printable,
    state_words,
)
from omniid.control.client import Client, in_path
from omniid.errors import EXIT_QUEUED

app = typer.Typer(help="Commands that wait, and those that need a decision.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(metavar="ID", help="The command's id, or enough of its beginning.")]


@app.command("list")
def list_(
    *,
    all_: Annotated[bool, typer.Option("--all", help="The commands that are over, too.")] = False,
    json_: JsonFlag = False,
) -> None:
    """List what waits or needs a decision, first in line first."""
    commands = Client().call("GET", "/v1/outbox" + ("?all=1" if all_ else ""))["commands"]
    if json_:
        print_json(commands)
        return
    for command in commands:
        print(_lines(command))
    if not commands:
        print("Nothing waits.")
    if any(command["state"] == "needs_auth" for command in commands):
        print("What waits for a sign-in goes out again when you have signed in: see `omniid auth status`.")
    if any(command["state"] == "uncertain" for command in commands):
        print("Uncertain means it may have been done. Check, then `omniid outbox retry ID` or `drop ID`.")


@app.command()
def show(id_: Id, *, json_: JsonFlag = False) -> None:
    """Show one command whole."""
    command = Client().call("GET", _path(id_))
    _print(command, as_json=json_)
    if not json_ and (words := outcome(command)):
        print(words)


@app.command()
def retry(id_: Id, *, json_: JsonFlag = False) -> None:
    """Send a command again that failed, expired, needs a sign-in or is uncertain."""
    _print(Client().call("POST", f"{_path(id_)}/retry"), as_json=json_)


@app.command()
def drop(id_: Id, *, json_: JsonFlag = False) -> None:
    """Give a command up that failed, expired, needs a sign-in or is uncertain."""
    _print(Client().call("POST", f"{_path(id_)}/drop"), as_json=json_)


@app.command()
def cancel(id_: Id, *, json_: JsonFlag = False) -> None:
    """Call a command off. One that is on its way cannot be called back; its answer is then not spoken."""
    command = Client().call("POST", f"{_path(id_)}/cancel")
    _print(command, as_json=json_)
    if not json_ and not command["answer_wanted"]:
        print("It is on its way already and cannot be called back. Its answer will be recorded, not spoken.")


@app.command()
def edit(
    id_: Id,
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="The new text; `-` reads it from standard input.")
    ],
    *,
    json_: JsonFlag = False,
) -> None:
    """Change a command that is still queued. It keeps its id and its place in the line."""
    message = sys.stdin.read() if text == "-" else text
    _print(Client().call("PATCH", _path(id_), {"message": message}), as_json=json_)


def _print(command: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(command)
    else:
        print(_lines(command))


def _lines(command: dict[str, Any]) -> str:
    """The id and state, then what it says: narrow enough for any terminal."""
    state = state_words(command["state"])
    if command["reason"]:
        state += f": {printable(command['reason'])}"
    if command["waits_for"]:
        state += f" (waits for {printable(command['waits_for'])})"
    if not command["answer_wanted"] and exit_code(command) == EXIT_QUEUED:
        state += " (called off: its answer is not wanted)"
    text = one_line(command["message"]) or "(text deleted)"  # no command says nothing
    return f"{command['id']}  {moment(command['created_at'])}  {state}\n    {text}"


def _path(id_: str) -> str:
    return f"/v1/commands/{in_path(id_, 'command', 'omniid outbox list --all')}"
