"""How a sign-in that the assistant wants is shown: the sentence, the address, and what to do then."""

from __future__ import annotations

import os
import re
import shutil
import sys
from typing import Any
from urllib.parse import urlsplit

from omniid.cli.output import duration, outcome, printable
from omniid.control.client import Client

_FIT_TO_COPY = re.compile("[!-~]+")


def show_for(command: dict[str, Any], client: Client) -> None:
    """Show what a command in the state `needs_auth` waits for."""
    for sign_in in client.call("GET", "/v1/auth")["sign_ins"]:
        if command["id"] in sign_in["commands"]:
            show(sign_in)
            return
    print(outcome(command))  # it was ended meanwhile


def show_all(sign_ins: list[dict[str, Any]], only: str | None = None, *, apart: bool = False) -> None:
    """Show each of them, or one, with a line between them; `apart`: and one before them."""
    wanted = [sign_in for sign_in in sign_ins if only in {None, sign_in["id"]}]
    for number, sign_in in enumerate(wanted):
        if number or apart:
            print()
        show(sign_in, named=len(sign_ins) > 1)


def show(sign_in: dict[str, Any], *, named: bool = False) -> None:
    """Print a `SignInView`. The address stands on a line of its own, to be copied.

    `named`: there are others, so that what is to be run names this one.
    """
    url = sign_in["url"]
    if url is not None and not _FIT_TO_COPY.fullmatch(url):
        url = None
    address = url or sign_in["shown"]
    print(printable(sign_in["text"]))
    if address:
        print(printable(address))
    print(_where_it_is(sign_in))
    is_here = sign_in["opening"] or sign_in["opened"]
    if url is not None and url.startswith("http:") and not is_here:
        print(_from_elsewhere(url))
    print(_what_waits(sign_in))
    which = f" {printable(sign_in['id'])}" if named else ""
    print(f"When you have signed in, run `omniid auth done{which}`.")
    code = None if url is None or is_here else _code(url)
    if code:
        print(code)


def _where_it_is(sign_in: dict[str, Any]) -> str:
    if sign_in["problem"]:
        return printable(sign_in["problem"])
    if sign_in["state"] == "refused":
        return "You did not sign in. `omniid auth open` opens another page."
    if sign_in["opening"]:
        asked = "Another page is asked for, and opens in your browser; `omniid auth status` shows it, too."
        return "It is being opened in your browser." if sign_in["url"] else asked
    if sign_in["opened"]:
        return "It is open in your browser."
    return "`omniid auth open` opens the page in your browser."


def _from_elsewhere(url: str) -> str:
    """How another machine's browser reaches a page of this one, which alone may be `http`."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = parts.port or 80
    return f"From another machine, run this there first: ssh -L {port}:{host}:{port} THIS-MACHINE"


def _what_waits(sign_in: dict[str, Any]) -> str:
    count = len(sign_in["commands"])
    what = "1 command waits" if count == 1 else f"{count} commands wait"
    return f"{what} for it, for {duration(sign_in['open_for_s'])} more."


def _code(url: str) -> str | None:
    """The address for a phone's camera, where somebody looks and the terminal can show it.

    A page of this machine, which alone may be `http`, is nowhere for a phone.
    """
    if (
        url.startswith("http:")
        or not sys.stdout.isatty()
        or os.environ.get("TERM") == "dumb"
        or "utf" not in sys.stdout.encoding.lower()
    ):
        return None
    from omniid.cli.qr import draw  # noqa: PLC0415 light verbs do without it

    return draw(url, shutil.get_terminal_size().columns)
