"""Run by the system's Python, which has umockdev's binding: a folder of input devices that never were.

Prints the folder, then obeys lines: `plug N`, `event N TYPE CODE VALUE`, `unplug N`. Answers each by `done`.
Real device nodes would be made by the kernel; these are terminals with the ioctls of a keyboard.
"""

from __future__ import annotations

import os
import shutil
import struct
import sys
import tempfile
from pathlib import Path
from typing import Any

import gi  # type: ignore[import-not-found]  # of another Python

gi.require_version("UMockdev", "1.0")
from gi.repository import UMockdev  # type: ignore[import-not-found]  # noqa: E402 the version has to be said first

KEYS = [*range(1, 128), *range(183, 195)]
EVENT = struct.Struct("@llHHi")


def bits(codes: list[int], size: int) -> bytes:
    return sum(1 << code for code in codes).to_bytes(size, "little")


def words(codes: list[int]) -> str:
    """A set of codes as sysfs writes it: 64-bit words, the highest first."""
    number = sum(1 << code for code in codes)
    return " ".join(
        f"{number >> 64 * place & (1 << 64) - 1:x}"
        for place in reversed(range(number.bit_length() // 64 + 1))
    )


def device(number: int) -> str:
    path = f"/devices/usb{number}/input/input{number}"
    return f"""P: {path}/event{number}
N: input/event{number}
E: DEVNAME=/dev/input/event{number}
E: ID_INPUT=1
E: ID_INPUT_KEYBOARD=1
E: MAJOR=13
E: MINOR={64 + number}
E: SUBSYSTEM=input
A: dev=13:{64 + number}

P: {path}
E: EV=120013
E: KEY={words(KEYS)}
E: NAME="Mock Keyboard {number}"
E: SUBSYSTEM=input
A: capabilities/ev=120013
A: capabilities/key={words(KEYS)}
A: name=Mock Keyboard {number}
"""


def ioctls(number: int) -> str:
    name = f"Mock Keyboard {number}\0".encode()
    answers = {
        "EVIOCGVERSION 0": struct.pack("<i", 0x10001),
        "EVIOCGID 0": struct.pack("<4H", 3, 0x46D, 0xC31C, number),
        f"EVIOCGNAME {len(name)}": name.ljust(256, b"\0"),
        "EVIOCGPHYS 1": bytes(256),
        "EVIOCGUNIQ 1": bytes(256),
        "EVIOCGEFFECTS 0": bytes(4),
        "EVIOCGBIT(0) 4": bits([0, 1, 4, 17, 20], 4),
        "EVIOCGBIT(1) 96": bits(KEYS, 96),
        "EVIOCGBIT(4) 8": bits([4], 8),
        "EVIOCGBIT(17) 8": bits([0, 1, 2], 8),
        "EVIOCGBIT(20) 8": bits([0, 1], 8),
        "EVIOCGKEY 96": bytes(96),
        "EVIOCGPROP 4": bytes(4),
    }
    lines = [f"{request} {answer.hex().upper()}" for request, answer in answers.items()]
    return "\n".join([f"@DEV /dev/input/event{number}", *lines, ""])


class Bed:
    def __init__(self) -> None:
        self._bed: Any = UMockdev.Testbed.new()
        self._plugged: dict[str, int] = {}
        self.root = str(self._bed.get_root_dir())
        (Path(self.root) / "dev/input").mkdir(parents=True)

    def plug(self, number: str) -> None:
        node = f"/dev/input/event{number}"
        with tempfile.NamedTemporaryFile("w", suffix=".ioctl") as file:
            file.write(ioctls(int(number)))
            file.flush()
            # Before the node appears: whoever waits for it opens it at once.
            self._bed.load_ioctl(node, file.name)
        self._bed.add_from_string(device(int(number)))
        self._plugged[number] = self._bed.get_dev_fd(node)

    def event(self, number: str, kind: str, code: str, value: str) -> None:
        report = EVENT.pack(1, 0, int(kind), int(code), int(value)) + EVENT.pack(1, 0, 0, 0, 0)
        os.write(self._plugged[number], report)

    def unplug(self, number: str) -> None:
        """The reader's end is hung up, as when a cable is pulled; the node goes with it."""
        node = Path(self.root) / f"dev/input/event{number}"
        terminal = str(node.readlink())
        os.close(self._plugged.pop(number))
        node.unlink()
        # The system may give the next keyboard the same terminal, which umockdev does not expect.
        (Path(self.root) / "dev/.ptymap" / terminal.replace("/", "_")).unlink()


def main() -> None:
    bed = Bed()
    print(bed.root, flush=True)  # noqa: T201 - how the test hears us
    try:
        for line in sys.stdin:
            command, *arguments = line.split()
            getattr(bed, command)(*arguments)
            print("done", flush=True)  # noqa: T201 - how the test hears us
    finally:
        shutil.rmtree(bed.root, ignore_errors=True)


if __name__ == "__main__":
    main()
