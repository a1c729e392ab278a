"""Where the browser may be sent once the user has decided: to a program on this machine, and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

REDIRECT_URL = "redirectUrl"
_MAX_CHARACTERS = 2_000
_MAX_PORT = 65_535
# Only what RFC 3986 lets stand in a URL: no space, quote or backslash that a browser would read its own way.
_ON_THIS_MACHINE = re.compile(
    r"(?P<origin>http://(?:127\.0\.0\.1|\[::1\]|localhost):(?P<port>[0-9]{1,5}))"
    r"(?:[/?#][A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*)?",
    re.IGNORECASE,
)


def wanted(metadata: Mapping[str, Any] | None) -> str | None:
    """The URL that a command's metadata names; None where there is none, or one not of this machine."""
    given = (metadata or {}).get(REDIRECT_URL)
    if not isinstance(given, str) or len(given) > _MAX_CHARACTERS:
        return None
    found = _ON_THIS_MACHINE.fullmatch(given)
    return given if found is not None and 1 <= int(found["port"]) <= _MAX_PORT else None


def denied(url: str) -> str:
    """The same URL, and that the user said no (RFC 6749, 4.1.2.1)."""
    parts = urlsplit(url)
    query = f"{parts.query}&error=access_denied" if parts.query else "error=access_denied"
    return urlunsplit(parts._replace(query=query))


def as_form_action(url: str) -> str:
    """The source to name in a page's `form-action`: browsers hold the redirect to it as well.

    An address of IPv6 cannot be named there, so that the scheme stands for it.
    """
    found = _ON_THIS_MACHINE.fullmatch(url)
    return found["origin"].lower() if found is not None and "[" not in found["origin"] else "http:"
