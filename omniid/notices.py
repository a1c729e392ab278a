"""What the user is shown of an event as a desktop notification, and what a click on one means. Pure.

The texts are as they came: who shows them bounds them and makes them safe.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, replace
from typing import Literal

from omniid.consent import wants_words
from omniid.events import (
    AnswerAcknowledged,
    AnswerUnwanted,
    AttemptBegun,
    CommandEdited,
    CommandFound,
    CommandMoved,
    CommandQueued,
    CommandRefused,
    CommandRejected,
    CommandSettled,
    ConfirmationAnswered,
    ConfirmationAsked,
    Event,
    Kind,
    LateReplyArrived,
    LinkDialling,
    LinkLost,
    LinkOpened,
    LinkStopped,
    MessageArrived,
    PageOpened,
    QuestionAnswered,
    QuestionClosed,
    QuestionExpired,
    QuestionNotAnswered,
    QuestionPosed,
    QuestionReplied,
    SettledHere,
    SignInEnded,
    SignInRefused,
    SignInReopened,
    SignInStarted,
    TakeGivenUp,
    TakesFound,
)
from omniid.fate import State
from omniid.notice_board import Notice, NoticeBoard, Wanted
from omniid.protocol.chat import Reply
from omniid.uncertain_notices import UncertainNotices
from omniid.wording import quoted, takes_found
from omniid.workers.channel import (
    MOUTH_LOST,
    CaptureEnded,
    CaptureOpened,
    SpeechFailed,
    SpeechStarted,
    TakeEmpty,
    TakeFailed,
)

Replies = Literal["voice", "always", "never"]

_MOST_KNOWN = 1_000
_MOST_EXPIRED = 3  # whose words are shown
_MOST_MESSAGES = 3  # beside each other: what the server says unasked is about different things
_KEPT_CHARS = 400  # of a command's words

_CONVERSATION = "conversation"
_CONFIRMATION = "confirmation"
_ANSWER = "answer"
_SPEAKER = "speaker"
_EXPIRED = "expired"
_FOUND = "takes-found"
_MESSAGE = "message"

_FAILED = "That did not work"
_WAITS = "Waiting until I am back online"
_ASKS = "omniid asks"
_AGAIN = "Still waiting for your answer"
_NOT_TAKEN = "Your answer was not taken"
_NOT_PASSED_ON = "Your answer did not get through"
_YES_NO = (("yes", "Yes"), ("no", "No"))
_APPROVE_REJECT = (("approve", "Approve"), ("reject", "Reject"))
_STEP = (("approve", "Approve this step"), ("reject", "Skip this step"))
_OPEN_PAGE = "Open the page"
_NOTHING = {
    "too_short": "That was too short. Hold the key for as long as you speak.",
    "dead_microphone": "The microphone gives nothing but silence: it is muted or switched off.",
    "no_speech": "Nobody spoke.",
    "unsure": "The words could not be made out. Please say it again.",
}
_WHY = {
    "unsure": "I am not sure that I heard it right.",
    "cut_short": "The recording was cut short.",
    "echo": "I had just said that myself.",
}
_CATEGORIES = {"info": "Notice", "warning": "Warning", "error": "Problem", "success": "Done"}


@dataclass(frozen=True, slots=True)
class NoticeSettings:
    """`replies`: whose are shown. `listening`: whether an open microphone is shown too."""

    replies: Replies = "voice"
    listening: bool = False


@dataclass(frozen=True, slots=True)
class _Command:
    """`waits_for_sign_in`: what becomes of that is told by a notice of its own."""

    kind: Kind
    message: str = ""
    unwanted: bool = False
    waits_for_sign_in: bool = False


class Notices:
    """Remembers what is shown, and the words of the latest commands."""

    def __init__(self, settings: NoticeSettings) -> None:
        self._settings = settings
        self._board = NoticeBoard()
        self._uncertain = UncertainNotices(self._board)
        self._commands: OrderedDict[str, _Command] = OrderedDict()
        self._messages = 0
        self._is_away = True
        self._untold: deque[str] = deque(maxlen=_MOST_KNOWN)  # what was not sent, since the user spoke last
        self._lost: str | None = None  # what could not be said last

    @property
    def _confirms(self) -> bool:
        """Whether a "Did you say …?" still waits for its answer."""
        shown = self._board.get(_CONFIRMATION)
        return shown is not None and bool(shown.replies)

    def answer(self, tag: str, key: str) -> Event | None:
        """What a click on a notice means; None where it is not open, was answered, or has no such key."""
        return self._board.answer(tag, key)

    def on(self, event: Event) -> list[Wanted]:
        """What to show and what to take away, in this order."""
        match event:
            case LinkOpened():
                self._is_away = False
            case LinkLost() | LinkStopped() | LinkDialling():
                self._is_away = True
            case (
                QuestionPosed()
                | QuestionAnswered()
                | QuestionNotAnswered()
                | QuestionExpired()
                | QuestionClosed()
            ):
                return self._on_question(event)
            case AnswerAcknowledged(accepted=False, text=text):
                return self._board.show(Notice(_ANSWER, _NOT_TAKEN, text))
            case ConfirmationAsked() | ConfirmationAnswered():
                return self._on_confirmation(event)
            case SignInStarted() | PageOpened() | SignInRefused() | SignInEnded():
                return self._on_sign_in(event)
            case CommandFound(command_id=command_id, kind=kind, message=message, state=state):
                unwanted = not event.answer_wanted
                self._remember(command_id, _Command(kind, message[:_KEPT_CHARS], unwanted))
                return self._stepped(command_id, state)
            case CommandEdited(command_id=command_id, text=text):
                return self._edited(command_id, text[:_KEPT_CHARS])
            case CommandQueued() | AttemptBegun() | CommandMoved() | AnswerUnwanted() | CommandRejected():
                return self._on_command(event)
            case (
                CaptureOpened()
                | CaptureEnded()
                | TakeEmpty()
                | TakeFailed()
                | TakeGivenUp()
                | CommandRefused()
            ):
                return self._on_take(event)
            case CommandSettled(command_id=command_id, reply=reply):
                return self._reply(command_id, self._command(command_id).kind, reply)
            case LateReplyArrived(command_id=command_id, reply=reply):
                return self._reply(command_id, self._command(command_id).kind, reply)
            case SettledHere(command_id=command_id, kind=kind, reply=reply):
                return self._reply(command_id, kind, reply)
            case MessageArrived():
                return self._message(event)
            case TakesFound(take_ids=take_ids):
                return self._board.show(Notice(_FOUND, "What you said is kept", takes_found(len(take_ids))))
            case SpeechFailed() | SpeechStarted():
                return self._on_speech(event)
            case _:
                pass
        return []

    # --- what waits for the user --------------------------------------------------------------------------

    def _on_question(
        self,
        event: QuestionPosed | QuestionAnswered | QuestionNotAnswered | QuestionExpired | QuestionClosed,
    ) -> list[Wanted]:
        tag = f"question:{event.question_id}"
        match event:
            case QuestionPosed():
                return self._question(event, _AGAIN if event.again else _ASKS)
            case QuestionNotAnswered():
                shown = self._board.get(tag)  # but perhaps not on the screen: a click closes it
                posed = None if shown is None else shown.of
                return self._question(posed, _NOT_PASSED_ON) if isinstance(posed, QuestionPosed) else []
            case QuestionExpired(text=text):
                return self._board.show(Notice(tag, "Too late to answer", text, transient=True))
            case QuestionAnswered() | QuestionClosed():
                return self._board.withdraw(tag)

    def _question(self, posed: QuestionPosed, title: str) -> list[Wanted]:
        question_id, body = posed.question_id, posed.text
        actions: tuple[tuple[str, str], ...] = _APPROVE_REJECT
        replies: dict[str, Event] = {
            "approve": QuestionReplied(question_id, action="approve_all"),
            "reject": QuestionReplied(question_id, action="cancel_all"),
        }
        if posed.step is not None:
            body, actions = f"{body}\nNext step: {posed.step}", _STEP
            replies = {
                "approve": QuestionReplied(question_id, action="approve_step"),
                "reject": QuestionReplied(question_id, action="reject_step"),
            }
        if posed.kind == "intervention":
            body = f"{body}\nIn your words: omniid reply {question_id} …"
            actions = () if wants_words(posed.text) else _YES_NO
            replies = {key: QuestionReplied(question_id, value=key) for key, _ in _YES_NO}
        notice = Notice(f"question:{question_id}", title, body, actions)
        return self._board.show(notice, replies=replies, of=posed)

    def _on_confirmation(self, event: ConfirmationAsked | ConfirmationAnswered) -> list[Wanted]:
        take_id = event.take_id
        if isinstance(event, ConfirmationAnswered):
            shown = self._board.get(_CONFIRMATION)
            if event.by == "timeout" and shown is not None and shown.about == take_id:
                body = f"{shown.notice.body}\nKept for ten minutes: omniid take retry"
                notice = Notice(_CONFIRMATION, "This was not sent", body, transient=True)
                return self._board.show(notice, about=take_id)
            return self._board.withdraw(_CONFIRMATION, take_id)
        notice = Notice(_CONFIRMATION, "Did you say this?", f"“{event.text}”\n{_WHY[event.why]}", _YES_NO)
        replies = {
            key: ConfirmationAnswered(take_id, accepted=key == "yes", by="notification") for key, _ in _YES_NO
        }
        return self._board.show(notice, about=take_id, replies=replies)

    def _on_sign_in(self, event: SignInStarted | PageOpened | SignInRefused | SignInEnded) -> list[Wanted]:
        tag = f"sign-in:{event.sign_in_id}"
        match event:
            case SignInStarted(text=text, problem=problem):
                return self._sign_in(event, f"{text}\n{problem}" if problem else text)
            case PageOpened(problem=problem):
                return self._sign_in_again(tag, problem)
            case SignInRefused(text=text):
                return self._sign_in_again(tag, text)
            case SignInEnded(outcome="expired", text=text):
                return self._board.show(Notice(tag, "You did not sign in", text))
            case SignInEnded():
                return self._board.withdraw(tag)

    def _sign_in_again(self, tag: str, text: str | None) -> list[Wanted]:
        """It is still open, and something has happened to it; without a text, all is well again."""
        shown = self._board.get(tag)
        started = None if shown is None else shown.of
        if shown is None or not isinstance(started, SignInStarted):
            return []
        again = self._sign_in(started, text or started.text)
        return [] if again == [shown.notice] else again

    def _sign_in(self, started: SignInStarted, text: str) -> list[Wanted]:
        """The address comes first, so that it is seen however long the text is."""
        body = f"{started.shown}\n{text}" if started.shown else text
        opens = () if started.url is None else (("default", _OPEN_PAGE), ("open", _OPEN_PAGE))
        replies = {key: SignInReopened(started.sign_in_id) for key, _ in opens}
        notice = Notice(f"sign-in:{started.sign_in_id}", "Please sign in", body, opens)
        return self._board.show(notice, replies=replies, lasting=True, of=started)

    # --- commands -----------------------------------------------------------------------------------------

    def _on_command(
        self, event: CommandQueued | AttemptBegun | CommandMoved | AnswerUnwanted | CommandRejected
    ) -> list[Wanted]:
        match event:
            case CommandQueued(command_id=command_id, kind=kind, message=message, take_id=take_id):
                self._remember(command_id, _Command(kind, message[:_KEPT_CHARS]))
                over = [] if take_id is None else self._board.withdraw(_CONFIRMATION, take_id)
                return [*over, *self._queued(command_id, kind, message)]
            case AttemptBegun(command_id=command_id, kind=kind):
                if command_id not in self._commands:
                    self._remember(command_id, _Command(kind))
                return self._on_its_way(command_id)
            case AnswerUnwanted(command_id=command_id):
                self._remember(command_id, replace(self._command(command_id), unwanted=True))
                return self._board.withdraw(_CONVERSATION, command_id)
            case CommandRejected(command_id=command_id, reason=reason):
                wanted = self._command(command_id).kind == "voice" or self._settings.replies == "always"
                return self._say(_FAILED, f"Not done: {reason}.", about=command_id) if wanted else []
            case CommandMoved(command_id=command_id, state=state):
                over = self._moved(command_id, state)  # first: it looks at the state before
                return [*self._stepped(command_id, state), *over]

    def _stepped(self, command_id: str, state: State) -> list[Wanted]:
        command = self._commands.get(command_id)
        if command is not None:
            waits = state is State.NEEDS_AUTH
            self._commands[command_id] = replace(command, waits_for_sign_in=waits)
        if state is State.UNCERTAIN:
            return self._uncertain.uncertain(command_id, self._command(command_id).message)
        return self._uncertain.certain(command_id)

    def _remember(self, command_id: str, command: _Command) -> None:
        self._commands.pop(command_id, None)
        self._commands[command_id] = command
        while len(self._commands) > _MOST_KNOWN:
            self._commands.popitem(last=False)

    def _command(self, command_id: str) -> _Command:
        return self._commands.get(command_id, _Command("text"))

    def _queued(self, command_id: str, kind: Kind, message: str) -> list[Wanted]:
        if kind != "voice":
            return []
        self._untold.clear()
        if self._is_away:
            return self._say(_WAITS, message, about=command_id)
        if self._settings.replies == "never":
            return []
        return self._say("You said", message, about=command_id)

    def _on_its_way(self, command_id: str) -> list[Wanted]:
        """A notice that says it waits is no longer true."""
        shown = self._board.get(_CONVERSATION, command_id)
        if shown is None or shown.notice.title != _WAITS:
            return []
        if self._settings.replies == "never":
            return self._board.withdraw(_CONVERSATION)
        return self._say("You said", shown.notice.body, about=command_id)

    def _moved(self, command_id: str, state: State) -> list[Wanted]:
        if state in {State.CANCELLED, State.DROPPED}:
            return self._board.withdraw(_CONVERSATION, command_id)
        command = self._command(command_id)
        if state is not State.EXPIRED or command.kind != "voice" or command.waits_for_sign_in:
            return []
        return [*self._board.withdraw(_CONVERSATION, command_id), *self._expired(command.message)]

    def _edited(self, command_id: str, text: str) -> list[Wanted]:
        self._remember(command_id, replace(self._command(command_id), message=text))
        shown = self._board.get(_CONVERSATION, command_id)
        if shown is None:
            return []
        return self._say(shown.notice.title, text, about=command_id)

    def _expired(self, message: str) -> list[Wanted]:
        """One notice for all of them, until the user says something new."""
        if _EXPIRED not in self._board:
            self._untold.clear()
        self._untold.append(quoted(message) if message else "A command of yours")
        more = len(self._untold) - _MOST_EXPIRED
        rest = [f"and {more:,} more, which `omniid outbox list --all` shows"] if more > 0 else []
        lines = [*list(self._untold)[-_MOST_EXPIRED:], *rest]
        body = "\n".join([*lines, "It has waited for too long. Say it again if you still want it."])
        return self._board.show(Notice(_EXPIRED, "This was not sent", body))

    def _on_speech(self, event: SpeechFailed | SpeechStarted) -> list[Wanted]:
        """That nothing is heard is told once, until something is; what a lost mouth had is said once more."""
        if isinstance(event, SpeechStarted):
            return self._board.withdraw(_SPEAKER)
        lost_before, self._lost = self._lost, event.utterance_id
        if _SPEAKER in self._board or (event.code == MOUTH_LOST and lost_before != event.utterance_id):
            return []
        return self._board.show(Notice(_SPEAKER, "I cannot be heard", event.message))

    # --- takes, replies, messages -------------------------------------------------------------------------

    def _on_take(
        self,
        event: CaptureOpened | CaptureEnded | TakeEmpty | TakeFailed | TakeGivenUp | CommandRefused,
    ) -> list[Wanted]:
        take_id = event.take_id
        match event:
            case CaptureOpened():
                listens = self._settings.listening
                return self._say("I am listening", "", about=take_id, transient=True) if listens else []
            case CaptureEnded():
                shown = self._board.get(_CONVERSATION, take_id)
                return self._board.withdraw(_CONVERSATION) if shown and shown.notice.transient else []
            case TakeEmpty(reason="cancelled"):
                return []
            case TakeEmpty(reason="too_short") if self._confirms:
                return []  # a tap is an answer
            case TakeEmpty(reason=reason):
                why = _NOTHING.get(reason, "There was nothing to understand.")
                return self._say("I heard nothing", why, about=take_id, transient=True)
            case TakeFailed(message=message) | TakeGivenUp(message=message) | CommandRefused(message=message):
                return self._say(_FAILED, message, about=take_id)

    def _reply(self, command_id: str, kind: Kind, reply: Reply) -> list[Wanted]:
        replies = self._settings.replies
        wanted = replies == "always" or (replies == "voice" and kind == "voice")
        if not wanted or self._command(command_id).unwanted or reply.outcome == "needs_auth":
            return []
        title = _FAILED if reply.outcome == "failed" else "omniid"
        return self._say(title, reply.content, about=command_id)

    def _message(self, event: MessageArrived) -> list[Wanted]:
        """What the server says by itself, and answers that nobody waits for; not news of work, nor echoes."""
        if not event.is_for_people or self._settings.replies == "never":
            return []
        title = "omniid" if event.note is None else _CATEGORIES.get(event.note.category, "omniid")
        self._messages = (self._messages + 1) % _MOST_MESSAGES
        notice = Notice(f"{_MESSAGE}:{self._messages}", title, event.text)
        return self._board.show(notice, about=event.command_id)

    def _say(self, title: str, body: str, *, about: str | None, transient: bool = False) -> list[Wanted]:
        return self._board.show(Notice(_CONVERSATION, title, body, transient=transient), about=about)
