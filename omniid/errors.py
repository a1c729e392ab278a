"""Every error omniid raises on purpose: one tree, a stable code each, a sentence for people.

    OmniidError
    ├── ConfigError            the configuration has mistakes (all of them are listed)
    ├── RefusedError           a request that is understood and not accepted
    │   ├── TextRefusedError   ... its text is empty, too long or not text
    │   ├── OutboxFullError    ... there is no room for another command
    │   └── NotAllowedError    ... the command's state does not allow it
    ├── NotFoundError          no such command, verb or file
    ├── BadRequestError        a control request that is not of the verb's form
    ├── AlreadyRunningError    another daemon owns the runtime or the data folder
    ├── NotRunningError        no daemon answers on the control socket
    ├── StorageError           the database cannot be opened or written
    ├── AudioError             microphone, speaker or sound file
    ├── HotkeyError            the key cannot be listened for
    ├── RecognitionError       no model, or the recogniser failed
    ├── SpeechError            no voice, or the synthesiser failed
    ├── WorkerError            a child process crashed, hung or broke its protocol
    └── ProtocolError          a frame or a message that cannot be understood

`code` is for programs and never changes its meaning; the message says what happened and what to do next.
A class fixes the defaults; a raiser may give a narrower code, as in `AudioError("…", code="no_microphone")`.
"""

from __future__ import annotations

from typing import ClassVar

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_NOT_RUNNING = 3
EXIT_REFUSED = 4
EXIT_QUEUED = 5
EXIT_UNCERTAIN = 6
EXIT_CONFIG = 78


class OmniidError(Exception):
    """The root of the tree."""

    default_code: ClassVar[str] = "failed"
    http_status: ClassVar[int] = 500
    exit_code: int = EXIT_FAILED

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code


class ConfigError(OmniidError):
    default_code = "bad_configuration"
    exit_code = EXIT_CONFIG


class RefusedError(OmniidError):
    default_code = "refused"
    http_status = 409
    exit_code = EXIT_REFUSED


class TextRefusedError(RefusedError):
    default_code = "text_refused"
    http_status = 422


class OutboxFullError(RefusedError):
    default_code = "outbox_full"
    http_status = 507


class NotAllowedError(RefusedError):
    default_code = "not_allowed_in_this_state"


class NotFoundError(OmniidError):
    default_code = "not_found"
    http_status = 404


class BadRequestError(OmniidError):
    default_code = "bad_request"
    http_status = 400
    exit_code = EXIT_USAGE


class AlreadyRunningError(OmniidError):
    default_code = "already_running"
    http_status = 409


class NotRunningError(OmniidError):
    default_code = "not_running"
    exit_code = EXIT_NOT_RUNNING


class StorageError(OmniidError):
    default_code = "storage_failed"
    http_status = 503


class AudioError(OmniidError):
    default_code = "audio_failed"
    http_status = 503


class HotkeyError(OmniidError):
    default_code = "hotkey_failed"


class RecognitionError(OmniidError):
    default_code = "recognition_failed"
    http_status = 503


class SpeechError(OmniidError):
    default_code = "speech_failed"
    http_status = 503


class WorkerError(OmniidError):
    default_code = "worker_failed"
    http_status = 503


class ProtocolError(OmniidError):
    default_code = "protocol_violated"
