"""Fetch a model into omniid's cache: all of it, as the hub has sealed it, or nothing `find` takes.

A file grows under the name of its digest and gets its own when it fits that digest. Whatever ends the
process, the next download goes on from the last byte on the disk.
"""

from __future__ import annotations

import fnmatch
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from omniid.errors import RecognitionError
from omniid.recognition import catalogue, model_store, models
from omniid.recognition.models import ModelChoice
from omniid.recognition.seals import MANIFEST, Manifest, Seal, force_to_disk, read_manifest, write_manifest

if TYPE_CHECKING:
    from types import ModuleType

WANTED_FILES = (*models.NEEDED_FILES, "preprocessor_config.json", "vocabulary.*")
SPARE_BYTES = 10_000_000  # a disk that is full to the brim stops other programs too
_DIGEST_CHARS = 12


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a download is, of all its files."""

    done_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class Downloaded:
    """The model, and how it got here. `note` says in a sentence what was done or not done."""

    choice: ModelChoice
    was_there: bool
    fetched_bytes: int
    note: str


def download(name: str, on_progress: Callable[[Progress], None] = lambda _progress: None) -> Downloaded:
    """Fetch a model, or go on with it; check and mend it where it is already there.

    Raises:
        RecognitionError: nothing of this name can be had (`model_unknown`, `model_gated`), it cannot be
            fetched (`download_failed`, `disk_full`, `models_busy`), or it is not what it should be
            (`download_damaged`, `model_unusable`).
    """
    repository = _repository(name)
    if (elsewhere := _elsewhere(name)) is not None:
        return elsewhere
    with model_store.locked():
        target = models.cache_path(name)
        if (there := _already_there(name, target)) is not None:
            return there
        hub = _hub()
        manifest = hub.describe(repository, _is_wanted)
        _require_model(manifest)
        part = model_store.part_path(name)
        try:
            _prepare(part, target, manifest)
            fetched = _fetch_all(hub, part, manifest, on_progress)
            models.check(ModelChoice(name, part, "cache"))
            model_store.put_in_place(part, target)
        except OSError as error:
            raise hub.explained(error, repository) from error
    choice = ModelChoice(name, target, "cache")
    return Downloaded(choice, False, fetched, f"{name} is here, and fits its checksums.")


def _repository(name: str) -> str:
    repository = catalogue.repository(name)
    if repository is None or not catalogue.is_name(name):
        raise RecognitionError(
            f"No model is known as {name}. {catalogue.did_you_mean(name)}", code="model_unknown"
        )
    return repository


def _elsewhere(name: str) -> Downloaded | None:
    """It is here, but not in omniid's cache."""
    for choice in models.installed():
        if choice.name == name and choice.origin == "package":
            models.check(choice)
            return Downloaded(choice, True, 0, f"{name} is already here, in a package; its checksum fits.")
        if choice.name == name and choice.origin == "huggingface" and _is_usable(choice):
            return Downloaded(
                choice,
                True,
                0,
                f"{name} is already here, in Hugging Face's cache; nothing says what its checksums are.",
            )
    return None


def _already_there(name: str, target: Path) -> Downloaded | None:
    """What is whole stays. What omniid has not downloaded may be the user's own work, and stays if it can."""
    if not target.is_dir():
        return None
    choice = ModelChoice(name, target, "cache")
    manifest = read_manifest(target)
    if manifest is None:
        if not _is_usable(choice):
            return None
        note = f"{name} is already here; omniid did not download it, so its checksums are not known."
        return Downloaded(choice, True, 0, note)
    if manifest.misfits(target):
        return None
    return Downloaded(choice, True, 0, f"{name} is already here, and fits its checksums.")


def _is_usable(choice: ModelChoice) -> bool:
    try:
        models.check(choice)
    except RecognitionError:
        return False
    return True


def _hub() -> ModuleType:
    from omniid.recognition import hub  # noqa: PLC0415 - an HTTP client, and only for what is not here yet

    return hub


def _is_wanted(file: str) -> bool:
    """Only plain names: what has a slash inside could lead out of the folder."""
    if "/" in file or "\\" in file:
        return False
    return any(fnmatch.fnmatchcase(file, pattern) for pattern in WANTED_FILES)


def _require_model(manifest: Manifest) -> None:
    missing = set(models.NEEDED_FILES) - {seal.name for seal in manifest.seals}
    if missing:
        raise RecognitionError(
            f"{manifest.repository} holds no Whisper model in CTranslate2's form, it lacks "
            f"{', '.join(sorted(missing))}. Look for one whose name has ct2 or faster-whisper in it.",
            code="model_unusable",
        )


def _prepare(part: Path, target: Path, manifest: Manifest) -> None:
    """A folder with what is worth keeping from before, and the room for the rest."""
    if target.is_dir():  # damaged
        shutil.rmtree(part, ignore_errors=True)
        part.parent.mkdir(exist_ok=True)
        target.rename(part)
    part.mkdir(parents=True, exist_ok=True)
    expected = {MANIFEST, *(seal.name for seal in manifest.seals), *map(_growing_name, manifest.seals)}
    for path in part.iterdir():
        if path.name not in expected:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    write_manifest(part, manifest)
    missing_bytes = manifest.size_bytes - model_store.size_bytes(part)
    free_bytes = shutil.disk_usage(part).free
    if free_bytes < missing_bytes + SPARE_BYTES:
        raise RecognitionError(
            f"{manifest.repository} needs {_mb(missing_bytes)} more, and the disk of "
            f"{models.cache_folder()} has {_mb(free_bytes)}. Make room, then download again.",
            code="disk_full",
        )


def _fetch_all(
    hub: ModuleType, part: Path, manifest: Manifest, on_progress: Callable[[Progress], None]
) -> int:
    """Complete every file; how many bytes came."""
    done = fetched = 0
    for seal in manifest.seals:

        def on_size(size: int, before: int = done) -> None:
            on_progress(Progress(before + size, manifest.size_bytes))

        fetched += _complete(hub, part, manifest, seal, on_size)
        done += seal.size_bytes
        on_progress(Progress(done, manifest.size_bytes))
    return fetched


def _complete(
    hub: ModuleType, part: Path, manifest: Manifest, seal: Seal, on_size: Callable[[int], None]
) -> int:
    path, growing = part / seal.name, part / _growing_name(seal)
    if seal.fits(path):
        return 0
    path.unlink(missing_ok=True)
    start = growing.stat().st_size if growing.exists() else 0
    hub.fetch(manifest, seal, growing, on_size)
    fetched = seal.size_bytes - start
    if start and not seal.fits(growing):  # what was there from before may be the damaged half
        growing.unlink()
        hub.fetch(manifest, seal, growing, on_size)
        fetched += seal.size_bytes
    if not seal.fits(growing):
        growing.unlink()
        raise RecognitionError(
            f"{seal.name} of {manifest.repository} came with a wrong checksum, and was thrown away. "
            "Try again; if it happens again, something between here and the hub changes it.",
            code="download_damaged",
        )
    force_to_disk(growing)
    growing.rename(path)
    return fetched


def _growing_name(seal: Seal) -> str:
    """By its digest, so that halves of two versions are never joined."""
    return f"{seal.name}.{seal.digest[:_DIGEST_CHARS]}.part"


def _mb(size_bytes: int) -> str:
    return f"{max(size_bytes, 0) / 1e6:.0f} MB"
