"""Closes the microphone past the queue of events where that is held up: by a slow disk, say."""

from __future__ import annotations

from omniid.assistant import Assistant
from omniid.ear_performer import EarPerformer
from omniid.reactor import Reactor
from omniid.workers.channel import KeepMicrophoneShut, StopTake


class LettingGo:
    """Called before the event of the same meaning is posted, which then does the same again."""

    def __init__(self, assistant: Assistant, reactor: Reactor, ear: EarPerformer) -> None:
        self._assistant = assistant
        self._reactor = reactor
        self._ear = ear

    def of_key(self, owner: str) -> None:
        """Its owner lets go of a key that is held to talk."""
        take_id = self._assistant.held_by(owner) if self._reactor.is_busy else None
        if take_id is not None:
            self._ear.at_once(StopTake(take_id))

    def of_microphone(self) -> None:
        """The user wants the microphone shut."""
        self._ear.at_once(KeepMicrophoneShut(shut=True))
