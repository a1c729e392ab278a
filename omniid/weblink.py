"""Judge an address that a server wants opened in the user's browser: what it may be, and how it is shown."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

MAX_CHARACTERS = 8_000
MAX_SHOWN = 300

_NO_ADDRESS = "The assistant gave no address to sign in at."
_OTHER_SCRIPT = " (a name in another script)"
_TOO_LONG = f"it has more than {MAX_CHARACTERS:,} characters"
_MAX_HOST = 253
_MAX_PORT = 65_535
_DEFAULT_PORTS = {"https": 443, "http": 80}
# Control (Cc), format with the bidi overrides (Cf), lone surrogates (Cs), spaces and line ends (Z).
_UNSEEN = {"Cc", "Cf", "Cs", "Zs", "Zl", "Zp"}
# All that RFC 3986 allows in what follows the host, `%`, and the brackets that browsers leave alone too.
_KEPT = "/?#:@!$&'()*+,;=[]%-._~"
_LABEL = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_OTHER_LABEL = re.compile(r"(?:^|\.)xn--")
_NUMBER = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)")
_NAMES_AN_ACCOUNT = {"client_id", "scope"}
_ESCAPE = re.compile("%[0-9a-fA-F]{2}")


@dataclass(frozen=True, slots=True)
class Link:
    """A judged address.

    `url` is set only where it may be opened, and is printable ASCII. `shown` is for people, in ASCII but for
    the mark of a cut. `account` is equal for two addresses that differ in query and fragment only, except for
    the client and the scope in a query. `problem` is the sentence why it is not opened.
    """

    url: str | None
    shown: str | None
    account: str
    problem: str | None


class _UnfitError(Exception):
    """The address cannot be read as a page's; the text says what it is, after "since it"."""


@dataclass(frozen=True, slots=True)
class _Address:
    scheme: str
    host: str  # ASCII, lower-case; an IPv6 address in its brackets
    port: int | None  # None: the scheme's own
    rest: str  # path, query and fragment as printable ASCII

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.host}" + ("" if self.port is None else f":{self.port}")

    @property
    def url(self) -> str:
        return self.origin + self.rest

    @property
    def account(self) -> str:
        """One page may sign in to several accounts: what it is asked for tells them apart, no nonce does."""
        parts = urlsplit(self.url)
        port = _DEFAULT_PORTS[self.scheme] if self.port is None else self.port
        named = sorted(pair for pair in parse_qsl(parts.query) if pair[0] in _NAMES_AN_ACCOUNT)
        place = f"{self.scheme}://{self.host}:{port}" + _ESCAPE.sub(
            lambda found: found[0].upper(), parts.path or "/"
        )
        return f"{place}?{urlencode(named)}" if named else place

    @property
    def shown(self) -> str:
        hint = _OTHER_SCRIPT if _OTHER_LABEL.search(self.host) else ""
        room = MAX_SHOWN - len(hint)
        return _cut(self.url, room, at_least=len(self.origin)) + hint


def judge(url: str | None) -> Link:
    """Whether an address may be opened: https, or http on this machine, and nothing that has two readings."""
    if url is None or not url.strip():
        return Link(None, None, "", _NO_ADDRESS)
    try:
        address = _read(url)
    except _UnfitError as unfit:
        shown = _raw(url)
        where = re.split("[?#]", url[:MAX_CHARACTERS], maxsplit=1)[0]
        return Link(None, shown, _escaped(where), _refusal(shown, str(unfit)))
    if address.scheme == "http" and not _is_this_machine(address.host):
        why = "it is not encrypted: only https is opened, or http on this machine"
        return Link(None, address.shown, address.account, _refusal(address.shown, why))
    return Link(address.url, address.shown, address.account, None)


def _refusal(shown: str, why: str) -> str:
    return f"omniid does not open {shown}, since {why}."


def _read(url: str) -> _Address:
    if len(url) > MAX_CHARACTERS:
        raise _UnfitError(_TOO_LONG)
    if any(unicodedata.category(character) in _UNSEEN for character in url):
        raise _UnfitError("it holds a space or a character that cannot be seen")
    if "\\" in url:
        raise _UnfitError("it holds a backslash, which programs read in different ways")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise _UnfitError("it is no well-formed address") from error
    if parts.scheme not in _DEFAULT_PORTS:
        raise _UnfitError("it is not https")
    if "@" in parts.netloc:
        raise _UnfitError("it holds a user name or password, behind which another site can hide")
    host, port = _host_and_port(parts.netloc)
    rest = url[len(parts.scheme) + len("://") + len(parts.netloc) :]
    address = _Address(parts.scheme, host, port, quote(rest, safe=_KEPT))
    if len(address.url) > MAX_CHARACTERS:
        raise _UnfitError(_TOO_LONG)
    return address


def _host_and_port(netloc: str) -> tuple[str, int | None]:
    bracketed = re.fullmatch(r"\[([^\[\]]*)\](?::([0-9]*))?", netloc)
    found = bracketed or re.fullmatch(r"([^:\[\]]+)(?::([0-9]*))?", netloc)
    if found is None:
        raise _UnfitError("it names no site, or names it in an unusual way")
    host = _ipv6(found[1]) if bracketed else _name_or_ipv4(found[1])
    if not found[2]:
        return host, None
    digits = found[2].lstrip("0")
    if not digits or len(digits) > len(str(_MAX_PORT)) or int(digits) > _MAX_PORT:
        raise _UnfitError("there is no such port")
    return host, int(digits)


def _ipv6(text: str) -> str:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError as error:
        raise _UnfitError("what stands in its brackets is no IPv6 address") from error
    if address.scope_id is not None:
        raise _UnfitError("its IPv6 address names a network card")
    return f"[{address.compressed}]"


def _name_or_ipv4(text: str) -> str:
    if len(text) > _MAX_HOST:
        raise _UnfitError("the name of its site is too long")
    host = text.lower()
    if not host.isascii() or _OTHER_LABEL.search(host):
        host = _punycode(text)
    if not _NAME.fullmatch(host) or len(host) > _MAX_HOST:
        raise _UnfitError("its site has a name that cannot exist")
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        return _ipv4(host)  # as browsers read it; many ways to write one number are for hiding it
    return host


def _punycode(text: str) -> str:
    import idna  # noqa: PLC0415 tables of a megabyte that few addresses need

    try:
        return idna.encode(text, uts46=True).decode("ascii").lower()
    except idna.IDNAError as error:
        raise _UnfitError("its site has a name that cannot exist") from error


def _ipv4(text: str) -> str:
    try:
        return ipaddress.IPv4Address(text).compressed
    except ValueError as error:
        raise _UnfitError("its site is a number that is no plain IPv4 address") from error


def _is_this_machine(host: str) -> bool:
    if host in {"localhost", "[::1]"}:
        return True
    try:
        return ipaddress.IPv4Address(host).is_loopback
    except ValueError:
        return False


def _raw(url: str) -> str:
    """An address that cannot be read, for people: its beginning and its end, in printable ASCII."""
    ends = url if len(url) <= 2 * MAX_SHOWN else url[:MAX_SHOWN] + url[-MAX_SHOWN:]
    return _cut(_escaped(ends), MAX_SHOWN)


def _escaped(text: str) -> str:
    return text.encode("unicode_escape").decode("ascii")


def _cut(text: str, room: int, *, at_least: int = 0) -> str:
    """The text within `room` characters, its middle left out; its first `at_least` characters stay."""
    if len(text) <= room:
        return text
    head = max(at_least, room * 2 // 3)
    tail = max(room - head - 1, 0)
    return text[:head] + "…" + text[len(text) - tail :]
