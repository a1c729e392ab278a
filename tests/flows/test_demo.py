"""The demo itself, as a new user runs it."""

from __future__ import annotations

import os
import subprocess
import sys

from support import flow


def test_the_demo_shows_all_it_promises_and_exits_0() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "omniid", "demo"],
        env={**os.environ, **flow.QUIET_HOUSE},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for promise in (
        " forward ",
        '"commandType": "voice_command"',
        "first sound +",
        "is queued: 'What are my tasks?'",
        "in 1 attempt",
        "speaker.wav",
        "All of it happened.",
    ):
        assert promise in done.stdout
