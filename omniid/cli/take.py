"""`omniid take`: the sound of takes that were not understood, kept for ten minutes."""

from __future__ import annotations

from typing import Annotated

import typer

from omniid.cli.output import JsonFlag, moment, print_json
from omniid.control.client import Client, in_path

app = typer.Typer(help="Takes that were not understood: try again, or delete.", no_args_is_help=True)

Id = Annotated[
    str, typer.Argument(metavar="[ID]", help="The take's id or the end of it; the newest if left out.")
]


@app.command("list")
def list_(*, json_: JsonFlag = False) -> None:
    """List what is kept, the newest first."""
    takes = Client().call("GET", "/v1/takes")["takes"]
    if json_:
        print_json(takes)
        return
    for take in takes:
        print(f"{take['id']}  {moment(take['recorded_at'])}  {take['duration_s']:.1f} s")
    if not takes:
        print("No take is kept.")


@app.command()
def retry(
    id_: Id = "last",
    *,
    profile: Annotated[
        str | None, typer.Option(help="One of hotkey.profiles: another language or model.")
    ] = None,
) -> None:
    """Recognise a take again; what it says becomes a command as if it had just been spoken."""
    Client().call("POST", f"{_path(id_)}/retry", {"profile": profile})
    print("Recognising it again; `omniid events` shows what comes of it.")


@app.command()
def drop(id_: Id = "last") -> None:
    """Delete a take now."""
    Client().call("POST", f"{_path(id_)}/drop")
    print("Deleted.")


def _path(id_: str) -> str:
    return f"/v1/takes/{in_path(id_, 'take', 'omniid take list')}"
