"""What is known of a keyring without asking it for anything: a real one, absent, locked, open and hanging."""

from __future__ import annotations

import asyncio

import pytest
from support.keyring_daemon import KeyringDaemon, keyring_daemon

from omniid import keyring_wait

__all__ = ["keyring_daemon"]

WITHIN_S = 120.0


def state() -> str:
    return asyncio.run(keyring_wait.state())


def test_each_state_is_known(keyring_daemon: KeyringDaemon) -> None:
    assert state() == "absent"
    keyring_daemon.lock()
    assert state() == "locked"  # nothing is kept in it yet: the first entry would ask for a password
    keyring_daemon.unlock()
    assert state() == "open"
    keyring_daemon.lock()
    assert state() == "locked"


def test_one_that_hangs_counts_as_locked(
    keyring_daemon: KeyringDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyring_wait, "KEYRING_WITHIN_S", 0.3)
    keyring_daemon.unlock()
    keyring_daemon.hang()
    assert state() == "locked"
    monkeypatch.setattr(keyring_wait, "KEYRING_WITHIN_S", WITHIN_S)
    keyring_daemon.resume()
    assert state() == "open"


def test_it_is_waited_for(keyring_daemon: KeyringDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring_wait, "LOOK_EVERY_S", 0.05)
    keyring_daemon.unlock()
    keyring_daemon.lock()

    async def opens() -> bool:
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(keyring_wait.until_open(WITHIN_S))
            await asyncio.to_thread(keyring_daemon.unlock)
        return waiting.result()

    assert asyncio.run(opens())


@pytest.mark.usefixtures("keyring_daemon")
def test_but_not_for_ever() -> None:
    assert not asyncio.run(keyring_wait.until_open(0.1))
