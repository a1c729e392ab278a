"""The table of keys against what the libraries themselves know."""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path

import pytest

from omniid.hotkeys.keynames import KEYS, MODIFIER_OF, NEEDED_FOR_TYPING

KERNELS_NAMES = {
    "escape": "KEY_ESC",
    "leftbracket": "KEY_LEFTBRACE",
    "rightbracket": "KEY_RIGHTBRACE",
    "period": "KEY_DOT",
    "printscreen": "KEY_SYSRQ",
    "menu": "KEY_COMPOSE",
    "leftsuper": "KEY_LEFTMETA",
    "rightsuper": "KEY_RIGHTMETA",
}
PYNPUTS_NAMES = {
    "escape": "esc",
    "pageup": "page_up",
    "pagedown": "page_down",
    "leftctrl": "ctrl_l",
    "rightctrl": "ctrl_r",
    "leftalt": "alt_l",
    "rightalt": "alt_r",
    "leftshift": "shift_l",
    "rightshift": "shift_r",
    "leftsuper": "cmd_l",
    "rightsuper": "cmd_r",
}
SIGNS = {
    "minus": "-",
    "equal": "=",
    "comma": ",",
    "period": ".",
    "slash": "/",
    "semicolon": ";",
    "apostrophe": "'",
    "grave": "`",
    "backslash": "\\",
    "leftbracket": "[",
    "rightbracket": "]",
}


def test_no_two_keys_are_the_same() -> None:
    for column in ("evdev", "keysym", "mac"):
        numbers = [getattr(key, column) for key in KEYS.values() if getattr(key, column) is not None]
        assert len(set(numbers)) == len(numbers), column


def test_every_special_name_is_a_key() -> None:
    assert KEYS.keys() >= NEEDED_FOR_TYPING | MODIFIER_OF.keys()


@pytest.mark.skipif(sys.platform != "linux", reason="evdev is Linux's")
def test_the_kernels_codes() -> None:
    ecodes = pytest.importorskip("evdev.ecodes", reason="the extra evdev is not installed")

    for key in KEYS.values():
        name = KERNELS_NAMES.get(key.name, f"KEY_{key.name.upper()}")
        assert ecodes.ecodes[name] == key.evdev, key.name


@pytest.mark.skipif(sys.platform != "linux", reason="python-xlib is installed on Linux")
def test_the_names_of_x() -> None:
    from Xlib import XK  # noqa: PLC0415 - absent on macOS

    for key in KEYS.values():
        assert XK.string_to_keysym(key.keysym) != 0, key.name


def test_the_codes_of_macos_as_pynput_has_them() -> None:
    """Its module for macOS cannot be imported elsewhere, so its source is read."""
    found = importlib.util.find_spec("pynput")
    if found is None or found.origin is None:
        pytest.skip("pynput is not installed")
    folder = Path(found.origin).parent
    named = _named_codes(folder / "keyboard/_darwin.py")
    signs = _signs(folder / "_util/darwin_vks.py")

    for key in KEYS.values():
        if key.mac is None:
            continue
        if key.name in SIGNS or len(key.name) == 1:
            assert signs[key.mac] == SIGNS.get(key.name, key.name)
        else:
            assert named[PYNPUTS_NAMES.get(key.name, key.name.lower())] == key.mac, key.name


def _named_codes(source: Path) -> dict[str, int]:
    """`name = KeyCode.from_vk(0x31, ...)` in the class Key."""
    found = {}
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        match node:
            case ast.Assign(
                targets=[ast.Name(id=name)], value=ast.Call(args=[ast.Constant(value=int(code))])
            ):
                found[name] = code
            case _:
                pass
    return found


def _signs(source: Path) -> dict[int, str]:
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Dict):
            signs: dict[int, str] = ast.literal_eval(node)
            return signs
    raise AssertionError("no table found")
