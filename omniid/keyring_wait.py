"""Waiting for a keyring that comes later than omniid: it is the desktop's, and a service often starts first.

Nobody is asked for a password here. Where asking did not help, the person is not at the screen yet, or has
said no; a second window would not change that.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Literal

from omniid.credentials import KEYRING_WITHIN_S, CredentialsError, ask_keyring

LOOK_EVERY_S = 2.0

State = Literal["absent", "locked", "open"]


async def state() -> State:
    """What a question to the keyring would meet now. One that hangs is waiting for its password: "locked".

    Only of the Secret Service (GNOME, KDE, KeePassXC) can it be known without asking; others count as open.
    """
    try:
        return await ask_keyring(_state, KEYRING_WITHIN_S)
    except CredentialsError as error:
        return "absent" if error.code == "no_keyring" else "locked"


async def until_open(within_s: float) -> bool:
    """Wait, and say whether the keyring is open."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            while await state() != "open":  # noqa: ASYNC110 a keyring tells nobody that it was unlocked
                await asyncio.sleep(LOOK_EVERY_S)
            return True
    return False


# On the keyring's thread


def _state() -> State:
    import keyring  # noqa: PLC0415 heavy: D-Bus and ciphers
    import keyring.backends.fail  # noqa: PLC0415

    return _of_secret_service() or (
        "absent" if isinstance(keyring.get_keyring(), keyring.backends.fail.Keyring) else "open"
    )


def _of_secret_service() -> State | None:
    import secretstorage  # noqa: PLC0415 heavy: D-Bus and ciphers; not on macOS

    try:
        with contextlib.closing(secretstorage.dbus_init()) as bus:
            if not secretstorage.check_service_availability(bus):
                return None
            return "locked" if secretstorage.Collection(bus).is_locked() else "open"
    except secretstorage.SecretServiceNotAvailableException:
        return None
    except secretstorage.ItemNotFoundException:  # it is new: its first entry asks for a password to be
        return "locked"
