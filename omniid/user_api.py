"""What the control API's verbs about the key, the microphone and the voice do."""

from __future__ import annotations

import uuid_utils

from omniid import keys
from omniid.assistant import Assistant
from omniid.config import Hotkey, Mode
from omniid.control.schema import Accepted, ListenView, SpeechView, TakeList, TakeView
from omniid.control.server import Call
from omniid.errors import NotFoundError, RefusedError
from omniid.events import (
    HushRequested,
    KeyPressed,
    KeyReleased,
    KeyToggled,
    Manner,
    MicrophoneForbidden,
    SpeechRequested,
    TakeCancelRequested,
    TakeDropped,
    TakeRetried,
    VoiceMuted,
)
from omniid.letting_go import LettingGo
from omniid.performer import Performer
from omniid.reactor import Reactor
from omniid.takes import KeptTake, Takes


class UserVerbs:
    """The key, the microphone and the voice."""

    def __init__(
        self,
        assistant: Assistant,
        reactor: Reactor,
        performer: Performer,
        takes: Takes,
        letting_go: LettingGo,
        keys: Hotkey,
    ) -> None:
        self._assistant = assistant
        self._reactor = reactor
        self._performer = performer
        self._takes = takes
        self._letting_go = letting_go
        self._keys = keys

    async def listen_start(self, call: Call) -> ListenView:
        return await self._key(KeyPressed(call.body.owner, _take_id(), self._manner(call, "hold")))

    async def listen_stop(self, call: Call) -> ListenView:
        self._letting_go.of_key(call.body.owner)
        return await self._key(KeyReleased(call.body.owner))

    async def listen_toggle(self, call: Call) -> ListenView:
        return await self._key(KeyToggled(call.body.owner, _take_id(), self._manner(call, "toggle")))

    async def listen_cancel(self, call: Call) -> ListenView:
        return await self._key(TakeCancelRequested(call.body.owner))

    async def listen_enable(self, _: Call) -> Accepted:
        await self._reactor.handled(MicrophoneForbidden(shut=False))
        return Accepted()

    async def listen_disable(self, _: Call) -> Accepted:
        self._letting_go.of_microphone()
        await self._reactor.handled(MicrophoneForbidden(shut=True))
        return Accepted()

    def _manner(self, call: Call, mode: Mode) -> Manner:
        return keys.manner(self._keys, call.body.profile, mode)

    async def _key(self, event: KeyPressed | KeyReleased | KeyToggled | TakeCancelRequested) -> ListenView:
        """Post a key's edge and answer once it has been handled, with what is so then."""
        if (
            isinstance(event, KeyPressed | KeyToggled)
            and self._assistant.snapshot().microphone == "kept shut"
        ):
            raise RefusedError(
                "The microphone is kept shut. Run `omniid listen enable` first.", code="microphone_shut"
            )
        await self._reactor.handled(event)
        snapshot = self._assistant.snapshot()
        return ListenView(take_id=snapshot.take_id, capture=snapshot.capture)

    async def takes(self, _: Call) -> TakeList:
        return TakeList(
            takes=[
                TakeView(id=take.id, recorded_at=take.changed_at.isoformat(), duration_s=take.duration_s)
                for take in self._left_over()
            ]
        )

    async def take_retry(self, call: Call) -> Accepted:
        manner = keys.manner(self._keys, call.body.profile, "hold")
        await self._reactor.handled(TakeRetried(self._kept(call.id), manner))
        return Accepted()

    async def take_drop(self, call: Call) -> Accepted:
        await self._reactor.handled(TakeDropped(self._kept(call.id)))
        return Accepted()

    def _left_over(self) -> list[KeptTake]:
        """Takes that came to nothing: a take whose command is only waiting must not become another."""
        return [take for take in self._takes.list() if not self._assistant.is_in_hand(take.id)]

    def _kept(self, take_id: str) -> str:
        """The whole id of a kept take; "last" is the newest, and the end of an id will do.

        Raises:
            NotFoundError: there is none, or more than one.
        """
        kept = [take.id for take in self._left_over()]
        found = kept[:1] if take_id == "last" else [known for known in kept if known.endswith(take_id)]
        if len(found) != 1:
            raise NotFoundError(f"There is no take {take_id!r}. `omniid take list` shows what is kept.")
        return found[0]

    async def mute(self, _: Call) -> Accepted:
        self._performer.hush()
        await self._reactor.handled(VoiceMuted(muted=True))
        return Accepted()

    async def unmute(self, _: Call) -> Accepted:
        await self._reactor.handled(VoiceMuted(muted=False))
        return Accepted()

    async def speech_say(self, call: Call) -> SpeechView:
        if self._assistant.snapshot().muted:
            raise RefusedError("omniid is muted. Run `omniid unmute` first.", code="muted")
        if not self._performer.has_voice:
            raise RefusedError("omniid has no voice: speech.engine is none.", code="no_voice")
        utterance_id = str(uuid_utils.uuid7())
        self._reactor.post_nowait(SpeechRequested(utterance_id, call.body.text))
        return SpeechView(utterance_id=utterance_id)

    async def speech_hush(self, _: Call) -> Accepted:
        self._performer.hush()  # at once, past the queue
        self._reactor.post_nowait(HushRequested())
        return Accepted()


def _take_id() -> str:
    return str(uuid_utils.uuid7())
