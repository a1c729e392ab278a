"""A real browser without a window: the system's chromium, driven with playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome")


def _is_snap(path: Path) -> bool:
    """Ubuntu's command is a script that asks for the snap; Debian's is a script that knows nothing of it."""
    if "snap" in path.resolve().parts:
        return True
    with path.open("rb") as file:
        head = file.read(4096)
    return head.startswith(b"#!") and b"snap install" in head


def installed() -> str | None:
    """Where a chromium is; None where there is none, or only the stub that Ubuntu's snap leaves."""
    for name in _NAMES:
        path = shutil.which(name)
        if path is not None and not _is_snap(Path(path)):
            return path
    return None


needs_browser = pytest.mark.skipif(
    installed() is None, reason="there is no chromium here that runs without snap: apt-get install chromium"
)


@contextmanager
def browser() -> Iterator[Browser]:
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=installed(), args=["--no-sandbox"])
        try:
            yield chromium
        finally:
            chromium.close()
