"""What the backend asks: held, announced, reminded of once, answered, expired."""

from __future__ import annotations

from dataclasses import replace

import pytest

from omniid.consent import Answering, answering
from omniid.effects import Announce, AnswerQuestion, Cue, Effect, LeaveQuestions, RemindLater
from omniid.events import (
    AnswerAcknowledged,
    AnswerUnwanted,
    CommandMoved,
    QuestionAnswered,
    QuestionAsked,
    QuestionClosed,
    QuestionDue,
    QuestionExpired,
    QuestionNotAnswered,
    QuestionPosed,
    QuestionReplied,
)
from omniid.fate import State
from omniid.protocol.messages import ApprovalAction
from omniid.questions import Questions

NOW = 1_000.0


def question(number: int = 1, open_for_s: float = 300.0, kind: str = "intervention") -> QuestionAsked:
    return QuestionAsked("c1", kind, f"Which Bob? ({number})", {}, "s", str(number), open_for_s)  # type: ignore[arg-type]


def answer_of(step_id: str, action: ApprovalAction, *, leaves_open: bool = False) -> AnswerQuestion:
    return AnswerQuestion("q1", "s", step_id, action=action, leaves_open=leaves_open)


PLAN = {"payload": {"steps": [{"id": "a", "description": "Write it"}, {"id": "b", "description": "Send it"}]}}
DRAFT = QuestionAsked("c1", "approval", "Two steps", PLAN, "s", None, 600.0)


class Region:
    def __init__(self, *asked: QuestionAsked) -> None:
        self.told: list[str] = []
        self.withdrawn: list[str] = []
        self.questions = Questions(self._tell, self._withdraw)
        for each in asked:
            self.questions.handle(each, NOW)

    def _tell(self, question_id: str, _: QuestionAsked, text: str) -> list[Effect]:
        assert question_id.startswith("q")
        self.told.append(text)
        return []

    def _withdraw(self, question_id: str) -> list[Effect]:
        self.withdrawn.append(question_id)
        return []

    @property
    def open(self) -> list[str | None]:
        return [each.asked.step_id for each in self.questions.open.values()]


def test_a_question_is_told_with_how_to_answer_it_and_is_open_for_its_time() -> None:
    region = Region()

    assert region.questions.handle(question(), NOW) == [
        Announce(QuestionPosed("q1", "intervention", "Which Bob? (1)", "c1", again=False)),
        Cue("question"),
        RemindLater(150.0, QuestionDue("q1")),
    ]
    assert region.told[0].startswith("Which Bob? (1) Say: answer, and your words.")
    assert region.questions.tick(NOW + 299.9) == []
    assert region.questions.tick(NOW + 300) == [Announce(QuestionExpired("q1", "Which Bob? (1)"))]
    assert "Too late" in region.told[-1]
    assert region.open == []


def test_it_is_reminded_of_once_and_then_expires() -> None:
    region = Region(question())

    assert region.questions.handle(QuestionDue("q1"), NOW + 150) == [
        Announce(QuestionPosed("q1", "intervention", "Which Bob? (1)", "c1", again=True)),
        Cue("question"),
        RemindLater(150.0, QuestionDue("q1")),
    ]
    assert "still waits" in region.told[-1]
    (expired,) = region.questions.handle(QuestionDue("q1"), NOW + 300)
    assert isinstance(expired, Announce)
    assert region.questions.handle(QuestionDue("q1"), NOW + 300) == []


def test_an_answer_closes_its_question_and_no_other() -> None:
    region = Region(question(1), question(2))

    assert region.questions.handle(QuestionAnswered("q1"), NOW) == []
    assert region.open == ["2"]
    assert region.withdrawn == ["q1"]  # what waits to be said of it is not so any more
    region.questions.handle(QuestionAnswered("unknown"), NOW)
    assert region.open == ["2"]


def test_an_answer_that_could_not_be_passed_on_is_told_and_the_question_stays() -> None:
    region = Region(question())

    region.questions.handle(QuestionNotAnswered("q1"), NOW)
    assert "stays open" in region.told[-1]
    assert region.open == ["1"]


def test_each_question_has_its_own_time() -> None:
    region = Region(question(1, 20.0), question(2, 10.0), question(3, 30.0))

    region.questions.tick(NOW + 20)

    assert region.open == ["3"]


def test_questions_are_bounded_and_the_newest_stay_under_ids_of_their_own() -> None:
    region = Region(*(question(number) for number in range(60)))

    assert region.open == [str(number) for number in range(10, 60)]
    closed, *_ = region.questions.handle(question(99), NOW)
    assert len(region.questions.open) == 50
    assert closed == Announce(QuestionClosed("q11"))


def test_a_take_answers_the_latest_question() -> None:
    region = Region(question(1), question(2, kind="approval"))

    yes = [Announce(QuestionReplied("q2", action="approve_all"))]
    assert region.questions.answer("Yes.") == yes
    assert region.questions.answer("Yes.") == yes  # it is only asked what the words mean
    assert region.questions.answer("What time is it?") is None
    assert Region().questions.answer("Yes.") is None


def test_an_answer_that_was_clicked_or_typed_is_passed_on_like_a_spoken_one() -> None:
    region = Region(question(1), question(2, kind="approval"))

    assert region.questions.handle(QuestionReplied("q1", value="no"), NOW) == [
        AnswerQuestion("q1", "s", "1", "no")
    ]
    assert region.questions.handle(QuestionReplied("q2", action="approve_all"), NOW) == [
        AnswerQuestion("q2", "s", "2", action="approve_all")
    ]
    assert region.questions.handle(QuestionReplied("q9", value="no"), NOW) == []


def test_a_question_is_answered_once_until_the_answer_is_known_not_to_have_gone() -> None:
    region = Region(question(1, kind="approval"))
    yes, no = (QuestionReplied("q1", action=action) for action in ("approve_all", "cancel_all"))

    assert len(region.questions.handle(yes, NOW)) == 1
    assert region.questions.handle(no, NOW) == []
    assert region.questions.answer("No.") is None

    region.questions.handle(QuestionNotAnswered("q1"), NOW)
    assert len(region.questions.handle(no, NOW)) == 1


def test_a_step_of_a_draft_may_be_decided_alone() -> None:
    region = Region(question(1, kind="approval"))

    replied = QuestionReplied("q1", action="reject_step", step_id="7")

    assert region.questions.handle(replied, NOW) == [answer_of("7", "reject_step", leaves_open=True)]
    assert region.questions.handle(QuestionAnswered("q1"), NOW) == [
        Announce(QuestionPosed("q1", "approval", "Which Bob? (1)", "c1", again=True))
    ]
    whole = region.questions.handle(QuestionReplied("q1", action="approve_all"), NOW)
    assert len(whole) == 1  # the others are still to be decided


def test_a_draft_is_over_once_all_its_steps_are_decided() -> None:
    region = Region(DRAFT)
    first, second = (QuestionReplied("q1", action="approve_step", step_id=step) for step in "ab")

    assert region.questions.handle(first, NOW) == [answer_of("a", "approve_step", leaves_open=True)]
    region.questions.handle(QuestionAnswered("q1"), NOW)
    assert region.told[-1] == "Next step: Send it. Say yes to approve it, or no."
    assert region.questions.answer("Yes.") == [Announce(QuestionReplied("q1", action="approve_step"))]
    assert region.questions.answer("No.") == [Announce(QuestionReplied("q1", action="reject_step"))]
    assert region.questions.answer("Approve all.") == [Announce(QuestionReplied("q1", action="approve_all"))]
    assert region.questions.handle(first, NOW) == []  # it has been decided
    assert not region.questions.open["q1"].may_decide("a")
    assert not region.questions.open["q1"].may_decide("nonsense")
    assert region.questions.handle(second, NOW) == [answer_of("b", "approve_step")]
    region.questions.handle(QuestionAnswered("q1"), NOW)
    assert region.open == []


def test_this_step_is_the_first_that_waits() -> None:
    region = Region(DRAFT)
    said = region.questions.answer("Approve this step.")
    assert said == [Announce(QuestionReplied("q1", action="approve_step"))]
    replied = QuestionReplied("q1", action="approve_step")
    assert region.questions.handle(replied, NOW) == [answer_of("a", "approve_step", leaves_open=True)]
    region.questions.handle(QuestionAnswered("q1"), NOW)
    assert region.questions.handle(replied, NOW) == [answer_of("b", "approve_step")]


def test_this_step_means_nothing_where_the_plan_names_none() -> None:
    region = Region(question(kind="approval"))
    assert region.questions.answer("Approve this step.") == []
    assert region.told[-1].endswith("Say yes to approve it, or no.")
    assert region.questions.handle(QuestionReplied("q1", action="approve_step"), NOW) == []


def test_yes_means_the_whole_plan_where_it_names_no_steps() -> None:
    region = Region(question(kind="approval"))
    region.questions.handle(QuestionReplied("q1", action="reject_step", step_id="7"), NOW)
    region.questions.handle(QuestionAnswered("q1"), NOW)
    assert region.questions.answer("Yes.") == [Announce(QuestionReplied("q1", action="approve_all"))]


def test_a_step_without_a_description_is_told_by_its_id() -> None:
    region = Region(replace(DRAFT, raw={"payload": {"steps": [{"id": "a"}, {"id": "b"}]}}))
    region.questions.handle(QuestionReplied("q1", action="approve_step"), NOW)
    region.questions.handle(QuestionAnswered("q1"), NOW)
    assert region.told[-1].startswith("Next step: b.")


def test_yes_is_no_answer_to_which() -> None:
    region = Region(question())
    assert region.questions.answer("Okay.") == [
        Announce(QuestionPosed("q1", "intervention", "Which Bob? (1)", "c1", again=True))
    ]
    assert region.told[-1].endswith("Say: answer, and your words.")
    assert region.questions.answer("No.") == [Announce(QuestionReplied("q1", value="no"))]


def test_what_the_server_asks_again_is_one_question() -> None:
    region = Region(question(1, 100.0))

    asked_again = region.questions.handle(question(1, 100.0), NOW + 40)

    assert Announce(QuestionPosed("q1", "intervention", "Which Bob? (1)", "c1", again=True)) in asked_again
    assert Cue("question") not in asked_again  # it has been told, and waits
    assert list(region.questions.open) == ["q1"]
    assert region.questions.handle(QuestionDue("q1"), NOW + 50) == []  # the time of the first
    assert Cue("question") in region.questions.handle(QuestionDue("q1"), NOW + 90)
    assert region.questions.handle(QuestionDue("q1"), NOW + 100) == []  # once is enough
    assert region.questions.tick(NOW + 139) == []
    assert len(region.questions.tick(NOW + 140)) == 1


def test_questions_that_name_nothing_are_each_their_own() -> None:
    nameless = QuestionAsked("c1", "intervention", "Really?", {})
    assert len(Region(nameless, nameless).questions.open) == 2


def test_an_answer_that_the_server_does_not_take_is_told() -> None:
    region = Region(question(1), question(2))
    for question_id in ("q1", "q2"):
        region.questions.handle(QuestionReplied(question_id, value="Smith"), NOW)
        region.questions.handle(QuestionAnswered(question_id), NOW)

    region.questions.handle(AnswerAcknowledged("s", "1", accepted=True, text="Fine."), NOW)
    before = list(region.told)
    region.questions.handle(AnswerAcknowledged("s", "1", accepted=False, text="Who?"), NOW)  # of nobody's
    assert region.told == before
    refused = AnswerAcknowledged("s", "2", accepted=False, text="I know no Smith.")
    assert region.questions.handle(refused, NOW) == [
        Announce(QuestionPosed("q2", "intervention", "Which Bob? (2)", "c1", again=True))
    ]
    assert region.told[-1] == "Your answer was not taken: I know no Smith."
    assert region.questions.handle(QuestionReplied("q2", value="Jones"), NOW) == [
        AnswerQuestion("q2", "s", "2", "Jones")
    ]


@pytest.mark.parametrize("last", [False, True], ids=["others are open", "it was the last"])
def test_a_decision_that_the_server_does_not_take_is_open_again(last: bool) -> None:
    region = Region(DRAFT)
    for step in "ab" if last else "a":
        region.questions.handle(QuestionReplied("q1", action="approve_step", step_id=step), NOW)
        region.questions.handle(QuestionAnswered("q1"), NOW)
    region.questions.handle(AnswerAcknowledged("s", "a", accepted=False, text="Not yet."), NOW)
    assert list(region.questions.open["q1"].undecided) == (["a"] if last else ["a", "b"])


def test_an_answer_that_is_refused_too_late_opens_nothing() -> None:
    region = Region(question(1, 10.0))
    region.questions.handle(QuestionReplied("q1", value="Smith"), NOW)
    region.questions.handle(QuestionAnswered("q1"), NOW)
    refused = AnswerAcknowledged("s", "1", accepted=False, text="That is over.")
    assert region.questions.handle(refused, NOW + 10) == []
    assert region.open == []


def test_a_refusal_for_a_command_that_is_over_opens_nothing() -> None:
    region = Region(question(1))
    region.questions.handle(QuestionReplied("q1", value="Smith"), NOW)
    region.questions.handle(QuestionAnswered("q1"), NOW)
    region.questions.on_moved(CommandMoved("c1", State.DONE))
    refused = AnswerAcknowledged("s", "1", accepted=False, text="That is over.")
    assert region.questions.handle(refused, NOW) == []


def test_an_answer_on_its_way_to_a_command_that_is_called_off_opens_nothing_when_it_is_refused() -> None:
    region = Region(question(1))
    region.questions.handle(QuestionReplied("q1", value="Smith"), NOW)
    region.questions.handle(QuestionAnswered("q1"), NOW)
    assert region.questions.on_unwanted(AnswerUnwanted("c1")) == [LeaveQuestions("c1")]
    refused = AnswerAcknowledged("s", "1", accepted=False, text="I know no Smith.")
    assert region.questions.handle(refused, NOW) == []


def test_a_draft_that_is_asked_again_leaves_out_what_was_decided() -> None:
    region = Region(DRAFT)
    region.questions.handle(QuestionReplied("q1", action="approve_step", step_id="a"), NOW)
    region.questions.handle(QuestionAnswered("q1"), NOW)
    told = len(region.told)
    region.questions.handle(DRAFT, NOW)
    assert list(region.questions.open["q1"].undecided) == ["b"]
    assert len(region.told) == told  # in the same words: it has been told

    steps = [{"id": "c", "approvalStatus": "approved"}, {"id": "d", "approvalStatus": "pending"}]
    region.questions.handle(replace(DRAFT, text="Other steps", raw={"payload": {"steps": steps}}), NOW)
    assert list(region.questions.open["q1"].undecided) == ["d"]
    assert region.told[-1].startswith("Other steps")


def test_a_question_beside_a_draft_is_another() -> None:
    beside = QuestionAsked("c1", "intervention", "Really?", {}, "s", None)
    assert list(Region(DRAFT, beside).questions.open) == ["q1", "q2"]


def test_what_no_command_asked_for_goes_with_its_link() -> None:
    region = Region(question(1), QuestionAsked(None, "intervention", "Really?", {}, "s", "9"))
    assert region.questions.on_link_over() == [Announce(QuestionClosed("q2"))]
    assert region.open == ["1"]


def test_who_calls_a_command_off_is_not_asked_about_it_any_more() -> None:
    region = Region(question(1))
    assert region.questions.on_unwanted(AnswerUnwanted("c9")) == []
    assert region.questions.on_unwanted(AnswerUnwanted("c1")) == [
        LeaveQuestions("c1"),
        Announce(QuestionClosed("q1")),
    ]
    assert region.withdrawn == ["q1"]
    cancelled = AnswerQuestion("q1", "s", None, action="cancel_all")
    assert cancelled in Region(DRAFT).questions.on_unwanted(AnswerUnwanted("c1"))


def test_a_question_closes_with_its_command_and_no_other_does() -> None:
    region = Region(question(1), question(2))

    assert region.questions.on_moved(CommandMoved("c1", State.WAITING)) == []
    assert region.questions.on_moved(CommandMoved("c9", State.DONE)) == []
    assert region.questions.on_moved(CommandMoved("c1", State.DONE)) == [
        Announce(QuestionClosed("q1")),
        Announce(QuestionClosed("q2")),
    ]
    assert region.open == []


@pytest.mark.parametrize(
    ("kind", "text", "means"),
    [
        ("approval", "Yes.", Answering(action="approve_all")),
        ("approval", "Approve this step!", Answering(action="approve_step")),
        ("approval", "Skip this step.", Answering(action="reject_step")),
        ("approval", "No.", Answering(action="cancel_all")),
        ("approval", "Approve the budget of next year", None),
        ("intervention", "Yes", Answering(value="yes")),
        ("intervention", "Nope.", Answering(value="no")),
        ("intervention", "Answer: Bob Smith.", Answering(value="Bob Smith.")),
        ("intervention", "my answer is five o'clock", Answering(value="five o'clock")),
        ("intervention", "Answer", None),
        ("intervention", "Answering machines are old", None),
        ("intervention", "Reply to Anna that I am late", None),
        ("intervention", "Answer the email from Bob", None),
        ("intervention", "The answer is seven", Answering(value="seven")),
        ("intervention", "Call Bob", None),
    ],
)
def test_only_an_explicit_answer_is_one(kind: str, text: str, means: Answering | None) -> None:
    assert answering(kind, "Really?", text) == means  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "said", "value"),
    [
        ("Do you mean Bob Smith or Bob Jones?", "Bob Smith.", "Bob Smith"),
        ("Do you mean Bob Smith or Bob Jones?", "jones", None),
        ("Do you mean Bob Smith or Bob Jones?", "The second one.", "The second one"),
        ("Do you mean Bob Smith or Bob Jones?", "Call Bob Jones", None),
        ("Which Bob: Bob Smith, Bob Jones, or Bob Ray?", "bob jones", "bob jones"),
        ("Which Bob: Bob Smith, Bob Jones, or Bob Ray?", "Bob", None),
        ("There are two. Send it now or tomorrow?", "Tomorrow!", "Tomorrow"),
        ("Soll ich es heute oder morgen schicken?", "morgen schicken", "morgen schicken"),
        ("Shall I send it?", "Send it to Ann", None),
        ("Order it?", "or", None),
        ("Left or right?", "Right.", "Right"),
        ("Stop or continue?", "stop", "stop"),
        ("Do you mean Dr. Smith or Dr. Jones?", "Dr. Jones", "Dr. Jones"),
        ("At 3:30 or 4:30?", "4:30", "4:30"),
        ("Tea or coffee?", "Coffee, please.", "Coffee, please"),
        ("Tea or coffee?", "Yes.", "yes"),
    ],
)
def test_what_a_question_offers_may_be_said_as_it_is(asked: str, said: str, value: str | None) -> None:
    means = None if value is None else Answering(value=value)
    assert answering("intervention", asked, said) == means
