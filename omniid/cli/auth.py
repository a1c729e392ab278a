"""`omniid auth`: the token that a remote backend knows this user by, and what to sign in to for it.

The token is read, kept and never printed.
"""

from __future__ import annotations

import asyncio
import getpass
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from omniid.cli import sign_in
from omniid.cli.output import JsonFlag, print_json, printable
from omniid.control.client import Client
from omniid.errors import EXIT_DONE, EXIT_REFUSED, NotRunningError, RefusedError

if TYPE_CHECKING:
    from omniid.credentials import Sources

app = typer.Typer(help="Sign in to a remote backend, and out.", no_args_is_help=True)

_MOST_BYTES = 65_537
_ORIGINS = {
    "token_command": "backend.token_command",
    "configuration": "backend.token or OMNIID_TOKEN",
    "systemd credential": "the systemd credential omniid.token",
    "keyring": "the keyring",
    "token file": "the token file",
}
_STATES = {
    "none": "No token is in use.",
    "ready": "A token is there.",
    "refused": "The backend refused the token.",
    "missing": "The backend wants a token, and there is none.",
    "failed": "There is a source of a token, and it fails.",
}
_WELL = ("none", "ready")

SignInId = Annotated[
    str | None, typer.Argument(metavar="[ID]", help="Which sign-in. Without it, all that are open.")
]


@app.command()
def login(
    *,
    file_: Annotated[
        bool, typer.Option("--file", help="Keep it in a file only you can read, not in the keyring.")
    ] = False,
) -> None:
    """Keep a token: asked for on a terminal, else the first line of standard input."""
    from omniid import config, credentials, host  # noqa: PLC0415 light verbs do without these
    from omniid.authority import sources  # noqa: PLC0415

    settings = config.load_default()
    if settings.backend.remote_url is None:
        raise RefusedError(
            "No remote backend is configured, so there is nothing to sign in to. "
            f"Set backend.url in {host.config_file()} first.",
            code="no_remote_backend",
        )
    where = sources(settings)
    secret = _given()
    if file_:
        credentials.store_in_file(where.token_file, secret)
        print(f"The token is in {where.token_file}.")
    else:
        credentials.store_in_keyring(where.account, secret)
        print(f"The token is in the keyring, for {printable(where.account)}.")
    _tell_what_goes_before(where)
    print("omniid has been told." if _told("login") else "omniid will use it when it starts.")


@app.command()
def logout() -> None:
    """Remove the token from the keyring and the token file, and have a running daemon forget it."""
    from omniid import config, credentials  # noqa: PLC0415 light verbs do without these
    from omniid.authority import sources  # noqa: PLC0415

    where = sources(config.load_default())
    try:
        removed = credentials.forget(where.account, where.token_file)
    finally:
        # Also where the keyring failed: what the daemon holds is to be forgotten all the same.
        told = _told("logout")
    if removed:
        print(f"The token is removed from {' and '.join(_ORIGINS[origin] for origin in removed)}.")
    else:
        print("Neither the keyring nor the token file had a token.")
    _tell_what_goes_before(where)
    if told:
        print("omniid has been told.")


@app.command()
def status(*, json_: JsonFlag = False) -> None:
    """Show where the token comes from, never the token itself, and what you have to sign in to.

    Exit codes: 0 well, 4 the token is refused, missing or cannot be had, or you have to sign in.
    """
    try:
        answer = Client().call("GET", "/v1/auth")
    except NotRunningError as error:
        _allow_absence(error)
        answer = _looked_up()
    if json_:
        print_json(answer)
    else:
        print(_line(answer))
        sign_in.show_all(answer["sign_ins"], apart=True)
    well = answer["state"] in _WELL and not answer["sign_ins"]
    raise typer.Exit(EXIT_DONE if well else EXIT_REFUSED)


@app.command()
def done(id_: SignInId = None, *, json_: JsonFlag = False) -> None:
    """Say that you have signed in: the commands that waited for it go out again."""
    answer = Client().call("POST", "/v1/auth/done", {"id": id_})
    if json_:
        print_json(answer)
        return
    match answer["resumed"]:
        case 0:
            print("No command waited for it.")
        case 1:
            print("1 command goes out again. Its answer will be in `omniid history`.")
        case count:
            print(f"{count} commands go out again. The answers will be in `omniid history`.")
    if answer["sign_ins"]:
        print("There is more to sign in to: see `omniid auth status`.")


@app.command("open")
def open_(id_: SignInId = None, *, json_: JsonFlag = False) -> None:
    """Open the page to sign in at in your browser, again if need be."""
    answer = Client().call("POST", "/v1/auth/open", {"id": id_})
    if json_:
        print_json(answer)
    elif answer["sign_ins"]:
        sign_in.show_all(answer["sign_ins"], only=id_)
    else:
        print("There is nothing to sign in to.")


def _given() -> str:
    """The token, from a person or a pipe: never an argument, which other users could see in `ps`."""
    if sys.stdin.isatty():
        try:
            return getpass.getpass("Token: ")
        except EOFError:
            return ""
    # Bytes that are not ASCII make it no token, rather than an error that shows them.
    return sys.stdin.buffer.readline(_MOST_BYTES).decode("ascii", errors="replace")


def _told(what: str) -> bool:
    """Tell a running daemon; False where none runs."""
    try:
        Client().call("POST", f"/v1/auth/{what}")
    except NotRunningError as error:
        _allow_absence(error)
        return False
    return True


def _allow_absence(error: NotRunningError) -> None:
    """A daemon may be absent; one that hangs is an error, since it goes on with what it knows."""
    if error.code == "not_answering":
        raise error


def _tell_what_goes_before(where: Sources) -> None:
    if where.token_command is not None:
        print("Note: backend.token_command goes before it, and is still set.")
    elif where.configured is not None:
        print("Note: backend.token or OMNIID_TOKEN goes before it, and is still set.")


def _looked_up() -> dict[str, Any]:
    """What the daemon would find, in the form of its own answer."""
    from omniid import config  # noqa: PLC0415 light verbs do without these
    from omniid.authority import NOT_NEEDED, sources  # noqa: PLC0415
    from omniid.credentials import Credentials, CredentialsError  # noqa: PLC0415

    settings = config.load_default()
    if settings.route == "embedded":
        return _view("none", None, NOT_NEEDED)
    try:
        token = asyncio.run(Credentials(sources(settings)).find())
    except CredentialsError as error:
        return _view("failed", None, error.message)
    if token is None:
        advice = "If the backend wants one, run `omniid auth login`."
        return _view("none", None, advice)
    return _view("ready", token.origin, None)


def _view(state: str, origin: str | None, advice: str | None) -> dict[str, Any]:
    return {"state": state, "origin": origin, "advice": advice, "sign_ins": [], "resumed": 0}


def _line(answer: dict[str, Any]) -> str:
    state, origin, advice = answer["state"], answer["origin"], answer["advice"]
    parts = [_STATES.get(state, f"The token is {printable(state)}.")]
    if origin:
        parts.append(f"It comes from {_ORIGINS.get(origin, printable(origin))}.")
    if advice:
        parts.append(printable(advice))
    return " ".join(parts)
