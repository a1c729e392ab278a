"""How the backend is reached, as the settings say: the session, and what may stand in for it."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from omniid import host
from omniid.authority import Authority
from omniid.config import Settings
from omniid.desk import StandIn
from omniid.errors import ConfigError
from omniid.events import Event
from omniid.moment import Moment
from omniid.protocol import codec
from omniid.protocol.backoff import Backoff
from omniid.protocol.link import Link, LinkSettings
from omniid.protocol.sealing import Sealer
from omniid.session import Session, Way, link_maker
from omniid.wire import Target, WireSettings

Post = Callable[[Event], Awaitable[None]]
_EMBEDDED_URL = "ws://localhost/ws"


def session(
    settings: Settings,
    socket: Path,
    authority: Authority,
    *,
    clock: Callable[[], Moment],
    post: Post,
    return_page: Callable[[str], str | None] | None = None,
) -> Session:
    """The session with the backend that serves this user; `socket` is the embedded one's.

    `return_page`: see `LinkSettings`.

    Raises:
        ConfigError: `seal_key_file` or `ca_file` cannot be used.
    """
    backoff = Backoff(settings.session.backoff_initial_s, settings.session.backoff_max_s, random.random)
    link_settings = replace(_link(settings), return_page=return_page)
    if settings.route == "embedded":
        way, new_link = Way(_embedded(settings, socket), _wire(settings)), link_maker(link_settings)
    else:
        way = Way(_remote(settings), _wire(settings), authority)
        new_link = link_maker(link_settings, _sealer(settings))
    return Session(way, new_link, backoff, clock=clock, post=post)


def stand_in(settings: Settings, socket: Path, *, clock: Callable[[], Moment], post: Post) -> StandIn | None:
    """The embedded backend as a stand-in for the remote one; None where the settings want none."""
    if settings.route != "auto":
        return None
    target = _embedded(settings, socket)
    link_settings = _link(settings)
    return StandIn(target, _wire(settings), lambda now: Link(link_settings, now), clock=clock, post=post)


def _embedded(settings: Settings, socket: Path) -> Target:
    return Target(_EMBEDDED_URL, settings.backend.user_id, socket=socket)


def _remote(settings: Settings) -> Target:
    backend = settings.backend
    if backend.ca_file is not None and not _readable(backend.ca_file):
        raise ConfigError(f"backend.ca_file {backend.ca_file} cannot be read. Check the path and its rights.")
    return Target(backend.remote_url or "", backend.user_id, ca_file=backend.ca_file)


def _sealer(settings: Settings) -> Sealer | None:
    path = settings.backend.seal_key_file
    if path is None:
        return None
    try:
        return Sealer.from_key_text(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"backend.seal_key_file {path} cannot be read: {error}. Check the path and its rights."
        ) from error


def _readable(path: Path) -> bool:
    try:
        with path.open("rb"):
            return True
    except OSError:
        return False


def _wire(settings: Settings) -> WireSettings:
    given = settings.session
    return WireSettings(given.max_frame_bytes, given.compression, codec.offered(given.encoding))


def _link(settings: Settings) -> LinkSettings:
    given = settings.session
    return LinkSettings(
        user_id=settings.backend.user_id,
        timezone=settings.backend.timezone or host.timezone_name(),
        max_in_flight=given.max_in_flight,
        reply_timeout_s=given.reply_timeout_s,
        ping_interval_s=given.ping_interval_s,
        ping_timeout_s=given.ping_timeout_s,
    )
