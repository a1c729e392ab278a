"""The command line: `omniid`, one file a verb. A verb imports what it needs when it runs, to start fast."""

from __future__ import annotations

import sys


def main() -> None:
    """The console script. An error of omniid's own is one sentence and its exit code, never a traceback."""
    from omniid.cli.app import app  # noqa: PLC0415 nothing is imported before it is needed
    from omniid.errors import OmniidError  # noqa: PLC0415

    try:
        app()
    except OmniidError as error:
        print(f"omniid: {error.message}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output went away, as `head` does; there is nobody left to tell.
        sys.stderr.close()
        sys.exit(141)
