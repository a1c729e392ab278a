"""The keys that a hotkey may use, a row each, by what every backend calls them. Pure numbers and words.

`evdev` is the kernel's key code, `keysym` the X Window System's name (the portal's, too), `mac` the virtual
key code of macOS; None where its keyboards have no such key. The kernel and macOS count places on the
keyboard, X counts what the layout makes of them: on a French keyboard the `a` of X is where the `q` of the
others is.
"""

from __future__ import annotations

from typing import NamedTuple


class Key(NamedTuple):
    name: str
    evdev: int
    keysym: str
    mac: int | None


_LETTERS = [
    Key("a", 30, "a", 0x00),
    Key("b", 48, "b", 0x0B),
    Key("c", 46, "c", 0x08),
    Key("d", 32, "d", 0x02),
    Key("e", 18, "e", 0x0E),
    Key("f", 33, "f", 0x03),
    Key("g", 34, "g", 0x05),
    Key("h", 35, "h", 0x04),
    Key("i", 23, "i", 0x22),
    Key("j", 36, "j", 0x26),
    Key("k", 37, "k", 0x28),
    Key("l", 38, "l", 0x25),
    Key("m", 50, "m", 0x2E),
    Key("n", 49, "n", 0x2D),
    Key("o", 24, "o", 0x1F),
    Key("p", 25, "p", 0x23),
    Key("q", 16, "q", 0x0C),
    Key("r", 19, "r", 0x0F),
    Key("s", 31, "s", 0x01),
    Key("t", 20, "t", 0x11),
    Key("u", 22, "u", 0x20),
    Key("v", 47, "v", 0x09),
    Key("w", 17, "w", 0x0D),
    Key("x", 45, "x", 0x07),
    Key("y", 21, "y", 0x10),
    Key("z", 44, "z", 0x06),
]
_DIGITS_AND_SIGNS = [
    Key("1", 2, "1", 0x12),
    Key("2", 3, "2", 0x13),
    Key("3", 4, "3", 0x14),
    Key("4", 5, "4", 0x15),
    Key("5", 6, "5", 0x17),
    Key("6", 7, "6", 0x16),
    Key("7", 8, "7", 0x1A),
    Key("8", 9, "8", 0x1C),
    Key("9", 10, "9", 0x19),
    Key("0", 11, "0", 0x1D),
    Key("minus", 12, "minus", 0x1B),
    Key("equal", 13, "equal", 0x18),
    Key("comma", 51, "comma", 0x2B),
    Key("period", 52, "period", 0x2F),
    Key("slash", 53, "slash", 0x2C),
    Key("semicolon", 39, "semicolon", 0x29),
    Key("apostrophe", 40, "apostrophe", 0x27),
    Key("grave", 41, "grave", 0x32),
    Key("backslash", 43, "backslash", 0x2A),
    Key("leftbracket", 26, "bracketleft", 0x21),
    Key("rightbracket", 27, "bracketright", 0x1E),
]
_EDITING = [
    Key("space", 57, "space", 0x31),
    Key("tab", 15, "Tab", 0x30),
    Key("enter", 28, "Return", 0x24),
    Key("backspace", 14, "BackSpace", 0x33),
    Key("escape", 1, "Escape", 0x35),
    Key("delete", 111, "Delete", 0x75),
    Key("home", 102, "Home", 0x73),
    Key("end", 107, "End", 0x77),
    Key("pageup", 104, "Prior", 0x74),
    Key("pagedown", 109, "Next", 0x79),
    Key("up", 103, "Up", 0x7E),
    Key("down", 108, "Down", 0x7D),
    Key("left", 105, "Left", 0x7B),
    Key("right", 106, "Right", 0x7C),
]
_FUNCTION = [
    Key("F1", 59, "F1", 0x7A),
    Key("F2", 60, "F2", 0x78),
    Key("F3", 61, "F3", 0x63),
    Key("F4", 62, "F4", 0x76),
    Key("F5", 63, "F5", 0x60),
    Key("F6", 64, "F6", 0x61),
    Key("F7", 65, "F7", 0x62),
    Key("F8", 66, "F8", 0x64),
    Key("F9", 67, "F9", 0x65),
    Key("F10", 68, "F10", 0x6D),
    Key("F11", 87, "F11", 0x67),
    Key("F12", 88, "F12", 0x6F),
    Key("F13", 183, "F13", 0x69),
    Key("F14", 184, "F14", 0x6B),
    Key("F15", 185, "F15", 0x71),
    Key("F16", 186, "F16", 0x6A),
    Key("F17", 187, "F17", 0x40),
    Key("F18", 188, "F18", 0x4F),
    Key("F19", 189, "F19", 0x50),
    Key("F20", 190, "F20", 0x5A),
    Key("F21", 191, "F21", None),
    Key("F22", 192, "F22", None),
    Key("F23", 193, "F23", None),
    Key("F24", 194, "F24", None),
]
_RARELY_USED = [
    Key("pause", 119, "Pause", None),
    Key("scrolllock", 70, "Scroll_Lock", None),
    Key("printscreen", 99, "Print", None),
    Key("insert", 110, "Insert", None),
    Key("menu", 127, "Menu", None),
]
_SIDES = [
    Key("leftctrl", 29, "Control_L", 0x3B),
    Key("rightctrl", 97, "Control_R", 0x3E),
    Key("leftalt", 56, "Alt_L", 0x3A),
    Key("rightalt", 100, "Alt_R", 0x3D),
    Key("leftshift", 42, "Shift_L", 0x38),
    Key("rightshift", 54, "Shift_R", 0x3C),
    Key("leftsuper", 125, "Super_L", 0x37),
    Key("rightsuper", 126, "Super_R", 0x36),
]

KEYS = {
    key.name: key for key in (*_LETTERS, *_DIGITS_AND_SIGNS, *_EDITING, *_FUNCTION, *_RARELY_USED, *_SIDES)
}
# Taking one of these away from all other programs would make typing impossible.
NEEDED_FOR_TYPING = frozenset(key.name for key in (*_LETTERS, *_DIGITS_AND_SIGNS, *_EDITING))
# A chord is written with these; either side of the keyboard counts.
MODIFIERS = ("ctrl", "alt", "shift", "super")
MODIFIER_OF = {f"{side}{modifier}": modifier for side in ("left", "right") for modifier in MODIFIERS}
