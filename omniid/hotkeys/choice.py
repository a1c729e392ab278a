"""Which backends to try on this machine, and what to say when none works. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from omniid.hotkeys.contract import Binding
from omniid.hotkeys.keynames import KEYS, MODIFIERS

BACKENDS = ("x11", "macos", "portal", "evdev")
_SWAY = {"ctrl": "Ctrl", "alt": "Mod1", "shift": "Shift", "super": "Mod4"}
_HYPRLAND = {"ctrl": "CTRL", "alt": "ALT", "shift": "SHIFT", "super": "SUPER"}

XWAYLAND_NOTE = (
    "This is a Wayland session: through X the key is only seen while a window of an X program has the focus."
)


def candidates(platform: str, environ: Mapping[str, str], wanted: str) -> list[str]:
    """The names of the backends to try, best first. `wanted`: one of them, `auto` or `none`."""
    if wanted == "none":
        return []
    if wanted != "auto":
        return [wanted]
    if platform == "darwin":
        return ["macos"]
    if not platform.startswith("linux"):
        return []
    # Never X under Wayland: the grab would succeed there, and see nothing while other windows have the focus.
    if is_wayland(environ) or not environ.get("DISPLAY"):
        return ["portal", "evdev"]
    return ["x11"]


def is_wayland(environ: Mapping[str, str]) -> bool:
    """Whether the session is one, as it says itself or as its variables tell."""
    kind = environ.get("XDG_SESSION_TYPE")
    return kind == "wayland" if kind in {"wayland", "x11"} else bool(environ.get("WAYLAND_DISPLAY"))


def advice(reasons: Sequence[str], bindings: Sequence[Binding], platform: str) -> str:
    """What to tell the user when no backend listens: why, and how to bind the verbs instead."""
    why = " ".join(reasons) or "omniid knows no way to listen for a key on this system."
    if platform == "darwin" or not bindings:
        return why
    return f"{why}\nOr bind `omniid listen start` and `omniid listen stop` yourself.\n{_lines(bindings[0])}"


def _lines(binding: Binding) -> str:
    key = KEYS[binding.chord.key].keysym
    used = [name for name in MODIFIERS if name in binding.chord.modifiers]
    sway = "+".join([*(_SWAY[name] for name in used), key])
    hyprland = f"{' '.join(_HYPRLAND[name] for name in used)}, {key}"
    return (
        f"  sway: bindsym --no-repeat {sway} exec omniid listen start\n"
        f"        bindsym --release {sway} exec omniid listen stop\n"
        f"  Hyprland: bind = {hyprland}, exec, omniid listen start\n"
        f"            bindr = {hyprland}, exec, omniid listen stop"
    )
