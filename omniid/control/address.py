"""Where the daemon listens. Imports next to nothing, since a key binding waits for it."""

from __future__ import annotations

import os
import sys

APP = "omniid"


def config_file() -> str:
    """The user's `config.toml`, whether it is there or not."""
    given = os.environ.get("OMNIID_CONFIG")
    if given:
        return given
    if sys.platform == "darwin":
        folder = os.path.expanduser("~/Library/Application Support")
    else:
        folder = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return os.path.join(folder, APP, "config.toml")


def runtime_dir() -> str:
    """`$XDG_RUNTIME_DIR/omniid`, the user's temporary folder on macOS, or a folder of the user's in /tmp."""
    given = os.environ.get("XDG_RUNTIME_DIR")
    if given:
        return os.path.join(given, APP)
    temporary = os.environ.get("TMPDIR") or "/tmp"  # noqa: S108 the folder in it is ours alone, or is refused
    if sys.platform == "darwin":
        return os.path.join(temporary, APP)
    systemds = f"/run/user/{os.getuid()}"
    return os.path.join(systemds, APP) if os.path.isdir(systemds) else f"{temporary}/{APP}-{os.getuid()}"


def control_socket() -> str:
    """The daemon's socket: from the environment, the configuration, or the runtime folder."""
    given = os.environ.get("OMNIID_CONTROL__SOCKET") or _configured()
    return given or os.path.join(runtime_dir(), "omniid.sock")


def _configured() -> str | None:
    path = config_file()
    if not os.path.exists(path):
        return None
    import tomllib  # noqa: PLC0415 only where there is a file to read

    try:
        with open(path, "rb") as file:
            value = tomllib.load(file).get("control", {}).get("socket")
    except (OSError, ValueError, AttributeError):
        return None  # the daemon tells what is wrong with the file
    return value if isinstance(value, str) else None
