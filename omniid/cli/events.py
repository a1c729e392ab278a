"""`omniid events`: what happens, as it happens."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from omniid.cli.output import JsonFlag, one_line
from omniid.control.client import Client


def events(
    *,
    since: Annotated[int | None, typer.Option(min=0, help="Go on after this event number.")] = None,
    json_: JsonFlag = False,
) -> None:
    """Follow the event stream: a snapshot, then a line an event, until omniid stops or you press Ctrl-C."""
    for event in Client().events(since):
        print(json.dumps(event) if json_ else _line(event), flush=True)


def _line(event: dict[str, Any]) -> str:
    data = event["data"]
    shown = {key: value for key, value in data.items() if value not in (None, "", {}, []) and key != "reply"}
    if isinstance(data.get("reply"), dict):
        shown["reply"] = data["reply"].get("content")
    words = "  ".join(f"{key}={one_line(str(value))}" for key, value in shown.items())
    return f"{event['id'] or '':>6}  {event['event']:<20} {words}"
