"""What the user is shown to sign in to; the daemon's end is its real control server with made-up answers."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel
from support import control
from support.control import ANSWERS, COMMAND, Running, running_server

from omniid.cli.qr import draw
from omniid.control.schema import AuthRequest, AuthView, CommandView, SignInView
from omniid.weblink import judge

WITHIN_S = 60.0
URL = "https://accounts.example/o/auth?state=1"
_SIGN_IN = SignInView(
    id="s1",
    text="Sign in to your calendar.",
    url=URL,
    shown=URL,
    problem=None,
    state="open",
    opened=True,
    commands=["c1"],
    open_for_s=599.6,
)
THEN = "1 command waits for it, for 10 min more.\nWhen you have signed in, run `omniid auth done`.\n"


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    (tmp_path / "config.toml").write_text("")
    monkeypatch.setenv("OMNIID_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("OMNIID_CONTROL__SOCKET", str(tmp_path / "s"))
    with running_server(tmp_path / "s") as running:
        yield running


def answers(
    monkeypatch: pytest.MonkeyPatch, *sign_ins: SignInView, resumed: int = 0, command: CommandView = COMMAND
) -> None:
    view = AuthView(state="none", origin=None, advice=None, sign_ins=list(sign_ins), resumed=resumed)
    made: dict[type[BaseModel], BaseModel] = {**ANSWERS, AuthView: view, CommandView: command}
    monkeypatch.setattr(control, "ANSWERS", made)


def sign_in(**fields: object) -> SignInView:
    return SignInView.model_validate({**_SIGN_IN.model_dump(), **fields})


def waiting_command(**reply: str | None) -> CommandView:
    return COMMAND.model_copy(update={"state": "needs_auth", "reply": {"content": "Sign in first.", **reply}})


def omniid(*arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "omniid", *arguments],
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stdout
    return done


def on_a_terminal(*arguments: str, **environment: str) -> tuple[str, int]:
    """What is printed on a terminal, and the exit code."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "omniid", *arguments]
    with subprocess.Popen(command, stdout=theirs, env={**os.environ, **environment}) as process:
        os.close(theirs)
        seen = b""
        try:
            while piece := os.read(ours, 65_536):
                seen += piece
        except OSError:
            pass  # so ends a terminal nobody writes to any more
        os.close(ours)
        return seen.decode().replace("\r\n", "\n"), process.wait(WITHIN_S)


def called(daemon: Running, name: str) -> list[str | None]:
    """The sign-in each call of that name asked for."""
    found = []
    for verb, call in daemon.verbs.calls:
        if verb == name:
            assert isinstance(call.body, AuthRequest)
            found.append(call.body.id)
    return found


# auth status


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "It is open in your browser."),
        ({"opened": False}, "`omniid auth open` opens the page in your browser."),
        ({"state": "refused"}, "You did not sign in. `omniid auth open` opens another page."),
        (
            {"opened": False, "problem": "No browser could be opened: gio is not installed."},
            "No browser could be opened: gio is not installed.",
        ),
    ],
)
def test_status_shows_what_to_sign_in_to(
    fields: dict[str, object], words: str, daemon: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, sign_in(**fields))
    done = omniid("auth", "status")
    assert done.stdout == f"No token is in use.\n\nSign in to your calendar.\n{URL}\n{words}\n{THEN}"
    assert done.returncode == 4
    assert [verb for verb, _ in daemon.verbs.calls] == ["auth"]


@pytest.mark.parametrize(
    ("url", "tunnel"),
    [
        ("http://127.0.0.1:38911/consent?link=1", "ssh -L 38911:127.0.0.1:38911 THIS-MACHINE"),
        ("http://[::1]:38911/", "ssh -L 38911:[::1]:38911 THIS-MACHINE"),
        ("http://localhost/", "ssh -L 80:localhost:80 THIS-MACHINE"),
        (URL, None),
    ],
)
def test_a_page_of_this_machine_is_shown_with_the_way_to_it_from_another(
    url: str, tunnel: str | None, daemon: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert daemon
    words = f"From another machine, run this there first: {tunnel}"
    for fields, is_shown in (
        ({"opened": False}, True),
        ({}, False),
        ({"opened": False, "opening": True}, False),
    ):
        answers(monkeypatch, sign_in(url=url, shown=url, **fields))
        lines = omniid("auth", "status").stdout.splitlines()
        assert (words in lines) is (is_shown and tunnel is not None)
        assert any("ssh" in line for line in lines) is (words in lines)


def test_a_page_that_is_still_to_come_can_be_seen_without_a_browser(
    daemon: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert daemon
    answers(monkeypatch, sign_in(url=None, shown=None, opened=False, opening=True))
    words = "Another page is asked for, and opens in your browser; `omniid auth status` shows it, too."
    assert words in omniid("auth", "open").stdout.splitlines()


def test_an_address_that_is_not_opened_is_shown_harmless(
    daemon: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert daemon
    link = judge("https://good@evil.example/\x1b[2J")
    fields = {
        "url": None,
        "shown": link.shown,
        "problem": link.problem,
        "opened": False,
        "text": "In.\x1b[2J",
    }
    answers(monkeypatch, sign_in(**fields))
    lines = omniid("auth", "status").stdout.splitlines()
    assert lines[2:5] == ["In.\ufffd[2J", link.shown, link.problem]


def test_without_an_address_there_is_no_line_for_it(daemon: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    assert daemon
    problem = judge(None).problem
    answers(monkeypatch, sign_in(url=None, shown=None, problem=problem, opened=False))
    assert omniid("auth", "status").stdout.splitlines()[2:4] == ["Sign in to your calendar.", problem]


def test_several_sign_ins_are_told_apart(daemon: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    assert daemon
    answers(monkeypatch, sign_in(), sign_in(id="s2", commands=["c2", "c3"]))
    shown = omniid("auth", "status").stdout
    assert "run `omniid auth done s1`." in shown
    assert (
        "2 commands wait for it, for 10 min more.\nWhen you have signed in, run `omniid auth done s2`."
        in shown
    )


def test_status_for_programs_is_the_answer_as_it_is(daemon: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    assert daemon
    answers(monkeypatch, sign_in())
    done = omniid("auth", "status", "--json")
    assert json.loads(done.stdout) == control.ANSWERS[AuthView].model_dump(mode="json")
    assert done.returncode == 4


# The code for a phone


def test_a_terminal_gets_a_code_where_no_browser_was_opened(
    daemon: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert daemon
    code = draw(URL, 100)
    assert code is not None
    answers(monkeypatch, sign_in(opened=False))
    shown, exit_code = on_a_terminal("auth", "status", COLUMNS="100", TERM="xterm")
    assert shown.endswith(f"`omniid auth done`.\n{code}\n")
    assert exit_code == 4


@pytest.mark.parametrize(
    ("fields", "environment"),
    [
        ({"opened": True}, {"COLUMNS": "100", "TERM": "xterm"}),
        ({"opened": False}, {"COLUMNS": "20", "TERM": "xterm"}),
        ({"opened": False}, {"COLUMNS": "100", "TERM": "dumb"}),
        ({"opened": False}, {"COLUMNS": "100", "TERM": "xterm", "PYTHONIOENCODING": "latin-1"}),
        ({"opened": False, "url": None}, {"COLUMNS": "100", "TERM": "xterm"}),
        ({"opened": False, "url": "http://127.0.0.1:8000/"}, {"COLUMNS": "100", "TERM": "xterm"}),
        ({"opened": False, "opening": True}, {"COLUMNS": "100", "TERM": "xterm"}),
    ],
    ids=["opened", "too narrow", "dumb", "no blocks", "not to be opened", "this machine's", "being opened"],
)
def test_and_none_where_it_would_be_no_use(
    fields: dict[str, object],
    environment: dict[str, str],
    daemon: Running,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert daemon
    answers(monkeypatch, sign_in(**fields))
    shown, _ = on_a_terminal("auth", "status", **environment)
    assert shown.endswith("`omniid auth done`.\n")
    assert str(fields.get("url") or URL) in shown
    assert "\x1b" not in shown


# auth done and open


@pytest.mark.parametrize(
    ("resumed", "left", "words"),
    [
        (0, [], "No command waited for it.\n"),
        (1, [], "1 command goes out again. Its answer will be in `omniid history`.\n"),
        (
            3,
            [_SIGN_IN],
            (
                "3 commands go out again. The answers will be in `omniid history`.\n"
                "There is more to sign in to: see `omniid auth status`.\n"
            ),
        ),
    ],
)
def test_done_says_how_many_go_out_again(
    resumed: int, left: list[SignInView], words: str, daemon: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, *left, resumed=resumed)
    done = omniid("auth", "done")
    assert (done.stdout, done.returncode) == (words, 0)
    assert called(daemon, "auth_done") == [None]


@pytest.mark.parametrize("verb", ["done", "open"])
def test_one_of_them_can_be_named(verb: str, daemon: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, sign_in(), sign_in(id="s2", text="The other."), resumed=1)
    done = omniid("auth", verb, "s2", "--json")
    assert json.loads(done.stdout) == control.ANSWERS[AuthView].model_dump(mode="json")
    assert done.returncode == 0
    assert called(daemon, f"auth_{verb}") == ["s2"]


def test_open_shows_what_became_of_it(daemon: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, sign_in(), sign_in(id="s2", text="The other."))
    one = omniid("auth", "open", "s1").stdout
    assert "The other." not in one
    assert "run `omniid auth done s1`." in one
    done = omniid("auth", "open")
    assert done.stdout.count("It is open in your browser.") == 2
    assert done.returncode == 0
    assert called(daemon, "auth_open") == ["s1", None]


@pytest.mark.parametrize("verb", ["done", "open"])
def test_without_a_daemon_there_is_nothing_to_tell(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMNIID_CONTROL__SOCKET", str(tmp_path / "none"))
    assert omniid("auth", verb).returncode == 3


# ask


def test_ask_shows_what_the_command_waits_for(daemon: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(
        monkeypatch,
        sign_in(id="s0", commands=["c0"], text="Another."),
        sign_in(),
        command=waiting_command(auth_url=URL),
    )
    done = omniid("ask", "what is next")
    assert done.stdout == f"Sign in to your calendar.\n{URL}\nIt is open in your browser.\n{THEN}"
    assert done.returncode == 4
    assert [verb for verb, _ in daemon.verbs.calls] == ["command_add", "command_get", "auth"]


def test_ask_on_a_terminal_draws_the_code_too(daemon: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    assert daemon
    answers(monkeypatch, sign_in(opened=False), command=waiting_command(auth_url=URL))
    shown, exit_code = on_a_terminal("ask", "what is next", COLUMNS="100", TERM="xterm")
    assert shown.endswith(f"{draw(URL, 100)}\n")
    assert exit_code == 4


def test_ask_goes_by_the_reply_where_the_sign_in_has_ended(
    daemon: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert daemon
    answers(monkeypatch, command=waiting_command(auth_url=URL))
    done = omniid("ask", "what is next")
    assert done.stdout.startswith("Sign in first.\n")
    assert URL in done.stdout
    assert done.returncode == 4


def test_ask_for_programs_is_the_command_as_it_is(daemon: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    assert daemon
    answers(monkeypatch, sign_in(), command=waiting_command(auth_url=URL))
    done = omniid("ask", "what is next", "--json")
    assert json.loads(done.stdout)["state"] == "needs_auth"
    assert done.returncode == 4
