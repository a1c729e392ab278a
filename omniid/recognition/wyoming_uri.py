"""Where a Wyoming server is: tcp://HOST:PORT or unix:///PATH. Pure, and light enough for config.py."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}|[0-9A-Fa-f:.]+(%[A-Za-z0-9_.-]+)?")


@dataclass(frozen=True, slots=True)
class TcpAddress:
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class UnixAddress:
    path: str


Address = TcpAddress | UnixAddress


def parse(uri: str) -> Address:
    """The address in a URI.

    Raises:
        ValueError: it is of another form; the message is a sentence for people.
    """
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(_advice(uri)) from None
    if not uri.isprintable() or parts.query or parts.fragment or parts.username or parts.password:
        raise ValueError(_advice(uri))
    if parts.scheme == "unix" and not parts.netloc and parts.path.startswith("/"):
        return UnixAddress(parts.path)
    is_host = host is not None and _HOST.fullmatch(host) is not None
    if parts.scheme == "tcp" and is_host and port and parts.path in {"", "/"}:
        return TcpAddress(str(host), port)
    raise ValueError(_advice(uri))


def leaves_machine(uri: str) -> bool:
    """Whether what is said goes to another machine, which with Wyoming means unencrypted over the network.

    Raises:
        ValueError: as `parse`.
    """
    address = parse(uri)
    if isinstance(address, UnixAddress) or address.host == "localhost":
        return False
    try:
        number = ipaddress.ip_address(address.host.split("%")[0])
    except ValueError:
        return True  # a name can come to mean anything
    if isinstance(number, ipaddress.IPv6Address) and number.ipv4_mapped is not None:
        number = number.ipv4_mapped
    return not number.is_loopback


def clear_text_warning(uri: str) -> str | None:
    """What the user should know about such an address; None where nothing leaves the machine."""
    if not leaves_machine(uri):
        return None
    return (
        f"recognition.uri = {uri}: what you say goes over the network unencrypted, for Wyoming knows no "
        "encryption. Use it only in a network you trust, or through a tunnel (ssh -L) to tcp://127.0.0.1."
    )


def _advice(uri: str) -> str:
    return f"{uri!r} is no address of a recogniser: use tcp://HOST:PORT or unix:///PATH"
