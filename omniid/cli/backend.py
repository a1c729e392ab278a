"""`omniid backend serve`: the embedded backend on its own."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import platformdirs
import typer

app = typer.Typer(help="The embedded backend.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """The embedded backend."""


@app.command()
def serve(
    socket: Annotated[
        Path | None, typer.Option(help="Listen on this Unix socket (0600); the default without --port.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Listen on TCP; 0 takes a free port.")
    ] = None,
    host: Annotated[str, typer.Option(help="With --port: the address.")] = "127.0.0.1",
    token_file: Annotated[
        Path | None,
        typer.Option(help="With --port: the bearer token, made if missing; $OMNIID_BACKEND_TOKEN wins."),
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where the tasks lie.")] = None,
    calendar_dir: Annotated[
        list[Path] | None,
        typer.Option(help="Where calendars lie as .ics files, instead of the usual places (repeatable)."),
    ] = None,
    parent_fd: Annotated[
        int | None, typer.Option(min=0, help="End when the other end of this descriptor closes.")
    ] = None,
    *,
    allow_remote: Annotated[bool, typer.Option(help="With --port: let other machines in.")] = False,
) -> None:
    """Run the embedded backend by hand, until SIGTERM or Ctrl-C."""
    if socket is not None and port is not None:
        raise typer.BadParameter("choose one of --socket and --port")
    if port is None and (host != "127.0.0.1" or token_file is not None or allow_remote):
        raise typer.BadParameter("--host, --token-file and --allow-remote go with --port")
    command = [sys.executable, "-P", "-m", "omniid.backend", "--data-dir", str(data_dir or _data_dir())]
    if port is None:
        command += ["--socket", str(socket or _socket())]
    else:
        command += ["--port", str(port), "--host", host]
    if token_file is not None:
        command += ["--token-file", str(token_file)]
    command += [word for folder in calendar_dir or [] for word in ("--calendar-dir", str(folder))]
    if parent_fd is not None:
        command += ["--parent-fd", str(parent_fd)]
    if allow_remote:
        command.append("--allow-remote")
    # In place of this process, so that the terminal's and a supervisor's signals reach the backend itself.
    os.execv(sys.executable, command)  # noqa: S606 no shell is wanted


def _data_dir() -> Path:
    return platformdirs.user_data_path("omniid") / "backend"


def _socket() -> Path:
    given = os.environ.get("XDG_RUNTIME_DIR")
    folder = Path(given) if given else Path(tempfile.gettempdir()) / f"omniid-{os.getuid()}"
    return (folder / "omniid" if given else folder) / "backend.sock"
