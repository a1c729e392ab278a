"""What holds for every test."""

from __future__ import annotations

import os
import signal

from hypothesis import settings


def pytest_configure() -> None:
    """Slow machines, and the background of a shell, where Ctrl+C is ignored, make no difference."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    settings.register_profile("slow machines", deadline=None)
    if "CI" not in os.environ:  # there Hypothesis has a profile of its own, without a deadline too
        settings.load_profile("slow machines")
