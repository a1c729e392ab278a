"""A model hub that speaks Hugging Face's API: what a repository holds, and its files from any byte on.

Of huggingface_hub this takes the session (proxies, certificates, tokens, HF_HUB_OFFLINE) and a repository's
description. Not its downloads: those of version 2.4 begin anew in each process, and compare sizes but no
checksums.
"""

from __future__ import annotations

import errno
import io
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import huggingface_hub
from huggingface_hub import errors
from huggingface_hub.utils import (  # type: ignore[attr-defined] # documented, though not in an __all__
    build_hf_headers,
    hf_raise_for_status,
)

from omniid.errors import RecognitionError
from omniid.recognition.seals import GIT_BLOB, SHA256, Manifest, Seal

# Two attempts more after each byte that came, then it is somebody's turn to look.
RETRY_AFTER_S = (1.0, 3.0)
SILENCE_S = float(os.environ.get("HF_HUB_DOWNLOAD_TIMEOUT") or 10)
_WORTH_A_RETRY = frozenset({408, 429, 500, 502, 503, 504})
_SERVER_ERROR = 500
_HUB = "https://huggingface.co"
_HOST = re.compile(r"[\w.-]+|[0-9a-fA-F:]+")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")

# The status errors derive from the HTTP client's root, which is another client's in each major version.
_FAILURES: tuple[type[Exception], ...] = (
    *cast("tuple[type[Exception], ...]", errors.HfHubHTTPError.__bases__),
    OSError,
    ValueError,
)


class _CutShortError(OSError):
    """The server ended a file before its end."""


class _UnsealedError(Exception):
    """The hub's description leaves out what the files must be."""


class _TooLongError(OSError):
    """The server sends more than the file has."""


def describe(repository: str, is_wanted: Callable[[str], bool]) -> Manifest:
    """The wanted files of a repository as it is now.

    Raises:
        RecognitionError: there is no such repository (`model_unknown`), it is not for everybody
            (`model_gated`), or the hub cannot be asked (`download_failed`).
    """
    api = huggingface_hub.HfApi(endpoint=_endpoint(), library_name="omniid")
    try:
        info = _patiently(lambda: api.model_info(repository, files_metadata=True, timeout=SILENCE_S))
        return _manifest(repository, info, is_wanted)
    except (_UnsealedError, AttributeError, KeyError, TypeError) as error:
        raise RecognitionError(
            f"The hub describes {repository} without names, sizes or checksums, so nothing can be checked. "
            "Unset HF_ENDPOINT, or try again later.",
            code="download_failed",
        ) from error
    except _FAILURES as error:
        raise explained(error, repository) from error


def fetch(manifest: Manifest, seal: Seal, into: Path, on_size: Callable[[int], None]) -> None:
    """Bring a file to its full size, from the byte where `into` ends. `on_size`: how many bytes it has now.

    Raises:
        RecognitionError: it cannot be had. What came is kept.
    """
    waits = list(RETRY_AFTER_S)
    with io.FileIO(into, "ab") as file:
        while (start := file.tell()) < seal.size_bytes:
            try:
                _stream(manifest, seal, file, on_size)
            except _FAILURES as error:
                if file.tell() > start:
                    waits = list(RETRY_AFTER_S)
                if not waits or not _is_passing(error):
                    raise explained(error, manifest.repository) from error
                time.sleep(waits.pop(0))


def explained(error: BaseException, repository: str) -> RecognitionError:
    """What went wrong and what to do, in words for people."""
    page = f"{_endpoint()}/{repository}"
    status = _status(error)
    if isinstance(error, errors.GatedRepoError) or status == 403:  # noqa: PLR2004 forbidden
        return RecognitionError(
            f"{repository} is not for everybody. Accept its terms at {page}, then run `hf auth login` or set "
            "HF_TOKEN to a token that may read it.",
            code="model_gated",
        )
    if isinstance(error, errors.RepositoryNotFoundError) or status in {401, 404}:
        return RecognitionError(
            f"The hub shows no model {repository}. Check the name at {page}; if it is private, run "
            "`hf auth login` or set HF_TOKEN.",
            code="model_unknown",
        )
    if isinstance(error, errors.OfflineModeIsEnabled):
        return RecognitionError(
            "HF_HUB_OFFLINE is set, so nothing is downloaded. Unset it.", code="download_failed"
        )
    if isinstance(error, OSError) and error.errno is not None and status is None:
        return _of_the_disk(error)
    reason = f"the hub answers {status}" if status is not None else _reason(error)
    return RecognitionError(
        f"{page} cannot be fetched: {reason}. Check the network, then download again: what has come is kept.",
        code="download_failed",
    )


def _of_the_disk(error: OSError) -> RecognitionError:
    is_full = error.errno in {errno.ENOSPC, errno.EDQUOT}
    return RecognitionError(
        f"The disk refuses: {error.strerror}. {'Make room' if is_full else 'Mend it'}, then download again: "
        "what has come is kept.",
        code="disk_full" if is_full else "download_failed",
    )


def _stream(manifest: Manifest, seal: Seal, file: io.FileIO, on_size: Callable[[int], None]) -> None:
    """One request. Bytes are written as they come, so that none is fetched twice."""
    start = file.tell()
    headers = build_hf_headers(library_name="omniid")
    headers["Accept-Encoding"] = "identity"  # a range is one of the file's bytes, not of packed ones
    if start:
        headers["Range"] = f"bytes={start}-"
    url = huggingface_hub.hf_hub_url(
        manifest.repository, seal.name, revision=manifest.commit, endpoint=_endpoint()
    )
    session: Any = huggingface_hub.get_session()
    with session.stream("GET", url, headers=headers, timeout=SILENCE_S) as response:
        hf_raise_for_status(response)
        if start and response.status_code != 206:  # noqa: PLR2004 partial content
            file.truncate(0)
            file.seek(0)
        for piece in response.iter_bytes():
            if file.tell() + len(piece) > seal.size_bytes:
                raise _TooLongError(f"{seal.name} has more bytes than the hub says")
            _write(file, piece)
            on_size(file.tell())
    if file.tell() < seal.size_bytes:
        raise _CutShortError(f"{seal.name} ended before its end")


def _write(file: io.FileIO, piece: bytes) -> None:
    """All of it, with no buffer: a killed process loses nothing, and a full disk is noticed at once."""
    rest = memoryview(piece)
    while rest:
        rest = rest[file.write(rest) :]


def _patiently(ask: Callable[[], Any]) -> Any:
    waits = list(RETRY_AFTER_S)
    while True:
        try:
            return ask()
        except _FAILURES as error:
            if not waits or (_status(error) or 0) < _SERVER_ERROR or not _is_passing(error):
                raise
            time.sleep(waits.pop(0))


def _is_passing(error: BaseException) -> bool:
    """Whether the same request may do better in a moment."""
    status = _status(error)
    if status is not None:
        return status in _WORTH_A_RETRY
    if isinstance(error, _TooLongError | errors.OfflineModeIsEnabled | ValueError):
        return False
    return not (isinstance(error, OSError) and error.errno is not None)  # of the disk


def _endpoint() -> str:
    """Where the hub is.

    Raises:
        RecognitionError: HF_ENDPOINT is no web address (`download_failed`).
    """
    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or _HUB
    try:
        parts = urlsplit(endpoint)
        is_address = parts.scheme in {"http", "https"} and _HOST.fullmatch(parts.hostname or "") is not None
        is_address = is_address and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        raise RecognitionError(
            f"HF_ENDPOINT = {endpoint!r} is no web address. Unset it, or set it to one such as {_HUB}.",
            code="download_failed",
        )
    return endpoint


def _manifest(repository: str, info: Any, is_wanted: Callable[[str], bool]) -> Manifest:
    if _COMMIT.fullmatch(str(info.sha)) is None:
        raise _UnsealedError
    seals = tuple(_seal(file) for file in info.siblings or () if is_wanted(file.rfilename))
    return Manifest(repository, info.sha, seals)


def _seal(file: Any) -> Seal:
    if file.lfs is not None and file.size is not None and _SHA256.fullmatch(str(file.lfs.sha256)):
        return Seal(file.rfilename, int(file.size), SHA256, file.lfs.sha256)
    if file.size is not None and _COMMIT.fullmatch(str(file.blob_id)):
        return Seal(file.rfilename, int(file.size), GIT_BLOB, file.blob_id)
    raise _UnsealedError


def _status(error: BaseException) -> int | None:
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def _reason(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".")
