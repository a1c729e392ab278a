"""`omniid outbox`: the commands that wait, and what to do about those that went wrong."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from omniid.cli.output import JsonFlag, outcome, print_json, printable
from omniid.control.client import Client

app = typer.Typer(help="Commands that wait, and those that need a decision.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(help="The command's id, or enough of its beginning.")]


@app.command("list")
def list_(*, json_: JsonFlag = False) -> None:
    """List what needs something yet, first in line first."""
    commands = Client().call("GET", "/v1/outbox")["commands"]
    if json_:
        print_json(commands)
        return
    for command in commands:
        print(_line(command))
    if not commands:
        print("Nothing waits.")


@app.command()
def show(id_: Id, *, json_: JsonFlag = False) -> None:
    """Show one command whole."""
    command = Client().call("GET", f"/v1/commands/{id_}")
    if json_:
        print_json(command)
        return
    print(_line(command))
    print(outcome(command))


@app.command()
def retry(id_: Id) -> None:
    """Send a command again that failed, expired or is uncertain."""
    print(_line(Client().call("POST", f"/v1/commands/{id_}/retry")))


@app.command()
def drop(id_: Id) -> None:
    """Give a command up that failed, expired or is uncertain."""
    print(_line(Client().call("POST", f"/v1/commands/{id_}/drop")))


@app.command()
def cancel(id_: Id) -> None:
    """Cancel a command that is still queued."""
    print(_line(Client().call("POST", f"/v1/commands/{id_}/cancel")))


def _line(command: dict[str, Any]) -> str:
    reason = f"  ({printable(command['reason'])})" if command["reason"] else ""
    return f"{command['id']}  {command['state']:<10}  {printable(command['message'])!r}{reason}"
