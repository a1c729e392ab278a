"""`omniid listen`: the talk key as a verb, for key bindings and scripts."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from omniid.cli.edge import STATES
from omniid.cli.output import JsonFlag, print_json
from omniid.control.client import Client


class Edge(StrEnum):
    START = "start"
    STOP = "stop"
    TOGGLE = "toggle"
    CANCEL = "cancel"


def listen(
    edge: Annotated[
        Edge, typer.Argument(metavar="EDGE", help="start and stop are a key going down and coming up.")
    ],
    *,
    owner: Annotated[str, typer.Option(help="Who holds the key; only its owner lets go of it.")] = "cli",
    json_: JsonFlag = False,
) -> None:
    """Open or close the microphone. The same edge twice does nothing the second time."""
    answer = Client().call("POST", f"/v1/listen/{edge}", {"owner": owner})
    if json_:
        print_json(answer)
    else:
        print(STATES[answer["capture"]])
