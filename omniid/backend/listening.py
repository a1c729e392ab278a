"""The socket that clients come in by, made so that nobody else's can stand in its place."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from omniid.backend.settings import TcpAddress, UnixAddress
from omniid.backend.store import claim, reason
from omniid.errors import AlreadyRunningError, ConfigError, OmniidError

# sun_path has 108 bytes on Linux and 104 on macOS, the closing zero included.
_MAX_PATH_BYTES = 107 if os.uname().sysname == "Linux" else 103
_ANSWERS_WITHIN_S = 1.0
_BACKLOG = 64


@contextlib.contextmanager
def listening(address: UnixAddress | TcpAddress) -> Iterator[socket.socket]:
    """The listening socket; a Unix socket's file goes with it.

    Raises:
        ConfigError: the address is unfit.
        AlreadyRunningError: another program listens there.
        OmniidError: the system refuses it.
    """
    opened = _unix(address.path) if isinstance(address, UnixAddress) else _tcp(address)
    with opened as listener:
        yield listener


@contextlib.contextmanager
def _unix(path: Path) -> Iterator[socket.socket]:
    size = len(os.fsencode(path))
    if size > _MAX_PATH_BYTES:
        raise ConfigError(
            f"The socket's path has {size} bytes; {_MAX_PATH_BYTES} is the most. Choose a shorter one."
        )
    _private_folder(path.parent)
    lock = claim(path.with_name(f"{path.name}.lock"), "The socket folder")
    try:
        _remove_stale(path)
        with _bound(path) as listener:
            made = path.stat()
            yield listener
            _remove_own(path, made)
    finally:
        os.close(lock)


def _private_folder(folder: Path) -> None:
    """Makes the folder 0700, or checks that nobody else could put another socket into it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
    except OSError as error:
        raise ConfigError(f"The socket folder {folder} cannot be made: {reason(error)}.") from error
    writable_by_others = found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX
    if found.st_uid not in {os.geteuid(), 0} or writable_by_others:
        raise ConfigError(f"Other users may write to the socket folder {folder}. Choose one of your own.")


def _remove_stale(path: Path) -> None:
    """Removes a socket that a dead backend has left; the caller holds the lock."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ConfigError(f"{path} is there already and is no socket. Choose another path.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_ANSWERS_WITHIN_S)
        try:
            probe.connect(os.fspath(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            raise AlreadyRunningError(f"The socket {path} is in use: {reason(error)}.") from error
    raise AlreadyRunningError(f"Another program listens on {path}. Stop it, or choose another path.")


def _bound(path: Path) -> socket.socket:
    """A listener that is 0600 from its first moment: there is no instant to connect before a chmod."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(os.fspath(path))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigError(f"The socket {path} cannot be made: {reason(error)}.") from error
    finally:
        os.umask(before)
    return listener


def _remove_own(path: Path, made: os.stat_result) -> None:
    with contextlib.suppress(FileNotFoundError):  # its folder may have been cleaned up under us
        if os.path.samestat(path.stat(), made):
            path.unlink()


def _tcp(address: TcpAddress) -> socket.socket:
    # "localhost" may mean two addresses, and so two ports where a free one is taken.
    host = "127.0.0.1" if address.host == "localhost" else address.host
    try:
        found = socket.getaddrinfo(host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, where = found[0]
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"There is no address for the host {address.host!r}.") from error
    if not address.allow_remote and not ipaddress.ip_address(where[0]).is_loopback:
        raise ConfigError(
            f"{address.host} can be reached from other machines. Use 127.0.0.1, or say --allow-remote."
        )
    try:
        return socket.create_server((str(where[0]), address.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        code = "address_in_use"
        raise OmniidError(
            f"Port {address.port} on {address.host} cannot be used: {reason(error)}.", code=code
        ) from error
