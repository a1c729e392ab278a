"""`omniid backend serve`: the embedded backend on its own."""

from __future__ import annotations

import typer

app = typer.Typer(help="The embedded backend.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """The embedded backend."""
