"""What the control API's verbs about the token and the sign-ins do."""

from __future__ import annotations

from collections.abc import Callable

from omniid.assistant import Assistant
from omniid.authority import Authority
from omniid.control.schema import AuthView, SignInView
from omniid.control.server import Call
from omniid.errors import NotFoundError, RefusedError
from omniid.events import SignInConfirmed, SignInReopened
from omniid.moment import Moment
from omniid.reactor import Reactor
from omniid.session import Session
from omniid.sign_ins import SignIn
from omniid.weblink import Link

_NO_LINK = Link(None, None, "", None)


class AuthVerbs:
    """The token of the link, and the accounts that commands wait for."""

    def __init__(
        self,
        assistant: Assistant,
        authority: Authority,
        session: Session,
        reactor: Reactor,
        clock: Callable[[], Moment],
    ) -> None:
        self._assistant = assistant
        self._authority = authority
        self._session = session
        self._reactor = reactor
        self._clock = clock

    async def auth(self, _: Call) -> AuthView:
        return self._auth_view()

    async def auth_done(self, call: Call) -> AuthView:
        if call.body.id is None and not self._assistant.sign_ins:
            return self._auth_view()  # the browser, or the backend, has said so already
        meant = self._sign_ins(call.body.id)
        commands = [command_id for each in meant for command_id in each.waiting]
        for each in meant:
            await self._reactor.handled(SignInConfirmed(each.id))
        return self._auth_view(resumed=len(commands))

    async def auth_open(self, call: Call) -> AuthView:
        meant = self._sign_ins(call.body.id)
        with_page = [each for each in meant if each.link.url is not None]
        if not with_page:
            raise RefusedError(str(meant[0].link.problem), code="no_page")
        for each in with_page:
            await self._reactor.handled(SignInReopened(each.id))
        return self._auth_view()

    def _sign_ins(self, sign_in_id: str | None) -> list[SignIn]:
        """The one that is meant, or all.

        Raises:
            NotFoundError: there is none.
        """
        known = self._assistant.sign_ins
        meant = [each for each in known.values() if sign_in_id in {None, each.id}]
        if not meant:
            which = "" if sign_in_id is None else f" at {sign_in_id!r}"
            raise NotFoundError(f"No command waits for you to sign in{which}: see `omniid auth status`.")
        return meant

    def _auth_view(self, *, resumed: int = 0) -> AuthView:
        state, origin, advice = self._authority.view()
        now = self._clock().monotonic
        sign_ins = [_sign_in_view(each, now) for each in self._assistant.sign_ins.values()]
        return AuthView(state=state, origin=origin, advice=advice, sign_ins=sign_ins, resumed=resumed)

    async def auth_login(self, call: Call) -> AuthView:
        self._session.reconnect()
        return await self.auth(call)

    async def auth_logout(self, call: Call) -> AuthView:
        self._session.reconnect()
        return await self.auth(call)


def _sign_in_view(sign_in: SignIn, now: float) -> SignInView:
    link = _NO_LINK if sign_in.wants_page or sign_in.page == "dead" else sign_in.link
    return SignInView(
        id=sign_in.id,
        text=sign_in.text,
        url=link.url,
        shown=link.shown,
        problem=sign_in.problem,
        state="refused" if sign_in.state == "refused" else "open",
        opening=sign_in.page == "opening",
        opened=sign_in.page == "opened",
        commands=sorted(sign_in.commands),
        open_for_s=round(max(0.0, sign_in.until - now), 1),
    )
