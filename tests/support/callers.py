"""Callers of the control API who go on while the daemon is killed, and remember what they were told."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from omniid.control.client import AnswerLostError, Client
from omniid.errors import NotRunningError

_LOOK_AGAIN_S = 0.01
_ASKED_AGAIN = 0.1  # the share of commands after which an older one is asked for again


@dataclass
class Heard:
    """What a caller asked for, by the words of each command, which are never the same twice."""

    keys: dict[str, str | None] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)  # those that were acknowledged
    lost_answers: int = 0
    repeats: int = 0
    other_ids: list[str] = field(default_factory=list)  # a repeated key that named another command


@contextlib.contextmanager
def calling(count: int, client: Client, moments: random.Random) -> Iterator[list[Caller]]:
    """So many callers while the block runs; at its end those that have not finished give up."""
    callers = [Caller(f"caller {number}", client, moments.randrange(2**32)) for number in range(count)]
    for caller in callers:
        caller.start()
    try:
        yield callers
    finally:
        for caller in callers:
            caller.give_up()


class Caller(threading.Thread):
    """Adds commands as fast as it can, until it is told to finish. Every second one has an idempotency key.

    A call whose answer was lost is repeated only where there is a key: without one nobody may.
    """

    def __init__(self, name: str, client: Client, seed: int) -> None:
        super().__init__(name=name, daemon=True)
        self.heard = Heard()
        self.error: BaseException | None = None
        self._client = client
        self._random = random.Random(seed)
        self._finishing = threading.Event()
        self._given_up = threading.Event()

    def give_up(self) -> None:
        """Wait for no daemon any more."""
        self._finishing.set()
        self._given_up.set()
        self.join()

    def finish(self, within_s: float) -> Heard:
        """Have the last call answered; what was heard in all.

        Raises:
            BaseException: what ended the caller before its time.
        """
        self._finishing.set()
        self.join(within_s)
        if self.error is not None:
            raise self.error
        assert not self.is_alive()
        return self.heard

    def run(self) -> None:
        number = 0
        try:
            while not self._finishing.is_set():
                number += 1
                self._ask(f"{self.name} {number}", f"{self.name}-{number}" if number % 2 else None)
                if self._random.random() < _ASKED_AGAIN:
                    self._ask_again()
        except BaseException as error:  # noqa: BLE001 whatever it is, `finish` raises it
            self.error = error

    def _ask(self, message: str, key: str | None) -> None:
        self.heard.keys[message] = key
        answered = self._called(message, key)
        if answered is not None:
            self.heard.ids[message] = answered

    def _ask_again(self) -> None:
        """An earlier command once more, by its key; many daemons may have lived and died since."""
        known = [message for message in self.heard.ids if self.heard.keys[message]]
        if not known:
            return
        message = self._random.choice(known)
        self.heard.repeats += 1
        answered = self._called(message, self.heard.keys[message])
        if answered != self.heard.ids[message]:
            self.heard.other_ids.append(f"{message}: {self.heard.ids[message]} became {answered}")

    def _called(self, message: str, key: str | None) -> str | None:
        """The command's id; None when the answer was lost and nobody may ask again."""
        while not self._given_up.is_set():
            try:
                return str(self._client.call("POST", "/v1/commands", {"message": message}, key=key)["id"])
            except NotRunningError as error:
                if error.code == "not_answering":
                    raise
                self._given_up.wait(_LOOK_AGAIN_S)  # the next daemon is on its way
            except AnswerLostError:
                self.heard.lost_answers += 1
                if key is None:
                    return None
        return None
