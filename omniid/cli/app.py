"""The verbs, gathered. Only the one that was asked for is imported; `--help` imports all."""

from __future__ import annotations

import importlib
import io
import sys
from typing import Annotated

import typer

from omniid import __version__
from omniid.errors import OmniidError

_EXIT_INTERRUPTED = 130
_EXIT_READER_GONE = 141

# Verb: the module of omniid.cli it stands in. In the order that --help shows.
_VERBS = {
    "run": "run",
    "demo": "demo",
    "ask": "ask",
    "listen": "listen",
    "transcribe": "transcribe",
    "history": "history",
    "reply": "reply",
    "say": "voice",
    "hush": "voice",
    "mute": "voice",
    "unmute": "voice",
    "status": "status",
    "devices": "devices",
    "voices": "voices",
    "events": "events",
    "doctor": "doctor",
    "reconnect": "run",
    "stop": "run",
}
_GROUPS = ("outbox", "take", "auth", "models", "backend")


def build(wanted: str | None) -> typer.Typer:
    """The command line with one verb, or with all of them where `wanted` is none of them."""
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_group)
    known = wanted in _VERBS or wanted in _GROUPS
    for verb, module in _VERBS.items():
        if wanted == verb or not known:
            app.command(verb)(getattr(importlib.import_module(f"omniid.cli.{module}"), verb))
    for group in _GROUPS:
        if wanted == group or not known:
            app.add_typer(importlib.import_module(f"omniid.cli.{group}").app, name=group)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"omniid {__version__}")
        raise typer.Exit


def _group(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Hold a key, speak, let go, and hear the reply. `omniid demo` shows it; `omniid doctor` checks it."""


def main() -> None:
    """Run the command line. An error of omniid's own is one sentence and its exit code, never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # where it is not UTF-8, it lacks some characters
    try:
        build(sys.argv[1] if len(sys.argv) > 1 else None)()
    except OmniidError as error:
        print(f"omniid: {error.message}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(_EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output went away, as `head` does; there is nobody left to tell.
        sys.stderr.close()
        sys.exit(_EXIT_READER_GONE)
