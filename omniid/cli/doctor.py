"""`omniid doctor`: what works on this machine, what does not, and what to do about it."""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from omniid.cli.output import JsonFlag, fitted, print_json, printable
from omniid.errors import EXIT_FAILED

if TYPE_CHECKING:
    from omniid.cli.checks import Finding

_INDENT = 24
_MARKS = {"ok": "ok", "warning": "note", "problem": "PROBLEM"}


def doctor(
    *,
    key: Annotated[
        bool, typer.Option("--key", help="Ask you to press the key, and see whether it arrives.")
    ] = False,
    json_: JsonFlag = False,
) -> None:
    """Check the microphone, the speaker, the model, the voice, the configuration and the daemon.

    Exit code 1 if there is a problem.
    """
    from omniid.cli import checks, key_check  # noqa: PLC0415 pydantic, which other verbs do without

    findings = []
    for finding in key_check.prove() if key else checks.run():
        if isinstance(finding, str):
            print(finding, file=sys.stderr)
            continue
        findings.append(finding)
        if not json_:
            _print(finding)
    if json_:
        print_json([dataclasses.asdict(finding) for finding in findings])
    if any(finding.verdict == "problem" for finding in findings):
        raise typer.Exit(EXIT_FAILED)


def _print(finding: Finding) -> None:
    print(fitted(f"{_MARKS[finding.verdict]:<8} {finding.name:<14} {printable(finding.detail)}", _INDENT))
    if finding.advice:
        print(fitted(" " * _INDENT + printable(finding.advice), _INDENT))
