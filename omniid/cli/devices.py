"""`omniid devices`: microphones and speakers by the names the configuration takes, and a live level."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from omniid.cli.output import JsonFlag, fitted, print_json, printable
from omniid.errors import EXIT_FAILED

if TYPE_CHECKING:
    from omniid.cli.level_meter import Measured

_INDENT = 4
_NOTHING = "There is no sound device: connect one, or start the sound server (PipeWire or PulseAudio)."
_MUTED = "It gives nothing but zeros: it is muted or switched off. Unmute it, or choose another microphone."


def devices(
    *,
    meter: Annotated[
        bool,
        typer.Option("--meter", help="Show how loud the microphone is, for ten seconds or until Ctrl-C."),
    ] = False,
    json_: JsonFlag = False,
) -> None:
    """List microphones and speakers. audio.input_device and audio.output_device take these names.

    Exit code 1 if nothing can be used, or with --meter if the microphone gives no sound.
    """
    if meter:
        _meter(as_json=json_)
        return
    from omniid import config  # noqa: PLC0415 pydantic, which other verbs do without
    from omniid.cli.checks import probe_devices  # noqa: PLC0415

    found = probe_devices()
    audio = config.load_default().audio
    _mark(found["inputs"], audio.input_device)
    _mark(found["outputs"], audio.output_device)
    if json_:
        print_json(found)
    else:
        _print("Microphones", found["inputs"])
        _print("Speakers", found["outputs"])
    problem = found["problem"] or (None if found["inputs"] or found["outputs"] else _NOTHING)
    if problem is not None:
        print(printable(problem), file=sys.stderr)
        raise typer.Exit(EXIT_FAILED)


def _mark(listed: list[dict[str, Any]], wanted: str | None) -> None:
    for device in listed:
        device["is_configured"] = wanted is not None and wanted in {device["name"], device["description"]}


def _print(title: str, listed: list[dict[str, Any]]) -> None:
    print(f"{title}:" if listed else f"{title}: none")
    for device in listed:
        name, description = printable(device["name"]), printable(device["description"])
        words = name if name == description else f"{name}  ({description})"
        print(fitted(f"  {words}{_notes(device)}", _INDENT))


def _notes(device: dict[str, Any]) -> str:
    notes = {
        "default": device["is_default"],
        "configured": device["is_configured"],
        "MUTED": device["muted"],
        "what a speaker plays, no microphone": device["is_monitor"],
    }
    told = ", ".join(note for note, holds in notes.items() if holds)
    return f"  [{told}]" if told else ""


def _meter(*, as_json: bool) -> None:
    from omniid import config  # noqa: PLC0415 pydantic, which other verbs do without
    from omniid.cli import level_meter  # noqa: PLC0415

    wanted = config.load_default().audio.input_device
    measured = level_meter.measure(wanted, is_shown=not as_json and sys.stdout.isatty())
    if as_json:
        print_json(measured.as_json())
    elif measured.device is not None:
        print(f"{printable(measured.device)}: loudest {measured.loudest_db:.0f} dB of full scale.")
    _complain(measured)


def _complain(measured: Measured) -> None:
    problem = measured.problem or (_MUTED if measured.is_dead else None)
    if problem is not None:
        print(printable(problem), file=sys.stderr)
        raise typer.Exit(EXIT_FAILED)
