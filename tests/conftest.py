"""What holds for every test."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """Ctrl+C means the same wherever the tests run: a shell lets what it puts in the background ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
