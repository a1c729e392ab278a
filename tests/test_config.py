"""Settings: where they come from, and what is said about mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from omniid.config import Settings, load
from omniid.errors import EXIT_CONFIG, ConfigError


def given(folder: Path, text: str = "", **environ: str) -> Settings:
    path = folder / "config.toml"
    path.write_text(text)
    return load(path, environ)


def mistakes(folder: Path, text: str = "", **environ: str) -> str:
    with pytest.raises(ConfigError) as refused:
        given(folder, text, **environ)
    assert refused.value.exit_code == EXIT_CONFIG
    return refused.value.message.replace(str(folder / "config.toml"), "FILE")


def test_without_a_file_there_are_defaults(tmp_path: Path) -> None:
    settings = load(tmp_path / "nothing.toml", {})

    assert settings.route == "embedded"
    assert settings.session.max_in_flight == 16
    assert settings.delivery.voice_ttl_s == 600


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    settings = given(
        tmp_path,
        "[session]\nreply_timeout_s = 5\nping_interval_s = 7",
        OMNIID_SESSION__REPLY_TIMEOUT_S="9.5",
        OMNIID_RECOGNITION__VOCABULARY="Ann,Bob",
        OMNIID_BACKEND__ALLOW_INSECURE="true",
        OMNIID_CONFIG="/elsewhere",
        PATH="/bin",
    )

    assert (settings.session.reply_timeout_s, settings.session.ping_interval_s) == (9.5, 7)
    assert settings.recognition.vocabulary == ["Ann", "Bob"]
    assert settings.backend.allow_insecure


def test_the_short_forms(tmp_path: Path) -> None:
    settings = given(tmp_path, OMNIID_WS_URL="wss://a.example/ws", OMNIID_TOKEN="s3cret\n")

    assert settings.backend.remote_url == "wss://a.example/ws"
    assert settings.route == "remote"
    assert settings.backend.token is not None
    assert settings.backend.token.get_secret_value() == "s3cret"


def test_all_mistakes_are_told_at_once_with_where_they_are_and_what_is_right(tmp_path: Path) -> None:
    said = mistakes(
        tmp_path,
        '[session]\nmax_in_flight = 0\n[speech]\nwhen = "sometimes"\n',
        OMNIID_AUDIO__MAX_TAKE_S="soon",
    )

    first, *lines = said.splitlines()
    assert first == "The configuration has 3 mistakes:"
    assert len(lines) == 3
    by_key = {line.split(": ")[1].split(" = ")[0]: line for line in lines}
    assert by_key["session.max_in_flight"].startswith("  FILE: session.max_in_flight = 0: ")
    assert "greater than or equal to 1" in by_key["session.max_in_flight"]
    assert "for example 16" in by_key["session.max_in_flight"]
    assert "'always', 'voice' or 'never'" in by_key["speech.when"]
    assert by_key["audio.max_take_s"].startswith("  OMNIID_AUDIO__MAX_TAKE_S: audio.max_take_s = 'soon'")


@pytest.mark.parametrize(
    ("text", "environ", "expected"),
    [
        ("[session]\nreply_timeout = 5", {}, "FILE: session.reply_timeout: .*did you mean session.reply_tim"),
        ("[sesion]\nreply_timeout_s = 5", {}, "FILE: sesion: .*did you mean session?"),
        ("", {"OMNIID_SPEECH__WEN": "x"}, "OMNIID_SPEECH__WEN: speech.wen: .*did you mean speech.when?"),
        ("[session]\nqqqqqqqq = 5", {}, "there is no such key$"),
    ],
    ids=["a key in the file", "a section", "a variable", "nothing near"],
)
def test_an_unknown_key_is_answered_with_the_nearest_one(
    tmp_path: Path, text: str, environ: dict[str, str], expected: str
) -> None:
    with pytest.raises(ConfigError, match=expected.replace("FILE", str(tmp_path / "config.toml"))):
        given(tmp_path, text, **environ)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[backend]\nurl = "https://a.example/ws"', "backend.url"),
        ('[backend]\nurl = "wss://"', "backend.url"),
        ('[backend]\nurl = "wss://a.example:99999/ws"', "backend.url"),
        ('[backend]\nurl = "wss://[::1/ws"', "backend.url"),
        ('[backend]\ntimezone = "Mars/Olympus"', "backend.timezone"),
        ('[backend]\nuser_id = ""', "backend.user_id"),
        ('[backend]\ntoken = "two words"', "backend.token"),
        ('[backend]\nmode = "remote"', "backend"),
        ("[session]\nreply_timeout_s = inf", "session.reply_timeout_s"),
        ("[session]\nreply_timeout_s = nan", "session.reply_timeout_s"),
        ("[session]\nbackoff_max_s = -1", "session.backoff_max_s"),
        ("[audio]\ninput_pace = 2", "audio.input_pace"),
        ("backend = 5", "backend"),
    ],
)
def test_a_value_that_cannot_be_is_told_with_its_key(tmp_path: Path, text: str, key: str) -> None:
    assert f"FILE: {key}" in mistakes(tmp_path, text)


@pytest.mark.parametrize(
    ("url", "refused"),
    [
        ("ws://localhost:8000/ws", False),
        ("ws://127.0.0.1/ws", False),
        ("ws://127.8.8.8/ws", False),
        ("ws://[::1]:8000/ws", False),
        ("wss://a.example/ws", False),
        ("ws://a.example/ws", True),
        ("WS://a.example/ws", True),
        ("ws://192.168.1.5/ws", True),
        ("ws://localhost.a.example/ws", True),
        ("ws://0.0.0.0/ws", True),
    ],
)
def test_words_travel_in_clear_text_only_within_this_machine(tmp_path: Path, url: str, refused: bool) -> None:
    text = f'[backend]\nurl = "{url}"\n'
    if refused:
        assert "allow_insecure" in mistakes(tmp_path, text)
        assert "allow_insecure" in mistakes(tmp_path, "", OMNIID_WS_URL=url)
    else:
        given(tmp_path, text)
    assert given(tmp_path, text + "allow_insecure = true\n").backend.url == url


WSS = "wss://a.example/ws"


@pytest.mark.parametrize(
    ("text", "remote", "route"),
    [
        ("", None, "embedded"),
        ('environment = "production"', "wss://api.omnii.app/ws", "remote"),
        ('environment = "development"', "ws://localhost:8000/ws", "remote"),
        (f'environment = "production"\nurl = "{WSS}"', WSS, "remote"),
        (f'mode = "embedded"\nurl = "{WSS}"', WSS, "embedded"),
        ('mode = "remote"\nenvironment = "production"', "wss://api.omnii.app/ws", "remote"),
        (f'mode = "auto"\nurl = "{WSS}"', WSS, "auto"),
        (f'url = "{WSS}"\n[features]\nwebsocket = false', WSS, "embedded"),
        (f'mode = "auto"\nurl = "{WSS}"\n[features]\nrollout_percent = 0', WSS, "embedded"),
        (f'mode = "auto"\nurl = "{WSS}"\n[features]\nrollout_percent = 100', WSS, "auto"),
    ],
)
def test_which_backend_is_meant(tmp_path: Path, text: str, remote: str | None, route: str) -> None:
    settings = given(tmp_path, f"[backend]\n{text}\n")

    assert (settings.backend.remote_url, settings.route) == (remote, route)


def test_auto_needs_an_address(tmp_path: Path) -> None:
    assert 'mode = "auto" needs a url' in mistakes(tmp_path, '[backend]\nmode = "auto"\n')


@pytest.mark.parametrize("text", ["[session", "x = ", "\x00", "[session]\n[session]"])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, text: str) -> None:
    assert "FILE is not valid TOML" in mistakes(tmp_path, text)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xff\xfe\xff")

    with pytest.raises(ConfigError, match=r"config\.toml cannot be read"):
        load(path, {})


def test_a_folder_in_the_files_place_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path, {})


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        ('[backend]\ntoken = "s3cret"\nmode = "remote"', {}),
        ('[backend]\ntoken = ["s3cret"]', {}),
        ('[backend]\ntoken = "s3cret with spaces"', {}),
        ('[backend]\ntokn = "s3cret"', {}),
        ('[backend]\ntoken = "s3cret"\nurl = "ws://a.example/ws"', {}),
        ("[session]\nmax_in_flight = 0", {"OMNIID_TOKEN": "s3cret", "OMNIID_BACKEND__TOKEM": "s3cret"}),
    ],
    ids=["a bad mode", "a list", "spaces", "a misspelt key", "a bad url", "the environment"],
)
def test_the_token_is_in_no_error(tmp_path: Path, text: str, environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as refused:
        given(tmp_path, text, **environ)

    assert "s3cret" not in refused.value.message
    assert "s3cret" not in repr(refused.value)
    assert "s3cret" not in str(refused.value.__cause__)


def test_the_token_is_in_no_picture_of_the_settings(tmp_path: Path) -> None:
    settings = given(tmp_path, OMNIID_TOKEN="s3cret")

    assert "s3cret" not in repr(settings) + str(settings.model_dump()) + settings.model_dump_json()


def test_a_name_and_password_in_the_address_are_refused(tmp_path: Path) -> None:
    text = '[backend]\nurl = "wss://ann:secret@a.example/ws"\n'
    found = mistakes(tmp_path, text)
    assert "no name and password" in found
    assert "secret" not in found


# --- keys and recognition -----------------------------------------------------------------------------------


def test_a_key_that_is_none_is_told_with_examples(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"hotkey\.key.*is not a key to listen for.*Examples"):
        given(tmp_path, OMNIID_HOTKEY__KEY="ctrl+banana")


def test_keys_have_to_differ(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(
        '[hotkey]\nkey = "f9"\n[[hotkey.profiles]]\nname = "german"\nkey = "F9"\n', encoding="utf-8"
    )
    with pytest.raises(ConfigError, match="a key of its own"):
        load(tmp_path / "config.toml", {})


def test_profiles_have_names_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(
        '[hotkey]\nprofiles = [{name = "a", key = "f7"}, {name = "a", key = "f8"}]\n', encoding="utf-8"
    )
    with pytest.raises(ConfigError, match="a name of its own"):
        load(tmp_path / "config.toml", {})


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"OMNIID_RECOGNITION__ENGINE": "wyoming"}, "needs a uri"),
        ({"OMNIID_RECOGNITION__URI": "http://x"}, "http://x"),
        ({"OMNIID_RECOGNITION__ACCEPT": "0.1", "OMNIID_RECOGNITION__REJECT": "0.5"}, "should not be below"),
        ({"OMNIID_SPEECH__ENGINE": "wyoming"}, "needs a voice"),
        ({"OMNIID_AUDIO__PREROLL_MS": "5000"}, "preroll_ms"),
    ],
)
def test_recognition_and_speech_have_to_fit_together(
    tmp_path: Path, variables: dict[str, str], problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem):
        given(tmp_path, **variables)


def test_languages_are_words_with_commas_in_the_environment(tmp_path: Path) -> None:
    assert given(tmp_path, OMNIID_RECOGNITION__LANGUAGES="en,de").recognition.languages == ["en", "de"]
