"""Whisper through CTranslate2, with faster-whisper's features and tokens.

Imports numpy, CTranslate2 and more: some 100 MB and a second. Import this module only to recognise.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import ctranslate2
import faster_whisper
import numpy as np
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens

from omniid.errors import RecognitionError
from omniid.recognition.doubt import (
    Attempt,
    Reading,
    better,
    confidence,
    is_credible,
    is_doubtful,
    is_gravely_doubtful,
    loops,
    token_budget,
)
from omniid.recognition.encoder import LONG_PAD_S, RATE, Encoder
from omniid.recognition.models import ModelChoice
from omniid.recognition.recognizer import NOTHING, Recognition, Wishes

_log = logging.getLogger(__name__)

BEAM_SIZE = 5  # with 1 one word in twenty more is wrong, and the decoder is quick
DRAFT_BEAM_SIZE = 1
SURE_LANGUAGE = 0.6  # below, the short window takes one word of English for Japanese or Thai
CARE_NGRAM = 3  # a second attempt may not say three tokens in the same order twice
MAX_CPU_THREADS = 4
MAX_TOKENS = 448
MAX_VOCABULARY_TOKENS = MAX_TOKENS // 2 - 1
ENGLISH = "en"


class WhisperRecognizer:
    """One loaded model. Not for use by two threads at a time.

    Raises:
        RecognitionError: the model cannot be loaded (`model_unusable`).
    """

    def __init__(self, choice: ModelChoice, *, device: str, compute_type: str) -> None:
        began = time.monotonic()
        self.model_name = choice.name
        self.may_draft = True
        self._whisper, self.note = _load(choice, device, compute_type)
        self._model = self._whisper.model
        self.device = str(self._model.device)
        self.compute_type = str(self._model.compute_type)
        self._tokenizers: dict[str, Tokenizer] = {}
        self._suppressed: list[int] = list(get_suppressed_tokens(self._tokenizer(ENGLISH), [-1]))
        self._encoder = Encoder(self._model, self._whisper.feature_extractor)
        self.load_s = time.monotonic() - began
        _log.info(
            "model %s (%s) on %s as %s", choice.name, choice.origin, self._model.device, self.compute_type
        )

    def recognise(self, pcm: bytes, wishes: Wishes, is_cancelled: Callable[[], bool]) -> Recognition:
        try:
            return self._recognise(_samples(pcm), wishes, is_cancelled)
        except (RuntimeError, ValueError) as error:  # what CTranslate2 raises
            raise RecognitionError(f"The recogniser failed: {error}. Try again.") from error

    def _recognise(self, samples: Any, wishes: Wishes, is_cancelled: Callable[[], bool]) -> Recognition:
        budget = token_budget(samples.size / RATE)
        encoded = self._encoder.encode(samples)
        if is_cancelled():
            return NOTHING
        language, chance = self._language(encoded, wishes)
        prompt = self._prompt(language, wishes.vocabulary)
        if wishes.is_draft:
            draft = self._decode(encoded, prompt, budget, beam_size=DRAFT_BEAM_SIZE)
            return NOTHING if loops(draft.text) else _recognition(draft, language)
        attempt = None
        if chance >= SURE_LANGUAGE:
            attempt = self._quickly(samples, encoded, prompt, budget, is_cancelled)
        if is_cancelled():
            return NOTHING
        if attempt is not None and not is_gravely_doubtful(attempt):
            return _recognition(attempt, language)
        encoded = self._encoder.encode_fully(samples)
        if is_cancelled():
            return NOTHING
        first_language, (language, _) = language, self._language(encoded, wishes)
        careful = self._carefully(encoded, self._prompt(language, wishes.vocabulary), budget)
        if attempt is not None and language == first_language:
            careful = better(attempt, careful)
        return NOTHING if is_cancelled() else _recognition(careful, language)

    def _quickly(
        self, samples: Any, encoded: Any, prompt: list[int], budget: int, is_cancelled: Callable[[], bool]
    ) -> Attempt:
        """With the short window; in doubt a second time, with a longer one."""
        attempt = self._decode(encoded, prompt, budget)
        if not is_doubtful(attempt) or is_cancelled():
            return attempt
        longer = self._encoder.encode(samples, LONG_PAD_S)
        return better(attempt, self._decode(longer, prompt, budget))

    def _carefully(self, encoded: Any, prompt: list[int], budget: int) -> Attempt:
        """As the model was trained; where even that goes round in a loop, without saying a thing twice."""
        attempt = self._decode(encoded, prompt, budget)
        if not attempt.is_cut and not loops(attempt.text):
            return attempt
        return better(attempt, self._decode(encoded, prompt, budget, no_repeat_ngram_size=CARE_NGRAM))

    def _decode(
        self,
        encoded: Any,
        prompt: list[int],
        budget: int,
        *,
        beam_size: int = BEAM_SIZE,
        no_repeat_ngram_size: int = 0,
    ) -> Attempt:
        max_length = min(MAX_TOKENS, len(prompt) + budget)
        result = self._model.generate(
            encoded,
            [prompt],
            beam_size=beam_size,
            num_hypotheses=beam_size,
            no_repeat_ngram_size=no_repeat_ngram_size,
            max_length=max_length,
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=self._suppressed,
        )[0]
        readings = [
            # CTranslate2 divides the sum by the tokens without the end's, which is in it.
            Reading(self._tokenizer(ENGLISH).decode(tokens).strip(), score * len(tokens), len(tokens) + 1)
            for tokens, score in zip(result.sequences_ids, result.scores, strict=True)
        ]
        best = readings[0]
        return Attempt(
            text=best.text,
            avg_logprob=best.logprob / best.tokens,
            no_speech=float(result.no_speech_prob),
            is_cut=len(prompt) + best.tokens > max_length,
            confidence=confidence(readings),
        )

    def _prompt(self, language: str, vocabulary: Sequence[str]) -> list[int]:
        """What the decoder goes on from: the words to expect, the language, and no times."""
        tokenizer = self._tokenizer(language)
        words = tokenizer.encode(" " + ", ".join(vocabulary))[:MAX_VOCABULARY_TOKENS] if vocabulary else []
        before = [tokenizer.sot_prev, *words] if words else []
        return [*before, *tokenizer.sot_sequence, tokenizer.no_timestamps]

    def _language(self, encoded: Any, wishes: Wishes) -> tuple[str, float]:
        """The wanted language, or the one that is spoken; and how likely that is it."""
        if not self._model.is_multilingual:
            return ENGLISH, 1.0
        if wishes.language is not None:
            return wishes.language, 1.0
        found = self._model.detect_language(encoded)[0]
        return likeliest([(token.strip("<|>"), chance) for token, chance in found], wishes.languages)

    def _tokenizer(self, language: str) -> Tokenizer:
        """The tokens of a language.

        Raises:
            ValueError: Whisper has no such language.
        """
        if language not in self._tokenizers:
            self._tokenizers[language] = Tokenizer(
                self._whisper.hf_tokenizer,
                self._model.is_multilingual,
                task="transcribe",
                language=language,
            )
        return self._tokenizers[language]


def likeliest(found: Iterable[tuple[str, float]], allowed: Sequence[str]) -> tuple[str, float]:
    """The likeliest of the allowed languages, and how likely it is that among them it is this one.

    All are allowed when none is that the model knows.
    """
    chances = dict(found)
    known = [code for code in allowed if code in chances] or list(chances)
    best = max(known, key=chances.__getitem__)
    return best, chances[best] / max(sum(chances[code] for code in known), 1e-9)


def _recognition(attempt: Attempt, language: str) -> Recognition:
    return Recognition(attempt.text, attempt.confidence, language) if is_credible(attempt) else NOTHING


def _samples(pcm: bytes) -> Any:
    """Int16 as floats from -1 to 1."""
    return np.frombuffer(pcm, dtype="<i2").astype(np.float32) / 32768.0


def _load(choice: ModelChoice, device: str, compute_type: str) -> tuple[Any, str | None]:
    """The model on the wanted device, and what is not as wanted. "auto" takes a GPU where one can be used."""
    chosen = _device(device)
    try:
        return _load_on(choice, chosen, compute_type), None
    except (RuntimeError, ValueError, OSError) as error:
        if device != "auto" or chosen == "cpu":
            raise RecognitionError(
                f"The model {choice.name} in {choice.path} cannot be loaded on {chosen}: {error}. "
                "Check recognition.device and recognition.compute_type, or download the model again.",
                code="model_unusable",
            ) from error
        note = f"The graphics card cannot be used, so the processor recognises, more slowly: {error}."
        _log.warning("%s", note)
    return _load(choice, "cpu", "auto")[0], note


def _load_on(choice: ModelChoice, device: str, compute_type: str) -> Any:
    return faster_whisper.WhisperModel(
        str(choice.path),
        device=device,
        compute_type=compute_type if compute_type != "auto" else "int8" if device == "cpu" else "float16",
        cpu_threads=_cpu_threads(),
        local_files_only=True,
    )


def _device(wanted: str) -> str:
    if wanted != "auto":
        return wanted
    return "cuda" if ctranslate2.get_cuda_device_count() > 0 else "cpu"


def _cpu_threads() -> int:
    """As many as this process may use; beyond four a short take only gets slower."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, MAX_CPU_THREADS)
