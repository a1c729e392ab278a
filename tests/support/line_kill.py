"""A child that does one thing again and again, killed before another line of it each time.

    line_kill.py MODULE[,MODULE...] CALL BEFORE AFTER

CALL is evaluated in the first MODULE, with `folder` as a copy of BEFORE: AFTER/1, AFTER/2 and so on. The
N-th time its process dies, as by `kill -9`, before the N-th line of those is run. It ends once a call gets
through.
"""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import subprocess
import sys
import traceback
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

_ROOT = Path(__file__).parents[2]
_WITHIN_S = 240.0


def killed_before_each_line(modules: str, call: str, before: Path, after: Path) -> list[Path]:
    """The folders as the killed processes have left them, and last the one of the call that got through."""
    command = [sys.executable, "-P", __file__, modules, call, str(before), str(after)]
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    subprocess.run(command, env=environment, timeout=_WITHIN_S, check=True)
    return sorted(after.iterdir(), key=lambda place: int(place.name))


def _main() -> None:
    modules, call = [importlib.import_module(name) for name in sys.argv[1].split(",")], sys.argv[2]
    for step in count(1):
        folder = Path(sys.argv[4], str(step))
        shutil.copytree(sys.argv[3], folder, symlinks=True)
        pid = os.fork()
        if pid == 0:
            _die_before_line(step, modules, call, folder)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status != -signal.SIGKILL:
            sys.exit(status)


def _die_before_line(step: int, modules: Sequence[ModuleType], call: str, folder: Path) -> None:
    files = {module.__file__ for module in modules}
    lines = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal lines
        if frame.f_code.co_filename not in files:
            return None
        lines += event == "line"
        if lines == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace

    try:
        sys.settrace(trace)
        eval(call, vars(modules[0]), {"folder": folder})  # noqa: S307 a test's own
        sys.settrace(None)
    except BaseException:  # noqa: BLE001 the parent's stack is not this one's to go on with
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    _main()
