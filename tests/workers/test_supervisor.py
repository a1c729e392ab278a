from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path

import pytest

from omniid.errors import WorkerError
from omniid.workers.channel import VERSION, ConfigureMouth, Message, Say, SpeechFinished, WorkerReady
from omniid.workers.supervisor import FD, Service, ServiceReady, Worker, WorkerLost, restart_delay

CHILD = Path(__file__).with_name("child.py")
DEADLINE_S = 60.0


def run(test: Coroutine[None, None, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(DEADLINE_S):
            await test

    asyncio.run(bounded())


class Bench:
    """A worker with its reports in a queue and its log in a list."""

    def __init__(
        self, behaviour: str = "good", *, ready_within_s: float = 20.0, quiet_s: float | None = None
    ) -> None:
        self.reports: asyncio.Queue[Message | WorkerLost] = asyncio.Queue()
        self.printed: list[tuple[str, str]] = []
        self.voice = "first"
        self.worker = Worker(
            "the mouth",
            [sys.executable, str(CHILD), behaviour, "--channel-fd", FD],
            configure=self._configure,
            on_message=self.reports.put_nowait,
            log=lambda stream, line: self.printed.append((stream, line)),
            ready_within_s=ready_within_s,
            quiet_s=quiet_s,
        )

    def _configure(self) -> ConfigureMouth:
        return ConfigureMouth("pyttsx3", self.voice, 180, 1.0, None, None)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Worker]:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.worker.run())
            yield self.worker
            await self.worker.stop()

    async def lost(self) -> WorkerLost:
        while True:
            report = await self.reports.get()
            if isinstance(report, WorkerLost):
                return report

    async def answered(self, utterance_id: str = "configured") -> str:
        while True:
            report = await self.reports.get()
            assert not isinstance(report, WorkerLost), report
            if isinstance(report, SpeechFinished) and report.utterance_id == utterance_id:
                return report.cause


def is_gone(pid: int) -> bool:
    """Neither running nor a zombie of ours."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - the kernel sets no event
        await asyncio.sleep(0.01)


def open_descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def has_ended(pid: int) -> bool:
    """Gone, or dead and not yet reaped by whoever has adopted it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def zombies() -> list[str]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            if state == "Z" and int(parent) == os.getpid():
                found.append(folder.name)
    return found


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 1), (1, 1), (2, 2), (3, 4), (5, 16), (6, 30), (50, 30), (10**6, 30)]
)
def test_restarts_come_later_and_later_but_never_later_than_30_s(failures: int, seconds: float) -> None:
    assert restart_delay(failures) == seconds


def test_configures_first_and_then_carries_messages_both_ways() -> None:
    async def test() -> None:
        bench = Bench()
        async with bench.running() as worker:
            worker.send(Say("1", "held until it is ready"))
            ready = await bench.reports.get()
            assert isinstance(ready, WorkerReady)
            assert ready.pid == worker.pid
            assert worker.state == "ready"
            assert await bench.reports.get() == SpeechFinished("configured", "first")
            assert await bench.answered("1") == "held until it is ready"
            worker.send(Say("2", "sent at once “ünïcode”\n"))
            assert await bench.answered("2") == "sent at once “ünïcode”\n"
        assert str(worker.state) == "stopped"
        assert is_gone(ready.pid)

    run(test())


def test_an_async_handler_is_awaited_and_what_it_raises_comes_out_of_run() -> None:
    async def test() -> None:
        bench = Bench()
        pids = []

        async def handler(report: Message | WorkerLost) -> None:
            await asyncio.sleep(0)
            if isinstance(report, WorkerReady):
                pids.append(report.pid)
                raise LookupError("a mistake in the handler")  # noqa: TRY004 - nothing is wrong with a type

        bench.worker._on_message = handler
        with pytest.raises(ExceptionGroup) as raised:
            await bench.worker.run()
        assert raised.group_contains(LookupError)
        assert is_gone(pids[0])
        assert bench.worker.state == "stopped"

    run(test())


@pytest.mark.parametrize(
    ("request_text", "reason", "says"),
    [
        ("crash", "crashed", "The mouth was ended by SIGSEGV."),
        ("exit 7", "crashed", "The mouth exited with status 7."),
        ("junk", "broke_protocol", "protocol"),
        ("endless", "broke_protocol", "protocol"),
        ("reversed", "broke_protocol", "Say is not for the mouth to say"),
        ("hangup", "broke_protocol", "closed its channel"),
        ("hang", "hung", "did not answer within 0.5 s"),
    ],
)
def test_a_child_that_fails_in_mid_request_is_reported_and_replaced(
    request_text: str, reason: str, says: str
) -> None:
    async def test() -> None:
        bench = Bench()
        async with bench.running() as worker:
            await bench.answered()
            first = worker.pid
            worker.send(Say("1", request_text))
            if request_text == "hang":
                worker.expect("1", 0.5)
            lost = await bench.lost()
            assert lost.reason == reason
            assert says in lost.message
            assert first is not None
            assert is_gone(first)
            await bench.answered()
            assert worker.pid != first
            assert worker.starts == 2
        assert zombies() == []

    run(test())


def test_last_words_are_heard_before_the_loss_is_reported() -> None:
    async def test() -> None:
        bench = Bench()
        async with bench.running() as worker:
            await bench.answered()
            worker.send(Say("1", "exit 0"))
            assert await bench.reports.get() == SpeechFinished("1", "last words")
            assert await bench.reports.get() == WorkerLost("crashed", "The mouth exited with status 0.")

    run(test())


def test_kill_9_from_outside_in_mid_request() -> None:
    async def test() -> None:
        bench = Bench()
        async with bench.running() as worker:
            await bench.answered()
            worker.send(Say("1", "hang"))
            worker.expect("1", 30.0)
            assert worker.pid is not None
            os.kill(worker.pid, signal.SIGKILL)
            assert await bench.lost() == WorkerLost("crashed", "The mouth was ended by SIGKILL.")
            await bench.answered()
            worker.send(Say("2", "alive"))
            assert await bench.answered("2") == "alive"

    run(test())


def test_done_in_time_disarms_the_deadline_and_busy_has_none() -> None:
    async def test() -> None:
        bench = Bench()
        async with bench.running() as worker:
            await bench.answered()
            worker.expect("late", 0.2)
            worker.expect("late", None)
            worker.expect("in time", 0.2)
            worker.done("in time")
            worker.done("never heard of")
            await asyncio.sleep(0.5)
            worker.send(Say("1", "still the first"))
            assert await bench.answered("1") == "still the first"
            assert worker.starts == 1

    run(test())


def test_a_child_of_another_version_is_refused() -> None:
    async def test() -> None:
        bench = Bench("old")
        async with bench.running() as worker:
            lost = await bench.lost()
            assert lost.reason == "broke_protocol"
            assert f"version {VERSION + 1}, not {VERSION}" in lost.message
            assert worker.state == "starting"

    run(test())


def test_a_child_that_never_gets_ready_is_killed() -> None:
    async def test() -> None:
        bench = Bench("silent", ready_within_s=2.0)
        async with bench.running() as worker:
            pid = None
            while pid is None:
                pid = worker.pid
                await asyncio.sleep(0.01)
            assert await bench.lost() == WorkerLost("not_ready", "The mouth was not ready within 2 s.")
            assert is_gone(pid)
            assert ("stdout", "no end of line") in bench.printed

    run(test())


def test_exiting_at_once_makes_no_hot_loop() -> None:
    async def test() -> None:
        bench = Bench("exit_at_once")
        began = time.monotonic()
        async with bench.running() as worker:
            for _ in range(3):
                assert (await bench.lost()).message == "The mouth exited with status 0."
            took = time.monotonic() - began
            assert worker.starts == 3
            assert took >= restart_delay(1) + restart_delay(2)

    run(test())


def test_what_a_child_prints_before_it_fails_is_in_the_log() -> None:
    async def test() -> None:
        bench = Bench("exit_3")
        async with bench.running():
            assert (await bench.lost()).message == "The mouth exited with status 1."
            assert ("stderr", "it cannot start") in bench.printed

    run(test())


def test_a_flood_on_stdout_is_cut_and_counted_and_disturbs_nothing() -> None:
    async def test() -> None:
        bench = Bench("chatty")
        async with bench.running():
            await bench.answered()
        lines = [line for stream, line in bench.printed if stream == "stdout"]
        assert len(lines) < 1_000
        assert max(map(len, lines)) <= 2_000
        assert any("more lines were dropped" in line for line in lines)

    run(test())


def test_a_program_that_does_not_exist_is_reported_and_tried_again() -> None:
    async def test() -> None:
        bench = Bench()
        bench.worker._command = ["/nonexistent/omniid-ear"]
        async with bench.running() as worker:
            assert (await bench.lost()).reason == "could_not_start"
            assert (await bench.lost()).reason == "could_not_start"
            assert worker.starts == 2

    run(test())


def test_a_child_that_does_not_read_is_given_up_and_send_never_blocks() -> None:
    async def test() -> None:
        bench = Bench("deaf")
        async with bench.running() as worker:
            await bench.reports.get()
            began = time.monotonic()
            for number in range(8):
                worker.send(Say(str(number), "x" * 900_000))
            assert time.monotonic() - began < 5.0
            lost = await bench.lost()
            assert lost.reason == "hung"
            assert "does not read" in lost.message

    run(test())


def test_messages_for_a_child_that_never_comes_are_bounded() -> None:
    async def test() -> None:
        bench = Bench("silent")
        async with bench.running() as worker:
            for number in range(64):
                worker.send(Say(str(number), "hello"))
            with pytest.raises(WorkerError, match="does not start") as raised:
                worker.send(Say("65", "hello"))
            assert raised.value.code == "worker_not_ready"

    run(test())


def test_replace_gives_a_fresh_process_with_the_new_configuration() -> None:
    async def test() -> None:
        bench = Bench()
        async with bench.running() as worker:
            assert await bench.answered() == "first"
            first = worker.pid
            bench.voice = "second"
            worker.replace()
            worker.send(Say("1", "for the next one"))
            assert await bench.answered() == "second"
            assert await bench.answered("1") == "for the next one"
            assert worker.pid != first

    run(test())


def test_replacing_a_busy_child_says_that_its_requests_are_lost() -> None:
    async def test() -> None:
        bench = Bench()
        async with bench.running() as worker:
            await bench.answered()
            worker.expect("1", 30.0)
            worker.replace()
            assert (await bench.lost()).reason == "replaced"
            await bench.answered()

    run(test())


def test_on_demand_rests_until_wanted_and_again_when_quiet() -> None:
    async def test() -> None:
        bench = Bench(quiet_s=0.4)
        async with bench.running() as worker:
            await asyncio.sleep(0.1)
            assert (worker.state, worker.starts, worker.pid) == ("resting", 0, None)
            worker.send(Say("1", "hello"))
            assert await bench.answered("1") == "hello"
            pid = worker.pid
            assert pid is not None
            await until(lambda: is_gone(pid))
            assert worker.state == "resting"
            worker.wake()
            await bench.answered()
            assert worker.starts == 2
            assert bench.reports.empty()

    run(test())


def test_on_demand_is_not_taken_for_quiet_while_it_is_busy() -> None:
    async def test() -> None:
        bench = Bench(quiet_s=0.2)
        async with bench.running() as worker:
            worker.expect("speaking", None)
            await bench.answered()
            await asyncio.sleep(0.8)
            assert worker.state == "ready"
            pid = worker.pid
            worker.done("speaking")
            assert pid is not None
            await until(lambda: is_gone(pid))

    run(test())


def test_on_demand_is_not_restarted_after_a_crash_until_it_is_wanted() -> None:
    async def test() -> None:
        bench = Bench(quiet_s=30.0)
        async with bench.running() as worker:
            worker.send(Say("1", "crash"))
            await bench.lost()
            assert worker.state == "resting"
            worker.send(Say("2", "again"))
            assert await bench.answered("2") == "again"
            assert worker.starts == 2

    run(test())


def test_a_deadline_missed_while_no_child_can_start_is_reported() -> None:
    async def test() -> None:
        bench = Bench("exit_at_once", quiet_s=30.0)
        async with bench.running() as worker:
            for _ in range(2):
                worker.wake()
                await bench.lost()
            worker.expect("1", 0.2)  # the next start is two seconds away
            assert (await bench.lost()).reason == "hung"
            assert worker.starts == 2

    run(test())


def test_a_child_that_ignores_the_end_of_the_channel_is_killed_after_its_grace() -> None:
    async def test() -> None:
        bench = Bench("ignores_eof")
        async with bench.running() as worker:
            await bench.answered()
            pid = worker.pid
            began = time.monotonic()
            await worker.stop()
            assert 0.9 <= time.monotonic() - began < 10.0
            assert pid is not None
            assert is_gone(pid)

    run(test())


def test_what_a_child_has_started_ends_with_it() -> None:
    async def test() -> None:
        bench = Bench()
        async with bench.running() as worker:
            await bench.answered()
            worker.send(Say("1", "fork"))
            grandchild = int(await bench.answered("1"))
        await until(lambda: has_ended(grandchild))

    run(test())


@pytest.mark.parametrize("delay_s", [0.0, 0.01, 0.05, 0.1, 0.3, 1.0])
def test_cancelling_run_at_any_moment_leaves_no_child(delay_s: float) -> None:
    async def test() -> None:
        bench = Bench()
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(bench.worker.run())
            await asyncio.sleep(delay_s)
            running.cancel()
        assert bench.worker.pid is None
        assert bench.worker.state == "stopped"
        assert zombies() == []

    run(test())


def test_stop_is_fine_before_during_and_after_run() -> None:
    async def test() -> None:
        bench = Bench()
        await bench.worker.stop()
        await bench.worker.run()
        assert bench.worker.starts == 0
        for moment in (0.0, 0.02, 0.2):
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(bench.worker.run())
                await asyncio.sleep(moment)
                await asyncio.gather(bench.worker.stop(), bench.worker.stop())
        assert zombies() == []

    run(test())


def test_thirty_lives_leak_no_descriptor_and_no_zombie() -> None:
    async def test() -> None:
        async def life() -> None:
            bench = Bench()
            async with bench.running():
                await bench.answered()

        await life()
        before = open_descriptors()
        for _ in range(30):
            await life()
        assert open_descriptors() <= before  # an earlier test may let go of one just now
        assert zombies() == []

    run(test())


def test_the_environment_of_a_child_has_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIID_TOKEN", "made up")
    monkeypatch.setenv("LANG", "C.UTF-8")
    env = Bench().worker._child_env()
    assert env["LANG"] == "C.UTF-8"
    assert not any(name.startswith("OMNIID_") for name in env)


SERVICE = """
import json, os, sys, time
print("loading", flush=True)
print("a warning", file=sys.stderr, flush=True)
print(json.dumps({"socket": sys.argv[1]}), flush=True)
print("serving", flush=True)
os.read(int(sys.argv[2]), 1)
"""


def test_a_service_is_ready_when_it_says_so_and_goes_when_its_lifeline_ends() -> None:
    async def test() -> None:
        reports: asyncio.Queue[ServiceReady | WorkerLost] = asyncio.Queue()
        printed = []
        service = Service(
            "the backend",
            [sys.executable, "-c", SERVICE, "/run/x.sock", FD],
            on_change=reports.put_nowait,
            log=lambda stream, line: printed.append((stream, line)),
            grace_s=30.0,
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(service.run())
            assert await reports.get() == ServiceReady({"socket": "/run/x.sock"})
            assert service.state == "ready"
            assert service.pid is not None
            os.kill(service.pid, signal.SIGTERM)
            assert await reports.get() == WorkerLost("crashed", "The backend was ended by SIGTERM.")
            assert await reports.get() == ServiceReady({"socket": "/run/x.sock"})
            began = time.monotonic()
            await service.stop()
            assert time.monotonic() - began < 20.0
        assert ("stdout", "loading") in printed
        assert ("stderr", "a warning") in printed
        assert ("stdout", "serving") in printed
        assert zombies() == []

    run(test())


def test_a_service_that_ends_before_it_is_ready_is_reported() -> None:
    async def test() -> None:
        reports: asyncio.Queue[ServiceReady | WorkerLost] = asyncio.Queue()
        service = Service(
            "the backend",
            [sys.executable, "-c", "raise SystemExit(4)"],
            on_change=reports.put_nowait,
            log=lambda _stream, _line: None,
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(service.run())
            assert await reports.get() == WorkerLost("crashed", "The backend exited with status 4.")
            await service.stop()

    run(test())
