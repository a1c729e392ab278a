"""Commands that wait for the user to sign in: one page an account, opened once, and the way back."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
from omniid.sign_ins import SIGN_IN_WITHIN_S, SignIns

NOW = 1_000.0
GOOGLE = "https://accounts.example/auth?state=1"
GOOGLE_AGAIN = "https://accounts.example/auth?state=2"
OTHER = "https://other.example/auth?state=1"
ASKS = "Please sign in to your calendar."


class Region:
    """The region with what it has told, opened, announced and put back."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.opened: list[str] = []
        self.announced: list[object] = []
        self.again: list[str] = []
        self.sign_ins = SignIns(self._tell)

    def _tell(self, text: str, kind: str, command_id: str | None = None) -> list[Effect]:
        assert command_id is None or command_id.startswith("c")
        self.told.append((kind, text))
        return []

    def carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case OpenPage(url=url):
                    self.opened.append(url)
                case Announce(event=event):
                    self.announced.append(event)
                case PutBack(command_id=command_id):
                    self.again.append(command_id)
                case Cue():
                    pass
                case _:
                    raise AssertionError(effect)

    def wanted(
        self, command_id: str, url: str | None = GOOGLE, kind: Literal["voice", "text"] = "text"
    ) -> None:
        reply = Reply("needs_auth", ASKS, 80, auth_url=url)
        self.carry_out(self.sign_ins.wanted(command_id, kind, reply, NOW))

    def handle(self, event: SignInEvent | SignInReported) -> None:
        self.carry_out(self.sign_ins.handle(event, NOW))

    def moved(self, command_id: str, *states: State) -> None:
        for state in states:
            self.carry_out(self.sign_ins.on_moved(CommandMoved(command_id, state)))

    def goes_again(self, command_id: str) -> None:
        self.moved(command_id, State.QUEUED, State.SENDING, State.WAITING)

    @property
    def open(self) -> dict[str, list[str]]:
        return {each.id: list(each.waiting) for each in self.sign_ins.open.values()}


def test_the_page_is_opened_and_shown_and_what_the_backend_said_is_told() -> None:
    region = Region()

    region.wanted("c1", kind="voice")

    assert region.opened == [GOOGLE]
    assert region.told == [("voice", ASKS)]
    assert region.announced == [SignInStarted("s1", GOOGLE, GOOGLE, ASKS, None)]
    assert region.sign_ins.open["s1"].until == NOW + SIGN_IN_WITHIN_S
    assert region.sign_ins.open["s1"].page == "opening"


def test_for_one_account_one_page_is_opened_however_many_commands_wait() -> None:
    region = Region()

    region.wanted("c1")
    region.wanted("c2", GOOGLE_AGAIN)
    region.wanted("c3", OTHER)

    assert region.opened == [GOOGLE, OTHER]
    assert region.open == {"s1": ["c1", "c2"], "s2": ["c3"]}
    assert [text for _, text in region.told] == [ASKS, "That waits for the same sign-in.", ASKS]


@pytest.mark.parametrize(
    "done",
    [
        pytest.param(SignInReturned("c2", accepted=True), id="the browser came back"),
        pytest.param(SignInReported(GOOGLE_AGAIN, accepted=True), id="the backend names the address"),
        pytest.param(SignInConfirmed("s1"), id="the user says so"),
    ],
)
def test_all_that_waited_for_it_goes_again(done: SignInEvent | SignInReported) -> None:
    region = Region()
    region.wanted("c1")
    region.wanted("c2")
    region.wanted("c3", OTHER)

    region.handle(done)

    assert region.again == ["c1", "c2"]
    assert region.announced[-1] == SignInEnded("s1", "done", "")
    assert region.open == {"s2": ["c3"]}
    region.handle(done)
    assert region.again == ["c1", "c2"]


@pytest.mark.parametrize("done", [SignInReported(None, accepted=True), SignInConfirmed()])
def test_word_that_names_none_is_about_all(done: SignInEvent | SignInReported) -> None:
    region = Region()
    region.wanted("c1")
    region.wanted("c2", OTHER)

    region.handle(done)

    assert region.again == ["c1", "c2"]


@pytest.mark.parametrize(
    "other",
    [
        SignInReturned("c9", accepted=True),
        SignInReported("https://else.example/", accepted=True),
        SignInConfirmed("s9"),
        SignInReopened("s9"),
        PageOpened("s9", "No browser."),
        SignInRefused("s1", ""),
    ],
)
def test_word_about_another_changes_nothing(other: SignInEvent | SignInReported) -> None:
    region = Region()
    region.wanted("c1")
    told, opened = list(region.told), list(region.opened)

    region.handle(other)

    assert (region.again, region.told, region.opened) == ([], told, opened)
    assert region.open == {"s1": ["c1"]}


def test_a_retry_that_succeeds_lets_the_others_go_again_too() -> None:
    region = Region()
    region.wanted("c1")
    region.wanted("c2")

    region.goes_again("c1")  # the user's `omniid outbox retry`
    assert region.again == []
    region.moved("c1", State.DONE)

    assert region.again == ["c2"]
    assert region.announced[-1] == SignInEnded("s1", "done", "")


def test_a_backend_that_asks_again_is_no_loop_of_pages() -> None:
    region = Region()
    region.wanted("c1", kind="voice")
    for url in (GOOGLE_AGAIN, GOOGLE, None):
        region.handle(SignInConfirmed())
        region.goes_again("c1")
        region.wanted("c1", url, kind="voice")

    assert region.opened == [GOOGLE]
    assert region.open == {"s1": ["c1"]}
    assert [text for _, text in region.told[1:]] == ["The assistant still asks you to sign in."] * 3
    assert region.announced[-1] == SignInStarted("s1", GOOGLE, GOOGLE, ASKS, None)

    region.handle(SignInReopened("s1"))  # it is being opened already
    assert region.opened == [GOOGLE]
    region.handle(PageOpened("s1", "No browser."))
    region.handle(SignInReopened("s1"))
    assert region.opened == [GOOGLE, GOOGLE]


def test_a_page_that_was_opened_before_may_be_used_up_so_another_one_is_asked_for() -> None:
    region = Region()
    region.wanted("c1")
    region.handle(PageOpened("s1"))

    region.handle(SignInReopened("s1"))
    assert (region.opened, region.again) == ([GOOGLE], ["c1"])
    region.goes_again("c1")
    region.wanted("c1", GOOGLE_AGAIN)

    assert region.opened == [GOOGLE, GOOGLE_AGAIN]
    assert region.told == [("text", ASKS)]


def test_another_account_after_that_has_a_page_of_its_own() -> None:
    region = Region()
    region.wanted("c1")
    region.handle(SignInConfirmed())
    region.goes_again("c1")
    region.moved("c1", State.DONE)

    region.wanted("c2", GOOGLE_AGAIN)

    assert region.opened == [GOOGLE, GOOGLE_AGAIN]
    assert region.open == {"s2": ["c2"]}


def test_a_no_on_the_page_is_told_once_and_may_become_a_yes() -> None:
    region = Region()
    region.wanted("c1", kind="voice")

    region.handle(SignInReturned("c1", accepted=False))
    region.handle(SignInReported(GOOGLE, accepted=False))

    assert [kind for kind, text in region.told if "have not signed in" in text] == ["voice"]
    assert region.sign_ins.open["s1"].state == "refused"
    assert [each for each in region.announced if isinstance(each, SignInRefused)] == [region.announced[-1]]
    region.handle(SignInReturned("c1", accepted=True))
    assert region.again == ["c1"]


def test_after_a_no_another_page_is_asked_for_and_opened_once() -> None:
    region = Region()
    region.wanted("c1")
    region.wanted("c2")
    region.handle(SignInReturned("c1", accepted=False))
    told = len(region.told)

    region.handle(SignInReopened("s1"))
    assert region.again == ["c1", "c2"]
    assert (region.sign_ins.open["s1"].state, pages(region)) == ("open", [("opening", None)])
    for command_id in ("c1", "c2"):
        region.goes_again(command_id)
        region.wanted(command_id, GOOGLE_AGAIN)

    assert region.opened == [GOOGLE, GOOGLE_AGAIN]
    assert region.open == {"s1": ["c1", "c2"]}
    assert len(region.told) == told


def test_after_a_no_a_later_command_brings_a_page_for_all_of_them() -> None:
    region = Region()
    region.wanted("c1")
    region.handle(SignInReturned("c1", accepted=False))

    region.wanted("c2", GOOGLE_AGAIN)

    assert region.opened == [GOOGLE, GOOGLE_AGAIN]
    assert region.told[-1] == ("text", ASKS)
    assert region.sign_ins.open["s1"].state == "open"
    region.handle(SignInReturned("c2", accepted=True))
    assert region.again == ["c1", "c2"]


def test_after_a_no_the_page_may_be_one_of_another_address() -> None:
    region = Region()
    region.wanted("c1")
    region.handle(SignInReturned("c1", accepted=False))

    region.handle(SignInReopened("s1"))
    region.goes_again("c1")
    region.wanted("c1", OTHER)

    assert region.opened == [GOOGLE, OTHER]
    assert region.open == {"s2": ["c1"]}


def test_nobody_signs_in_in_time() -> None:
    region = Region()
    region.wanted("c1", kind="voice")
    region.wanted("c2")

    region.moved("c1", State.EXPIRED)
    assert region.open == {"s1": ["c2"]}
    assert len(region.told) == 2
    region.moved("c2", State.EXPIRED)

    ended = region.announced[-1]
    assert isinstance(ended, SignInEnded)
    assert (ended.outcome, region.open) == ("expired", {})
    assert region.told[-1] == ("text", ended.text)


@pytest.mark.parametrize("state", [State.CANCELLED, State.DROPPED, State.UNCERTAIN, State.FAILED])
def test_a_command_that_waits_no_more_needs_no_sign_in(state: State) -> None:
    region = Region()
    region.wanted("c1")

    region.moved("c1", state)

    assert region.open == {}
    assert region.announced[-1] == SignInEnded("s1", "cancelled", "")
    assert (region.again, len(region.told)) == ([], 1)


@pytest.mark.parametrize("url", [None, "javascript:alert(1)", "http://accounts.example/auth"])
def test_an_address_that_may_not_be_opened_is_told_with_what_to_do(url: str | None) -> None:
    region = Region()

    region.wanted("c1", url, kind="voice")

    assert region.opened == []
    ((_, told),) = region.told
    assert told.startswith(ASKS)
    assert told.endswith("When you have signed in, run `omniid auth done`.")
    started = region.announced[0]
    assert isinstance(started, SignInStarted)
    assert started.url is None
    assert started.problem
    region.handle(SignInReopened("s1"))
    assert region.opened == []
    region.handle(SignInConfirmed())
    assert region.again == ["c1"]


def pages(region: Region) -> list[tuple[str, str | None]]:
    return [(each.page, each.problem) for each in region.sign_ins.open.values()]


def test_a_page_that_cannot_be_opened_here_is_told_once() -> None:
    region = Region()
    region.wanted("c1", kind="voice")

    region.handle(PageOpened("s1", "No browser."))
    region.handle(PageOpened("s1", "No browser."))

    assert region.told[1:] == [("voice", "No browser. Run `omniid auth status` to see the address.")]
    assert pages(region) == [("closed", "No browser.")]
    region.handle(SignInReopened("s1"))
    region.handle(PageOpened("s1"))
    assert pages(region) == [("opened", None)]


def test_a_page_asked_for_again_can_still_be_signed_in_at_after_a_premature_done() -> None:
    region = Region()
    region.wanted("c1")
    region.handle(PageOpened("s1"))
    region.handle(SignInReopened("s1"))
    region.handle(SignInConfirmed())
    region.goes_again("c1")

    region.wanted("c1", GOOGLE_AGAIN)

    assert region.open == {"s1": ["c1"]}
    assert region.opened == [GOOGLE]  # the user has said meanwhile that none is needed
    region.handle(SignInReturned("c1", accepted=True))
    assert region.again == ["c1", "c1"]


def test_a_command_that_joins_after_the_sign_in_is_not_left_alone() -> None:
    region = Region()
    region.wanted("c1")
    region.handle(SignInConfirmed())
    region.goes_again("c1")

    region.wanted("c2")
    region.moved("c1", State.FAILED)

    assert region.open == {"s1": ["c2"]}
    region.handle(SignInConfirmed())
    assert region.again == ["c1", "c2"]


def test_a_retry_after_a_no_brings_a_page_that_leads_on() -> None:
    region = Region()
    region.wanted("c1")
    region.handle(SignInReturned("c1", accepted=False))
    refused = [each for each in region.announced if isinstance(each, SignInStarted)][-1]
    assert (refused.url, refused.shown) == (GOOGLE, None)  # it can be asked for, and is not to be copied

    region.goes_again("c1")  # `omniid outbox retry`
    region.wanted("c1", GOOGLE_AGAIN)

    assert region.opened == [GOOGLE, GOOGLE_AGAIN]
    assert region.sign_ins.open["s1"].state == "open"


def test_addresses_that_cannot_be_opened_cost_no_page() -> None:
    region = Region()
    for number in range(9):
        region.wanted(f"c{number}", f"javascript:{number}")

    region.wanted("c9", GOOGLE)

    assert region.opened == [GOOGLE]


def test_what_waited_before_omniid_was_started_is_shown_and_bothers_no_browser() -> None:
    region = Region()

    region.handle(SignInFound("c1", "voice", ASKS, GOOGLE, 50.0))
    region.handle(SignInFound("c2", "text", ASKS, GOOGLE_AGAIN, 80.0))

    assert (region.opened, region.told) == ([], [])
    assert region.open == {"s1": ["c1", "c2"]}
    assert region.announced == [SignInStarted("s1", GOOGLE, None, ASKS, None)]
    assert region.sign_ins.open["s1"].until == NOW + 80.0

    region.handle(SignInReopened("s1"))  # a page of before may be dead
    assert (region.opened, region.again) == ([], ["c1", "c2"])
    region.goes_again("c1")
    region.wanted("c1", OTHER)
    assert region.opened == [OTHER]


def test_a_server_cannot_fill_the_screen_with_pages() -> None:
    region = Region()

    for number in range(20):
        region.wanted(f"c{number}", f"https://site{number}.example/")

    assert len(region.opened) == 5
    assert len(region.open) == 20


def test_a_command_that_needs_another_account_after_the_first_leaves_it() -> None:
    region = Region()
    region.wanted("c1")
    region.handle(SignInConfirmed())
    region.goes_again("c1")

    region.wanted("c1", OTHER)

    assert region.opened == [GOOGLE, OTHER]
    assert region.open == {"s2": ["c1"]}
    assert region.told[-1][1] == ASKS


def test_a_server_cannot_have_pages_opened_for_ever_by_one_command() -> None:
    region = Region()
    for number in range(50):
        region.wanted("c1", f"https://site{number}.example/")
        region.handle(SignInReported(None, accepted=True))
        region.goes_again("c1")

    assert len(region.opened) == 5


def test_a_server_cannot_have_a_command_sent_again_for_ever() -> None:
    region = Region()
    region.wanted("c1")
    for _ in range(50):
        region.handle(SignInReported(None, accepted=True))
        region.wanted("c1")

    assert region.again == ["c1", "c1"]
    assert region.open == {"s1": ["c1"]}
    region.handle(SignInConfirmed())
    assert region.again == ["c1", "c1", "c1"]


COMMANDS = st.sampled_from(["c1", "c2", "c3"])
URLS = st.sampled_from([GOOGLE, GOOGLE_AGAIN, OTHER, None])


@settings(max_examples=500, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("wanted"), COMMANDS, URLS),
            st.tuples(st.just("moved"), COMMANDS, st.sampled_from(State)),
            st.tuples(st.just("returned"), COMMANDS, st.booleans()),
            st.tuples(st.just("reported"), URLS, st.booleans()),
        ),
        max_size=40,
    )
)
def test_in_whatever_order_a_command_waits_for_one_sign_in_at_most(
    steps: list[tuple[str, str, object]],
) -> None:
    region = Region()
    for step, about, what in steps:
        match step, what:
            case "wanted", str() | None:
                region.wanted(about, what)
            case "moved", State():
                region.moved(about, what)
            case "returned", bool():
                region.handle(SignInReturned(about, what))
            case "reported", bool():
                region.handle(SignInReported(about, what))
        waiting = [command_id for each in region.open.values() for command_id in each]
        assert len(waiting) == len(set(waiting))
        accounts = [each.link.account for each in region.sign_ins.open.values()]
        assert len(accounts) == len(set(accounts))
