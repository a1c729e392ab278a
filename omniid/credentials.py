"""Where the backend's token comes from: the first source that has one. One that fails is told, not skipped.

No error, log line or repr holds any part of a token: errors are raised outside of `except`, so that no
library's own words (a command's output, the name of a program that was a token) travel along with them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import shlex
import signal
import stat
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, TypeVar

from pydantic import SecretStr

from omniid import private_file
from omniid.errors import EXIT_REFUSED, OmniidError

COMMAND_WITHIN_S = 10.0
KEYRING_WITHIN_S = 5.0
# Storing and forgetting are done by a person, who may have to type the keyring's password first.
PERSON_WITHIN_S = 60.0
SERVICE = "omniid"
CREDENTIAL = "omniid.token"

_MOST_BYTES = 65_536
_PRIVATE = 0o600
_INSTEAD = ", or give the token by backend.token_command, OMNIID_TOKEN or a systemd credential"

Origin = Literal["token_command", "configuration", "systemd credential", "keyring", "token file"]
T = TypeVar("T")


class CredentialsError(OmniidError):
    """A source of the token exists and fails. The message says which, and never what it gave."""

    default_code: ClassVar[str] = "credentials_failed"
    exit_code: int = EXIT_REFUSED


@dataclass(frozen=True, slots=True)
class Token:
    secret: str = field(repr=False)
    origin: Origin


@dataclass(frozen=True, slots=True)
class Sources:
    """What the settings say; `account` is the name the keyring keeps the token under."""

    token_command: str | None = field(repr=False)  # people write tokens into it
    configured: SecretStr | None
    account: str
    token_file: Path


def fit(secret: str) -> str | None:
    """The token without the white space around it; None where it is not one word of printable ASCII."""
    word = secret.strip()
    is_word = word.isascii() and word.isprintable() and " " not in word
    return word if word and is_word and len(word) <= _MOST_BYTES else None


class Credentials:
    """The sources, in their order: command, configuration, systemd, keyring, file."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._commanded: str | None = None

    async def find(self, *, again: bool = False) -> Token | None:
        """The token, or None where no source has one.

        What the command printed is kept, so that a reconnect does not run it; `again`, after the server has
        refused the token, does. All other sources are read each time.

        Raises:
            CredentialsError: the first source that exists failed. Within 15 s, whatever hangs.
        """
        sources = self._sources
        if sources.token_command is not None:
            if again or self._commanded is None:
                self._commanded = None
                self._commanded = await _from_command(sources.token_command)
            return Token(self._commanded, "token_command")
        if sources.configured is not None:
            where = "backend.token (or OMNIID_TOKEN)"
            return Token(_fitting(sources.configured.get_secret_value(), where), "configuration")
        if (secret := _from_systemd()) is not None:
            return Token(secret, "systemd credential")
        if (secret := await _from_keyring(sources.account)) is not None:
            return Token(secret, "keyring")
        if (secret := _from_file(sources.token_file)) is not None:
            return Token(secret, "token file")
        return None


def store_in_keyring(account: str, secret: str) -> None:
    """Keep the token in the keyring, in place of an earlier one.

    Raises:
        CredentialsError: it is no token, or the keyring failed; the code is "no_keyring" where there is none.
    """
    word = _fitting(secret, "What was given")
    _wait_for(_keyring.ask(lambda: _store(account, word)))


def store_in_file(path: Path, secret: str) -> None:
    """Keep the token in a file that was never open to others; a power cut leaves the old one or the new one.

    Raises:
        CredentialsError: it is no token, or the file cannot be written.
    """
    word = _fitting(secret, "What was given")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        private_file.replace(path, f"{word}\n")
    except OSError as error:
        reason = error.strerror
    else:
        return
    raise CredentialsError(f"The token file {path} cannot be written: {reason}. Mend that and try again.")


def forget(account: str, token_file: Path) -> tuple[Origin, ...]:
    """Remove the token from the file and the keyring; returns which of them had one.

    Raises:
        CredentialsError: one of them failed. The file goes first, so a keyring that hangs does not save it.
    """
    removed: tuple[Origin, ...] = ("token file",) if _removed(token_file) else ()
    try:
        had_one = _wait_for(_keyring.ask(lambda: _forget(account)))
    except CredentialsError as error:
        problem = error
    else:
        return (*removed, "keyring") if had_one else removed
    done = " The token file is removed." if removed else ""
    raise CredentialsError(problem.message + done, code=problem.code)


def _fitting(secret: str, where: str) -> str:
    word = fit(secret)
    if word is None:
        raise CredentialsError(
            f"{where} holds no token: a token is one word of printable ASCII. Set it right and try again."
        )
    return word


# The command


async def _from_command(command: str) -> str:
    code, printed = await _run(_split(command))
    if code:
        how = f"exit code {code}" if code > 0 else f"signal {-code}"
        raise CredentialsError(
            f"backend.token_command ended with {how}. Run it in a terminal to see why, then try again."
        )
    return _fitting(printed, "What backend.token_command printed")


def _split(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    if not words:
        raise CredentialsError("backend.token_command is no command: check its quotation marks.")
    return words


async def _run(words: list[str]) -> tuple[int, str]:
    """Run it without a shell; its exit code and what it had printed by then.

    The pipe is read once the command has ended: what it leaves running in the background may keep the pipe
    open, and one that prints more than a pipe holds prints no token.
    """
    ours, theirs = os.pipe()
    with os.fdopen(ours, "rb", buffering=0) as printed:
        os.set_blocking(ours, False)
        try:
            process = _start(words, theirs)
        finally:
            os.close(theirs)
        code = await _end(process)
        output: bytes | None = printed.read(_MOST_BYTES)
    return code, (output or b"").decode("ascii", errors="replace")


def _start(words: list[str], stdout: int) -> subprocess.Popen[bytes]:
    # Not asyncio's way: cancelled while it starts, that one leaves running what the command has started.
    none = subprocess.DEVNULL
    try:
        return subprocess.Popen(words, stdin=none, stdout=stdout, stderr=none, start_new_session=True)  # noqa: S603 the user's own
    except OSError as error:
        reason = error.strerror
    except ValueError:  # a zero byte in a word
        reason = "it is no command"
    raise CredentialsError(
        f"backend.token_command cannot be started: {reason}. Check the program's name and try again."
    )


async def _end(process: subprocess.Popen[bytes]) -> int:
    try:
        async with asyncio.timeout(COMMAND_WITHIN_S):
            return await asyncio.to_thread(process.wait)
    except TimeoutError:
        pass
    finally:
        _kill(process)
    raise CredentialsError(
        f"backend.token_command did not end within {COMMAND_WITHIN_S:.0f} s. It gets no input and "
        "no terminal: run it in one to see what it waits for."
    )


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End it and all it started, if it has not ended; the thread that waits for it is then free, too."""
    if process.poll() is None:
        # PermissionError is how macOS speaks of a group that has only zombies left.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


# Files


def _from_systemd() -> str | None:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        return None
    content = _read(Path(folder, CREDENTIAL), f"The systemd credential {CREDENTIAL}")
    return None if content is None else _fitting(content, f"The systemd credential {CREDENTIAL}")


def _from_file(path: Path) -> str | None:
    content = _read(path, f"The token file {path}", only_ours=True)
    return None if content is None else _fitting(content, f"The token file {path}")


def _read(path: Path, what: str, *, only_ours: bool = False) -> str | None:
    """The content; None where there is no such file. The open file is checked, not the name: names change."""
    try:
        # A pipe of that name must not keep us waiting.
        number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            problem = _objection(os.fstat(number), path, only_ours=only_ours)
            content = b"" if problem else os.read(number, _MOST_BYTES + 1)
        finally:
            os.close(number)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        problem = f"cannot be read: {error.strerror}. Mend that and try again."
    if problem:
        raise CredentialsError(f"{what} {problem}")
    return content.decode("ascii", errors="replace")


def _objection(found: os.stat_result, path: Path, *, only_ours: bool) -> str | None:
    if not stat.S_ISREG(found.st_mode):
        return "is not a plain file. Remove it and run `omniid auth login --file`."
    if only_ours and found.st_uid != os.getuid():
        return "belongs to another user. Remove it and run `omniid auth login --file`."
    if only_ours and stat.S_IMODE(found.st_mode) & 0o077:
        return (
            f"is open to other users. Run `chmod 600 {shlex.quote(str(path))}`, "
            "and get a new token if one of them may have read it."
        )
    return None


def _removed(path: Path) -> bool:
    """Whether there was one. What a killed write has left beside it goes too."""
    each = path
    try:
        was_there = _unlinked(path)
        each = private_file.beside(path)
        _unlinked(each)
    except OSError as error:
        reason = error.strerror
    else:
        return was_there
    raise CredentialsError(f"The token file {each} cannot be removed: {reason}. Remove it by hand.")


def _unlinked(path: Path) -> bool:
    try:
        path.unlink()
        private_file.sync(path.parent)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


# The keyring


class _KeyringThread:
    """Asks the keyring, one question after the other, on one thread: a prompt may hold it up for ever.

    A daemon thread, so that the process can end meanwhile. Whoever asks has a deadline of their own; a
    question whose asker has left before its turn is not asked.
    """

    def __init__(self) -> None:
        self._questions: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._started = False

    def ask(self, question: Callable[[], T], instead: str = _INSTEAD) -> Future[T]:
        with self._starting:
            if not self._started:
                threading.Thread(target=self._work, name="keyring", daemon=True).start()
                self._started = True
        answer: Future[T] = Future()
        self._questions.put(lambda: _settle(answer, question, instead))
        return answer

    def _work(self) -> None:
        while True:
            self._questions.get()()


_keyring = _KeyringThread()


def _settle(answer: Future[T], question: Callable[[], T], instead: str) -> None:
    if not answer.set_running_or_notify_cancel():
        return
    try:
        _look_anew()
        answer.set_result(question())
    except Exception as error:  # noqa: BLE001 a backend may raise anything, and the thread serves the next one
        problem = _problem(error, instead)
    else:
        return
    answer.set_exception(problem)


def _look_anew() -> None:
    """The library keeps what it found first; the desktop's keyring may have come since."""
    import keyring.backend  # noqa: PLC0415 heavy: D-Bus and ciphers
    import keyring.core  # noqa: PLC0415

    with contextlib.suppress(KeyError):  # it has found nothing yet
        keyring.backend.get_all_keyring.reset()
    keyring.core.init_backend()


def _problem(error: Exception, instead: str) -> CredentialsError:
    from keyring.errors import InitError, KeyringLocked, NoKeyringError  # noqa: PLC0415 heavy, and here already

    if isinstance(error, CredentialsError):
        return error
    if isinstance(error, KeyringLocked | InitError):
        return CredentialsError(
            f"The keyring is locked. Unlock it and try again{instead}.", code="keyring_locked"
        )
    if isinstance(error, NoKeyringError):
        return CredentialsError(
            "No keyring answers here. Install one, such as the package gnome-keyring, or sign in to the "
            f"desktop that has one, and try again{instead}.",
            code="no_keyring",
        )
    return CredentialsError(f"The keyring failed ({type(error).__name__}). See to it and try again{instead}.")


def _hangs(within_s: float) -> CredentialsError:
    return CredentialsError(
        f"The keyring did not answer within {within_s:.0f} s. It may be asking for its password: "
        "unlock it and try again.",
        code="keyring_hangs",
    )


async def ask_keyring(question: Callable[[], T], within_s: float, *, instead: str = "") -> T:
    """What `question` has found out. It is asked on the keyring's own thread, and may hang there.

    `instead`: what else can be done where the keyring fails, as ", or do this"; the error ends with it.

    Raises:
        CredentialsError: the keyring failed; the code is "keyring_locked", "keyring_hangs" or "no_keyring"
            where it is that.
    """
    answer = _keyring.ask(question, instead)
    try:
        async with asyncio.timeout(within_s):
            return await asyncio.wrap_future(answer)
    except TimeoutError:
        pass
    raise _hangs(within_s)


async def _from_keyring(account: str) -> str | None:
    secret = await ask_keyring(lambda: _get(account), KEYRING_WITHIN_S, instead=_INSTEAD)
    return None if secret is None else _fitting(secret, "The keyring")


def _wait_for(answer: Future[T]) -> T:
    try:
        return answer.result(PERSON_WITHIN_S)
    except TimeoutError:
        answer.cancel()
    raise _hangs(PERSON_WITHIN_S)


def _get(account: str) -> str | None:
    import keyring  # noqa: PLC0415 heavy: D-Bus and ciphers
    from keyring.errors import NoKeyringError  # noqa: PLC0415

    try:
        return keyring.get_password(SERVICE, account)
    except NoKeyringError:
        return None


def _store(account: str, word: str) -> None:
    import keyring  # noqa: PLC0415 heavy: D-Bus and ciphers
    from keyring.errors import NoKeyringError  # noqa: PLC0415

    try:
        keyring.set_password(SERVICE, account, word)
        is_kept = keyring.get_password(SERVICE, account) == word
    except NoKeyringError:
        pass
    else:
        if is_kept:
            return
        raise CredentialsError("The keyring took the token and does not keep it. Use another keyring.")
    raise CredentialsError(
        "This machine has no keyring. Run `omniid auth login --file` to keep the token in a file of yours.",
        code="no_keyring",
    )


def _forget(account: str) -> bool:
    import keyring  # noqa: PLC0415 heavy: D-Bus and ciphers

    if _get(account) is None:
        return False
    keyring.delete_password(SERVICE, account)
    return True
