"""What the files of a downloaded model must be, and whether they still are. It is kept beside them."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

MANIFEST = "omniid-model.json"
SHA256 = "sha256"
GIT_BLOB = "git-blob"


@dataclass(frozen=True, slots=True)
class Seal:
    """One file. `kind` of `digest`: sha256 for large files, git's object id for small ones."""

    name: str
    size_bytes: int
    kind: str
    digest: str

    def has_size(self, path: Path) -> bool:
        return path.is_file() and path.stat().st_size == self.size_bytes

    def fits(self, path: Path) -> bool:
        """Whether this is the file; reads all of it."""
        return self.has_size(path) and _digest(path, self.kind) == self.digest


@dataclass(frozen=True, slots=True)
class Manifest:
    """A repository as it was at one commit."""

    repository: str
    commit: str
    seals: tuple[Seal, ...]

    @property
    def size_bytes(self) -> int:
        return sum(seal.size_bytes for seal in self.seals)

    def misfits(self, folder: Path) -> list[str]:
        """The files in a folder that are missing or not what they were; reads all of them."""
        return [seal.name for seal in self.seals if not seal.fits(folder / seal.name)]


def read_manifest(folder: Path) -> Manifest | None:
    """What omniid knows of a model it has downloaded; None where it has not, or the note is damaged."""
    try:
        content = json.loads((folder / MANIFEST).read_bytes())
        seals = tuple(Seal(**seal) for seal in content["seals"])
        return Manifest(str(content["repository"]), str(content["commit"]), seals)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write_manifest(folder: Path, manifest: Manifest) -> None:
    path = folder / MANIFEST
    new = path.with_suffix(".new")
    new.write_text(json.dumps(asdict(manifest), indent=1))
    force_to_disk(new)
    new.replace(path)


def force_to_disk(path: Path) -> None:
    """A file's content, or a folder's list of names, so that a power cut leaves no holes in it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _digest(path: Path, kind: str) -> str:
    with path.open("rb") as file:
        if kind == SHA256:
            return hashlib.file_digest(file, "sha256").hexdigest()
        header = b"blob %d\0" % path.stat().st_size
        found = hashlib.sha1(header, usedforsecurity=False)  # git's own; it guards against accidents
        found.update(file.read())
        return found.hexdigest()
