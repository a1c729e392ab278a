"""`omniid transcribe`: a recording into words, and with `--send` into a command."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from omniid.cli.output import JsonFlag, exit_code, outcome, print_json
from omniid.errors import EXIT_FAILED

_REASONS = {
    "too_short": "It is too short to hold a command.",
    "no_speech": "Nobody speaks in it.",
    "unsure": "The words could not be made out.",
}


def transcribe(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A sound file, such as a WAV of any rate.")],
    *,
    send: Annotated[bool, typer.Option("--send", help="Send the words as a voice command.")] = False,
    profile: Annotated[
        str | None, typer.Option(help="One of hotkey.profiles, for its language and model.")
    ] = None,
    json_: JsonFlag = False,
) -> None:
    """Print what is said in a recording. Exit code 1 if nothing is."""
    heard = _recognise(file, profile)
    if not send:
        if json_:
            print_json(heard)
        elif heard["text"]:
            print(heard["text"])
    if not heard["text"]:
        print(f"Nothing was heard in {file}. {_REASONS.get(heard['reason'], '')}".strip(), file=sys.stderr)
        raise typer.Exit(EXIT_FAILED)
    if send:
        _send(heard, as_json=json_)


def _recognise(file: Path, profile: str | None) -> dict[str, Any]:
    from omniid import config, keys, transcription  # noqa: PLC0415 light verbs do without these
    from omniid.errors import RecognitionError  # noqa: PLC0415

    settings = config.load_default()
    manner = keys.manner(settings.hotkey, profile, "hold")
    try:
        heard = transcription.transcribe(file, settings, manner)
    except RecognitionError as error:
        if error.code != "model_missing":
            raise
        _fetch_model(error)
        heard = transcription.transcribe(file, settings, manner)
    return {"text": "", "reason": None, **dataclasses.asdict(heard)}


def _fetch_model(missing: Exception) -> None:
    """Download a model, as the last of the ways to have one; where that fails all the ways are named."""
    from omniid.errors import RecognitionError  # noqa: PLC0415
    from omniid.recognition.download import download  # noqa: PLC0415
    from omniid.recognition.models import FALLBACK  # noqa: PLC0415

    print(f"There is no speech model on this machine yet; downloading {FALLBACK}.", file=sys.stderr)
    try:
        download(FALLBACK)
    except RecognitionError as error:
        raise RecognitionError(f"{missing}\n{error.message}", code="model_missing") from error


def _send(heard: dict[str, Any], *, as_json: bool) -> None:
    from omniid.control.client import Client  # noqa: PLC0415

    metadata = {key: heard[key] for key in ("confidence", "language", "model")}
    body = {"message": heard["text"], "type": "voice_command", "wait_s": 60.0, "metadata": metadata}
    command = Client().call("POST", "/v1/commands", body, wait_s=60.0)
    if as_json:
        print_json(command)
    else:
        print(heard["text"])
        print(command["id"], file=sys.stderr)
        print(outcome(command))
    raise typer.Exit(exit_code(command))
