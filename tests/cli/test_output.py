from __future__ import annotations

import pytest

from omniid.cli.output import duration, exit_code, fitted, link_words, outcome, printable, state_words


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("done", 0),
        ("failed", 1),
        ("rejected", 1),
        ("expired", 1),
        ("cancelled", 1),
        ("dropped", 1),
        ("needs_auth", 4),
        ("queued", 5),
        ("sending", 5),
        ("waiting", 5),
        ("uncertain", 6),
    ],
)
def test_each_state_has_the_exit_code_that_scripts_rely_on(state: str, expected: int) -> None:
    assert exit_code({"state": state}) == expected


@pytest.mark.parametrize(
    "text",
    ["\x1b[2Jgone", "a\rb", "\u202eevil", "bell\x07", "\x9b31m"],
    ids=["escape", "carriage return", "bidi override", "bell", "8-bit escape"],
)
def test_nothing_that_steers_a_terminal_gets_through(text: str) -> None:
    shown = printable(text)
    assert "\N{REPLACEMENT CHARACTER}" in shown
    assert not any(ord(char) < 32 or 0x7F <= ord(char) < 0xA0 for char in shown)


def test_words_lines_and_other_scripts_stay_as_they_are() -> None:
    assert printable("Grüße,\n\tдом 家 👋") == "Grüße,\n\tдом 家 👋"


def command(state: str, **fields: object) -> dict[str, object]:
    return {"id": "0193", "state": state, "reason": None, "reply": None, **fields}


def test_an_uncertain_command_says_what_to_do_and_never_to_repeat_blindly() -> None:
    words = outcome(command("uncertain", reason="the link was lost"))
    assert "uncertain" in words
    assert "omniid outbox retry 0193" in words
    assert "omniid outbox drop 0193" in words


def test_a_sign_in_without_an_address_says_so() -> None:
    words = outcome(command("needs_auth", reply={"content": "Sign in first.", "auth_url": None}))
    assert "no address" in words
    assert "None" not in words


def test_an_error_shows_the_servers_words() -> None:
    assert outcome(command("failed", reply={"content": "No such event."})) == "No such event."


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (600, "10 min"),
        (3_660, "1 h 1 min"),
        (90_000, "25 h 0 min"),
    ],
)
def test_a_duration_in_the_units_that_it_fills(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_the_lines_of_a_text_stand_under_its_first_one() -> None:
    assert fitted("problem: why\nOr so.\n  to copy\n", 4) == "problem: why\n    Or so.\n      to copy\n"


def test_on_a_terminal_sentences_are_broken_and_what_is_to_be_copied_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "20")
    shown = fitted("one two three four five\nsix seven eight nine\n  bind one two three four five six", 4)
    assert shown.splitlines() == [
        "one two three four",
        "    five",
        "    six seven eight",
        "    nine",
        "      bind one two three four five six",
    ]


def test_states_are_said_in_plain_words() -> None:
    assert state_words("needs_auth") == "waits for a sign-in"
    assert state_words("needs_auth", 2) == "wait for a sign-in"
    assert state_words("queued", 2) == "queued"
    assert link_words("needs_token") == "waiting for a token"


def test_a_state_without_a_reason_is_a_whole_sentence() -> None:
    assert outcome(command("cancelled")) == "The command is cancelled."
    assert outcome(command("dropped", reason="given up")) == "The command is dropped: given up."
