"""The region of the policy for commands that wait until the user has signed in somewhere. Pure.

One sign-in an account, however many commands wait for it: its page is opened once, and by itself never
again. What ends it is what becomes of its commands: they go again by themselves once the user has signed in,
under the ids they have, and expire where nobody does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, assert_never

from omniid.effects import Announce, Cue, Effect, OpenPage, PutBack
from omniid.events import (
    CommandMoved,
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
Kind = Literal["voice", "text"]
Page = Literal["closed", "opening", "opened"]

_AGAIN = "signed in, so it goes again"
_FRESH_PAGE = "sent again for another page to sign in at"
_REFUSED = "You have not signed in. Your command waits for ten minutes: sign in after all, or drop it."
_STILL = "The assistant still asks you to sign in."
_EXPIRED = "Nobody has signed in, so your command has expired. It is kept, and can be sent again."
_NO_PAGE = "Run `omniid auth status` to see the address."
_DONE_YOURSELF = "When you have signed in, run `omniid auth done`."
_ON_ITS_WAY = frozenset({State.NEEDS_AUTH, State.SENDING, State.WAITING})
_MOST_PAGES = 3  # opened by themselves: a server must not be able to fill the screen


@dataclass(slots=True)
class SignIn:
    """`until` is in monotonic seconds. `page`: what became of opening it; `problem` may say why it was not.

    It is passed once the user is said to be signed in, and is remembered until its commands are over: the
    backend may not be of the same opinion.
    """

    id: str
    link: Link
    text: str
    until: float
    waiting: dict[str, Kind] = field(default_factory=dict)  # commands that need it
    retried: set[str] = field(default_factory=set)  # commands that have gone again, and are not over yet
    state: Literal["open", "refused", "passed"] = "open"
    page: Page = "closed"
    used_up: bool = False  # its page may lead nowhere any more
    wants_page: bool = False  # the user has asked for another; it is opened when the backend names it
    problem: str | None = None

    @property
    def kind(self) -> Kind:
        """Spoken about like a voice command where one of its commands is one."""
        return "voice" if "voice" in self.waiting.values() else "text"

    def owns(self, command_id: str) -> bool:
        return command_id in self.waiting or command_id in self.retried


class Tell(Protocol):
    def __call__(self, text: str, kind: Kind, command_id: str | None = None) -> list[Effect]: ...


class SignIns:
    """`tell` says something about a command to the user."""

    def __init__(self, tell: Tell, judge_link: Callable[[str | None], Link] = judge) -> None:
        self._tell = tell
        self._judge = judge_link
        self._all: dict[str, SignIn] = {}
        self._number = 0

    @property
    def open(self) -> Mapping[str, SignIn]:
        return {each.id: each for each in self._all.values() if each.state != "passed"}

    def wanted(self, command_id: str, kind: Kind, reply: Reply, now: float) -> list[Effect]:
        """The backend does a command only for a user who is signed in."""
        link = self._judge(reply.auth_url)
        before = self._of(command_id)
        if before is not None and link.url is not None and link.account != before.link.account:
            left = self._leave(before, command_id)
            return [*left, *self._begin(command_id, kind, reply.content, link, now)]
        if before is not None:
            return self._join(before, command_id, kind, link, now)
        return self._begin(command_id, kind, reply.content, link, now)

    def handle(self, event: SignInEvent | SignInReported, now: float) -> list[Effect]:
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
                return self._went(meant, accepted=True)
            case SignInStarted() | SignInRefused() | SignInEnded():
                return []
            case _:
                assert_never(event)

    def on_moved(self, event: CommandMoved) -> list[Effect]:
        """What a step in a command's fate means for the sign-in it waits for."""
        known = self._of(event.command_id)
        if known is None or event.state in _ON_ITS_WAY:
            return []
        kind = known.waiting.pop(event.command_id, known.kind)
        known.retried.discard(event.command_id)
        match event.state:
            case State.QUEUED:
                known.retried.add(event.command_id)
                return []
            case State.DONE:  # whoever is let in for one command is let in for the others
                passed = self._pass(known)
                self._forget_if_over(known)
                return passed
            case State.EXPIRED:
                told = self._tell(_EXPIRED, kind) if not known.waiting else []
                return [*self._end_if_over(known, "expired", _EXPIRED), *told]
            case _:
                return self._end_if_over(known, "cancelled", "")

    def _leave(self, known: SignIn, command_id: str) -> list[Effect]:
        """The backend wants another account for this command."""
        known.waiting.pop(command_id, None)
        known.retried.discard(command_id)
        return self._end_if_over(known, "cancelled", "")

    # --- how it begins -----------------------------------------------------------------------------------

    def _begin(self, command_id: str, kind: Kind, text: str, link: Link, now: float) -> list[Effect]:
        known = self._of_account(link.account)
        if known is None:
            return self._start(command_id, kind, text, link, now)
        return self._join(known, command_id, kind, link, now)

    def _start(self, command_id: str, kind: Kind, text: str, link: Link, now: float) -> list[Effect]:
        started = self._add(command_id, kind, text, link, now + SIGN_IN_WITHIN_S)
        said = f"{text} {link.problem} {_DONE_YOURSELF}" if link.problem else text
        page = _open_page(started) if len(self.open) <= _MOST_PAGES else []
        return [_started(started), Cue("question"), *page, *self._tell(said, kind, command_id)]

    def _join(self, known: SignIn, command_id: str, kind: Kind, link: Link, now: float) -> list[Effect]:
        """Its page is not opened again by itself: that could go on for ever."""
        known.retried.discard(command_id)
        known.waiting[command_id] = kind
        known.until = now + SIGN_IN_WITHIN_S
        known.link = known.link if link.url is None else link
        if known.wants_page:
            known.wants_page = False
            return [_started(known), *_open_page(known)]
        if known.state != "passed":
            return []
        known.state = "open"
        return [_started(known), *self._tell(_STILL, kind, command_id)]

    def _on_found(self, found: SignInFound, now: float) -> list[Effect]:
        """Its page may have been opened before: the user is shown it, and no browser is bothered."""
        link = self._judge(found.url)
        known = self._of_account(link.account)
        if known is not None:
            known.waiting[found.command_id] = found.kind
            known.until = max(known.until, now + found.left_s)
            return []
        until = now + found.left_s
        added = self._add(found.command_id, found.kind, found.text, link, until)
        added.used_up = True
        return [_started(added)]

    def _add(self, command_id: str, kind: Kind, text: str, link: Link, until: float) -> SignIn:
        self._number += 1
        added = SignIn(f"s{self._number}", link, text, until, {command_id: kind}, problem=link.problem)
        self._all[added.id] = added
        return added

    def _on_page(self, event: PageOpened) -> list[Effect]:
        known = self._all.get(event.sign_in_id)
        if known is None:
            return []
        first_problem = event.problem is not None and known.problem is None
        known.page, known.problem = "closed" if event.problem else "opened", event.problem
        return self._tell(f"{event.problem} {_NO_PAGE}", known.kind) if first_problem else []

    def _reopen(self, known: SignIn) -> list[Effect]:
        """A page that was said no to, or is of before a restart, may be dead: another one is asked for."""
        if not known.used_up:
            return _open_page(known)
        again: list[Effect] = [PutBack(command_id, _FRESH_PAGE) for command_id in known.waiting]
        known.retried |= known.waiting.keys()
        known.waiting.clear()
        known.state, known.page = "open", "opening"
        known.used_up, known.wants_page = False, True
        return again

    # --- how it goes -------------------------------------------------------------------------------------

    def _went(self, meant: list[SignIn], *, accepted: bool) -> list[Effect]:
        return [effect for each in meant for effect in (self._pass(each) if accepted else self._refuse(each))]

    def _pass(self, known: SignIn) -> list[Effect]:
        """The user is signed in: what waited goes again."""
        ended = [] if known.state == "passed" else [Announce(SignInEnded(known.id, "done", ""))]
        again = [PutBack(command_id, _AGAIN) for command_id in known.waiting]
        known.retried |= known.waiting.keys()
        known.waiting.clear()
        known.state = "passed"
        return [*ended, *again]

    def _refuse(self, known: SignIn) -> list[Effect]:
        if known.state != "open":
            return []
        known.state, known.used_up = "refused", True
        return [Announce(SignInRefused(known.id, _REFUSED)), *self._tell(_REFUSED, known.kind)]

    def _end_if_over(
        self, known: SignIn, outcome: Literal["expired", "cancelled"], text: str
    ) -> list[Effect]:
        is_over = self._forget_if_over(known)
        return [Announce(SignInEnded(known.id, outcome, text))] if is_over and known.state != "passed" else []

    def _forget_if_over(self, known: SignIn) -> bool:
        is_over = not known.waiting and not known.retried
        if is_over:
            del self._all[known.id]
        return is_over

    # --- which it is -------------------------------------------------------------------------------------

    def _of(self, command_id: str) -> SignIn | None:
        return next((each for each in self._all.values() if each.owns(command_id)), None)

    def _of_account(self, account: str) -> SignIn | None:
        return next((each for each in self._all.values() if each.link.account == account), None)

    def _meant(self, url: str | None) -> list[SignIn]:
        """The server names its address, or none: then it is any that is open."""
        if url is None:
            return list(self.open.values())
        account = self._judge(url).account
        return [each for each in self.open.values() if each.link.account == account]


def _started(sign_in: SignIn) -> Announce:
    link = sign_in.link
    return Announce(SignInStarted(sign_in.id, link.url, link.shown, sign_in.text, link.problem))


def _open_page(sign_in: SignIn) -> list[Effect]:
    if sign_in.link.url is None:
        return []
    sign_in.page = "opening"
    return [OpenPage(sign_in.id, sign_in.link.url)]
