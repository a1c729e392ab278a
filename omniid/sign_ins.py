"""The region of the policy for commands that wait until the user has signed in somewhere. Pure.

One sign-in an account, however many commands wait for it: its page is opened once, and by itself never
again. What ends it is what becomes of its commands: they go again by themselves once the user has signed in,
under the ids they have, and expire where nobody does. How often a server can have a page opened, or a command
sent again, is bounded whatever it says.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, assert_never

from omniid.effects import Announce, Cue, Effect, OpenPage, PutBack
from omniid.events import (
    CommandMoved,
    Kind,
    PageOpened,
    SignInConfirmed,
    SignInEnded,
    SignInEvent,
    SignInFound,
    SignInRefused,
    SignInReopened,
    SignInReported,
    SignInReturned,
    SignInStarted,
)
from omniid.fate import State
from omniid.protocol.chat import Reply
from omniid.weblink import Link, judge

SIGN_IN_WITHIN_S = 600.0
Page = Literal["closed", "opening", "opened", "dead"]

_AGAIN = "signed in, so it goes again"
_FRESH_PAGE = "sent again for another page to sign in at"
_REFUSED = "You have not signed in. Your command still waits for a while, and nothing is lost."
_JOINED = "That waits for the same sign-in."
_STILL = "The assistant still asks you to sign in."
_EXPIRED = "Nobody has signed in, so your command has expired. It is kept, and can be sent again."
_NO_PAGE = "Run `omniid auth status` to see the address."
_DONE_YOURSELF = "When you have signed in, run `omniid auth done`."
_ON_ITS_WAY = frozenset({State.NEEDS_AUTH, State.SENDING, State.WAITING})
_MOST_PAGES = 5  # opened by themselves within `SIGN_IN_WITHIN_S`
_MOST_RESENT = 2  # times that a command goes again without a word of the user's


@dataclass(slots=True)
class SignIn:
    """`until` is in monotonic seconds. `page`: what became of it; `problem` may say why it was not opened.

    It is passed once the user is said to be signed in, and is remembered until its commands are over: the
    backend may not be of the same opinion.
    """

    id: str
    link: Link
    text: str
    until: float
    waiting: dict[str, Kind] = field(default_factory=dict)  # commands that need it
    retried: dict[str, Kind] = field(default_factory=dict)  # those that have gone again, and are not over yet
    state: Literal["open", "refused", "passed"] = "open"
    page: Page = "closed"
    wants_page: bool = False  # the user has asked for another; it is opened when the backend names it
    problem: str | None = None

    @property
    def commands(self) -> dict[str, Kind]:
        return self.retried | self.waiting

    def wait(self, command_id: str, kind: Kind) -> None:
        self.retried.pop(command_id, None)
        self.waiting[command_id] = kind

    def send_again(self, commands: list[str]) -> None:
        self.retried |= {command_id: self.waiting.pop(command_id) for command_id in commands}

    def let_go(self, command_id: str) -> Kind:
        kind = self.commands[command_id]
        self.waiting.pop(command_id, None)
        self.retried.pop(command_id, None)
        return kind


class Tell(Protocol):
    def __call__(self, text: str, kind: Kind, command_id: str | None = None) -> list[Effect]: ...


class SignIns:
    """`tell` says something about a command to the user."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._all: dict[str, SignIn] = {}
        self._number = 0
        self._opened_at: deque[float] = deque(maxlen=_MOST_PAGES)
        self._resent: Counter[str] = Counter()

    @property
    def open(self) -> Mapping[str, SignIn]:
        return {each.id: each for each in self._all.values() if each.state != "passed"}

    def holds(self, command_id: str) -> bool:
        """Whether this command waits for the user to sign in."""
        return any(command_id in each.waiting for each in self._all.values())

    def wanted(self, command_id: str, kind: Kind, reply: Reply, now: float) -> list[Effect]:
        """The backend does a command only for a user who is signed in."""
        link = judge(reply.auth_url)
        before = self._of(command_id)
        if before is not None and (link.url is None or link.account == before.link.account):
            return self._still(before, command_id, kind, link, now)
        left = [] if before is None else self._leave(before, command_id)
        known = self._of_account(link.account)
        if known is not None:
            return [*left, *self._joined(known, command_id, kind, link, now)]
        started = self._add(command_id, kind, reply.content, link, now + SIGN_IN_WITHIN_S)
        asked_for = before is not None and before.wants_page
        page = _open_page(started) if asked_for else self._open_if_allowed(started, now)
        said = f"{reply.content} {link.problem} {_DONE_YOURSELF}" if link.problem else reply.content
        told = [] if asked_for else self._tell(said, kind, command_id)
        return [*left, _started(started), Cue("question"), *page, *told]

    def handle(self, event: SignInEvent, now: float) -> list[Effect]:
        match event:
            case SignInFound():
                return self._on_found(event, now)
            case SignInReopened(sign_in_id=sign_in_id):
                known = self.open.get(sign_in_id)
                return [] if known is None else self._reopen(known)
            case PageOpened():
                return self._on_page(event)
            case SignInReturned(command_id=command_id, accepted=accepted):
                known = self._of(command_id)
                return self._went([] if known is None else [known], accepted=accepted)
            case SignInReported(url=url, accepted=accepted):
                return self._went(self._meant(url), accepted=accepted)
            case SignInConfirmed(sign_in_id=sign_in_id):
                meant = [each for each in self.open.values() if sign_in_id in {None, each.id}]
                return [effect for each in meant for effect in self._pass(each, list(each.waiting))]
            case SignInStarted() | SignInRefused() | SignInEnded():
                return []
            case _:
                assert_never(event)

    def on_moved(self, event: CommandMoved) -> list[Effect]:
        """What a step in a command's fate means for the sign-in it waits for."""
        command_id, state = event.command_id, event.state
        known = self._of(command_id)
        if known is None or state in _ON_ITS_WAY:
            return []
        waited = self.holds(command_id)
        kind = known.let_go(command_id)
        if state is State.QUEUED:
            known.retried[command_id] = kind
            return []
        del self._resent[command_id]
        match state:
            case State.DONE:  # whoever is let in for one command is let in for the others
                passed = self._pass(known, self._resendable(known))
                self._forget_if_over(known)
                return passed
            case State.EXPIRED if waited:
                told = self._tell(_EXPIRED, kind, command_id) if not known.waiting else []
                return [*self._end_if_over(known, "expired", _EXPIRED), *told]
            case _:
                return self._end_if_over(known, "cancelled", "")

    # --- how it begins -----------------------------------------------------------------------------------

    def _on_found(self, found: SignInFound, now: float) -> list[Effect]:
        """Its page may have been opened before: the user is shown it, and no browser is bothered."""
        link, until = judge(found.url), now + found.left_s
        known = self._of_account(link.account)
        if known is not None:
            known.wait(found.command_id, found.kind)
            known.until = max(known.until, until)
            return []
        added = self._add(found.command_id, found.kind, found.text, link, until)
        added.page = "dead"
        return [_started(added)]

    def _add(self, command_id: str, kind: Kind, text: str, link: Link, until: float) -> SignIn:
        self._number += 1
        added = SignIn(f"s{self._number}", link, text, until, {command_id: kind}, problem=link.problem)
        self._all[added.id] = added
        return added

    def _join(self, known: SignIn, command_id: str, kind: Kind, link: Link, now: float) -> None:
        known.wait(command_id, kind)
        known.until = now + SIGN_IN_WITHIN_S
        known.link = known.link if link.url is None else link

    def _joined(self, known: SignIn, command_id: str, kind: Kind, link: Link, now: float) -> list[Effect]:
        """A later command waits for the same, and may have brought a page where the known one is dead."""
        self._join(known, command_id, kind, link, now)
        if known.page == "dead" and link.url is not None:
            return [*self._revive(known, now), *self._tell(known.text, kind, command_id)]
        again = [_started(known)] if known.state == "passed" else []
        known.state = "open" if known.state == "passed" else known.state
        return [*again, *self._tell(_JOINED, kind, command_id)]

    def _still(self, known: SignIn, command_id: str, kind: Kind, link: Link, now: float) -> list[Effect]:
        """It is asked for once more. Its page is not opened again by itself: that could go on for ever."""
        self._join(known, command_id, kind, link, now)
        asked_for, known.wants_page = known.wants_page, False
        if asked_for and link.url is not None:
            known.state = "open"
            return [*_open_page(known), _started(known)]
        if asked_for or (known.page == "dead" and link.url is not None):
            return [*self._revive(known, now), *self._tell(_STILL, kind, command_id)]
        if known.state != "passed":
            return []
        known.state = "open"
        return [_started(known), *self._tell(_STILL, kind, command_id)]

    def _revive(self, known: SignIn, now: float) -> list[Effect]:
        known.state, known.page = "open", "closed"
        page = self._open_if_allowed(known, now)
        return [_started(known), Cue("question"), *page]

    # --- its page ----------------------------------------------------------------------------------------

    def _open_if_allowed(self, known: SignIn, now: float) -> list[Effect]:
        """A server may have a page opened, but must not be able to fill the screen."""
        full = len(self._opened_at) == _MOST_PAGES and now - self._opened_at[0] < SIGN_IN_WITHIN_S
        if known.link.url is None or full:
            return []
        self._opened_at.append(now)
        return _open_page(known)

    def _on_page(self, event: PageOpened) -> list[Effect]:
        known = self._all.get(event.sign_in_id)
        if known is None:
            return []
        first_problem = event.problem is not None and known.problem is None
        if known.page == "opening":  # it may have been said no to meanwhile
            known.page = "closed" if event.problem else "opened"
        known.problem = event.problem
        return self._tell_all(known, f"{event.problem} {_NO_PAGE}") if first_problem else []

    def _reopen(self, known: SignIn) -> list[Effect]:
        """One that has been opened before may be used up by now, so the backend is asked for another."""
        if known.page == "opening":
            return []
        if known.page == "closed":
            return _open_page(known)
        again: list[Effect] = [PutBack(command_id, _FRESH_PAGE) for command_id in known.waiting]
        known.send_again(list(known.waiting))
        known.state, known.page, known.wants_page = "open", "opening", True
        return again

    # --- how it goes -------------------------------------------------------------------------------------

    def _went(self, meant: list[SignIn], *, accepted: bool) -> list[Effect]:
        return [
            effect
            for each in meant
            for effect in (self._pass_unasked(each) if accepted else self._refuse(each))
        ]

    def _pass_unasked(self, known: SignIn) -> list[Effect]:
        passed = self._pass(known, self._resendable(known))
        left = known.waiting and known.state != "passed"
        return [*passed, *(self._tell_all(known, _DONE_YOURSELF) if left else [])]

    def _resendable(self, known: SignIn) -> list[str]:
        """What goes again without a word of the user's: a server must not be able to have that for ever."""
        again = [command_id for command_id in known.waiting if self._resent[command_id] < _MOST_RESENT]
        self._resent.update(again)
        return again

    def _pass(self, known: SignIn, again: list[str]) -> list[Effect]:
        """The user is signed in: what waited goes again."""
        known.send_again(again)
        sent: list[Effect] = [PutBack(command_id, _AGAIN) for command_id in again]
        if known.waiting or known.state == "passed":
            return sent
        known.state, known.wants_page = "passed", False
        return [Announce(SignInEnded(known.id, "done", "")), *sent]

    def _refuse(self, known: SignIn) -> list[Effect]:
        if known.state != "open":
            return []
        known.state, known.page, known.wants_page = "refused", "dead", False
        refused = Announce(SignInRefused(known.id, _REFUSED))
        return [_started(known), refused, *self._tell_all(known, _REFUSED)]

    def _leave(self, known: SignIn, command_id: str) -> list[Effect]:
        """The backend wants another account for this command."""
        known.let_go(command_id)
        return self._end_if_over(known, "cancelled", "")

    def _end_if_over(
        self, known: SignIn, outcome: Literal["expired", "cancelled"], text: str
    ) -> list[Effect]:
        is_over = self._forget_if_over(known)
        return [Announce(SignInEnded(known.id, outcome, text))] if is_over and known.state != "passed" else []

    def _forget_if_over(self, known: SignIn) -> bool:
        is_over = not known.commands
        if is_over:
            del self._all[known.id]
        return is_over

    def _tell_all(self, known: SignIn, text: str) -> list[Effect]:
        """Once for all of its commands: aloud where one of them was."""
        by_kind = {kind: command_id for command_id, kind in known.commands.items()}
        kind: Kind = "voice" if "voice" in by_kind else "text"
        return self._tell(text, kind, by_kind.get(kind))

    # --- which it is -------------------------------------------------------------------------------------

    def _of(self, command_id: str) -> SignIn | None:
        return next((each for each in self._all.values() if command_id in each.commands), None)

    def _of_account(self, account: str) -> SignIn | None:
        return next((each for each in self._all.values() if each.link.account == account), None)

    def _meant(self, url: str | None) -> list[SignIn]:
        """The server names its address, or none: then it is any that is open."""
        if url is None:
            return list(self.open.values())
        account = judge(url).account
        return [each for each in self.open.values() if each.link.account == account]


def _started(sign_in: SignIn) -> Announce:
    link = sign_in.link
    shown = None if sign_in.page == "dead" else link.shown
    return Announce(SignInStarted(sign_in.id, link.url, shown, sign_in.text, link.problem))


def _open_page(sign_in: SignIn) -> list[Effect]:
    if sign_in.link.url is None:
        return []
    sign_in.page = "opening"
    return [OpenPage(sign_in.id, sign_in.link.url)]
