"""From a take's sound to what it means: words, or the reason why there are none.

Whisper invents text on silence, so words count only after the voice detector has heard somebody, and only
when the recogniser is sure enough of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from omniid.audio.frames import SAMPLE_BYTES, duration_s, is_all_zero
from omniid.audio.segmenter import speech_range
from omniid.recognition.phantoms import is_phantom, without_annotations
from omniid.recognition.recognizer import Recognizer, Wishes
from omniid.workers.channel import ConfigureEar, TakeEmpty, TakeRecognised


def reason_unheard(pcm: bytes, *, min_take_ms: int, is_real: bool) -> str | None:
    """Why nothing can have been said, as far as that shows without a model.

    `is_real`: the sound is a real microphone's, where pure zeros mean that it is muted or dead.
    """
    if duration_s(pcm) * 1000 < min_take_ms:
        return "too_short"
    if is_real and is_all_zero(pcm):
        return "dead_microphone"
    return None


def hear(
    take_id: str,
    pcm: bytes,
    recognizer: Recognizer,
    config: ConfigureEar,
    *,
    model_load_s: float,
    is_cancelled: Callable[[], bool],
) -> TakeRecognised | TakeEmpty:
    """What was said in the take.

    Raises:
        RecognitionError: the recogniser failed.
    """
    began = time.monotonic()
    spoken = speech_range(recognizer.speech_probabilities(pcm), len(pcm) // SAMPLE_BYTES)
    if spoken is None:
        return TakeEmpty(take_id, "no_speech")
    wishes = Wishes(config.language, tuple(config.vocabulary))
    sound = pcm[spoken.start * SAMPLE_BYTES : spoken.end * SAMPLE_BYTES]
    heard = recognizer.recognise(sound, wishes, is_cancelled)
    if is_cancelled():
        return TakeEmpty(take_id, "cancelled")
    text = without_annotations(heard.text)
    if is_phantom(text, spoken.speech_s):
        return TakeEmpty(take_id, "no_speech")
    if heard.confidence < config.reject:
        return TakeEmpty(take_id, "unsure")
    return TakeRecognised(
        take_id,
        text=text,
        confidence=heard.confidence,
        language=heard.language,
        duration_s=duration_s(pcm),
        speech_s=spoken.speech_s,
        model=recognizer.model_name,
        model_load_s=model_load_s,
        recognition_s=time.monotonic() - began,
    )
