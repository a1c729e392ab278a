"""`omniid models`: where the speech model is, and how one gets here."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="The speech model: find it, fetch one.", no_args_is_help=True)


@app.command()
def path() -> None:
    """Print the folder of the model that would be used."""
    from omniid import config  # noqa: PLC0415 light verbs do without these
    from omniid.recognition.models import find  # noqa: PLC0415

    print(find(config.load_default().recognition.model).path)


@app.command()
def download(
    name: Annotated[
        str, typer.Argument(help="A Whisper model, such as base.en, small or large-v3.")
    ] = "base.en",
) -> None:
    """Fetch a model into the local cache, with a progress bar."""
    from omniid.recognition.models import download as fetch  # noqa: PLC0415

    print(fetch(name).path)
