"""The page for Prometheus: what moves which number, and that the page is well-formed, bounded and silent."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import tracemalloc
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast, get_args, get_type_hints

import pytest
from prometheus_client.exposition import choose_encoder
from prometheus_client.parser import text_string_to_metric_families
from support.moments import at
from support.reports import opened, recognised

import omniid
from omniid.assistant import Assistant, AssistantSettings
from omniid.control.stream import EventHub
from omniid.effects import Effect, Enqueue, Move
from omniid.events import (
    AnswerAcknowledged,
    AttemptBegun,
    ClockTicked,
    CommandMoved,
    CommandProgressed,
    CommandQueued,
    CommandRefused,
    CommandRejected,
    CommandSettled,
    CommandUncertain,
    CommandWritten,
    Event,
    FrameIgnored,
    HushRequested,
    KeyPressed,
    KeyReleased,
    LateReplyArrived,
    LineServed,
    LinkDialling,
    LinkLost,
    LinkOpened,
    LinkSpoilt,
    LinkStopped,
    MessageArrived,
    QuestionAnswered,
    QuestionAsked,
    ServerDedupes,
    SettledHere,
    SpeechQueued,
    SpeechRequested,
    StorageFailed,
    StorageWorks,
    WindowGrew,
    WorkerFailed,
    WorkerStood,
    WriteFailed,
)
from omniid.fate import State
from omniid.line import LinkState
from omniid.metrics import CONTENT_TYPE, Gauges, Metrics
from omniid.protocol.chat import Reply
from omniid.reactor import Reactor
from omniid.timeline import Timelines
from omniid.workers.channel import (
    CaptureEnded,
    SpeechFailed,
    SpeechFinished,
    SpeechStarted,
    TakeEmpty,
    TakeFailed,
)

SECRET = "my-secret-words"
NOW = Gauges(link="ready", outbox={}, in_flight=0, window=1, uptime_s=60.0, last_frame_age_s=None)
REPLY = Reply("done", SECRET, 95)
ENTRIES = "omniid_command_state_entries_total"
FRAMES = "omniid_frames_received_total"
STAGES = "omniid_stage_duration_seconds"
COMMANDS = "omniid_command_duration_seconds"

MOVES: list[tuple[Event, set[str]]] = [
    (
        CommandQueued("c1", "voice", SECRET, "t1"),
        {'omniid_commands_accepted_total{type="voice"}', f'{ENTRIES}{{state="queued"}}'},
    ),
    (
        CommandQueued("c1", "text", SECRET),
        {'omniid_commands_accepted_total{type="text"}', f'{ENTRIES}{{state="queued"}}'},
    ),
    (CommandQueued("c1", "text", SECRET, again=True), {f'{ENTRIES}{{state="queued"}}'}),
    (AttemptBegun("c1", "voice"), {'omniid_attempts_total{type="voice"}', f'{ENTRIES}{{state="sending"}}'}),
    (AttemptBegun("c1", "text"), {'omniid_attempts_total{type="text"}', f'{ENTRIES}{{state="sending"}}'}),
    *((CommandMoved("c1", state), {f'{ENTRIES}{{state="{state}"}}'}) for state in State),
    (WriteFailed("c1"), {"omniid_write_failures_total"}),
    (LinkDialling(SECRET), {"omniid_link_dials_total"}),
    (LinkOpened(1, 16), {"omniid_link_opens_total"}),
    (LinkLost(SECRET, 1.0), {"omniid_link_losses_total"}),
    (LinkStopped(SECRET, needs_token=True), {'omniid_link_stops_total{cause="needs_token"}'}),
    (LinkStopped(SECRET, needs_token=False), {'omniid_link_stops_total{cause="stop"}'}),
    (CommandSettled("c1", REPLY), {f'{FRAMES}{{kind="settled"}}'}),
    (CommandProgressed("c1", SECRET, SECRET), {f'{FRAMES}{{kind="progressed"}}'}),
    (MessageArrived(SECRET, SECRET, {}), {f'{FRAMES}{{kind="message"}}'}),
    (QuestionAsked("c1", "approval", SECRET, {}), {f'{FRAMES}{{kind="question"}}'}),
    (AnswerAcknowledged("s1", None, accepted=True, text=SECRET), {f'{FRAMES}{{kind="acknowledged"}}'}),
    (LateReplyArrived("c1", REPLY), {f'{FRAMES}{{kind="late"}}', "omniid_late_replies_total"}),
    (FrameIgnored(SECRET, SECRET), {f'{FRAMES}{{kind="ignored"}}'}),
    (recognised("t1", SECRET), {'omniid_takes_total{outcome="recognised"}'}),
    (TakeEmpty("t1", "no_speech"), {'omniid_takes_total{outcome="empty"}'}),
    (TakeFailed("t1", "no_microphone", SECRET), {'omniid_takes_total{outcome="failed"}'}),
    (WorkerFailed("ear", SECRET), {'omniid_worker_failures_total{worker="ear"}'}),
    (WorkerFailed("mouth", SECRET), {'omniid_worker_failures_total{worker="mouth"}'}),
    (WorkerFailed("backend", SECRET), {'omniid_worker_failures_total{worker="backend"}'}),
    (StorageFailed(SECRET), {"omniid_storage_failures_total"}),
    (SpeechFailed("u1", "speech_failed", SECRET), {"omniid_speech_failures_total"}),
]
UNCOUNTED: list[Event] = [
    KeyPressed("key", "t1"),
    KeyReleased("key"),
    HushRequested(),
    SpeechRequested("u1", SECRET),
    SpeechQueued("u1", "c1"),
    SpeechStarted("u1", 1.0, "speaker"),
    SpeechFinished("u1", "spoken"),
    CommandRefused("t1", "outbox_full", SECRET),
    CommandWritten("c1", SECRET),
    CommandUncertain("c1", SECRET),
    CommandRejected("c1", SECRET),
    LinkSpoilt(SECRET),
    WindowGrew(16),
    WorkerStood("ear", 1),
    ClockTicked(),
    LineServed(1, 0),
    QuestionAnswered("q1"),
    ServerDedupes(),
    SettledHere("c1", "text", REPLY),
    StorageWorks(),
    opened("t1"),
]


def page(metrics: Metrics, now: Gauges = NOW) -> dict[str, float]:
    """Every sample by its series, as Prometheus reads the text; a series that stands twice is a mistake."""
    samples: dict[str, float] = {}
    for family in text_string_to_metric_families(metrics.render(now).decode()):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            series = f"{sample.name}{{{labels}}}" if labels else sample.name
            assert series not in samples
            samples[series] = sample.value
    return samples


def moved(metrics: Metrics, event: Event) -> dict[str, float]:
    before = page(metrics)
    metrics.observe(event)
    return {
        series: value - before[series] for series, value in page(metrics).items() if value != before[series]
    }


def spoken(metrics: Metrics, *events: tuple[Event, float]) -> None:
    timelines = Timelines(metrics.stage_reached)
    for event, now in events:
        timelines.observe(event, now)


# --- counters -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("event", "series"), MOVES, ids=lambda part: type(part).__name__)
def test_an_event_moves_its_counters_by_one_and_nothing_else(event: Event, series: set[str]) -> None:
    metrics = Metrics()
    for earlier, _ in MOVES:
        metrics.observe(earlier)

    assert moved(metrics, event) == dict.fromkeys(series, 1.0)


def test_every_counter_is_there_from_the_start_and_some_event_moves_it() -> None:
    fresh = {series: value for series, value in page(Metrics()).items() if "_total" in series}

    assert set(fresh) == set().union(*(series for _, series in MOVES))
    assert set(fresh.values()) == {0.0}


@pytest.mark.parametrize("event", UNCOUNTED, ids=lambda event: type(event).__name__)
def test_an_event_that_says_nothing_countable_changes_nothing(event: Event) -> None:
    metrics = Metrics()

    assert moved(metrics, event) == {}


def test_an_event_that_has_grown_fields_is_counted_as_before() -> None:
    @dataclass(frozen=True, slots=True)
    class Grown(LinkOpened):
        resumed: bool = False

    assert moved(Metrics(), Grown(1, 16)) == {"omniid_link_opens_total": 1.0}


@pytest.mark.parametrize(
    "event",
    [
        object(),
        WorkerFailed(cast("Any", SECRET), ""),
        CommandMoved("c1", cast("Any", SECRET)),
        AttemptBegun("c1", cast("Any", "queued")),
    ],
)
def test_what_is_unknown_makes_no_new_series(event: object) -> None:
    metrics = Metrics()
    before = set(page(metrics))

    metrics.observe(cast("Event", event))

    assert set(page(metrics)) == before


def test_every_worker_that_can_fail_has_its_series() -> None:
    workers = get_args(get_type_hints(WorkerFailed)["worker"])

    assert {f'omniid_worker_failures_total{{worker="{worker}"}}' for worker in workers} <= set(
        page(Metrics())
    )


# --- durations ----------------------------------------------------------------------------------------------

WHOLE_RUN: list[tuple[Event, float]] = [
    (KeyPressed("key", "t1"), 100.0),
    (opened("t1", 100.0625), 100.1),
    (CaptureEnded("t1", "released", 102.0, 1.95, 0), 102.1),
    (recognised("t1"), 102.5),
    (CommandQueued("c1", "voice", SECRET, "t1"), 102.515625),
    (CommandWritten("c1", SECRET), 102.546875),
    (CommandProgressed("c1", "thinking", None), 102.671875),
    (CommandSettled("c1", REPLY), 105.015625),
    (SpeechQueued("u1", "c1"), 105.015625),
    (SpeechStarted("u1", 105.265625, "speaker"), 105.3),
]


def test_a_spoken_command_is_timed_in_every_stage() -> None:
    metrics = Metrics()
    spoken(metrics, *WHOLE_RUN)
    samples = page(metrics)

    # Binary fractions, so that the differences are exact.
    assert {
        re.sub(r'.*stage="(.*)".*', r"\1", series): value
        for series, value in samples.items()
        if series.startswith(f"{STAGES}_sum")
    } == {
        "key_to_first_sample": 0.0625,
        "release_to_recognised": 0.5,
        "recognised_to_committed": 0.015625,
        "committed_to_written": 0.03125,
        "written_to_first_frame": 0.125,
        "written_to_settled": 2.46875,
        "settled_to_first_sound": 0.25,
    }
    assert {value for series, value in samples.items() if series.startswith(f"{STAGES}_count")} == {1.0}
    assert samples[f"{COMMANDS}_sum"] == 2.5
    assert samples[f"{COMMANDS}_count"] == 1.0


def test_a_typed_command_is_timed_only_where_it_was() -> None:
    metrics = Metrics()
    spoken(metrics, (CommandQueued("c1", "text", SECRET), 50.0), (CommandSettled("c1", REPLY), 50.25))
    samples = page(metrics)

    assert samples[f"{COMMANDS}_sum"] == 0.25
    assert {value for series, value in samples.items() if series.startswith(f"{STAGES}_count")} == {0.0}


def test_a_take_that_becomes_no_command_still_tells_how_fast_the_microphone_opened() -> None:
    metrics = Metrics()
    spoken(metrics, *WHOLE_RUN[:3], (TakeEmpty("t1", "no_speech"), 102.2))

    assert page(metrics)[f'{STAGES}_count{{stage="key_to_first_sample"}}'] == 1.0
    assert page(metrics)[f'{STAGES}_count{{stage="release_to_recognised"}}'] == 0.0


def test_an_answer_that_overtakes_the_record_of_the_write_took_no_time() -> None:
    metrics = Metrics()
    spoken(
        metrics,
        (CommandQueued("c1", "text", SECRET), 50.0),
        (CommandSettled("c1", REPLY), 50.25),
        (CommandWritten("c1", SECRET), 50.5),
    )
    samples = page(metrics)

    for stage in ("written_to_first_frame", "written_to_settled"):
        assert samples[f'{STAGES}_count{{stage="{stage}"}}'] == 1.0
        assert samples[f'{STAGES}_sum{{stage="{stage}"}}'] == 0.0
    assert samples[f'{STAGES}_sum{{stage="committed_to_written"}}'] == 0.5


def test_a_command_that_is_settled_twice_is_timed_once() -> None:
    metrics = Metrics()
    spoken(metrics, *WHOLE_RUN, (CommandWritten("c1", SECRET), 900.0), (CommandSettled("c1", REPLY), 901.0))

    assert page(metrics)[f"{COMMANDS}_count"] == 1.0
    assert page(metrics)[f"{COMMANDS}_sum"] == 2.5


@pytest.mark.parametrize(
    ("seconds", "bound"),
    [(0.0, "0.001"), (0.001, "0.001"), (0.0011, "0.0025"), (1.0, "1.0"), (119.0, "120.0"), (120.5, "+Inf")],
)
def test_a_duration_falls_into_the_first_bucket_that_holds_it(seconds: float, bound: str) -> None:
    metrics = Metrics()
    metrics.stage_reached("settled", {"committed": 0.0, "settled": seconds})
    buckets = {
        match[1]: value
        for series, value in page(metrics).items()
        if (match := re.fullmatch(COMMANDS + r'_bucket\{le="(.+)"\}', series))
    }
    bounds = sorted(buckets, key=float)

    assert next(le for le in bounds if buckets[le]) == bound
    assert [buckets[le] for le in bounds] == sorted(buckets.values())
    assert buckets["+Inf"] == page(metrics)[f"{COMMANDS}_count"] == 1.0


def test_bounds_run_from_a_millisecond_to_two_minutes() -> None:
    bounds = {
        float(match[1])
        for series in page(Metrics())
        if (match := re.fullmatch(COMMANDS + r'_bucket\{le="(.+)"\}', series))
    }

    assert min(bounds) == 0.001
    assert sorted(bounds)[-2:] == [120.0, float("inf")]


# --- gauges -------------------------------------------------------------------------------------------------


def test_gauges_say_what_is_so_now() -> None:
    now = Gauges("waiting", {State.QUEUED: 3, State.UNCERTAIN: 1}, 2, 16, 12.5, 0.75)
    samples = page(Metrics(), now)

    assert {
        series: value
        for series, value in samples.items()
        if value and not series.startswith((STAGES, COMMANDS))
    } == {
        "omniid_up": 1.0,
        f'omniid_build_info{{version="{omniid.__version__}"}}': 1.0,
        "omniid_uptime_seconds": 12.5,
        'omniid_outbox_commands{state="queued"}': 3.0,
        'omniid_outbox_commands{state="uncertain"}': 1.0,
        "omniid_in_flight_commands": 2.0,
        "omniid_window_commands": 16.0,
        'omniid_link_state{state="waiting"}': 1.0,
        "omniid_last_frame_age_seconds": 0.75,
    }
    assert {f'omniid_outbox_commands{{state="{state}"}}' for state in State} <= set(samples)


@pytest.mark.parametrize("link", get_args(LinkState))
def test_the_link_is_in_one_state(link: LinkState) -> None:
    samples = page(Metrics(), replace(NOW, link=link))

    assert {series: value for series, value in samples.items() if "link_state" in series} == {
        f'omniid_link_state{{state="{state}"}}': float(state == link) for state in get_args(LinkState)
    }


def test_the_age_of_a_frame_that_never_came_is_absent() -> None:
    assert "omniid_last_frame_age_seconds" not in page(Metrics(), replace(NOW, last_frame_age_s=None))
    assert page(Metrics(), replace(NOW, last_frame_age_s=0.0))["omniid_last_frame_age_seconds"] == 0.0


# --- the page -----------------------------------------------------------------------------------------------


def complaints(text: str) -> list[str]:
    """What `promtool check metrics` would find, by the naming rules of prometheus.io."""
    words = dict(re.findall(r"^# HELP (\S+) (.+)$", text, re.MULTILINE))
    kinds = re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE)
    labels = set(re.findall(r'[{,](\w+)="', text))
    found = [f"{name}: no label name" for name in labels if not re.fullmatch(r"[a-z]+(_[a-z]+)*", name)]
    for name, kind in kinds:
        found += [f"{name}: {problem}" for problem in _complaints_about(name, kind, words)]
    return found


def _complaints_about(name: str, kind: str, words: Mapping[str, str]) -> Iterable[str]:
    parts = name.split("_")
    if not re.fullmatch(r"omniid(_[a-z]+)+", name):
        yield "not omniid_ and lower-case words"
    if not words.get(name, "").endswith("."):
        yield "its help is no sentence"
    if kind not in {"counter", "gauge", "histogram"}:
        yield f"{kind} is no type"
    if (kind == "counter") != (parts[-1] == "total"):
        yield "counters, and only they, end in _total"
    if kind == "histogram" and parts[-1] not in {"seconds", "bytes"}:
        yield "a histogram ends in its base unit"
    if {"duration", "age", "uptime"} & set(parts) and parts[-1] != "seconds":
        yield "a time is in seconds"
    if {"counter", "gauge", "histogram"} & set(parts):
        yield "a type in a name"
    if parts[-1] in {"count", "sum", "bucket"}:
        yield "a reserved ending"
    if {"ms", "s", "milliseconds", "minutes", "kilobytes", "mb"} & set(parts):
        yield "no base unit"


def test_names_keep_to_the_conventions() -> None:
    text = Metrics().render(replace(NOW, last_frame_age_s=1.0)).decode()

    assert complaints(text) == []
    assert len(re.findall(r"^# TYPE ", text, re.MULTILINE)) == 24


@pytest.mark.parametrize(
    ("declared", "complaint"),
    [
        ("omniid_dials counter", "counters, and only they, end in _total"),
        ("omniid_up_total gauge", "counters, and only they, end in _total"),
        ("omniid_command_length histogram", "a histogram ends in its base unit"),
        ("omniid_last_frame_age gauge", "a time is in seconds"),
        ("omniid_wait_ms gauge", "no base unit"),
        ("omniid_Dials_total counter", "not omniid_ and lower-case words"),
        ("dials_total counter", "not omniid_ and lower-case words"),
        ("omniid_dials_counter_total counter", "a type in a name"),
        ("omniid_dials_count gauge", "a reserved ending"),
        ("omniid_dials summary", "summary is no type"),
    ],
)
def test_the_conventions_find_a_bad_name(declared: str, complaint: str) -> None:
    name, _ = declared.split()

    assert complaints(f"# HELP {name} Words.\n# TYPE {declared}\n{name} 1.0\n") == [f"{name}: {complaint}"]


def test_the_conventions_find_missing_words_and_a_bad_label() -> None:
    assert complaints('# TYPE omniid_up gauge\nomniid_up{Link="a"} 1.0\n') == [
        "Link: no label name",
        "omniid_up: its help is no sentence",
    ]


def test_the_content_type_is_the_librarys_for_this_text() -> None:
    encoder, content_type = choose_encoder("")

    assert content_type == CONTENT_TYPE
    assert encoder.__name__ == "generate_latest"


def test_no_word_and_no_id_gets_onto_the_page() -> None:
    metrics = Metrics()
    events = [*(event for event, _ in MOVES), *UNCOUNTED, *(event for event, _ in WHOLE_RUN)]
    for event in events:
        metrics.observe(event)
    spoken(metrics, *((event, float(number)) for number, event in enumerate(events)))
    text = metrics.render(NOW).decode()

    assert SECRET in repr(events)
    assert SECRET not in text
    assert re.findall(r'"[cqstu]1"', text) == []


def test_memory_stays_bounded_when_no_command_ever_settles() -> None:
    metrics = Metrics()
    timelines = Timelines(metrics.stage_reached)

    def live(first: int, last: int) -> None:
        for number in range(first, last):
            events = (
                CommandQueued(f"c{number}", "text", SECRET),
                AttemptBegun(f"c{number}", "text"),
                CommandWritten(f"c{number}", SECRET),
            )
            for event in events:
                timelines.observe(event, float(number))
                metrics.observe(event)

    live(0, 1_000)
    length = len(metrics.render(NOW))
    tracemalloc.start()
    try:
        live(1_000, 101_000)
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    # Only the latest two hundred runs; one entry for each command would be many times as much.
    assert held_bytes < 300_000
    assert len(metrics.render(NOW)) < length + 1_000
    assert page(metrics)['omniid_commands_accepted_total{type="text"}'] == 101_000


def test_the_library_is_loaded_by_the_first_scrape_and_not_before() -> None:
    program = (
        "import sys; from omniid.metrics import Gauges, Metrics; metrics = Metrics(); "
        "print('prometheus_client' in sys.modules); "
        "metrics.render(Gauges('ready', {}, 0, 1, 1.0, None)); "
        "print('prometheus_client' in sys.modules)"
    )
    child = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )

    assert child.stdout.split() == ["False", "True"]


def test_what_goes_through_the_reactor_is_counted_and_timed() -> None:
    metrics = Metrics()

    async def perform(effect: Effect) -> list[Event]:
        match effect:
            case Enqueue(take_id=take_id, text=text):
                return [CommandQueued("c1", "voice", text, take_id), AttemptBegun("c1", "voice")]
            case Move(command_id=command_id, to=state):
                return [CommandMoved(command_id, state)]
            case _:
                return []

    async def run() -> None:
        reactor = Reactor(
            Assistant(AssistantSettings("never", 300.0)), Timelines(metrics.stage_reached), EventHub(), at
        )
        for event in (
            KeyPressed("key", "t1"),
            recognised("t1"),
            CommandWritten("c1", "{}"),
            CommandSettled("c1", REPLY),
        ):
            reactor.post_nowait(event)
        reactor.stop()
        with reactor.observing(metrics.observe):
            async with asyncio.timeout(30):
                await reactor.run(perform)

    asyncio.run(run())
    samples = page(metrics)

    assert {series for series, value in samples.items() if series.startswith(ENTRIES) and value == 1.0} == {
        f'{ENTRIES}{{state="{state}"}}' for state in ("queued", "sending", "waiting", "done")
    }
    assert samples['omniid_takes_total{outcome="recognised"}'] == 1.0
    assert samples[f"{COMMANDS}_count"] == 1.0
    assert samples[f'{STAGES}_count{{stage="written_to_settled"}}'] == 1.0
