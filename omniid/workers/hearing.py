"""One take's sound, understood while it is still being spoken.

    hearing = Hearing(take_id, loader, config, language=None, on_partial=None)   # begins to load the model
    hearing.add(pcm)             # every block, from the first on; quick, and never waits for the model
    hearing.is_speaking          # bool; None while the voice detector is not loaded, for some 50 ms
    hearing.heard_speech         # bool
    hearing.silence_s            # seconds of sound since the last speech; None before any
    hearing.finish(is_real=True, is_cancelled=...)   # TakeRecognised or TakeEmpty; waits for it
    hearing.close()              # always, at the end: give up whatever still runs

`add`, `finish` and the properties belong to one thread, the take's; `on_partial(text)` is called on another.

Whisper invents text on silence, so words count only after the voice detector has heard somebody, and only
when the recogniser is sure enough of them. Each stretch of speech is recognised once it has paused, so that
at the release the words are mostly known: what is known of the same runs of speech is not recognised again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from omniid.audio.frames import RATE, SAMPLE_BYTES, duration_s, is_all_zero
from omniid.audio.segmenter import WINDOW_S, Segmenter, Stretch
from omniid.errors import OmniidError, RecognitionError
from omniid.recognition.phantoms import is_phantom, without_annotations
from omniid.recognition.recognizer import NOTHING, Recognizer, Wishes
from omniid.workers.channel import ConfigureEar, TakeEmpty, TakeRecognised
from omniid.workers.foresight import Foresight, Work
from omniid.workers.model_loader import ModelLoader

_log = logging.getLogger(__name__)

CANCEL_CHECK_S = 0.05


def reason_unheard(pcm: bytes | bytearray, *, min_take_ms: int, is_real: bool) -> str | None:
    """Why nothing can have been said, as far as that shows without a model.

    `is_real`: the sound is a real microphone's, where pure zeros mean that it is muted or dead.
    """
    if duration_s(pcm) * 1000 < min_take_ms:
        return "too_short"
    if is_real and is_all_zero(pcm):
        return "dead_microphone"
    return None


class Hearing:
    """One take's ears and understanding; see the module."""

    def __init__(
        self,
        take_id: str,
        loader: ModelLoader,
        config: ConfigureEar,
        *,
        language: str | None = None,
        on_partial: Callable[[str], None] | None = None,
    ) -> None:
        self._take_id = take_id
        self._loader = loader
        self._config = config
        self._wishes = Wishes(language or config.language, tuple(config.languages), tuple(config.vocabulary))
        self._on_partial = on_partial if config.partials else None
        self._pcm = bytearray()
        self._judged_bytes = 0
        self._telling = threading.Lock()  # held while a partial is on its way
        self._changed = threading.Condition()  # guards what follows
        self._segmenter = Segmenter()
        self._foresight = Foresight(wants_drafts=self._on_partial is not None)
        self._is_released = False
        self._is_closed = False
        self._error: OmniidError | None = None
        self._found_model_loaded = loader.is_loaded
        loader.start()
        self._stream = loader.speech_stream()
        self._thread = threading.Thread(target=self._understand, name="hearing", daemon=True)
        self._thread.start()

    @property
    def is_speaking(self) -> bool | None:
        return None if self._stream is None else self._segmenter.is_speaking

    @property
    def heard_speech(self) -> bool:
        return self._segmenter.has_speech

    @property
    def silence_s(self) -> float | None:
        windows = self._segmenter.silent_windows
        return None if windows is None else windows * WINDOW_S

    def add(self, pcm: bytes) -> None:
        """More of the take's sound."""
        with self._changed:
            self._pcm += pcm
        if self._stream is None:
            self._stream = self._loader.speech_stream()
        if self._stream is not None:
            self._judge(self._stream.add(self._unjudged()))

    def finish(self, *, is_real: bool, is_cancelled: Callable[[], bool]) -> TakeRecognised | TakeEmpty:
        """What was said in all of it.

        Raises:
            RecognitionError: there is no model, or it failed.
        """
        began = time.monotonic()
        reason = reason_unheard(self._pcm, min_take_ms=self._config.min_take_ms, is_real=is_real)
        if reason is not None:
            return self._nothing(reason)
        self._judge_the_rest()
        if not self._segmenter.has_speech:
            return self._nothing("no_speech")
        speculated = self._release()
        if not self._wait(is_cancelled):
            return self._nothing("cancelled")
        return self._verdict(began, speculated=speculated)

    def close(self) -> None:
        """Nobody wants to know any more. What runs in native code runs on for nobody."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _unjudged(self) -> bytes:
        piece = bytes(self._pcm[self._judged_bytes :])
        self._judged_bytes = len(self._pcm)
        return piece

    def _judge(self, probabilities: list[float]) -> None:
        if probabilities:
            with self._changed:
                self._segmenter.add(probabilities)
                self._changed.notify_all()

    def _judge_the_rest(self) -> None:
        if self._stream is None:
            self._stream = self._loader.wait_for_speech_stream()
        self._judge([*self._stream.add(self._unjudged()), *self._stream.end()])

    def _release(self) -> bool:
        """Nothing more is added. Whether all is known already."""
        with self._changed:
            self._is_released = True
            self._changed.notify_all()
            speculated = self._foresight.is_complete(self._stretches())
        self._let_partial_arrive()
        return speculated

    def _nothing(self, reason: str) -> TakeEmpty:
        self.close()
        self._let_partial_arrive()
        return TakeEmpty(self._take_id, reason)

    def _let_partial_arrive(self) -> None:
        """None may come after the ending."""
        with self._telling:
            pass

    def _wait(self, is_cancelled: Callable[[], bool]) -> bool:
        """Until all is known; False when it was cancelled first."""
        with self._changed:
            while not self._foresight.is_complete(self._stretches()):
                if is_cancelled() or self._is_closed:
                    return False
                if self._error is not None:
                    raise self._error
                self._changed.wait(CANCEL_CHECK_S)
        return not is_cancelled()

    def _verdict(self, began: float, *, speculated: bool) -> TakeRecognised | TakeEmpty:
        recognizer = self._loader.get()
        heard = self._foresight.joined(self._stretches())
        speech_s = sum(stretch.speech_samples for stretch in self._stretches()) / RATE
        text = without_annotations(heard.text)
        if is_phantom(text, speech_s, heard.confidence):
            return TakeEmpty(self._take_id, "no_speech")
        if heard.confidence < self._config.reject:
            return TakeEmpty(self._take_id, "unsure")
        return TakeRecognised(
            self._take_id,
            text=text,
            confidence=heard.confidence,
            language=heard.language,
            duration_s=duration_s(self._pcm),
            speech_s=min(speech_s, duration_s(self._pcm)),
            model=recognizer.model_name,
            model_load_s=0.0 if self._found_model_loaded else recognizer.load_s,
            recognition_s=time.monotonic() - began,
            speculated=speculated,
        )

    # On the thread of its own.

    def _understand(self) -> None:
        try:
            recognizer = self._loader.get()
            while (work := self._next(recognizer)) is not None:
                self._do(work, recognizer)
        except OmniidError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - native code raises anything; the take waits and must hear of it
            _log.exception("the take is not understood")
            self._fail(RecognitionError(f"The recogniser failed: {error}. Try again."))

    def _fail(self, error: OmniidError) -> None:
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def _next(self, recognizer: Recognizer) -> Work | None:
        """What is worth recognising now; waits for it. None when the take is closed, or all known."""
        with self._changed:
            while not self._is_closed:
                stretches = self._stretches()
                if self._is_released:
                    return self._foresight.missing(stretches)
                if recognizer.may_draft:
                    work = self._foresight.due(stretches, self._segmenter)
                    if work is not None:
                        return work
                self._changed.wait()
        return None

    def _do(self, work: Work, recognizer: Recognizer) -> None:
        with self._changed:
            stretch = work.stretch
            sound = bytes(self._pcm[stretch.start * SAMPLE_BYTES : stretch.end * SAMPLE_BYTES])
            wishes = self._foresight.wishes(work, self._stretches(), self._wishes)
        need = _Need(lambda: self._is_stale(work))
        with self._loader.turn:
            began = time.monotonic()
            heard = NOTHING if need.is_over() else recognizer.recognise(sound, wishes, need.is_over)
        with self._changed:
            if need.is_over():
                return
            self._foresight.learn(work, heard, time.monotonic() - began, self._segmenter.windows)
            partial = self._foresight.partial(self._stretches(), work, heard)
            self._changed.notify_all()
        if partial is not None:
            self._tell(partial)

    def _tell(self, partial: str) -> None:
        with self._telling:
            if self._on_partial is not None and not self._is_released and not self._is_closed:
                self._on_partial(partial)

    def _is_stale(self, work: Work) -> bool:
        """Whether nobody needs this any more: the take is closed, or the speech has gone on."""
        with self._changed:
            if self._is_closed:
                return True
            if work.is_draft:
                return self._is_released
            return not any(stretch.runs == work.stretch.runs for stretch in self._stretches())

    def _stretches(self) -> list[Stretch]:
        return self._segmenter.stretches(len(self._pcm) // SAMPLE_BYTES)


class _Need:
    """Whether a work is still needed. Once it is not, it never is again: what was broken off is no result."""

    def __init__(self, is_stale: Callable[[], bool]) -> None:
        self._is_stale = is_stale
        self._was_over = False

    def is_over(self) -> bool:
        self._was_over = self._was_over or self._is_stale()
        return self._was_over
