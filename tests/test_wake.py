"""Wake-ups for real: logind on its own bus, a network namespace, a stopped process, a shifted clock."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from omniid import wake
from omniid.wake import Change, NetworkMeter, Pace, Reading, Reason, SleepMeter, changes, watch

WITHIN_S = 60.0
# No clock of this process may tell of a slow machine while another source is tested.
QUIET = Pace(tick_s=3600, burst_s=0.05, retry_s=0.1)
SKIPPED = "not listening for wake-ups"
LOST = "lost a source of wake-ups"
LISTENING = "listening for wake-ups"

# --- the clocks ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("passed", "woke"),
    [
        pytest.param(Reading(5.0, 5.0), False, id="an ordinary tick"),
        pytest.param(Reading(5.0, 6.9), False, id="a wall clock set right by less than two seconds"),
        pytest.param(Reading(5.0, 7.1), True, id="a sleep of two seconds"),
        pytest.param(Reading(5.0, 28_805.0), True, id="a night"),
        pytest.param(Reading(5.0, -3_600.0), False, id="a wall clock set back an hour"),
        pytest.param(Reading(14.9, 14.9), False, id="a late tick of a busy machine"),
        pytest.param(Reading(15.1, 15.1), True, id="a process that was stopped"),
    ],
)
def test_a_resume_is_told_from_two_readings(passed: Reading, woke: bool) -> None:
    meter = SleepMeter(Reading(100.0, 9_000.0), slept_s=2.0, frozen_s=15.0)

    assert meter.woke(Reading(100.0 + passed.awake_s, 9_000.0 + passed.all_s)) is woke


def test_one_sleep_is_told_once() -> None:
    meter = SleepMeter(Reading(0.0, 0.0), slept_s=2.0, frozen_s=15.0)
    readings = [(5, 5), (10, 70), (15, 75), (20, 80), (25, 85), (30, 95)]

    woke = [meter.woke(Reading(*reading)) for reading in readings]

    assert woke == [False, True, False, False, False, True]


def test_small_drifts_do_not_add_up_to_a_sleep() -> None:
    meter = SleepMeter(Reading(0.0, 0.0), slept_s=2.0, frozen_s=15.0)

    assert not any(meter.woke(Reading(5.0 * tick, 6.0 * tick)) for tick in range(1, 100))


def test_linux_reads_the_clock_that_counts_sleep() -> None:
    before = time.clock_gettime(time.CLOCK_BOOTTIME)

    assert before <= wake.read_clocks().all_s <= time.clock_gettime(time.CLOCK_BOOTTIME)


def test_elsewhere_the_wall_clock_counts_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wake, "sys", SimpleNamespace(platform="darwin"))
    before = time.time()

    assert before <= wake.read_clocks().all_s <= time.time()


# --- what rtnetlink says ------------------------------------------------------------------------------------

# Captured from a kernel. The messages about links are cut after the name: they had 1.5 kB of attributes.
LINK_RUNS = "2c00000010000000000000000000000000000100030000004310010000000000070003007630000000000000"
LINK_IS_DOWN = "2c00000010000000000000000000000000000100030000000210000001000000070003007630000000000000"
LINK_WITHOUT_CARRIER = "28000000100000000000000000000000000001000300000003100000010000000700030076300000"
LINK_GONE = "28000000110000000000000000000000000001000300000002100000ffffffff0700030076300000"
ADDRESS = (
    "4c00000014000000977f086be1190000021880000300000008000100c000020708000200c0000207"
    "070003007630000008000800800000001400"
    "0600ffffffffffffffff2501030025010300"
)
ADDRESS_GONE = (
    "4c000000150000009c7f086b121a0000021880000300000008000100c000020708000200c0000207"
    "070003007630000008000800800000001400"
    "0600ffffffffffffffff2501030025010300"
)
TENTATIVE = (
    "480000001400000000000000000000000a40c000030000001400010020010db8000000000000000000000007"
    "14000600ffffffffffffffff62010300620103000800"
    "0800c0000000"
)
NO_LONGER_TENTATIVE = (
    "480000001400000000000000000000000a408000030000001400010020010db8000000000000000000000007"
    "14000600ffffffffffffffff62010300620103000800"
    "080080000000"
)
OWN_ADDRESS_AS_ROUTE = (
    "3c00000018000006000000000000000002200000ff02fe020000000008000f00ff000000"
    "08000100c000020708000700c00002070800040003000000"
)
BROADCAST_ROUTE = (
    "3c00000018000006000000000000000002200000ff02fd030000000008000f00ff000000"
    "08000100c00002ff08000700c00002070800040003000000"
)
BLACKHOLE = "2c000000180000069b7f086b0e1a000002180000fe0300060000000008000f00fe00000008000100c6336400"
DEFAULT_ROUTE = (
    "3400000018000006977f086beb19000002000000fe0300010000000008000f00fe00000008000500c00002010800040003000000"
)
DEFAULT_ROUTE_GONE = (
    "34000000190000009c7f086b101a000002000000fe0300010000000008000f00fe00000008000500c00002010800040003000000"
)
NEWS = (LINK_RUNS, ADDRESS, NO_LONGER_TENTATIVE, DEFAULT_ROUTE)
LOSSES = (LINK_IS_DOWN, LINK_WITHOUT_CARRIER, LINK_GONE, ADDRESS_GONE, DEFAULT_ROUTE_GONE)
NEITHER = (TENTATIVE, OWN_ADDRESS_AS_ROUTE, BROADCAST_ROUTE, BLACKHOLE)


@pytest.mark.parametrize("message", NEWS)
def test_what_is_there_is_understood(message: str) -> None:
    (change,) = changes(bytes.fromhex(message))

    assert change.is_there
    assert change.what


@pytest.mark.parametrize("message", LOSSES)
def test_what_went_away_is_understood(message: str) -> None:
    assert changes(bytes.fromhex(message)) == [Change(is_there=False)]


@pytest.mark.parametrize("message", NEITHER)
def test_what_makes_no_network_is_left_out(message: str) -> None:
    assert changes(bytes.fromhex(message)) == []


def test_a_datagram_may_hold_several_messages() -> None:
    found = changes(bytes.fromhex(ADDRESS + BLACKHOLE + ADDRESS_GONE + DEFAULT_ROUTE))

    assert [change.is_there for change in found] == [True, False, True]


def test_what_is_there_has_a_name_of_its_own() -> None:
    assert len({changes(bytes.fromhex(message))[0].what for message in NEWS}) == len(NEWS)


@pytest.mark.parametrize("message", NEWS + LOSSES + NEITHER)
def test_a_message_cut_short_is_ignored(message: str) -> None:
    whole = bytes.fromhex(message)

    assert [changes(whole[:length]) for length in range(len(whole))] == [[]] * len(whole)


@pytest.mark.parametrize(
    "message",
    [
        pytest.param("0000000014000000" + "00" * 8, id="a length of zero"),
        pytest.param("0f00000014000000" + "00" * 8, id="a length below the header's"),
        pytest.param("ffffffff14000000" + "00" * 8, id="a length beyond the datagram"),
        pytest.param("1000000014000000" + "00" * 8, id="an address without a body"),
        pytest.param("1400000018000000" + "00" * 12, id="a route with half a body"),
        pytest.param("14000000020000000000000000000000edffffff", id="an error"),
        pytest.param("1400000003000000000000000000000000000000", id="the end of a dump"),
    ],
)
def test_a_malformed_or_foreign_message_is_ignored(message: str) -> None:
    assert changes(bytes.fromhex(message)) == []


def test_attributes_with_impossible_lengths_end_the_reading_of_attributes_only() -> None:
    address = bytearray.fromhex(ADDRESS)
    address[24:26] = b"\0\0"

    assert changes(bytes(address) + bytes.fromhex(ADDRESS_GONE))[1:] == [Change(is_there=False)]


@given(st.binary(max_size=200), st.sampled_from(NEWS + LOSSES), st.integers(0, 75))
def test_no_bytes_can_break_the_reading(noise: bytes, message: str, at: int) -> None:
    whole = bytes.fromhex(message)

    assert isinstance(changes(noise), list)
    assert len(changes(whole[:at] + noise + whole[at:])) <= len(noise + whole) // 16


def came_up(meter: NetworkMeter, *messages: str) -> list[bool]:
    return [meter.came_up(bytes.fromhex(message)) for message in messages]


def test_what_is_announced_again_is_no_news() -> None:
    renewed = ADDRESS.replace("2501030025010300", "9901030099010300")  # the time stamps of a renewed lifetime

    assert came_up(NetworkMeter(), ADDRESS, LINK_RUNS, renewed, LINK_RUNS, DEFAULT_ROUTE, DEFAULT_ROUTE) == [
        True,
        True,
        False,
        False,
        True,
        False,
    ]


@pytest.mark.parametrize("loss", LOSSES)
def test_after_a_loss_all_is_news_again(loss: str) -> None:
    assert came_up(NetworkMeter(), ADDRESS, loss, ADDRESS) == [True, False, True]


def test_an_ipv6_address_is_news_when_it_can_be_used() -> None:
    assert came_up(NetworkMeter(), TENTATIVE, NO_LONGER_TENTATIVE) == [False, True]


def test_after_missed_messages_all_is_news_again() -> None:
    meter = NetworkMeter()
    meter.came_up(bytes.fromhex(ADDRESS))
    meter.missed_some()

    assert came_up(meter, ADDRESS) == [True]


def test_a_router_of_the_internet_does_not_fill_the_memory() -> None:
    meter = NetworkMeter()
    for number in range(3_000):
        route = bytearray.fromhex(DEFAULT_ROUTE)
        route[40:44] = number.to_bytes(4, "big")
        assert meter.came_up(bytes(route))
        assert len(meter._known) <= 1_000


# --- watching in this process -------------------------------------------------------------------------------


class Watched:
    """What `watch` told and logged."""

    def __init__(self, lines: list[Any]) -> None:
        self.told: list[Reason] = []
        self.lines = lines

    def count(self, event: str, **fields: Any) -> int:
        return len(self.of(event, **fields))

    def of(self, event: str, **fields: Any) -> list[Any]:
        wanted = {"event": event, **fields}
        return [line for line in self.lines if wanted.items() <= line.items()]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not condition():  # noqa: ASYNC110 lines of a log have no event
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def watching(pace: Pace = QUIET) -> AsyncIterator[Watched]:
    with capture_logs() as lines:
        watched = Watched(lines)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(watch(watched.told.append, pace))
            yield watched
            assert not task.done()
            task.cancel()
        assert task.cancelled()


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(2 * WITHIN_S):
            await work()
            assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(bounded())


def open_sockets() -> set[str]:
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            target = str(entry.readlink())
            if target.startswith("socket:"):
                found.add(target)
    return found


def without_a_system_bus(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={folder / 'no-bus'}")


@pytest.mark.parametrize(
    "address",
    ["unix:path=/nonexistent/bus", "unix:path=/etc/passwd", "nonsense", "carrier-pigeon:loft=1", "unix:"],
)
def test_without_a_system_bus_one_line_says_so_and_the_others_go_on(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
    each_tick_is_a_resume = dataclasses.replace(QUIET, tick_s=0.01, frozen_s=0.0, retry_s=0.01)

    async def work() -> None:
        async with watching(each_tick_is_a_resume) as watched:
            await watched.until(lambda: watched.count(SKIPPED) == 1)
            before = watched.told.count("resume")
            await watched.until(lambda: watched.told.count("resume") > before + 5)
            await watched.until(lambda: watched.count(LISTENING, source="rtnetlink") == 1)
            (line,) = watched.of(SKIPPED)
            assert line["source"] == "logind"
            assert line["log_level"] == "info"
            assert line["why"].startswith("no system bus: ")

    run(work)


def test_without_the_library_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dbus_fast", None)

    async def work() -> None:
        async with watching() as watched:
            await watched.until(lambda: watched.count(SKIPPED, source="logind") == 1)
            assert watched.of(SKIPPED)[0]["why"] == "the library dbus-fast is not installed"

    run(work)


def test_without_rtnetlink_one_line_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without_a_system_bus(monkeypatch, tmp_path)
    monkeypatch.setattr(socket, "NETLINK_ROUTE", 31)  # the kernel has no such family
    before = open_sockets()

    async def work() -> None:
        async with watching() as watched:
            await watched.until(lambda: watched.count(SKIPPED, source="rtnetlink") == 1)

    run(work)
    assert open_sockets() == before


def test_no_other_system_is_asked_for_rtnetlink(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without_a_system_bus(monkeypatch, tmp_path)
    monkeypatch.setattr(wake, "sys", SimpleNamespace(platform="darwin"))

    async def work() -> None:
        async with watching() as watched:
            await watched.until(lambda: watched.count(SKIPPED, source="rtnetlink") == 1)
            assert watched.of(SKIPPED, source="rtnetlink")[0]["why"] == "only Linux has rtnetlink"

    run(work)


def test_a_socket_that_breaks_is_lost_and_not_read_again() -> None:
    told: list[str] = []

    async def work() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
            closed.bind(("127.0.0.1", 0))
            nobody = closed.getsockname()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.connect(nobody)
            sock.send(b"x")
            burst = wake._Burst(0.0, lambda: told.append("network"))
            with pytest.raises(wake._LostError, match="refused"):
                await wake._listen(sock, burst)
            assert not asyncio.get_running_loop().remove_reader(sock)

    run(work)
    assert told == []


def has_unread(sock: socket.socket) -> bool:
    try:
        return bool(sock.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may forge a message of the kernel's")
def test_another_process_cannot_tell_of_a_network() -> None:
    told: list[str] = []

    async def work() -> None:
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK
        async with asyncio.TaskGroup() as group:
            with (
                socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE) as sock,
                socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE) as forger,
            ):
                sock.bind((0, 0))
                burst = wake._Burst(0.0, lambda: told.append("network"))
                task = group.create_task(wake._listen(sock, burst))
                forger.sendto(bytes.fromhex(ADDRESS), sock.getsockname())
                while has_unread(sock):  # noqa: ASYNC110 a socket that is read has no event
                    await asyncio.sleep(0.01)
                assert burst._timer is None
                task.cancel()
                await asyncio.wait([task])

    run(work)
    assert told == []


def test_nothing_is_told_after_the_end() -> None:
    told: list[str] = []

    async def work() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            burst = wake._Burst(0.01, lambda: told.append("network"))
            async with asyncio.TaskGroup() as group:
                task = group.create_task(wake._listen(sock, burst))
                await asyncio.sleep(0)
                burst.happened()
                task.cancel()
            await asyncio.sleep(0.1)  # the loop's timers are in order: one left over would have rung before

    run(work)
    assert told == []


def test_the_module_loads_no_bus_library() -> None:
    script = "import sys, omniid.wake; sys.exit('dbus_fast' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", script], timeout=WITHIN_S, check=False).returncode == 0


# --- logind -------------------------------------------------------------------------------------------------

BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={socket}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>{more}
</policy></busconfig>"""
ANYTHING = '<allow own="*"/>'
NO_MATCH_RULES = '<deny send_interface="org.freedesktop.DBus" send_member="AddMatch"/>'
MANAGER = "org.freedesktop.login1.Manager"
LOGIND_PATH = "/org/freedesktop/login1"


def _why_no_logind() -> str | None:
    if shutil.which("dbus-daemon") is None:
        return "needs dbus-daemon (Debian: dbus-daemon)"
    has_mock = ["/usr/bin/python3", "-c", "import dbusmock"]
    if (
        not Path(has_mock[0]).exists()
        or subprocess.run(has_mock, capture_output=True, check=False).returncode
    ):
        return "needs a mock of logind (Debian: python3-dbusmock)"
    return None


needs_logind = pytest.mark.skipif(_why_no_logind() is not None, reason=str(_why_no_logind()))


class SystemBus:
    """A bus of our own, with python-dbusmock's logind on it when asked for."""

    def __init__(self, folder: Path) -> None:
        self._config = folder / "bus.conf"
        self._socket = folder / "bus.sock"
        self._processes: list[subprocess.Popen[bytes]] = []
        self.address = f"unix:path={self._socket}"

    async def start(self, policy: str = ANYTHING) -> None:
        self._config.write_text(BUS_CONFIG.format(socket=self._socket, more=policy))
        self._spawn("dbus-daemon", f"--config-file={self._config}", "--nofork", "--nopidfile")
        async with asyncio.timeout(WITHIN_S):
            while not self._accepts():
                assert self._processes[0].poll() is None
                await asyncio.sleep(0.01)

    def _accepts(self) -> bool:
        """Whether one can connect; the socket's file is there a moment earlier."""
        with socket.socket(socket.AF_UNIX) as sock:
            return sock.connect_ex(str(self._socket)) == 0

    async def start_logind(self) -> None:
        self._spawn("/usr/bin/python3", "-m", "dbusmock", "--system", "--template", "logind")
        async with self.client() as bus, asyncio.timeout(WITHIN_S):
            bus_itself = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")
            ask = (*bus_itself, "NameHasOwner", "s", ["org.freedesktop.login1"])
            while not (await call(bus, *ask)).body[0]:  # noqa: ASYNC110 nor has a name
                await asyncio.sleep(0.02)

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[MessageBus]:
        bus = await MessageBus(self.address).connect()
        try:
            yield bus
        finally:
            bus.disconnect()
            await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]

    async def prepare_for_sleep(self, *, before: bool) -> None:
        """Logind's signal: `before` the sleep, or after it."""
        async with self.client() as bus:
            mock = ("org.freedesktop.login1", LOGIND_PATH, "org.freedesktop.DBus.Mock", "EmitSignal")
            await call(bus, *mock, "sssav", [MANAGER, "PrepareForSleep", "b", [Variant("b", before)]])

    def signal(self, number: signal.Signals) -> None:
        """To the bus itself."""
        self._processes[0].send_signal(number)

    def kill(self) -> None:
        for process in reversed(self._processes):
            process.kill()
            process.wait(WITHIN_S)
        self._processes.clear()
        self._socket.unlink(missing_ok=True)

    def _spawn(self, *command: str) -> None:
        environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self.address}
        silent = subprocess.DEVNULL
        self._processes.append(subprocess.Popen(command, env=environment, stdout=silent, stderr=silent))


async def call(bus: MessageBus, *words: Any) -> Message:
    destination, path, interface, member, signature, body = words
    reply = await bus.call(Message(destination, path, interface, member, signature=signature, body=body))
    assert reply is not None
    assert reply.message_type is MessageType.METHOD_RETURN, reply.body
    return reply


@pytest.fixture
def system_bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SystemBus]:
    bus = SystemBus(tmp_path)
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
    yield bus
    bus.kill()


@needs_logind
def test_logind_tells_of_a_resume_and_not_of_the_sleep_before(system_bus: SystemBus) -> None:
    async def work() -> None:
        await system_bus.start()
        await system_bus.start_logind()
        async with watching() as watched:
            await watched.until(lambda: watched.count(LISTENING, source="logind") == 1)
            for _ in range(2):
                await system_bus.prepare_for_sleep(before=True)
                await system_bus.prepare_for_sleep(before=False)
            await watched.until(lambda: watched.told.count("resume") >= 2)
            assert watched.told.count("resume") == 2
            assert watched.of("logind is not running; its wake-ups will be heard once it is") == []

    run(work)


@needs_logind
def test_nobody_but_logind_tells_of_a_resume(system_bus: SystemBus) -> None:
    async def work() -> None:
        await system_bus.start()
        await system_bus.start_logind()
        async with watching() as watched, system_bus.client() as stranger:
            await watched.until(lambda: watched.count(LISTENING, source="logind") == 1)
            await stranger.send(Message.new_signal(LOGIND_PATH, MANAGER, "PrepareForSleep", "b", [False]))
            await system_bus.prepare_for_sleep(before=False)
            await watched.until(lambda: "resume" in watched.told)
            assert watched.told.count("resume") == 1

    run(work)


@needs_logind
def test_a_logind_that_comes_later_is_heard(system_bus: SystemBus) -> None:
    async def work() -> None:
        await system_bus.start()
        async with watching() as watched:
            await watched.until(lambda: watched.count(LISTENING, source="logind") == 1)
            assert watched.count("logind is not running; its wake-ups will be heard once it is") == 1
            await system_bus.start_logind()
            await system_bus.prepare_for_sleep(before=False)
            await watched.until(lambda: "resume" in watched.told)

    run(work)


@needs_logind
def test_a_bus_that_died_is_looked_for_until_another_is_there(system_bus: SystemBus) -> None:
    async def work() -> None:
        await system_bus.start()
        async with watching() as watched:
            await watched.until(lambda: watched.count(LISTENING, source="logind") == 1)
            system_bus.kill()
            began = time.monotonic()
            away = "the source of wake-ups is still away"
            await watched.until(lambda: watched.count(away, source="logind") >= 3)
            assert watched.count(away) <= (time.monotonic() - began) / QUIET.retry_s + 1
            await system_bus.start()
            await system_bus.start_logind()
            await watched.until(lambda: watched.count(LISTENING, source="logind") == 2)
            await system_bus.prepare_for_sleep(before=False)
            await watched.until(lambda: "resume" in watched.told)
            assert watched.count(LOST, source="logind", log_level="info") == 1
            assert watched.count(SKIPPED) == 0

    run(work)


@needs_logind
def test_a_bus_that_hangs_is_given_up_and_tried_again(system_bus: SystemBus) -> None:
    async def work() -> None:
        await system_bus.start()
        system_bus.signal(signal.SIGSTOP)
        async with watching(dataclasses.replace(QUIET, call_s=0.3)) as watched:
            await watched.until(lambda: watched.count(LOST, source="logind") == 2)
            assert watched.of(LOST)[0]["why"].startswith("the system bus does not answer")
        async with watching(dataclasses.replace(QUIET, call_s=0.3)) as watched:
            await watched.until(lambda: watched.count(LOST, source="logind") == 1)
            system_bus.signal(signal.SIGCONT)
            await watched.until(lambda: watched.count(LISTENING, source="logind") == 1)

    run(work)


@needs_logind
def test_a_bus_that_forbids_listening_is_left_alone(system_bus: SystemBus) -> None:
    before = open_sockets()

    async def work() -> None:
        await system_bus.start(ANYTHING + NO_MATCH_RULES)
        async with watching() as watched:
            await watched.until(lambda: watched.count(SKIPPED, source="logind") == 1)
            assert "AddMatch" in watched.of(SKIPPED)[0]["why"]

    run(work)
    assert open_sockets() == before


OK = b"OK 0123456789abcdef\r\n"
HELLO = (
    b"l\x02\0\x01\x09\0\0\0\x01\0\0\0\x1f\0\0\0\x05\x01u\0\x01\0\0\0"
    b"\x06\x01s\0\x04\0\0\0:1.1\0\0\0\0\x08\x01g\0\x01s\0\0\x04\0\0\0:1.1\0"
)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="the end at once"),
        pytest.param(b"REJECTED\r\n", id="no way to log in"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", id="another protocol"),
        pytest.param(b"\xff\xfe\r\n", id="no text"),
        pytest.param(OK, id="the end after the log-in"),
        pytest.param(OK + b"\xff" * 64, id="noise after the log-in"),
        pytest.param(OK + HELLO.replace(b"\x06\x01s", b"\x06\x01\0"), id="a message with an unknown type"),
        pytest.param(
            OK + HELLO.replace(b"\x04\0\0\0:1.1", b"\xff\0\0\0:1.1"), id="one with a string too long"
        ),
        pytest.param(OK + HELLO, id="the end after the greeting"),
    ],
)
def test_a_socket_that_is_no_bus_ends_nothing(
    answer: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path / 'bus.sock'}")
    before = open_sockets()

    async def impostor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.readuntil(b"\r\n")
            writer.write(OK if answer.startswith(OK) else answer)
            if answer.startswith(OK):
                await reader.readuntil(b"BEGIN\r\n")
                await reader.read(1_000)
                writer.write(answer.removeprefix(OK))
            await writer.drain()
            writer.close()
            await writer.wait_closed()

    async def work() -> None:
        server = await asyncio.start_unix_server(impostor, tmp_path / "bus.sock")
        async with server, watching(dataclasses.replace(QUIET, call_s=1.0)) as watched:
            await watched.until(lambda: watched.count(SKIPPED) + watched.count(LOST) > 0)

    run(work)
    assert open_sockets() == before


@needs_logind
def test_cancelling_closes_every_socket(system_bus: SystemBus) -> None:
    before = open_sockets()

    async def work() -> None:
        await system_bus.start()
        clean = open_sockets()
        async with watching() as watched:
            await watched.until(lambda: watched.count(LISTENING) == 2)
            assert len(open_sockets()) == len(clean) + 2
        assert open_sockets() == clean
        system_bus.signal(signal.SIGSTOP)
        async with watching() as watched:  # ends while the bus is being called
            await watched.until(lambda: len(open_sockets()) == len(clean) + 2)
        assert open_sockets() == clean

    run(work)
    assert open_sockets() == before


# --- watching in a process of its own, with a network and clocks of its own ---------------------------------

WATCHER = """
import asyncio, ctypes, json, os, sys
import structlog
from omniid.wake import Pace, watch

def say(**what):
    print(json.dumps(what), flush=True)

def obey():
    word = os.read(0, 1).decode()
    if word == "m":  # a mark: whatever was heard before it has been told before it
        asyncio.get_running_loop().call_later(2 * pace.burst_s, lambda: say(told="mark"))
    elif word == "j":  # jump: as if the machine had slept for 100 s
        new_time = 0x80
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.unshare(new_time) == 0, os.strerror(ctypes.get_errno())
        with open("/proc/self/timens_offsets", "w") as offsets:
            offsets.write("boottime 100 0")
        with open("/proc/self/ns/time_for_children") as other:
            assert libc.setns(other.fileno(), new_time) == 0, os.strerror(ctypes.get_errno())

async def main():
    asyncio.get_running_loop().add_reader(0, obey)
    await watch(lambda reason: say(told=reason), pace)

structlog.configure(
    processors=[structlog.processors.JSONRenderer()], logger_factory=structlog.PrintLoggerFactory(sys.stdout)
)
pace = Pace(**json.loads(sys.argv[1]))
asyncio.run(main())
"""


class Watcher:
    """A child that watches, in a network namespace of its own if asked."""

    def __init__(self, pace: dict[str, float], *, own_network: bool) -> None:
        command = ["unshare", "--net"] if own_network else []
        self._child = subprocess.Popen(
            [*command, sys.executable, "-c", WATCHER, json.dumps(pace)],
            env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._lines: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        try:
            self.until(lambda line: line.get("event") == LISTENING)
        except BaseException:
            self.close()
            raise

    def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first line that is wanted; those before it are dropped."""
        deadline = time.monotonic() + WITHIN_S
        while True:
            line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            if wanted(line):
                return line

    def told(self) -> list[str]:
        """All that it has told, and will tell of what happened until now."""
        self._send("m")
        found: list[str] = []
        while True:
            reason = self.until(lambda line: "told" in line)["told"]
            if reason == "mark":
                return found
            found.append(reason)

    def sleep_100_s(self) -> None:
        self._send("j")

    def ip(self, *commands: str) -> None:
        namespace = f"--net=/proc/{self._child.pid}/ns/net"
        subprocess.run(
            ["nsenter", namespace, "ip", "-batch", "-"],
            input="\n".join(commands),
            text=True,
            timeout=WITHIN_S,
            check=True,
        )

    def dropped(self) -> int:
        """How many messages the kernel could not put into the watcher's socket."""
        table = Path(f"/proc/{self._child.pid}/net/netlink").read_text(encoding="ascii")
        rows = [line.split() for line in table.splitlines()[1:]]
        return sum(int(drops) for _, _, _, groups, *_, drops, _ in rows if int(groups, 16))

    def stop(self) -> None:
        """SIGSTOP; returns when the child stands still."""
        self._child.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._child.pid, os.WSTOPPED | os.WNOWAIT)

    def cont(self) -> None:
        self._child.send_signal(signal.SIGCONT)

    def close(self) -> None:
        self._child.kill()
        self._child.wait(WITHIN_S)
        self._reader.join(WITHIN_S)
        for pipe in (self._child.stdin, self._child.stdout):
            assert pipe is not None
            pipe.close()

    def _send(self, word: str) -> None:
        assert self._child.stdin is not None
        self._child.stdin.write(word.encode())
        self._child.stdin.flush()

    def _read(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            self._lines.put({"at": time.monotonic(), **json.loads(line)})


def _can_have_a_network() -> bool:
    if (
        sys.platform != "linux"
        or os.geteuid() != 0
        or not all(map(shutil.which, ("unshare", "nsenter", "ip")))
    ):
        return False
    return subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode == 0


needs_network = pytest.mark.skipif(
    not _can_have_a_network(), reason="needs root, network namespaces and ip (Debian: iproute2)"
)
needs_own_time = pytest.mark.skipif(
    os.geteuid() != 0 or not Path("/proc/self/timens_offsets").exists(),
    reason="needs root and time namespaces",
)


@pytest.fixture
def network() -> Iterator[Watcher]:
    watcher = Watcher({"tick_s": 3600, "burst_s": 0.1}, own_network=True)
    watcher.ip(
        "link add v0 type veth peer name v1", "link set v0 addrgenmode none", "link set v1 addrgenmode none"
    )
    assert watcher.told() == []
    yield watcher
    watcher.close()


@needs_network
def test_an_address_brings_the_network_up(network: Watcher) -> None:
    network.ip("address add 192.0.2.7/24 dev v0")

    assert network.told() == ["network"]


@needs_network
def test_the_loopback_of_a_fresh_machine_brings_the_network_up(network: Watcher) -> None:
    network.ip("link set lo up")

    assert network.told() == ["network"]


@needs_network
def test_a_cable_that_is_pulled_and_plugged_brings_the_network_up(network: Watcher) -> None:
    network.ip("link set v0 up")
    assert network.told() == []  # up, but there is no carrier
    network.ip("link set v1 up")
    assert network.until(lambda line: "told" in line)["told"] == "network"  # the kernel takes its time
    network.told()
    network.ip("link set v1 down")
    assert network.told() == []

    network.ip("link set v1 up")

    assert network.until(lambda line: "told" in line)["told"] == "network"


@needs_network
def test_a_route_brings_the_network_up_and_its_end_does_not(network: Watcher) -> None:
    network.ip("link set v0 up", "link set v1 up", "address add 192.0.2.7/24 dev v0")
    network.until(lambda line: "told" in line)
    network.ip("route add blackhole 198.51.100.0/24")
    network.told()

    network.ip("route add default via 192.0.2.1 dev v0")
    assert network.told() == ["network"]
    network.ip("route del default")
    assert network.told() == []
    network.ip("route add default via 192.0.2.1 dev v0")
    assert network.told() == ["network"]


@needs_network
def test_what_is_taken_away_or_leads_nowhere_is_not_told(network: Watcher) -> None:
    network.ip("address add 192.0.2.7/24 dev v0")
    assert network.told() == ["network"]

    network.ip("address del 192.0.2.7/24 dev v0", "route add blackhole 198.51.100.0/24", "link del v0")

    assert network.told() == []


@needs_network
def test_a_renewed_address_is_not_told(network: Watcher) -> None:
    network.ip("address add 192.0.2.7/24 dev v0 valid_lft 900 preferred_lft 900")
    assert network.told() == ["network"]

    for seconds in (1_000, 1_100, 1_200):
        network.ip(f"address change 192.0.2.7/24 dev v0 valid_lft {seconds} preferred_lft {seconds}")

    assert network.told() == []


@needs_network
def test_a_burst_is_told_once(network: Watcher) -> None:
    network.stop()
    network.ip(*(f"address add 192.0.2.{number}/24 dev v0" for number in range(1, 21)))
    assert network.dropped() == 0
    network.cont()

    assert network.told() == ["network"]


@needs_network
def test_messages_that_were_missed_are_told_once(network: Watcher) -> None:
    network.stop()
    mtu = 1_000
    while network.dropped() == 0:
        network.ip(*(f"link set v0 mtu {mtu + number}" for number in range(100)))  # none of these is news
        mtu += 1
    network.cont()

    assert network.told() == ["network"]
    network.ip("address add 192.0.2.7/24 dev v0")
    assert network.told() == ["network"]


def test_a_process_that_stood_still_has_resumed() -> None:
    watcher = Watcher({"tick_s": 0.1, "frozen_s": 3.0}, own_network=False)
    try:
        watcher.stop()
        stopped_at = time.monotonic()
        time.sleep(3.5)
        watcher.cont()
        watcher.until(lambda line: line.get("told") == "resume" and line["at"] > stopped_at + 3.5)
    finally:
        watcher.close()


@needs_own_time
def test_a_clock_that_counted_sleep_has_resumed() -> None:
    watcher = Watcher({"tick_s": 0.1, "frozen_s": 3600}, own_network=False)
    try:
        assert "resume" not in watcher.told()
        watcher.sleep_100_s()
        watcher.until(lambda line: line.get("told") == "resume")
        assert "resume" not in watcher.told()
    finally:
        watcher.close()
