"""The unit files, held to what systemd and launchd take."""

from __future__ import annotations

import plistlib
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# From launchd.plist(5): the keys we use and their types. launchd itself passes over a wrong one in silence.
_LAUNCHD_KEYS: dict[str, type] = {
    "Label": str,
    "ProgramArguments": list,
    "RunAtLoad": bool,
    "KeepAlive": dict,
    "ThrottleInterval": int,
    "ExitTimeOut": int,
    "ProcessType": str,
    "LimitLoadToSessionType": str,
    "Umask": int,
}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd's own checker")
def test_systemd_has_nothing_to_say_about_the_unit(tmp_path: Path) -> None:
    # %h/.local/bin/omniid is not there on this machine, and that is the one thing it would say.
    unit = tmp_path / "omniid.service"
    text = (ROOT / "systemd" / "omniid.service").read_text(encoding="utf-8")
    unit.write_text(text.replace("%h/.local/bin/omniid", "/bin/true"), encoding="utf-8")
    checked = subprocess.run(
        ["systemd-analyze", "--user", "verify", str(unit)],
        capture_output=True,
        text=True,
        env={"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
        check=False,
    )
    assert checked.stdout + checked.stderr == ""
    assert checked.returncode == 0


def test_a_bad_configuration_is_not_tried_again() -> None:
    unit = (ROOT / "systemd" / "omniid.service").read_text(encoding="utf-8")
    assert "Type=notify\n" in unit
    assert "RestartPreventExitStatus=78\n" in unit


def test_the_plist_has_only_keys_of_launchd_with_their_types() -> None:
    plist = plistlib.loads((ROOT / "launchd" / "app.omnii.omniid.plist").read_bytes())
    assert {key: type(value) for key, value in plist.items()} == _LAUNCHD_KEYS
    # KeepAlive = true would start omniid again after `omniid stop`.
    assert plist["KeepAlive"] == {"SuccessfulExit": False}
    assert plist["Label"] == "app.omnii.omniid"
