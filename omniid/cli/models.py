"""`omniid models`: which speech models are here, how one gets here, and how it goes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from omniid.cli.output import JsonFlag, print_json, printable

if TYPE_CHECKING:
    from omniid.recognition.download import Progress
    from omniid.recognition.models import ModelChoice

_EXIT_INTERRUPTED = 130
_QUARTERS = 4
_ON_DISK = {"package": "package", "cache": "cache", "huggingface": "hugging face", "configured": "configured"}

app = typer.Typer(help="The speech models: see, fetch, remove them.", no_args_is_help=True)


@app.command("list")
def list_(*, json_: JsonFlag = False) -> None:
    """List the models on this machine, the one in use marked, and those that can be downloaded."""
    from omniid.recognition import catalogue, model_store  # noqa: PLC0415 light verbs do without these

    used, problem = _used()
    rows = [_row(choice, used) for choice in _listed(used)]
    begun = [
        {"name": part.name, "size_bytes": part.size_bytes, "total_bytes": part.total_bytes}
        for part in model_store.parts()
    ]
    here = {row["name"] for row in rows}
    offers = [
        {"name": name, "repository": offer.repository, "size_bytes": offer.size_bytes}
        for name, offer in catalogue.KNOWN.items()
        if name not in here
    ]
    if json_:
        print_json({"installed": rows, "begun": begun, "available": offers, "problem": problem})
    else:
        _print_list(rows, begun, offers)
        if problem is not None:
            print(printable(problem), file=sys.stderr)


@app.command()
def path(*, json_: JsonFlag = False) -> None:
    """Print the folder of the model that would be used."""
    from omniid import config  # noqa: PLC0415 light verbs do without these
    from omniid.recognition.models import find  # noqa: PLC0415

    choice = find(config.load_default().recognition.model)
    if json_:
        print_json(_choice(choice))
    else:
        print(choice.path)


@app.command()
def download(
    name: Annotated[
        str, typer.Argument(help="A Whisper model, such as base.en, small or large-v3, or OWNER/REPOSITORY.")
    ] = "base.en",
    *,
    json_: JsonFlag = False,
) -> None:
    """Fetch a model into the local cache, or go on where the last try stopped. Prints its folder."""
    from omniid.recognition.download import download as fetch  # noqa: PLC0415 light verbs do without it

    try:
        with _progress(name) as on_progress:
            done = fetch(name, on_progress)
    except KeyboardInterrupt:
        print(
            f"Stopped. What has come is kept: `omniid models download {name}` goes on from there, "
            f"`omniid models remove {name}` deletes it.",
            file=sys.stderr,
        )
        raise typer.Exit(_EXIT_INTERRUPTED) from None
    print(done.note, file=sys.stderr)
    if json_:
        print_json({**_choice(done.choice), "was_there": done.was_there, "fetched_bytes": done.fetched_bytes})
    else:
        print(done.choice.path)


@app.command()
def remove(
    name: Annotated[str, typer.Argument(help="A model in omniid's cache, or its folder.")],
    *,
    json_: JsonFlag = False,
) -> None:
    """Delete a model from the local cache. What lies elsewhere is not touched."""
    from omniid.recognition import model_store  # noqa: PLC0415 light verbs do without it

    before, _ = _used()
    gone = model_store.remove(name)
    was_used = before is not None and before.path == gone
    after, problem = _used() if was_used else (before, None)
    if was_used:
        now = f"Now {after.name} is." if after is not None else problem
        print(f"It was the one in use. {now}", file=sys.stderr)
    if json_:
        uses = None if after is None else _choice(after)
        print_json({"path": str(gone), "was_used": was_used, "uses": uses})
    else:
        print(gone)


def _used() -> tuple[ModelChoice | None, str | None]:
    """The model that would be used, or why there is none."""
    from omniid import config  # noqa: PLC0415 light verbs do without these
    from omniid.errors import RecognitionError  # noqa: PLC0415
    from omniid.recognition.models import find  # noqa: PLC0415

    try:
        return find(config.load_default().recognition.model), None
    except RecognitionError as error:
        return None, error.message


def _listed(used: ModelChoice | None) -> list[ModelChoice]:
    from omniid.recognition.models import installed  # noqa: PLC0415 light verbs do without it

    choices = installed()
    return choices if used is None or used in choices else [used, *choices]


def _row(choice: ModelChoice, used: ModelChoice | None) -> dict[str, Any]:
    from omniid.errors import RecognitionError  # noqa: PLC0415 light verbs do without these
    from omniid.recognition import model_store, models  # noqa: PLC0415

    problem = None
    try:
        models.check(choice)
    except RecognitionError as error:
        problem = error.message
    size_bytes = model_store.size_bytes(choice.path)
    return {**_choice(choice), "size_bytes": size_bytes, "is_used": choice == used, "problem": problem}


def _choice(choice: ModelChoice) -> dict[str, Any]:
    return {"name": choice.name, "origin": choice.origin, "path": str(choice.path)}


def _print_list(
    rows: list[dict[str, Any]], begun: list[dict[str, Any]], offers: list[dict[str, Any]]
) -> None:
    print("On this machine (* the one in use):" if rows else "On this machine: none")
    for row in rows:
        mark = "*" if row["is_used"] else " "
        where = f"{_ON_DISK[row['origin']]:<12}  {row['path']}"
        print(printable(f"{mark} {row['name']:<18} {_mb(row['size_bytes']):>8}  {where}"))
        if row["problem"] is not None:
            print(printable(f"    {row['problem']}"))
    if begun:
        print("\nBegun; `omniid models download NAME` goes on:")
    for part in begun:
        total = "?" if part["total_bytes"] is None else _mb(part["total_bytes"])
        print(printable(f"  {part['name']:<18} {_mb(part['size_bytes']):>8}  of {total}"))
    print("\nTo be had with `omniid models download NAME` (or OWNER/REPOSITORY at Hugging Face):")
    for offer in offers:
        print(f"  {offer['name']:<18} {_mb(offer['size_bytes']):>8}  {offer['repository']}")


@contextmanager
def _progress(name: str) -> Iterator[Callable[[Progress], None]]:
    """A bar where somebody looks at it, else a line for each quarter."""
    if not sys.stderr.isatty():
        yield _lines(name)
        return
    from rich import progress  # noqa: PLC0415 only a terminal needs it
    from rich.console import Console  # noqa: PLC0415

    columns = (
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=None)
        yield lambda now: bar.update(task, completed=now.done_bytes, total=now.total_bytes)


def _lines(name: str) -> Callable[[Progress], None]:
    told = -1

    def on_progress(now: Progress) -> None:
        nonlocal told
        quarter = now.done_bytes * _QUARTERS // max(now.total_bytes, 1)
        if quarter != told:
            told = quarter
            print(f"{name}: {_mb(now.done_bytes)} of {_mb(now.total_bytes)}", file=sys.stderr, flush=True)

    return on_progress


def _mb(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.0f} MB" if size_bytes >= 1e6 else f"{size_bytes / 1e3:.0f} kB"  # noqa: PLR2004 a million
