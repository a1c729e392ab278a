"""This machine: where files belong, what time it is, and what the service manager wants to hear."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import time
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import platformdirs

from omniid.control import address
from omniid.errors import ConfigError
from omniid.moment import Moment

_ZONEINFO = "/zoneinfo/"


def config_file() -> Path:
    return Path(address.config_file())


def control_socket() -> Path:
    return Path(address.control_socket())


def data_dir() -> Path:
    return platformdirs.user_data_path(address.APP)


def state_dir() -> Path:
    return platformdirs.user_state_path(address.APP)


def private_folder(path: Path) -> Path:
    """The folder, made if need be, and closed to other users.

    Raises:
        ConfigError: it exists and is another user's, or other users may enter it.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.stat()
    except OSError as error:
        raise ConfigError(
            f"The folder {path} cannot be used: {error.strerror}. Choose another one."
        ) from error
    if found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise ConfigError(
            f"The folder {path} is open to other users. Run `chmod 700 {path}` if it is only omniid's, "
            "or choose another one."
        )
    return path


def timezone_name() -> str:
    """The user's IANA zone, "UTC" when the machine does not say."""
    for candidate in (os.environ.get("TZ", "").lstrip(":"), _localtime_zone(), _etc_timezone()):
        if candidate and _is_zone(candidate):
            return candidate
    return "UTC"


def _localtime_zone() -> str:
    target = os.path.realpath("/etc/localtime")
    return target.rpartition(_ZONEINFO)[2] if _ZONEINFO in target else ""


def _etc_timezone() -> str:
    try:
        return Path("/etc/timezone").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


class Clock:
    """Reads both clocks. The wall clock is read in `zone`, an IANA name."""

    def __init__(self, zone: str) -> None:
        self._zone = ZoneInfo(zone)

    def __call__(self) -> Moment:
        return Moment(time.monotonic(), datetime.now(self._zone))


def has_service_manager() -> bool:
    """Whether systemd started this process and waits to hear from it."""
    return bool(os.environ.get("NOTIFY_SOCKET"))


def notify_service_manager(message: str) -> None:
    """Tell systemd, for example "READY=1"; without effect when nobody listens.

    The datagram protocol of sd_notify(3): one message to the socket named in `$NOTIFY_SOCKET`.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock,
    ):
        sock.connect("\0" + address[1:] if address.startswith("@") else address)
        sock.sendall(message.encode())
