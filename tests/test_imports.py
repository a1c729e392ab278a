"""What a short-lived verb must not load: a key binding has to feel instant."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    "numpy",
    "ctranslate2",
    "faster_whisper",
    "sounddevice",
    "onnxruntime",
    "fastapi",
    "starlette",
    "uvicorn",
    "websockets",
    "pydantic",
)
LOADED = "import importlib, sys; importlib.import_module(sys.argv[1]); print(*sorted(sys.modules))"


def loaded_by(module: str) -> set[str]:
    child = subprocess.run(
        [sys.executable, "-c", LOADED, module], capture_output=True, text=True, timeout=60, check=True
    )
    return set(child.stdout.split())


@pytest.mark.parametrize("module", ["omniid.cli.status", "omniid.control.client", "omniid.cli.app"])
def test_a_light_entry_point_loads_nothing_heavy(module: str) -> None:
    loaded = loaded_by(module)

    assert module in loaded
    assert loaded & set(HEAVY) == set()


@pytest.mark.parametrize("module", ["omniid.assistant", "omniid.protocol.link", "omniid.storage.outbox"])
def test_the_core_loads_no_sound_no_model_and_no_server(module: str) -> None:
    assert loaded_by(module) & (set(HEAVY) - {"pydantic"}) == set()
