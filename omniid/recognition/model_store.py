"""omniid's own cache of models: what is in it, what is half there, and how a model leaves it.

What is not whole lies in a folder with a dot before its name, where `models.find` never looks, and comes to
its place by one rename.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from omniid.errors import RecognitionError
from omniid.recognition import catalogue, models
from omniid.recognition.seals import force_to_disk, read_manifest

_PARTS = ".parts"
_REMOVED = ".removed"
_LOCK = ".lock"


@dataclass(frozen=True, slots=True)
class Part:
    """A download that was begun and not ended. `total_bytes` None: not known."""

    name: str
    path: Path
    size_bytes: int
    total_bytes: int | None


@contextmanager
def locked() -> Iterator[None]:
    """Be the only process that changes the cache. What a removal that was cut short has left goes first.

    Raises:
        RecognitionError: another one does (`models_busy`), or the cache cannot be written
            (`download_failed`).
    """
    folder = models.cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / _LOCK).open("ab")
    except OSError as error:
        raise RecognitionError(
            f"{folder} cannot be written: {error.strerror}. Make it writable, or set XDG_CACHE_HOME.",
            code="download_failed",
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RecognitionError(
                "Another `omniid models` is downloading or removing. Wait until it has ended.",
                code="models_busy",
            ) from error
        shutil.rmtree(folder / _REMOVED, ignore_errors=True)
        yield


def part_path(name: str) -> Path:
    """Where a model lies until all of it is there."""
    return models.cache_folder() / _PARTS / models.folder_name(name)


def parts() -> list[Part]:
    """The downloads to go on with."""
    folder = models.cache_folder() / _PARTS
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return [_part(path) for path in paths]


def put_in_place(part: Path, target: Path) -> None:
    """Make a part a model. A power cut leaves the one or the other."""
    force_to_disk(part)
    part.rename(target)
    force_to_disk(target.parent)


def size_bytes(folder: Path) -> int:
    """Of all files in a folder; links count as what they lead to."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def remove(wanted: str) -> Path:
    """Delete a model, or what there is of one, from omniid's cache. It may be named by its folder.

    Raises:
        RecognitionError: it is not there (`model_missing`), or lies elsewhere (`model_not_ours`).
    """
    name = _name_of(wanted)
    target, part = models.cache_path(name), part_path(name)
    if not (target.exists() or target.is_symlink() or part.is_dir()):
        if (models.cache_folder() / _REMOVED).exists():  # it may be this one that was cut short
            with locked():
                pass
        raise _not_ours(name)
    with locked():
        for path in (target, part):
            _delete(path)
    return target


def _name_of(wanted: str) -> str:
    """The name in a name or in the path of a folder in the cache."""
    path = Path(wanted).expanduser()
    if path.is_absolute() and path.parent == models.cache_folder():
        wanted = path.name.replace("--", "/")
    if not catalogue.is_name(wanted):
        raise RecognitionError(
            f"{wanted} is not in omniid's cache, {models.cache_folder()}, and only what is there is omniid's "
            "to remove. `omniid models list` shows what is where.",
            code="model_not_ours",
        )
    return wanted


def _not_ours(name: str) -> RecognitionError:
    where = next((choice for choice in models.installed() if choice.name == name), None)
    if where is None:
        return RecognitionError(
            f"There is no model {name} in {models.cache_folder()}. `omniid models list` shows what is there.",
            code="model_missing",
        )
    way = (
        f"pip uninstall {models.PACKAGE}"
        if where.origin == "package"
        else f"`hf cache rm`, or delete {where.path}"
    )
    return RecognitionError(
        f"The model {name} is in {where.path}, which is not omniid's to remove. Use {way}.",
        code="model_not_ours",
    )


def _delete(path: Path) -> None:
    """Out of sight first, so that a killed process leaves no half of a model. Call it while `locked`."""
    if path.is_symlink():
        path.unlink()
    elif path.exists():
        bin_ = models.cache_folder() / _REMOVED
        path.rename(bin_)
        shutil.rmtree(bin_)


def _part(path: Path) -> Part:
    manifest = read_manifest(path)
    total = manifest.size_bytes if manifest is not None else None
    return Part(path.name.replace("--", "/"), path, size_bytes(path), total)
