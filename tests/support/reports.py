"""Reports of the ear, with the fields that do not matter filled in."""

from __future__ import annotations

from omniid.workers.channel import CaptureOpened, TakeRecognised


def opened(take_id: str, first_sample_at: float = 0.0) -> CaptureOpened:
    return CaptureOpened(take_id, "microphone", first_sample_at)


def recognised(take_id: str, text: str = "Send it") -> TakeRecognised:
    return TakeRecognised(take_id, text, 0.91234, "en", 1.954, 1.2, "tiny.en", 0.5, 0.3)


RECOGNISED = recognised("t1")
