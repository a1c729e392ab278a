"""A service that was started before its desktop."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from omniid import desktop

PRINTED = """HOME=/home/ann
DISPLAY=:1
WAYLAND_DISPLAY=wayland-0
XAUTHORITY=$'/run/user/1000/with space'
LS_COLORS=rs=0
"""


def test_only_what_concerns_the_desktop_is_taken() -> None:
    assert desktop.chosen(PRINTED) == {
        "DISPLAY": ":1",
        "WAYLAND_DISPLAY": "wayland-0",
        "XAUTHORITY": "/run/user/1000/with space",
    }
    assert desktop.chosen("") == {}
    assert desktop.chosen("DISPLAY=$'a\n") == {"DISPLAY": "$'a"}


@pytest.mark.parametrize(
    "environ", [{"DISPLAY": ":0", "INVOCATION_ID": "x"}, {"WAYLAND_DISPLAY": "w", "INVOCATION_ID": "x"}, {}]
)
def test_nobody_is_asked_where_there_is_nothing_to_find_out(environ: dict[str, str]) -> None:
    before = dict(environ)

    asyncio.run(asyncio.wait_for(desktop.find(environ), 5))

    assert environ == before


def test_the_user_manager_is_asked_until_the_desktop_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a program in systemctl's place that answers in its form, and knows the display the second time."""
    program = tmp_path / "systemctl"
    program.write_text(
        f"#!/bin/sh\n[ \"$*\" = '--user show-environment' ] || exit 1\n"
        f"if [ -e {tmp_path}/asked ]; then echo DISPLAY=:7; fi\ntouch {tmp_path}/asked\necho HOME=/root\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(desktop, "FIRST_S", 0.01)
    environ = {"INVOCATION_ID": "x"}

    asyncio.run(asyncio.wait_for(desktop.find(environ), 60))

    assert environ == {"INVOCATION_ID": "x", "DISPLAY": ":7"}
