"""`omniid listen`: the talk key as a verb, for key bindings and scripts."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated, Any

import typer

from omniid.cli.edge import STATES
from omniid.cli.output import JsonFlag, print_json
from omniid.control.client import Client


class Edge(StrEnum):
    START = "start"
    STOP = "stop"
    TOGGLE = "toggle"
    CANCEL = "cancel"
    ENABLE = "enable"
    DISABLE = "disable"


def listen(
    edge: Annotated[
        Edge | None,
        typer.Argument(
            metavar="[EDGE]",
            help="start, stop, toggle, cancel: a key's edges. disable keeps the microphone shut; enable.",
        ),
    ] = None,
    *,
    owner: Annotated[str, typer.Option(help="Who holds the key; only its owner lets go of it.")] = "cli",
    profile: Annotated[str | None, typer.Option(help="One of hotkey.profiles.")] = None,
    show: Annotated[
        bool, typer.Option("--show", help="Take one command here, and show it as it is heard.")
    ] = False,
    json_: JsonFlag = False,
) -> None:
    """Open or close the microphone. The same edge twice does nothing the second time."""
    if show:
        _show(edge, profile)
    elif edge is None:
        raise typer.BadParameter("say start, stop, toggle, cancel, enable or disable; or --show.")
    elif edge in {Edge.ENABLE, Edge.DISABLE}:
        Client().call("POST", f"/v1/listen/{edge}")
        print("The microphone is kept shut." if edge is Edge.DISABLE else "The microphone may be opened.")
    else:
        _move(edge, {"owner": owner, "profile": profile}, as_json=json_)


def _move(edge: Edge, body: dict[str, Any], *, as_json: bool) -> None:
    answer = Client().call("POST", f"/v1/listen/{edge}", body)
    if as_json:
        print_json(answer)
    else:
        print(STATES[answer["capture"]])


def _show(edge: Edge | None, profile: str | None) -> None:
    from omniid.cli.live import show  # noqa: PLC0415 only for people at a terminal

    if edge not in {None, Edge.TOGGLE, Edge.START}:
        raise typer.BadParameter(f"--show takes a command by itself; leave {edge} out.")
    sys.exit(show(profile))
