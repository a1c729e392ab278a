"""`omniid history`: what was said, by whom; looked through, exported, cleared."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import typer

from omniid.cli.output import JsonFlag, fitted, one_line, print_json, printable
from omniid.control.client import Client
from omniid.errors import BadRequestError

_ON_A_PAGE = 200
_INDENT = 27  # the moment, and who
_NAMES = {"user": "you", "assistant": "omniid", "system": "system"}
_AGO = re.compile(r"(\d{1,6})\s*([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_NOT_IN_AN_ADDRESS = re.compile(r"[<>\s]")
_MARKDOWN = re.compile(r"([\\`*_\[\]<>#|~!])")

Message = dict[str, Any]


def history(
    *,
    number: Annotated[int, typer.Option("-n", min=1, help="How many messages.", show_default=True)] = 20,
    search: Annotated[
        str | None, typer.Option(help="Only those with all these words, or their beginnings.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="Only since then: 2026-03-01, 2026-03-01T12:30, 3d, 2h, today."),
    ] = None,
    json_: JsonFlag = False,
    export: Annotated[
        Literal["json", "markdown"] | None,
        typer.Option(help="Print all of them, the first first, as a document. -n has no meaning then."),
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Delete the whole history, for good.")] = False,
) -> None:
    """Show the last messages of both sides, the newest at the end."""
    client = Client()
    if clear:
        if search is not None or since is not None or export is not None or json_:
            raise typer.BadParameter("--clear deletes all of it, and goes with no other option.")
        _clear(client)
        return
    if search is not None and not _is_text(search):
        raise BadRequestError("--search is not UTF-8 text, and no message can hold it.")
    start = None if since is None else parse_when(since, datetime.now().astimezone())
    pages = _pages(client, search, start, None if export else number)
    enabled, messages = _gather(pages, None if export else number)
    messages.reverse()
    if export == "markdown":
        print(markdown(messages), end="")
    elif export == "json" or json_:
        print_json(messages)
    else:
        _show(messages, enabled=enabled)


def _is_text(argument: str) -> bool:
    """Whether there is a character for each byte that the shell passed."""
    try:
        argument.encode()
    except UnicodeEncodeError:
        return False
    return True


def _clear(client: Client) -> None:
    if sys.stdin.isatty():
        typer.confirm("Delete the whole history? It cannot be brought back", abort=True)
    gone = client.call("DELETE", "/v1/history", wait_s=60)["deleted"]
    print(f"{gone} message{'' if gone == 1 else 's'} deleted.")


def _pages(
    client: Client, search: str | None, since: datetime | None, number: int | None
) -> Iterator[dict[str, Any]]:
    """Page after page, the newest first."""
    question = {"q": search, "since": None if since is None else since.isoformat()}
    before = None
    while True:
        asked = {**question, "limit": min(number or _ON_A_PAGE, _ON_A_PAGE), "before": before}
        query = urlencode({key: value for key, value in asked.items() if value is not None})
        page = client.call("GET", f"/v1/history?{query}")
        yield page
        before = page["before"]
        if before is None:
            return


def _gather(pages: Iterator[dict[str, Any]], number: int | None) -> tuple[bool, list[Message]]:
    """Whether a history is kept, and the messages: no more pages are asked for than are needed."""
    messages: list[Message] = []
    enabled = True
    for page in pages:
        enabled = page["enabled"]
        messages += page["messages"]
        if number is not None and len(messages) >= number:
            break
    return enabled, messages[:number]


def parse_when(text: str, now: datetime) -> datetime:
    """A moment as people write it; without a zone it is in that of `now`.

    Raises:
        BadRequestError: it is none.
    """
    words = text.strip().lower()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if words in {"today", "yesterday"}:
        return midnight - timedelta(days=words == "yesterday")
    try:
        if ago := _AGO.fullmatch(words):
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        moment = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError) as error:
        raise BadRequestError(
            f"{one_line(text[:80])!r} is no moment. "
            "Write 2026-03-01, 2026-03-01T12:30, 3d, 2h, today or yesterday."
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=now.tzinfo)


def _show(messages: list[Message], *, enabled: bool) -> None:
    for message in messages:
        print(_lines(message))
    if not messages:
        print("Nothing is there." if enabled else "No history is kept: history.enabled is off.")


def _lines(message: Message) -> str:
    """When, who and what: each line of the text below the one before it."""
    head = f"{_moment(message)}  {_NAMES.get(message['sender'], 'system'):<9}"
    lines = [*printable(message["text"]).split("\n"), *_notes(message)]
    return "\n".join(
        fitted(f"{head if place == 0 else ' ' * _INDENT}{line}".rstrip(), _INDENT)
        for place, line in enumerate(lines)
    )


def _notes(message: Message) -> Iterator[str]:
    if message["kind"] not in {"command", "reply"}:
        yield f"({one_line(message['kind'])})"
    if message["whole_bytes"]:
        yield f"(shortened: it had {message['whole_bytes']:,} bytes)"
    for source in _sources(message):
        where = f" <{one_line(source['url'])}>" if source.get("url") else ""
        yield f"from {one_line(str(source.get('name')))}{where}"


def _sources(message: Message) -> list[dict[str, Any]]:
    sources = (message["reply"] or {}).get("sources") or []
    return [source for source in sources if isinstance(source, dict)]


def _moment(message: Message) -> str:
    """In the reader's own time."""
    return datetime.fromisoformat(message["at"]).astimezone().strftime("%Y-%m-%d %H:%M")


def markdown(messages: list[Message]) -> str:
    """A document with a heading for each day. What was said is text in it and can be nothing else."""
    parts = ["# History\n"]
    day = ""
    for message in messages:
        moment = _moment(message)
        if moment[:10] != day:
            day = moment[:10]
            parts.append(f"\n## {day}\n")
        name = _NAMES.get(message["sender"], "system")
        kind = "" if message["kind"] in {"command", "reply"} else f" ({_escaped(one_line(message['kind']))})"
        parts.append(f"\n**{moment[11:]} {name}**{kind}\n\n{_quoted(message)}")
    return "".join(parts)


def _quoted(message: Message) -> str:
    lines = _escaped(printable(message["text"])).split("\n")
    lines += [_escaped(f"({note})") for note in _cut(message)]
    text = "".join(f"> {line}  \n" if line.strip() else ">\n" for line in lines)
    sources = "".join(f"- {_citation(source)}\n" for source in _sources(message))
    return text + (f"\n{sources}" if sources else "")


def _cut(message: Message) -> Iterator[str]:
    if message["whole_bytes"]:
        yield f"shortened: it had {message['whole_bytes']:,} bytes"


def _citation(source: dict[str, Any]) -> str:
    name, url = _escaped(one_line(str(source.get("name")))), source.get("url")
    return f"{name}: <{_NOT_IN_AN_ADDRESS.sub('', one_line(url))}>" if isinstance(url, str) else name


def _escaped(text: str) -> str:
    """Text in which no mark of Markdown or HTML means anything; a digit or dash makes no list in a quote."""
    marked = _MARKDOWN.sub(r"\\\1", text.replace("&", "&amp;"))
    return re.sub(r"(?m)^(\s*)([-+=]|\d+(?=[.)]))", _not_a_list, marked)


def _not_a_list(found: re.Match[str]) -> str:
    first = found[2]
    return f"{found[1]}{first}\\" if first.isdigit() else f"{found[1]}\\{first}"
