"""`omniid doctor`: what works on this machine, what does not, and what to do about it."""

from __future__ import annotations

import dataclasses

import typer

from omniid.cli.output import JsonFlag, fitted, print_json
from omniid.errors import EXIT_FAILED

_INDENT = 24
_MARKS = {"ok": "ok", "warning": "note", "problem": "PROBLEM"}


def doctor(*, json_: JsonFlag = False) -> None:
    """Check the microphone, the speaker, the model, the voice, the configuration and the daemon.

    Exit code 1 if there is a problem.
    """
    from omniid.cli import checks  # noqa: PLC0415 pydantic, which other verbs do without

    findings = []
    for finding in checks.run():
        findings.append(finding)
        if not json_:
            print(fitted(f"{_MARKS[finding.verdict]:<8} {finding.name:<14} {finding.detail}", _INDENT))
            if finding.advice:
                print(fitted(" " * _INDENT + finding.advice, _INDENT))
    if json_:
        print_json([dataclasses.asdict(finding) for finding in findings])
    if any(finding.verdict == "problem" for finding in findings):
        raise typer.Exit(EXIT_FAILED)
