"""What Prometheus is told: what has happened since the daemon started, how long it took, and what is so now.

Counting is plain arithmetic in tables that never grow: every label's values stand below, so no word, id or
reason can become one. The library, 14 MB, is loaded by the first scrape.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, get_args

from omniid import __version__
from omniid.events import (
    AnswerAcknowledged,
    AttemptBegun,
    CommandMoved,
    CommandProgressed,
    CommandQueued,
    CommandSettled,
    Event,
    FrameIgnored,
    LateReplyArrived,
    LinkDialling,
    LinkLost,
    LinkOpened,
    LinkStopped,
    MessageArrived,
    QuestionAsked,
    StorageFailed,
    WorkerFailed,
    WriteFailed,
)
from omniid.fate import State
from omniid.line import LinkState
from omniid.workers.channel import SpeechFailed, TakeEmpty, TakeFailed, TakeRecognised

if TYPE_CHECKING:
    from prometheus_client.core import Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True, eq=False)
class _Counter:
    """`values` are all the values its label can have; a counter without a label has the one value ""."""

    name: str
    words: str
    label: str | None = None
    values: tuple[str, ...] = ("",)


_KINDS = ("voice", "text")
_ACCEPTED = _Counter(
    "omniid_commands_accepted_total", "New commands committed to disk, by how they came in.", "type", _KINDS
)
_ENTERED = _Counter(
    "omniid_command_state_entries_total", "States that commands entered.", "state", tuple(State)
)
_ATTEMPTS = _Counter("omniid_attempts_total", "Attempts begun: commands handed to the link.", "type", _KINDS)
_WRITE_FAILURES = _Counter("omniid_write_failures_total", "Attempts of which not a byte was written.")
_DIALS = _Counter("omniid_link_dials_total", "Times the backend was dialled.")
_OPENS = _Counter("omniid_link_opens_total", "Links that opened.")
_LOSSES = _Counter("omniid_link_losses_total", "Links lost and dials failed; each is dialled again.")
_STOPS = _Counter(
    "omniid_link_stops_total",
    "Times dialling ended because it would not help.",
    "cause",
    ("needs_token", "stop"),
)
_FRAMES = _Counter(
    "omniid_frames_received_total",
    "Frames received, by what they meant; greetings and pings are not among them.",
    "kind",
    ("settled", "progressed", "message", "question", "acknowledged", "late", "ignored"),
)
_LATE = _Counter("omniid_late_replies_total", "Replies to commands that were no longer waited for.")
_TAKES = _Counter(
    "omniid_takes_total", "Takes that ended, by their outcome.", "outcome", ("recognised", "empty", "failed")
)
_WORKER_FAILURES = _Counter(
    "omniid_worker_failures_total",
    "Child processes that ended or hung and were replaced.",
    "worker",
    ("ear", "mouth", "backend"),
)
_STORAGE_FAILURES = _Counter("omniid_storage_failures_total", "Times the database could not be used.")
_SPEECH_FAILURES = _Counter("omniid_speech_failures_total", "Utterances that could not be spoken.")
_COUNTERS = (
    _ACCEPTED,
    _ENTERED,
    _ATTEMPTS,
    _WRITE_FAILURES,
    _DIALS,
    _OPENS,
    _LOSSES,
    _STOPS,
    _FRAMES,
    _LATE,
    _TAKES,
    _WORKER_FAILURES,
    _STORAGE_FAILURES,
    _SPEECH_FAILURES,
)

# Each span is between two stages of omniid.timeline.
_Span = tuple[str, str]
_STAGES: dict[str, _Span] = {
    "key_to_first_sample": ("pressed", "first_sample"),
    "release_to_recognised": ("released", "recognised"),
    "recognised_to_committed": ("recognised", "committed"),
    "committed_to_written": ("committed", "written"),
    "written_to_first_frame": ("written", "first_frame"),
    "written_to_settled": ("written", "settled"),
    "settled_to_first_sound": ("settled", "first_sound"),
}
_COMMAND: _Span = ("committed", "settled")
_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


@dataclass(frozen=True, slots=True)
class Gauges:
    """What is so at the moment of a scrape. `last_frame_age_s` is None while no frame has come yet.

    `window` is how many commands may be in flight; a state that `outbox` lacks has no commands.
    """

    link: LinkState
    outbox: Mapping[State, int]
    in_flight: int
    window: int
    uptime_s: float
    last_frame_age_s: float | None


class Metrics:
    """Counts events (`observe` them) and times stages (make it `Timelines(metrics.stage_reached)`)."""

    def __init__(self) -> None:
        self._counts = {counter: dict.fromkeys(counter.values, 0) for counter in _COUNTERS}
        self._durations = {span: _Durations() for span in (*_STAGES.values(), _COMMAND)}

    def observe(self, event: Event) -> None:
        """Count what the event says; most say nothing that is counted."""
        for counter, value in _counted(event):
            series = self._counts[counter]
            if value in series:
                series[value] += 1

    def stage_reached(self, stage: str, marks: Mapping[str, float]) -> None:
        """Time the spans that a run's new stage completes; `marks` are monotonic seconds."""
        for (start, end), durations in self._durations.items():
            # Either end may come last: an answer can overtake our own record of the write.
            if stage in (start, end) and start in marks and end in marks:
                durations.add(marks[end] - marks[start])

    def render(self, gauges: Gauges) -> bytes:
        """The page in Prometheus's text format, of type `CONTENT_TYPE`.

        The first call loads the library. It may run in a thread: the tables never change their size.
        """
        from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415 only a scrape needs it

        registry = CollectorRegistry()
        registry.register(_Page([*self._counters(), *self._histograms(), *_gauges(gauges)]))
        return generate_latest(registry)

    def _counters(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily  # noqa: PLC0415 only a scrape needs it

        for counter, series in self._counts.items():
            family = CounterMetricFamily(counter.name, counter.words, labels=_labels(counter.label))
            for value, count in series.items():
                family.add_metric([value], count)
            yield family

    def _histograms(self) -> Iterator[Metric]:
        from prometheus_client.core import HistogramMetricFamily  # noqa: PLC0415 only a scrape needs it

        stages = HistogramMetricFamily(
            "omniid_stage_duration_seconds",
            "Time between two stages of a command; one sent again counts with its first attempt.",
            labels=["stage"],
        )
        for stage, span in _STAGES.items():
            stages.add_metric([stage], *self._durations[span].shown())
        yield stages
        buckets, sum_s = self._durations[_COMMAND].shown()
        yield HistogramMetricFamily(
            "omniid_command_duration_seconds",
            "Time from a command's commit to the first reply that settled it.",
            buckets=buckets,
            sum_value=sum_s,
        )


def _counted(event: Event) -> tuple[tuple[_Counter, str], ...]:
    """The series that an event moves up by one."""
    match event:
        case CommandQueued(again=True):
            return ((_ENTERED, State.QUEUED),)
        case CommandQueued(kind=kind):
            return ((_ACCEPTED, kind), (_ENTERED, State.QUEUED))
        case AttemptBegun(kind=kind):
            return ((_ATTEMPTS, kind), (_ENTERED, State.SENDING))
        case CommandMoved(state=state):
            return ((_ENTERED, state),)
        case WriteFailed():
            return ((_WRITE_FAILURES, ""),)
        case LinkDialling():
            return ((_DIALS, ""),)
        case LinkOpened():
            return ((_OPENS, ""),)
        case LinkLost():
            return ((_LOSSES, ""),)
        case LinkStopped(needs_token=needs_token):
            return ((_STOPS, "needs_token" if needs_token else "stop"),)
        case CommandSettled():
            return ((_FRAMES, "settled"),)
        case CommandProgressed():
            return ((_FRAMES, "progressed"),)
        case MessageArrived():
            return ((_FRAMES, "message"),)
        case QuestionAsked():
            return ((_FRAMES, "question"),)
        case AnswerAcknowledged():
            return ((_FRAMES, "acknowledged"),)
        case LateReplyArrived():
            return ((_FRAMES, "late"), (_LATE, ""))
        case FrameIgnored():
            return ((_FRAMES, "ignored"),)
        case TakeRecognised():
            return ((_TAKES, "recognised"),)
        case TakeEmpty():
            return ((_TAKES, "empty"),)
        case TakeFailed():
            return ((_TAKES, "failed"),)
        case WorkerFailed(worker=worker):
            return ((_WORKER_FAILURES, worker),)
        case StorageFailed():
            return ((_STORAGE_FAILURES, ""),)
        case SpeechFailed():
            return ((_SPEECH_FAILURES, ""),)
        case _:
            return ()


class _Durations:
    """A histogram: how many durations fell into each bucket, the last being those beyond all bounds."""

    def __init__(self) -> None:
        self._counts = [0] * (len(_BUCKETS_S) + 1)
        self._sum_s = 0.0

    def add(self, seconds: float) -> None:
        # Two processes' readings may disagree by a hair, and a sum that shrinks looks like a restart.
        seconds = max(0.0, seconds)
        self._counts[bisect_left(_BUCKETS_S, seconds)] += 1
        self._sum_s += seconds

    def shown(self) -> tuple[list[tuple[str, float]], float]:
        """The buckets as Prometheus wants them, each with all that is below it, and the sum in seconds."""
        bounds = [*map(str, _BUCKETS_S), "+Inf"]
        return list(zip(bounds, accumulate(self._counts), strict=True)), self._sum_s


class _Page:
    """The collector of one scrape."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _gauges(now: Gauges) -> Iterator[Metric]:
    yield _gauge("omniid_up", "1: the daemon lives.", {"": 1})
    yield _gauge("omniid_build_info", "Which omniid this is.", {__version__: 1}, "version")
    yield _gauge("omniid_uptime_seconds", "Time since the daemon started.", {"": now.uptime_s})
    yield _gauge(
        "omniid_outbox_commands",
        "Commands on disk, by state.",
        {state: now.outbox.get(state, 0) for state in State},
        "state",
    )
    yield _gauge(
        "omniid_in_flight_commands", "Commands handed to the link, not settled.", {"": now.in_flight}
    )
    yield _gauge("omniid_window_commands", "How many commands may be in flight.", {"": now.window})
    yield _gauge(
        "omniid_link_state",
        "1 for the state the link is in, 0 for the others.",
        {state: int(state == now.link) for state in get_args(LinkState)},
        "state",
    )
    if now.last_frame_age_s is not None:
        yield _gauge(
            "omniid_last_frame_age_seconds", "Time since a frame was received.", {"": now.last_frame_age_s}
        )


def _gauge(name: str, words: str, values: Mapping[str, float], label: str | None = None) -> Metric:
    from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415 only a scrape needs it

    family = GaugeMetricFamily(name, words, labels=_labels(label))
    for value, number in values.items():
        family.add_metric([value], number)
    return family


def _labels(label: str | None) -> list[str]:
    return [] if label is None else [label]
