"""What a notification server is told in which words, and what the user is told of one that fails. Pure."""

from __future__ import annotations

from dbus_fast import Message, Variant

from omniid.notice_board import Notice
from omniid.notifications import text
from omniid.notifications.contract import NotShownError

BUS = "org.freedesktop.DBus"
_NORMAL, _LOW = 1, 0
_MARKUP = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def texts(notice: Notice, abilities: frozenset[str]) -> tuple[str, str]:
    title, body = text.title(notice.title), text.body(notice.body)
    if "body" not in abilities:
        return (f"{title}: {' '.join(body.split())}" if body else title), ""
    return title, body.translate(_MARKUP) if "body-markup" in abilities else body


def hints(notice: Notice) -> dict[str, Variant]:
    """Never urgent, so that "do not disturb" holds; never a sound, since omniid has its own."""
    return {
        "urgency": Variant("y", _LOW if notice.transient else _NORMAL),
        "transient": Variant("b", notice.transient),
        "desktop-entry": Variant("s", "omniid"),
        "suppress-sound": Variant("b", True),
    }


def no_bus() -> NotShownError:
    return NotShownError(
        "Notifications cannot be shown: there is no session bus. "
        "omniid tries again with the next notice; notifications.enabled = false ends that.",
        is_away=True,
        is_lost=True,
    )


def does_not_answer(*, is_lost: bool) -> NotShownError:
    return NotShownError(
        "The desktop's notification server does not answer. omniid tries again with the next notice.",
        is_away=True,
        is_lost=is_lost,
    )


def nobody(asked: Message, reply: Message) -> NotShownError:
    """The bus itself answers where nobody serves the name, or whoever did so has ended over the call."""
    has_ended = reply.error_name == f"{BUS}.Error.NoReply"
    return NotShownError(
        "Nobody shows notifications on this desktop. Start a notification server, such as dunst or mako; "
        "omniid tries again with the next notice.",
        is_away=True,
        is_lost=not has_ended or asked.member != "Notify",  # never again what a server may have ended over
    )


def refused(reply: Message) -> NotShownError:
    said = reply.body[0] if reply.body else reply.error_name
    why = text.title(str(said)).rstrip(".")
    return NotShownError(f"The desktop's notification server refuses a notice: {why}.")
