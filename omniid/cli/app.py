"""The verbs, gathered. `--help` lists them in this order."""

from __future__ import annotations

import typer

from omniid.cli import (
    ask,
    backend,
    demo,
    doctor,
    events,
    listen,
    models,
    outbox,
    run,
    status,
    transcribe,
    voice,
)

app = typer.Typer(
    help="Hold a key, speak, let go, and hear the reply. `omniid demo` shows it; `omniid doctor` checks it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(run.run)
app.command()(demo.demo)
app.command()(ask.ask)
app.command()(listen.listen)
app.command()(transcribe.transcribe)
app.command()(voice.say)
app.command()(voice.hush)
app.command()(status.status)
app.add_typer(outbox.app, name="outbox")
app.command()(events.events)
app.add_typer(models.app, name="models")
app.command()(doctor.doctor)
app.add_typer(backend.app, name="backend")
app.command()(run.reconnect)
app.command()(run.stop)
