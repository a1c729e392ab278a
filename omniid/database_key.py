"""The database's key: 32 random bytes in the keyring, asked for only where a file is encrypted or is to be.

One key serves every data folder of a user, so that one that is moved or put back from a backup still opens.
It is made once, and is in the keyring, read back and compared, before anything is encrypted with it. A file
that is encrypted already never gets a new one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import structlog

from omniid import host, keyring_wait
from omniid.control import address
from omniid.credentials import KEYRING_WITHIN_S, PERSON_WITHIN_S, SERVICE, CredentialsError, ask_keyring
from omniid.errors import StorageError
from omniid.storage import encryption
from omniid.storage.database import Database
from omniid.storage.encryption import KEY_BYTES, EncryptionError

ACCOUNT = "omniid.database"
OPENS_WITHIN_S = 600.0  # then the service starts anew, which asks for the password once more

log = structlog.get_logger()

_PLAINLY = ", or set history.encrypted = false"
_CODES = {"keyring_hangs": "keyring_locked", "keyring_locked": "keyring_locked", "no_keyring": "no_keyring"}


@contextlib.asynccontextmanager
async def opened(path: Path, *, encrypted: bool) -> AsyncIterator[Database]:
    """The database as it is wanted: encrypted, or in clear. A file that is not so yet is made over.

    Raises:
        ConfigError: the key cannot be made, since the runtime folder is not omniid's alone.
        EncryptionError: the key is lost or another one, or SQLCipher is not installed.
        StorageError: the keyring or the file cannot be used.
    """
    was_encrypted = is_encrypted(path)
    if was_encrypted or encrypted:
        log.info("asking the keyring for the database's key")
    key = await _found(path, encrypted=encrypted)
    async with Database(path, key, encrypted=encrypted) as database:
        if was_encrypted != encrypted:
            log.info("the database is encrypted now" if encrypted else "the database is in clear text now")
        yield database


async def _found(path: Path, *, encrypted: bool) -> bytes | None:
    """As `find`; but a service waits for a keyring that is not there yet, or locked.

    It is often started before the desktop that brings the keyring, or while nobody sits there to unlock it.
    If it ended, it would be started and end five times within seconds, and then be left alone for good.
    """
    try:
        return await find(path, encrypted=encrypted)
    except StorageError as error:
        if error.code not in _CODES.values() or not host.has_service_manager():
            raise
        if not await _comes_open(error.message):
            raise
    return await find(path, encrypted=encrypted)


async def _comes_open(problem: str) -> bool:
    log.warning("waiting for the keyring", problem=problem, within_s=OPENS_WITHIN_S)
    # Without the extension systemd would end a service that is so long not ready.
    extension_us = round((OPENS_WITHIN_S + PERSON_WITHIN_S + 30) * 1_000_000)
    host.notify_service_manager(
        f"EXTEND_TIMEOUT_USEC={extension_us}\nSTATUS=waiting for the keyring: {problem}"
    )
    return await keyring_wait.until_open(OPENS_WITHIN_S)


async def find(path: Path, *, encrypted: bool, makes: bool = True) -> bytes | None:
    """The key that this file needs to be opened and to be as it is wanted; None where it needs none.

    `makes`: where nothing is encrypted yet, a key is made if the keyring has none. Without it the answer is
    None then, and a person who may have to type the keyring's password is not waited for.

    Raises:
        ConfigError, EncryptionError, StorageError: as for `opened`.
    """
    is_sealed = is_encrypted(path)
    if not is_sealed and not encrypted:
        return None
    encryption.sqlcipher()
    ask = _made_once(_lock()) if makes and not is_sealed else _kept
    within_s = PERSON_WITHIN_S if makes else KEYRING_WITHIN_S
    try:
        word = await ask_keyring(ask, within_s, instead="" if is_sealed else _PLAINLY)
    except CredentialsError as error:
        raise StorageError(
            f"The database {'is' if is_sealed else 'is to be'} encrypted, with its key in the keyring. "
            f"{error.message}",
            code=_CODES.get(error.code, "keyring_failed"),
        ) from error
    if word is None and is_sealed:
        raise encryption.key_missing(path)
    return None if word is None else _key(word)


def is_encrypted(path: Path) -> bool:
    """Whether the file is encrypted now; one that is not there is not.

    Raises:
        StorageError: it cannot be read.
    """
    try:
        return encryption.looks_encrypted(path)
    except OSError as error:
        raise StorageError(
            f"The database {path} cannot be read: {error.strerror}. Check the rights on it and its folder."
        ) from error


def _key(word: str) -> bytes:
    with contextlib.suppress(ValueError):
        key = bytes.fromhex(word)
        if len(key) == KEY_BYTES:
            return key
    raise EncryptionError(
        f"The keyring's entry {ACCOUNT} of {SERVICE} is not a key of {2 * KEY_BYTES} hexadecimal digits: "
        "somebody has changed it. Put the right one back, or remove it if nothing is encrypted with it.",
        code="wrong_key",
    )


# On the keyring's thread


def _kept() -> str | None:
    import keyring  # noqa: PLC0415 heavy: D-Bus and ciphers

    return keyring.get_password(SERVICE, ACCOUNT)


def _made_once(lock: Path) -> Callable[[], str]:
    def ask() -> str:
        with _alone(lock):
            return _kept() or _made()

    return ask


def _made() -> str:
    import keyring  # noqa: PLC0415 heavy: D-Bus and ciphers

    made = secrets.token_hex(KEY_BYTES)
    keyring.set_password(SERVICE, ACCOUNT, made)
    if _kept() != made:
        raise CredentialsError(
            f"It took the key and does not keep it, so nothing was encrypted. Use another keyring{_PLAINLY}."
        )
    return made


def _lock() -> Path:
    """Where daemons that share a keyring meet, whatever data folders they have."""
    return host.private_folder(Path(address.runtime_dir())) / "key.lock"


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Two that both find no key must not both make one: the file of the first would be lost."""
    number = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)
