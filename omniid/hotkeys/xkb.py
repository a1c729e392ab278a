"""The three requests of the X keyboard extension that python-xlib does not have.

With them a held key repeats as presses without releases in between ("detectable auto-repeat"). A client that
uses the extension gets no core MappingNotify any more, so changes of the layout are asked for as its events.
"""

from __future__ import annotations

from typing import Any

from Xlib.protocol import rq

_USE_CORE_KEYBOARD = 0x100
_DETECTABLE_AUTO_REPEAT = 1
_NEW_KEYBOARD_AND_MAP = 1 | 2
_ALL_MAP_PARTS = 0xFF


class _UseExtension(rq.ReplyRequest):  # type: ignore[misc]  # the library has no types
    _request = rq.Struct(
        rq.Card8("opcode"), rq.Opcode(0), rq.RequestLength(), rq.Card16("major"), rq.Card16("minor")
    )
    _reply = rq.Struct(
        rq.ReplyCode(),
        rq.Card8("supported"),
        rq.Card16("sequence_number"),
        rq.ReplyLength(),
        rq.Card16("server_major"),
        rq.Card16("server_minor"),
        rq.Pad(20),
    )


class _SelectEvents(rq.Request):  # type: ignore[misc]  # the library has no types
    _request = rq.Struct(
        rq.Card8("opcode"),
        rq.Opcode(1),
        rq.RequestLength(),
        rq.Card16("device"),
        rq.Card16("affect_which"),
        rq.Card16("clear"),
        rq.Card16("select_all"),
        rq.Card16("affect_map"),
        rq.Card16("map"),
    )


class _PerClientFlags(rq.ReplyRequest):  # type: ignore[misc]  # the library has no types
    _request = rq.Struct(
        rq.Card8("opcode"),
        rq.Opcode(21),
        rq.RequestLength(),
        rq.Card16("device"),
        rq.Pad(2),
        rq.Card32("change"),
        rq.Card32("value"),
        rq.Card32("controls_to_change"),
        rq.Card32("auto_controls"),
        rq.Card32("auto_control_values"),
    )
    _reply = rq.Struct(
        rq.ReplyCode(),
        rq.Card8("device"),
        rq.Card16("sequence_number"),
        rq.ReplyLength(),
        rq.Card32("supported"),
        rq.Card32("value"),
        rq.Card32("auto_controls"),
        rq.Card32("auto_control_values"),
        rq.Pad(8),
    )


def use(display: Any) -> int | None:
    """Ask for detectable auto-repeat and for the layout's changes.

    Returns:
        The code of the events that tell of changes; None where the server cannot do it.
    """
    extension = display.query_extension("XKEYBOARD")
    if extension is None or not extension.present:
        return None
    common = {"display": display.display, "opcode": extension.major_opcode}
    if not _UseExtension(**common, major=1, minor=0).supported:
        return None
    _SelectEvents(
        **common,
        device=_USE_CORE_KEYBOARD,
        affect_which=_NEW_KEYBOARD_AND_MAP,
        clear=0,
        select_all=_NEW_KEYBOARD_AND_MAP,
        affect_map=_ALL_MAP_PARTS,
        map=_ALL_MAP_PARTS,
    )
    _PerClientFlags(
        **common,
        device=_USE_CORE_KEYBOARD,
        change=_DETECTABLE_AUTO_REPEAT,
        value=_DETECTABLE_AUTO_REPEAT,
        controls_to_change=0,
        auto_controls=0,
        auto_control_values=0,
    )
    return int(extension.first_event)
