"""Settings: `config.toml`, then `OMNIID_*` from the environment, which wins. All mistakes are told at once.

Units stand in the names: `_s` seconds, `_ms` milliseconds, `_bytes` bytes. `session.reply_timeout_s` is
`OMNIID_SESSION__REPLY_TIMEOUT_S` in the environment; `OMNIID_WS_URL` and `OMNIID_TOKEN` are short forms.
"""

from __future__ import annotations

import difflib
import getpass
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from omniid import rollout
from omniid.errors import ConfigError, HotkeyError
from omniid.hotkeys import chord
from omniid.loopback import is_loopback
from omniid.recognition import wyoming_uri

URLS = {"development": "ws://localhost:8000/ws", "production": "wss://api.omnii.app/ws"}
_SHORT_FORMS = {"OMNIID_WS_URL": ("backend", "url"), "OMNIID_TOKEN": ("backend", "token")}
_PREFIX = "OMNIID_"
_LISTS = {"vocabulary", "languages"}  # in the environment: words with commas between

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user whom the system has no name for
        return str(os.getuid())


def _checked_key(key: str | None) -> str | None:
    if key is not None:
        try:
            chord.parse(key)
        except HotkeyError as error:
            raise ValueError(error.message) from error
    return key


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Backend(_Section):
    mode: Literal["embedded", "remote", "auto"] | None = None
    environment: Literal["development", "production"] | None = None
    url: str | None = None
    user_id: Annotated[str, Field(min_length=1)] = Field(default_factory=_login_name)
    timezone: str | None = None
    token: SecretStr | None = None
    token_command: Annotated[str, Field(min_length=1)] | None = None
    ca_file: Path | None = None
    seal_key_file: Path | None = None
    allow_insecure: bool = False

    @field_validator("timezone")
    @classmethod
    def _is_zone(cls, name: str | None) -> str | None:
        if name is not None and name not in available_timezones():
            raise ValueError("should be an IANA time zone such as Europe/Berlin")
        return name

    @field_validator("url")
    @classmethod
    def _is_websocket(cls, url: str | None) -> str | None:
        if url is not None and not _is_websocket_url(url):
            raise ValueError("should be a WebSocket address such as wss://assistant.example/ws")
        if url is not None and "@" in urlsplit(url).netloc:
            raise ValueError("should hold no name and password; the token belongs into OMNIID_TOKEN")
        return url

    @field_validator("token")
    @classmethod
    def _fits_a_header(cls, token: SecretStr | None) -> SecretStr | None:
        if token is None:
            return None
        secret = token.get_secret_value().strip()
        if not secret.isascii() or not secret.isprintable() or " " in secret:
            raise ValueError("should be one word of ASCII characters, as a token file holds it")
        return SecretStr(secret) if secret else None

    @model_validator(mode="after")
    def _is_reachable_safely(self) -> Backend:
        if self.mode in {"remote", "auto"} and self.remote_url is None:
            raise ValueError(f'mode = "{self.mode}" needs a url, or environment = "production"')
        url = self.remote_url
        if url and urlsplit(url).scheme == "ws" and not self.allow_insecure and not is_loopback(url):
            raise ValueError(
                f"{url} would send your words in clear text over the network: use wss://, "
                "or set allow_insecure = true if you must"
            )
        return self

    @property
    def remote_url(self) -> str | None:
        """Where the remote backend is; None when there is none."""
        return self.url or (URLS[self.environment] if self.environment else None)

    @property
    def leaves_in_clear(self) -> bool:
        """Whether words leave this machine unencrypted, as `allow_insecure` permits."""
        url = self.remote_url
        return bool(url) and urlsplit(url).scheme == "ws" and not is_loopback(str(url))


class Session(_Section):
    ping_interval_s: Seconds = 15
    ping_timeout_s: Seconds = 10
    backoff_initial_s: Seconds = 0.25
    backoff_max_s: Seconds = 60
    max_in_flight: Count = 16
    reply_timeout_s: Seconds = 120
    compression: bool = True
    encoding: Literal["auto", "json", "msgpack"] = "auto"
    rate_limit_per_minute: Annotated[int, Field(ge=0)] = 100
    debounce_ms: Annotated[int, Field(ge=0, le=60_000)] = 300
    max_frame_bytes: Annotated[int, Field(ge=65_536)] = 16 * 1024 * 1024


class Delivery(_Section):
    uncertain: Literal["ask", "resend", "drop"] = "ask"
    voice_ttl_s: Seconds = 600
    text_ttl_s: Seconds = 86_400
    max_commands: Count = 1_000
    max_bytes: Count = 10_000_000


class Audio(_Section):
    input_device: str | None = None
    output_device: str | None = None
    input_file: Path | None = None
    input_pace: Annotated[int, Field(ge=0, le=1)] = 1
    output_file: Path | None = None
    cues: bool = True
    preroll_ms: Annotated[int, Field(ge=0, le=2_000)] = 0
    end_silence_ms: Annotated[int, Field(ge=300, le=10_000)] = 1_200
    min_take_ms: Annotated[int, Field(ge=0)] = 300
    max_take_s: Annotated[float, Field(gt=0, le=600)] = 60


Mode = Literal["hold", "toggle", "hybrid"]


class Profile(_Section):
    """A key of its own with wishes of its own; None: as the main key has it."""

    name: Annotated[str, Field(min_length=1, max_length=50)]
    key: str | None = None
    mode: Mode | None = None
    language: str | None = None
    model: str | None = None
    speak: bool = True

    _checked = field_validator("key")(_checked_key)


class Hotkey(_Section):
    backend: Literal["auto", "x11", "macos", "portal", "evdev", "none"] = "auto"
    key: str = "ctrl+alt+space"
    cancel_key: str | None = None
    mode: Mode = "hold"
    profiles: list[Profile] = []

    _checked = field_validator("key", "cancel_key")(_checked_key)

    @model_validator(mode="after")
    def _are_told_apart(self) -> Hotkey:
        names = [profile.name for profile in self.profiles]
        if len(set(names)) < len(names):
            raise ValueError("each profile needs a name of its own")
        named = (self.key, self.cancel_key, *(profile.key for profile in self.profiles))
        keys = [chord.parse(key) for key in named if key]
        if len(set(keys)) < len(keys):
            raise ValueError("each profile needs a key of its own, and none that is key or cancel_key")
        return self


class Recognition(_Section):
    engine: Literal["whisper", "wyoming"] = "whisper"
    uri: str | None = None
    model: str = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    compute_type: str = "auto"
    language: str | None = None
    languages: list[str] = []
    vocabulary: list[str] = []
    idle_unload_s: Seconds = 300
    keep_model: bool = False
    partials: bool = True
    accept: Share = 0.65
    reject: Share = 0.3

    @model_validator(mode="after")
    def _fits_together(self) -> Recognition:
        if self.engine == "wyoming" and not self.uri:
            raise ValueError('engine = "wyoming" needs a uri such as tcp://192.0.2.7:10300')
        if self.uri:
            wyoming_uri.parse(self.uri)
        if self.accept < self.reject:
            raise ValueError(f"accept = {self.accept:g} should not be below reject = {self.reject:g}")
        return self


class Speech(_Section):
    engine: Literal["pyttsx3", "piper", "wyoming", "none"] = "pyttsx3"
    voice: str | None = None
    rate: Annotated[int, Field(ge=80, le=450)] = 180
    volume: Share = 1.0
    when: Literal["always", "voice", "never"] = "always"
    unsolicited: Literal["always", "voice", "never"] = "voice"

    @model_validator(mode="after")
    def _has_an_address(self) -> Speech:
        if self.engine == "wyoming" and not (self.voice or "").startswith(("tcp://", "unix://")):
            raise ValueError('engine = "wyoming" needs a voice such as tcp://192.0.2.7:10200')
        return self


class Notifications(_Section):
    enabled: bool = True
    replies: Literal["always", "voice", "never"] = "voice"
    listening: bool = False


class History(_Section):
    enabled: bool = True
    encrypted: bool = False
    retention_days: Annotated[int, Field(ge=1, le=3_650)] = 90


class Features(_Section):
    websocket: bool = True
    rollout_percent: Annotated[float, Field(ge=0, le=100)] = 100


class Control(_Section):
    socket: Path | None = None


class Log(_Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "text", "json"] = "auto"


class Settings(_Section):
    """Everything a user can set. Frozen: a change is a restart."""

    backend: Backend = Field(default_factory=Backend)
    session: Session = Session()
    delivery: Delivery = Delivery()
    audio: Audio = Audio()
    hotkey: Hotkey = Hotkey()
    recognition: Recognition = Recognition()
    speech: Speech = Speech()
    notifications: Notifications = Notifications()
    history: History = History()
    control: Control = Control()
    log: Log = Log()
    features: Features = Features()

    @property
    def route(self) -> Literal["embedded", "remote", "auto"]:
        """Which backend serves this user, once the feature flags have had their say."""
        backend, features = self.backend, self.features
        if backend.remote_url is None or backend.mode == "embedded" or not features.websocket:
            return "embedded"
        if not rollout.includes(backend.user_id, features.rollout_percent):
            return "embedded"
        return backend.mode or "remote"


def load(path: Path, environ: Mapping[str, str]) -> Settings:
    """The settings in a file (which may be absent) and the environment.

    Raises:
        ConfigError: there are mistakes; the message lists all of them, a line each.
    """
    content = _read(path)
    origins = {name: str(path) for name in _leaves(content)}
    for variable, (section, key), value in _from_environment(environ):
        target = content.setdefault(section, {})
        if isinstance(target, dict):
            target[key] = value
            origins[f"{section}.{key}"] = variable
    try:
        return Settings.model_validate(content)
    except ValidationError as error:
        raise ConfigError(_explain(error, path, origins)) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} cannot be read: {error}. Check that it is a text file of yours."
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}. Mend that line and try again.") from error


def _from_environment(environ: Mapping[str, str]) -> list[tuple[str, tuple[str, str], Any]]:
    found: list[tuple[str, tuple[str, str], Any]] = []
    for variable in sorted(environ):
        if variable in _SHORT_FORMS:
            found.append((variable, _SHORT_FORMS[variable], environ[variable]))
        elif variable.startswith(_PREFIX) and "__" in variable:
            section, _, key = variable.removeprefix(_PREFIX).lower().partition("__")
            value: Any = environ[variable]
            found.append((variable, (section, key), value.split(",") if key in _LISTS else value))
    return found


def _leaves(content: Mapping[str, Any]) -> list[str]:
    return [
        f"{section}.{key}"
        for section, keys in content.items()
        for key in (keys if isinstance(keys, dict) else ())
    ]


def _explain(error: ValidationError, path: Path, origins: Mapping[str, str]) -> str:
    mistakes = [_mistake(dict(one), path, origins) for one in error.errors(include_url=False)]
    count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    return f"The configuration has {count}:\n" + "\n".join(f"  {line}" for line in mistakes)


def _mistake(one: dict[str, Any], path: Path, origins: Mapping[str, str]) -> str:
    key = ".".join(str(part) for part in one["loc"][:2])
    within = (where for name, where in origins.items() if name.startswith(f"{key}."))
    origin = origins.get(key) or next(within, str(path))
    # The value under a misspelt key may be the token.
    hidden = isinstance(one["input"], dict) or key.endswith("token") or one["type"] == "extra_forbidden"
    hidden = hidden or "@" in str(one["input"])  # a password in an address
    given = "" if hidden else f" = {one['input']!r}"
    return f"{origin}: {key}{given}: {_advice(one, key)}"


def _advice(one: dict[str, Any], key: str) -> str:
    if one["type"] == "extra_forbidden":
        return _unknown_key(key)
    message = str(one["msg"]).removeprefix("Value error, ")
    message = message.replace("Input should be", "should be").partition(", unable to parse")[0]
    default = _default(key)
    return message if default is None or "such as" in message else f"{message}, for example {default}"


def _unknown_key(key: str) -> str:
    alike = [known for known in _known_keys() if ("." in known) == ("." in key)]
    near = difflib.get_close_matches(key, alike, n=1, cutoff=0.6)
    return f"there is no such key; did you mean {near[0]}?" if near else "there is no such key"


def _known_keys() -> list[str]:
    sections = Settings.model_fields
    return [*sections, *(f"{name}.{key}" for name in sections for key in _section(name).model_fields)]


def _section(name: str) -> type[BaseModel]:
    section = Settings.model_fields[name].annotation
    assert isinstance(section, type)  # noqa: S101 every field above is a section
    assert issubclass(section, BaseModel)  # noqa: S101
    return section


def _default(key: str) -> str | None:
    name, _, field = key.partition(".")
    known = Settings.model_fields.get(name) and _section(name).model_fields.get(field)
    default = known.default if known else None
    if default is None or isinstance(default, Path) or not isinstance(default, str | int | float | bool):
        return None
    return f'"{default}"' if isinstance(default, str) else str(default).lower()


def _is_websocket_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"ws", "wss"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a bracket too few, or a port that is none
        return False


def load_default() -> Settings:
    """The settings of this user."""
    from omniid.host import config_file  # noqa: PLC0415 the path is the host's to know

    path = config_file()
    if os.environ.get("OMNIID_CONFIG") and not path.exists():
        raise ConfigError(
            f"OMNIID_CONFIG names {path}, and there is no such file. Make it, or unset the name."
        )
    return load(path, os.environ)
