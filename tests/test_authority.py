"""What is known of the user's token, with real sources of one."""

from __future__ import annotations

import asyncio
import shlex
from pathlib import Path

import pytest
from pydantic import SecretStr

from omniid.authority import NOT_NEEDED, Authority, State, sources
from omniid.config import Settings
from omniid.credentials import Credentials, CredentialsError, Sources
from omniid.events import LinkDialling, LinkLost, LinkOpened, LinkStopped

SECRET = "Zq7-wX9.kP3_vB8"
LOGIN = "Run `omniid auth login` with a token that it takes."
REFUSED = LinkStopped("it answered HTTP 401", needs_token=True)
OPEN = LinkOpened(1, 1)


@pytest.fixture(autouse=True)
def _nothing_of_this_machines_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
    monkeypatch.delenv("PYTHON_KEYRING_BACKEND", raising=False)


def authority(folder: Path, command: str | None = None) -> Authority:
    """One that finds its token in a command or, without one, in a file."""
    return Authority(Credentials(Sources(command, None, "ann@backend", folder / "token")))


def write_token(folder: Path, secret: str = SECRET, mode: int = 0o600) -> None:
    (folder / "token").write_text(secret)
    (folder / "token").chmod(mode)


def script(folder: Path, *lines: str) -> str:
    path = folder / "give_token"
    path.write_text("\n".join(("#!/bin/sh", *lines)) + "\n")
    path.chmod(0o700)
    return shlex.quote(str(path))


def dial(of: Authority, *, again: bool = False) -> str | None:
    return asyncio.run(asyncio.wait_for(of.token(again=again), 60))


def state(of: Authority) -> State:
    return of.view()[0]


def test_a_backend_that_needs_no_token_is_given_none() -> None:
    free = Authority(None)

    assert dial(free) is None
    assert free.view() == ("none", None, NOT_NEEDED)


def test_where_no_source_has_a_token_there_is_none(tmp_path: Path) -> None:
    someone = authority(tmp_path)

    assert someone.view() == ("none", None, None)
    assert dial(someone) is None
    assert someone.view() == ("none", None, None)


def test_a_token_that_was_found_is_ready_and_its_origin_is_known(tmp_path: Path) -> None:
    write_token(tmp_path)
    someone = authority(tmp_path)

    assert dial(someone) == SECRET
    assert someone.view() == ("ready", "token file", None)
    someone.observe(OPEN)
    assert someone.view() == ("ready", "token file", None)


def test_a_token_that_the_backend_does_not_take_is_refused_until_it_takes_one(tmp_path: Path) -> None:
    write_token(tmp_path)
    someone = authority(tmp_path)
    dial(someone)

    someone.observe(REFUSED)
    assert someone.view() == ("refused", "token file", LOGIN)
    for event in (LinkDialling("x"), LinkLost("x", 1.0)):
        someone.observe(event)
        assert state(someone) == "refused"
    someone.observe(OPEN)
    assert someone.view() == ("ready", "token file", None)


def test_where_the_backend_asks_for_a_token_and_there_is_none_it_is_missing(tmp_path: Path) -> None:
    someone = authority(tmp_path)
    dial(someone)

    someone.observe(REFUSED)

    assert someone.view() == ("missing", None, LOGIN)
    write_token(tmp_path)
    assert dial(someone) == SECRET
    someone.observe(OPEN)
    assert someone.view() == ("ready", "token file", None)


def test_what_to_do_about_a_refused_token_depends_on_where_it_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured = Sources(None, SecretStr(SECRET), "ann@backend", tmp_path / "none")
    someone = Authority(Credentials(configured))
    dial(someone)
    someone.observe(REFUSED)
    advice = "Change backend.token or OMNIID_TOKEN and start omniid again."
    assert someone.view() == ("refused", "configuration", advice)

    (tmp_path / "omniid.token").write_text(SECRET)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    served = authority(tmp_path)
    dial(served)
    served.observe(REFUSED)
    advice = "Change the systemd credential omniid.token and restart the service."
    assert served.view() == ("refused", "systemd credential", advice)


def test_a_link_that_is_stopped_over_something_else_says_nothing_of_the_token(tmp_path: Path) -> None:
    write_token(tmp_path)
    someone = authority(tmp_path)
    dial(someone)

    someone.observe(LinkStopped("it answered HTTP 404", needs_token=False))

    assert state(someone) == "ready"


@pytest.mark.parametrize(
    ("mode", "content", "words"),
    [(0o644, SECRET, "is open to other users"), (0o600, "a b", "holds no token")],
)
def test_a_source_that_fails_is_told_with_what_to_do_and_not_passed_over(
    tmp_path: Path, mode: int, content: str, words: str
) -> None:
    write_token(tmp_path, content, mode)
    someone = authority(tmp_path)

    with pytest.raises(CredentialsError, match=words):
        dial(someone)

    failed, origin, advice = someone.view()
    assert (failed, origin) == ("failed", None)
    assert advice is not None
    assert words in advice
    assert SECRET not in advice


def test_a_source_that_failed_is_tried_anew_and_may_be_mended(tmp_path: Path) -> None:
    write_token(tmp_path, mode=0o644)
    someone = authority(tmp_path)
    with pytest.raises(CredentialsError):
        dial(someone)

    write_token(tmp_path)

    assert dial(someone) == SECRET
    assert someone.view() == ("ready", "token file", None)


def test_a_source_that_fails_later_is_not_ready_any_more(tmp_path: Path) -> None:
    write_token(tmp_path)
    someone = authority(tmp_path)
    dial(someone)
    (tmp_path / "token").chmod(0o644)

    with pytest.raises(CredentialsError):
        dial(someone)

    assert state(someone) == "failed"


def test_a_token_that_is_gone_is_none(tmp_path: Path) -> None:
    write_token(tmp_path)
    someone = authority(tmp_path)
    dial(someone)
    (tmp_path / "token").unlink()

    assert dial(someone) is None
    assert someone.view() == ("none", None, None)


def test_a_command_is_run_again_only_where_its_token_was_refused(tmp_path: Path) -> None:
    count = shlex.quote(str(tmp_path / "count"))
    someone = authority(tmp_path, script(tmp_path, f"echo x >> {count}", f"wc -l < {count}"))

    assert [dial(someone), dial(someone)] == ["1", "1"]
    assert someone.view() == ("ready", "token_command", None)
    someone.observe(REFUSED)
    refused, origin, advice = someone.view()
    assert (refused, origin) == ("refused", "token_command")
    assert "backend.token_command" in str(advice)
    assert "`omniid reconnect`" in str(advice)
    assert dial(someone, again=True) == "2"
    assert dial(someone) == "2"


def test_a_command_that_fails_is_told(tmp_path: Path) -> None:
    someone = authority(tmp_path, script(tmp_path, "exit 3"))

    with pytest.raises(CredentialsError):
        dial(someone)

    failed, origin, advice = someone.view()
    assert (failed, origin) == ("failed", None)
    assert "exit code 3" in (advice or "")


def test_nothing_that_can_be_seen_of_it_holds_the_token(tmp_path: Path) -> None:
    write_token(tmp_path)
    someone = authority(tmp_path)
    dial(someone)

    assert SECRET not in repr(someone.view()) + repr(vars(someone))


@pytest.mark.parametrize(
    ("url", "account"),
    [
        ("wss://Api.Omnii.app/ws", "ann@api.omnii.app"),
        ("ws://localhost:8000/ws", "ann@localhost:8000"),
        ("ws://localhost:9000/ws", "ann@localhost:9000"),
    ],
)
def test_each_backend_has_an_account_of_its_own(url: str, account: str) -> None:
    backend = {"url": url, "user_id": "ann", "mode": "remote", "token": "x"}
    given = sources(Settings.model_validate({"backend": backend}))

    assert given.account == account
    assert given.configured == SecretStr("x")
    assert given.token_file.name == "token"
