from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from omniid.hotkeys.choice import BACKENDS, advice, candidates, is_wayland
from omniid.hotkeys.chord import parse
from omniid.hotkeys.contract import Binding

X_SESSION = {"DISPLAY": ":0", "XDG_SESSION_TYPE": "x11"}
WAYLAND = {"DISPLAY": ":0", "WAYLAND_DISPLAY": "wayland-0", "XDG_SESSION_TYPE": "wayland"}


@pytest.mark.parametrize(
    ("platform", "environ", "names"),
    [
        pytest.param("darwin", {}, ["macos"], id="a Mac"),
        pytest.param("darwin", {"DISPLAY": ":0"}, ["macos"], id="a Mac with XQuartz"),
        pytest.param("linux", X_SESSION, ["x11"], id="an X session"),
        pytest.param("linux", {"DISPLAY": ":0"}, ["x11"], id="an X session that does not say so"),
        pytest.param("linux", WAYLAND, ["portal", "evdev"], id="Wayland with XWayland"),
        pytest.param("linux", {"WAYLAND_DISPLAY": "wayland-0"}, ["portal", "evdev"], id="Wayland"),
        pytest.param(
            "linux",
            {"DISPLAY": ":0", "XDG_SESSION_TYPE": "wayland"},
            ["portal", "evdev"],
            id="a bare service",
        ),
        pytest.param("linux", X_SESSION | {"WAYLAND_DISPLAY": "w"}, ["x11"], id="Wayland in a window of X"),
        pytest.param("linux", {"XDG_SESSION_TYPE": "tty"}, ["portal", "evdev"], id="no session"),
        pytest.param("linux", {}, ["portal", "evdev"], id="nothing known"),
        pytest.param("freebsd14", {"DISPLAY": ":0"}, [], id="another system"),
    ],
)
def test_auto_picks_what_can_see_the_key(platform: str, environ: dict[str, str], names: list[str]) -> None:
    assert candidates(platform, environ, "auto") == names


@pytest.mark.parametrize("wanted", BACKENDS)
def test_a_named_backend_is_the_only_one(wanted: str) -> None:
    assert candidates("linux", WAYLAND, wanted) == [wanted]


def test_none_is_none() -> None:
    assert candidates("linux", X_SESSION, "none") == []


def test_the_session_knows_best_what_it_is() -> None:
    assert is_wayland(WAYLAND)
    assert not is_wayland(X_SESSION | {"WAYLAND_DISPLAY": "w"})
    assert is_wayland({"XDG_SESSION_TYPE": "tty", "WAYLAND_DISPLAY": "w"})


def test_the_advice_has_the_lines_for_the_compositor() -> None:
    wanted = [Binding("hotkey:default", parse("ctrl+alt+space"))]

    told = advice(["No portal."], wanted, "linux")

    assert told == (
        "No portal.\n"
        "Or bind `omniid listen start` and `omniid listen stop` yourself.\n"
        "  sway: bindsym --no-repeat Ctrl+Mod1+space exec omniid listen start\n"
        "        bindsym --release Ctrl+Mod1+space exec omniid listen stop\n"
        "  Hyprland: bind = CTRL ALT, space, exec, omniid listen start\n"
        "            bindr = CTRL ALT, space, exec, omniid listen stop"
    )
    assert advice(["Allow it."], wanted, "darwin") == "Allow it."


@pytest.mark.skipif(shutil.which("sway") is None, reason="sway is not installed")
def test_sway_takes_the_lines() -> None:
    told = [
        advice([], [Binding("talk", parse(chord))], "linux")
        for chord in ("ctrl+alt+space", "super+F9", "shift+F10", "rightctrl", "pause")
    ]
    lines = [
        f"bindsym{line.partition('bindsym')[2]}" for line in "\n".join(told).splitlines() if "bindsym" in line
    ]

    assert len(lines) == 10
    assert _check_by_sway("\n".join(lines)) == 0
    assert _check_by_sway("bindsym Crtl+space exec true") != 0


def _check_by_sway(config: str) -> int:
    """Sway's own verdict. It refuses root."""
    other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "config"
        file.write_text(config + "\n")
        if other:
            os.chown(folder, 65534, 65534)
        headless = {"WLR_BACKENDS": "headless", "WLR_LIBINPUT_NO_DEVICES": "1", "WLR_RENDERER": "pixman"}
        environment = {"PATH": os.environ["PATH"], "HOME": folder, "XDG_RUNTIME_DIR": folder, **headless}
        command = [*other, "sway", "--validate", "--config", str(file)]
        return subprocess.run(
            command, env=environment, capture_output=True, timeout=60, check=False
        ).returncode
