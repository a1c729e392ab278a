"""The durable queue of commands. A command is on disk before a byte of it is sent, and its id never changes.

Every step goes through `omniid.fate`; a step that is not in the table is refused. First in, first out: only
queued commands are in the line, and the first of them blocks the others visibly. No question asked while
commands flow reads the whole line, so the cost of one does not grow with the number of the others. Where no
history is kept, what a command said and its answer leave the disk with its last step; its id, its state and
its idempotency key stay.
"""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from omniid.errors import NotAllowedError, NotFoundError, OutboxFullError, RefusedError
from omniid.fate import CALLED_OFF, ENDED, ON_THE_WIRE, RETRYABLE, State, may_become
from omniid.protocol.chat import Reply
from omniid.storage.database import Database

Kind = Literal["voice", "text"]
_KEPT_FOR = timedelta(days=7)
_RETRY_WITHIN = timedelta(
    days=1
)  # where no history is kept: then the text of what can be sent again goes, too
_FINAL = ENDED - RETRYABLE
_REMEMBERED = 32
_SIGN_IN_WITHIN = timedelta(minutes=10)
_OPEN = frozenset(State) - {State.DONE, State.FAILED, State.CANCELLED, State.DROPPED}
_NOT_SENT = frozenset({State.CANCELLED, State.EXPIRED, State.DROPPED})
_WAITED_TOO_LONG = {
    State.QUEUED: "it waited too long to be sent",
    State.NEEDS_AUTH: "nobody signed in for it in time",
}
_OMNIID_ENDED = "omniid ended before its answer came"
_ONLY_BY_RETRY = RETRYABLE - {State.UNCERTAIN}
_KEEPS_REPEAT = frozenset({State.SENDING, State.QUEUED})
_TAKE = "take:"
_REPEATED = "repeated"  # the outcome of an attempt that the same backend may be asked for again


@dataclass(frozen=True, slots=True)
class Command:
    """One command as it stands on disk."""

    id: str
    kind: Kind
    message: str
    metadata: dict[str, Any]
    state: State
    reason: str | None
    reply: dict[str, Any] | None
    attempts: int
    answer_wanted: bool
    created_at: datetime
    changed_at: datetime
    expires_at: datetime


def key_of_take(take_id: str) -> str:
    """The idempotency key of the command that was said in a take, so that it never becomes another one."""
    return f"{_TAKE}{take_id}"


@dataclass(frozen=True, slots=True)
class NewCommand:
    """A command that asks to be accepted. `id` is a UUIDv7; it becomes the requestId of every attempt."""

    id: str
    kind: Kind
    message: str
    metadata: dict[str, Any]
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Recipient:
    """The backend at the other end of the present link. `dedupes`: it does a repeated id only once."""

    name: str
    dedupes: bool


@dataclass(frozen=True, slots=True)
class Taken:
    """What `begin_attempts` took from the line, and what it found it must not send to this backend again.

    `uncertain`: those it must not send; one that was called off before it went back to the line is cancelled.
    `held`: the first in the line may only be repeated to a backend that says it dedupes, and this one has
    not said so yet.
    """

    commands: list[Command]
    uncertain: list[Command]
    held: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    voice_ttl_s: float
    text_ttl_s: float
    max_commands: int
    max_bytes: int


class Outbox:
    """The queue in a `Database`. Every method is one transaction."""

    def __init__(self, database: Database, limits: Limits, *, keeps_text: bool = True) -> None:
        """With not `keeps_text`, the last answers are known only in memory, to those who wait for them."""
        self._database = database
        self._limits = limits
        self._keeps_text = keeps_text
        self._remembered: OrderedDict[str, Command] = OrderedDict()

    async def add(self, new: NewCommand, now: datetime) -> tuple[Command, bool]:
        """Accept a command at the end of the line.

        Returns:
            The command and True; or, where the idempotency key is known, the earlier command and False.

        Raises:
            OutboxFullError: there is no room.
            RefusedError: the idempotency key belongs to another command.
            StorageError: it could not be written; it is not accepted.
        """
        command, is_new = await self._database.run(lambda connection: self._add(connection, new, now))
        return self._with_text(command), is_new

    def _add(self, connection: sqlite3.Connection, new: NewCommand, now: datetime) -> tuple[Command, bool]:
        if new.idempotency_key is not None:
            row = connection.execute(
                "SELECT * FROM commands WHERE idempotency_key = ?", (new.idempotency_key,)
            ).fetchone()
            if row is not None:
                return _same(row, new), False
        size = _size(new.message, new.metadata)
        self._check_room(connection, size)
        ttl_s = self._limits.voice_ttl_s if new.kind == "voice" else self._limits.text_ttl_s
        connection.execute(
            "INSERT INTO commands (id, position, kind, message, metadata, idempotency_key, state, bytes,"
            " created_at, changed_at, expires_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                new.id,
                _tail(connection),
                new.kind,
                new.message,
                json.dumps(new.metadata),
                new.idempotency_key,
                State.QUEUED,
                size,
                _text(now),
                _text(now),
                _text(now + timedelta(seconds=ttl_s)),
            ),
        )
        return _command(_row(connection, new.id)), True

    def _check_room(self, connection: sqlite3.Connection, size: int, *, commands: int = 1) -> None:
        count, total = connection.execute(
            f"SELECT coalesce(sum(number), 0), coalesce(sum(bytes), 0) FROM tally WHERE state NOT IN ({_marks(ENDED)})",  # noqa: S608, E501 only marks
            tuple(ENDED),
        ).fetchone()
        if count + commands > self._limits.max_commands or total + size > self._limits.max_bytes:
            raise OutboxFullError(
                f"{count} commands already wait and there is no room for another. "
                "See `omniid outbox list`; cancel or drop what you no longer need."
            )

    async def begin_attempts(self, now: datetime, limit: int, to: Recipient) -> Taken:
        """Take the first commands of the line to `sending`, on disk before they are written.

        One whose time is up is passed over: after a machine has slept, the link can be back before `expire`.
        """

        def work(connection: sqlite3.Connection) -> Taken:
            taken = Taken([], [])
            while (left := limit - len(taken.commands)) > 0:
                rows = connection.execute(
                    "SELECT id, repeat_at, attempts, answer_wanted FROM commands"
                    " WHERE state = ? AND expires_at > ? ORDER BY position LIMIT ?",
                    (State.QUEUED, _text(now), left),
                ).fetchall()
                if not rows:
                    break
                for row in rows:
                    if not row["answer_wanted"]:
                        taken.uncertain.append(self._call_off(connection, row["id"], now))
                    elif row["repeat_at"] not in {None, to.name}:
                        taken.uncertain.append(_cannot_repeat(connection, row, to, now))
                    elif row["repeat_at"] is not None and not to.dedupes:
                        return dataclasses.replace(taken, held=True)
                    else:
                        taken.commands.append(_begin(connection, row, to, now))
            return taken

        return await self._database.run(work)

    async def give_up_repeats(self, now: datetime) -> list[Command]:
        """Commands that wait for a backend to say that it dedupes, and it does not: they are uncertain."""

        def work(connection: sqlite3.Connection) -> list[Command]:
            rows = connection.execute(
                "SELECT id FROM commands WHERE state = ? AND repeat_at IS NOT NULL ORDER BY position",
                (State.QUEUED,),
            ).fetchall()
            reason = "the backend may have done it, and no longer tells a repeated command"
            return [_step(connection, row["id"], State.UNCERTAIN, now, reason=reason) for row in rows]

        return await self._database.run(work)

    async def move(
        self,
        command_id: str,
        to: State,
        now: datetime,
        *,
        reason: str | None = None,
        reply: Reply | None = None,
        repeat: bool = False,
    ) -> Command:
        """Take a command one step along the table. Back to `queued` it keeps its place in the line.

        With `repeat`, it goes again to the backend that has it already, once that says it dedupes. What has
        ended goes back only by `retry`: a late word about an attempt must not send it again.

        Raises:
            NotFoundError: there is no such command.
            NotAllowedError: the table has no such step.
        """

        def work(connection: sqlite3.Connection) -> Command:
            current = State(_row(connection, command_id, exact=True)["state"])
            if to is State.QUEUED and current in _ONLY_BY_RETRY:
                raise NotAllowedError(
                    f"Command {command_id} is {current.words}; only a retry sends it again."
                )
            moved = _step(connection, command_id, to, now, reason=reason, reply=reply, repeat=repeat)
            return self._over(connection, moved)

        return self._remember(await self._database.run(work))

    async def answer_here(
        self, command_id: str, reply: Reply, now: datetime, *, asked: str
    ) -> Command | None:
        """Settle a command that still waits in the line.

        None when it has left it meanwhile, or says something else by now than what was `asked`: then it
        waits on as it is.
        """

        def work(connection: sqlite3.Connection) -> Command | None:
            row = _row(connection, command_id, exact=True)
            if row["state"] != State.QUEUED or row["repeat_at"] is not None or row["message"] != asked:
                return None
            reason = "answered by omniid itself, while the backend was away"
            return self._over(
                connection, _step(connection, row["id"], State.DONE, now, reason=reason, reply=reply)
            )

        settled = await self._database.run(work)
        return None if settled is None else self._remember(settled)

    async def edit(self, command_id: str, message: str, now: datetime) -> Command:
        """Change the text of a command that is still in the line; it keeps its id and its place.

        Raises:
            NotFoundError: there is no such command.
            NotAllowedError: it is not queued, or an attempt of it may have been done.
            OutboxFullError: the new text has no room.
        """

        def work(connection: sqlite3.Connection) -> Command:
            row = _row(connection, command_id)
            if row["state"] != State.QUEUED:
                raise NotAllowedError(
                    f"Command {row['id']} is {State(row['state']).words}; only a queued one can be edited."
                )
            if _may_have_been_done(connection, row["id"]):
                raise NotAllowedError(
                    f"Command {row['id']} may have been done as it was. Cancel it, and ask for the new one."
                )
            size = _size(message, json.loads(row["metadata"]))
            if size > row["bytes"]:
                self._check_room(connection, size - row["bytes"], commands=0)
            # Only a script's key asks what it said at first: the same request is known by it when it comes
            # again. A take does not come again.
            connection.execute(
                f"UPDATE commands SET first_message = CASE WHEN idempotency_key NOT LIKE '{_TAKE}%'"  # noqa: S608 ours
                " THEN coalesce(first_message, message) END, message = ?,"
                " bytes = ?, reason = 'edited', changed_at = ? WHERE id = ?",
                (message, size, _text(now), row["id"]),
            )
            return _command(_row(connection, row["id"]))

        return await self._database.run(work)

    async def cancel(self, command_id: str, now: datetime) -> Command:
        """Take a command out of the line. On the wire it cannot be called back: its answer is not wanted.

        Raises:
            NotFoundError: there is no such command.
            NotAllowedError: it is over.
        """

        def work(connection: sqlite3.Connection) -> Command:
            row = _row(connection, command_id)
            if State(row["state"]) not in ON_THE_WIRE:
                reason = "cancelled by the user"
                return self._over(
                    connection, _step(connection, row["id"], State.CANCELLED, now, reason=reason)
                )
            connection.execute("UPDATE commands SET answer_wanted = 0 WHERE id = ?", (row["id"],))
            return _command(_row(connection, row["id"]))

        return self._remember(await self._database.run(work))

    async def retry(self, command_id: str, now: datetime) -> Command:
        """Put a command that ended badly at the end of the line, with a fresh time to live.

        Raises:
            NotFoundError: there is no such command.
            NotAllowedError: it is not one that can be sent again, or its text has been forgotten.
            OutboxFullError: it had ended, and there is no room for another.
        """

        def work(connection: sqlite3.Connection) -> Command:
            row = _row(connection, command_id)
            if State(row["state"]) not in RETRYABLE:
                raise NotAllowedError(
                    f"Command {command_id} is {State(row['state']).words}; there is nothing to send again."
                )
            if row["text_gone"]:
                raise NotAllowedError(f"What command {row['id']} said has been forgotten. Ask again.")
            if State(row["state"]) in ENDED:
                self._check_room(connection, row["bytes"])
            connection.execute(
                "UPDATE commands SET position = ?, expires_at = ?, reply = NULL, answer_wanted = 1"
                " WHERE id = ?",
                (_tail(connection), self._fresh_expiry(row, now), row["id"]),
            )
            return _step(connection, row["id"], State.QUEUED, now, reason="to be sent again")

        return await self._database.run(work)

    async def put_back(self, command_id: str, now: datetime, *, reason: str) -> Command:
        """Put a command that waited for the user back to its place in the line, with a fresh time to live.

        Raises:
            NotFoundError: there is no such command.
            NotAllowedError: it does not wait for the user.
        """

        def work(connection: sqlite3.Connection) -> Command:
            row = _row(connection, command_id, exact=True)
            if State(row["state"]) is not State.NEEDS_AUTH:
                raise NotAllowedError(f"Command {command_id} is {row['state']} and waits for no sign-in.")
            connection.execute(
                "UPDATE commands SET expires_at = ?, reply = NULL WHERE id = ?",
                (self._fresh_expiry(row, now), row["id"]),
            )
            return _step(connection, row["id"], State.QUEUED, now, reason=reason)

        return await self._database.run(work)

    def _fresh_expiry(self, row: sqlite3.Row, now: datetime) -> str:
        ttl_s = self._limits.voice_ttl_s if row["kind"] == "voice" else self._limits.text_ttl_s
        return _text(now + timedelta(seconds=ttl_s))

    async def recover(self, now: datetime) -> list[Command]:
        """At start: what was on the wire when omniid ended may have been done.

        It is uncertain, unless its backend said that it dedupes: then it waits at its place to be repeated;
        where the user has called it off, it is cancelled.
        """

        def work(connection: sqlite3.Connection) -> list[Command]:
            rows = connection.execute(
                "SELECT id, dedupes, answer_wanted FROM commands"
                " JOIN attempts ON command_id = id AND number = attempts"
                " WHERE state IN (?, ?) ORDER BY position",
                tuple(ON_THE_WIRE),
            ).fetchall()
            return [self._recovered(connection, row, now) for row in rows]

        return await self._database.run(work)

    def _recovered(self, connection: sqlite3.Connection, row: sqlite3.Row, now: datetime) -> Command:
        if not row["dedupes"]:
            return _step(connection, row["id"], State.UNCERTAIN, now, reason=_OMNIID_ENDED)
        back = _step(connection, row["id"], State.QUEUED, now, reason=_OMNIID_ENDED, repeat=True)
        return back if row["answer_wanted"] else self._call_off(connection, row["id"], now)

    def _call_off(self, connection: sqlite3.Connection, command_id: str, now: datetime) -> Command:
        """Take out of the line what was called off while it was on the wire: it must not go out again."""
        cancelled = _step(connection, command_id, State.CANCELLED, now, reason=CALLED_OFF)
        return self._over(connection, cancelled)

    async def expire(self, now: datetime) -> list[Command]:
        """Let commands expire that waited too long for their turn, or for the user to sign in."""

        def work(connection: sqlite3.Connection) -> list[Command]:
            rows = connection.execute(
                "SELECT id, state, repeat_at FROM commands WHERE state = 'queued' AND expires_at <= ?"
                " UNION ALL SELECT id, state, NULL FROM commands WHERE state = ? AND changed_at <= ?",
                (_text(now), State.NEEDS_AUTH, _text(now - _SIGN_IN_WITHIN)),
            ).fetchall()
            return [
                _step(
                    connection,
                    row["id"],
                    State.UNCERTAIN if row["repeat_at"] else State.EXPIRED,
                    now,
                    reason=_WAITED_TOO_LONG[row["state"]],
                )
                for row in rows
            ]

        return await self._database.run(work)

    async def forget_old(self, now: datetime) -> None:
        """Forget commands that ended long ago. Looks at every one: not for every moment.

        Where no history is kept: also what those said that have ended and will not be sent again. What an
        edited command said before leaves the log, too.
        """

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                f"DELETE FROM commands WHERE changed_at < ? AND state IN ({_marks(ENDED)})",  # noqa: S608 only marks
                (_text(now - _KEPT_FOR), *ENDED),
            )
            if not self._keeps_text:
                _forget_texts(connection, _FINAL, now)
                _forget_texts(connection, ENDED, now - _RETRY_WITHIN)

        await self._database.run(work)
        await self._database.scrub()

    async def forget_texts(self, now: datetime) -> None:
        """Forget what commands said, and their answers, that are over: they cannot be sent again then."""
        self._remembered.clear()
        await self._database.run(lambda connection: _forget_texts(connection, ENDED, now))
        await self._database.scrub()

    async def probe(self) -> None:
        """Write, and change nothing.

        Raises:
            StorageError: the disk still refuses it.
        """
        await self._database.run(
            lambda connection: connection.execute("UPDATE tally SET number = number").close()
        )

    async def get(self, command_id: str) -> Command:
        """One command, found by its id or by a beginning of it that only it has.

        Raises:
            NotFoundError: no command, or several, match.
        """
        found = await self._database.run(lambda connection: _command(_row(connection, command_id)))
        return self._with_text(found)

    async def known_keys(self, keys: Sequence[str]) -> set[str]:
        """Those of the idempotency keys that belong to a command."""

        def work(connection: sqlite3.Connection) -> set[str]:
            marks = ", ".join("?" * len(keys))
            rows = connection.execute(
                f"SELECT idempotency_key FROM commands WHERE idempotency_key IN ({marks})",  # noqa: S608 only marks
                keys,
            )
            return {row["idempotency_key"] for row in rows}

        return await self._database.run(work)

    async def list(self, *, ended: bool = False, limit: int = 1_000) -> list[Command]:
        """The commands that wait or need a decision, in line order; with `ended`, the others too.

        Where there are more than `limit`: the first of those that wait; the last of all.
        """

        def work(connection: sqlite3.Connection) -> list[Command]:
            if ended:
                rows = connection.execute("SELECT * FROM commands ORDER BY position DESC LIMIT ?", (limit,))
                return [_command(row) for row in rows][::-1]
            rows = connection.execute(
                f"SELECT * FROM commands WHERE state IN ({_marks(_OPEN)}) ORDER BY position LIMIT ?",  # noqa: S608 only marks
                (*_OPEN, limit),
            )
            return [_command(row) for row in rows]

        return await self._database.run(work)

    async def counts(self) -> dict[State, int]:
        """How many commands stand in each state."""

        def work(connection: sqlite3.Connection) -> dict[State, int]:
            rows = connection.execute("SELECT state, number FROM tally WHERE number > 0")
            return {State(row["state"]): row["number"] for row in rows}

        return await self._database.run(work)

    def _over(self, connection: sqlite3.Connection, command: Command) -> Command:
        """The command, whose text goes with its last step where no history is kept."""
        if not self._keeps_text and command.state in _FINAL:
            _forget_text(connection, command.id)
        return command

    def _remember(self, command: Command) -> Command:
        if not self._keeps_text and command.state in _FINAL:
            self._remembered[command.id] = command
            while len(self._remembered) > _REMEMBERED:
                self._remembered.popitem(last=False)
        return command

    def _with_text(self, command: Command) -> Command:
        return self._remembered.get(command.id, command)


def _forget_texts(connection: sqlite3.Connection, states: frozenset[State], until: datetime) -> None:
    rows = connection.execute(
        f"SELECT id FROM commands WHERE text_gone = 0 AND changed_at <= ? AND state IN ({_marks(states)})",  # noqa: S608 only marks
        (_text(until), *states),
    ).fetchall()
    for row in rows:
        _forget_text(connection, row["id"])


def _forget_text(connection: sqlite3.Connection, command_id: str) -> None:
    connection.execute(
        "UPDATE commands SET text_gone = 1, message = '', metadata = '{}', first_message = NULL,"
        " reply = NULL, bytes = ? WHERE id = ?",
        (_size("", {}), command_id),
    )


def _cannot_repeat(connection: sqlite3.Connection, row: sqlite3.Row, to: Recipient, now: datetime) -> Command:
    reason = f"{row['repeat_at']} may have done it, and {to.name} cannot know"
    return _step(connection, row["id"], State.UNCERTAIN, now, reason=reason)


def _begin(connection: sqlite3.Connection, row: sqlite3.Row, to: Recipient, now: datetime) -> Command:
    connection.execute("UPDATE commands SET attempts = attempts + 1 WHERE id = ?", (row["id"],))
    connection.execute(
        "INSERT INTO attempts (command_id, number, began_at, target, dedupes) VALUES (?, ?, ?, ?, ?)",
        (row["id"], row["attempts"] + 1, _text(now), to.name, to.dedupes),
    )
    return _step(connection, row["id"], State.SENDING, now)


def _step(
    connection: sqlite3.Connection,
    command_id: str,
    to: State,
    now: datetime,
    *,
    reason: str | None = None,
    reply: Reply | None = None,
    repeat: bool = False,
) -> Command:
    row = _row(connection, command_id, exact=True)
    current = State(row["state"])
    if not may_become(current, to):
        raise NotAllowedError(f"Command {row['id']} is {current.words} and cannot become {to.words}.")
    if to in _NOT_SENT and current is State.QUEUED and _may_have_been_done(connection, row["id"]):
        reason = f"{reason}; an earlier attempt may have been done"
    # A repeat whose write failed is still one that only the same backend may get.
    kept = row["repeat_at"] if State.SENDING in (current, to) and to in _KEEPS_REPEAT else None
    repeat_at = _last_recipient(connection, row) if repeat else kept
    connection.execute(
        "UPDATE commands SET state = ?, reason = ?, reply = coalesce(?, reply), repeat_at = ?, changed_at = ?"
        " WHERE id = ?",
        (to, reason, _reply(reply), repeat_at, _text(now), row["id"]),
    )
    if to is State.WAITING:
        connection.execute(
            "UPDATE attempts SET written_at = ? WHERE command_id = ? AND number = ?",
            (_text(now), row["id"], row["attempts"]),
        )
    elif current in ON_THE_WIRE:
        connection.execute(
            "UPDATE attempts SET outcome = ? WHERE command_id = ? AND number = ?",
            (_REPEATED if repeat else to, row["id"], row["attempts"]),
        )
    return _command(_row(connection, row["id"]))


def _same(row: sqlite3.Row, new: NewCommand) -> Command:
    differs = new.message not in {row["message"], row["first_message"]} and not row["text_gone"]
    if row["kind"] != new.kind or differs:
        raise RefusedError(
            f"This idempotency key belongs to another command, {row['id']}. Give each command its own.",
            code="idempotency_key_reused",
        )
    return _command(row)


def _last_recipient(connection: sqlite3.Connection, row: sqlite3.Row) -> str:
    found = connection.execute(
        "SELECT target FROM attempts WHERE command_id = ? AND number = ?", (row["id"], row["attempts"])
    ).fetchone()
    return str(found["target"])


def _tail(connection: sqlite3.Connection) -> int:
    """The position after the last; one look into the index for each state, and no scan."""
    last = max(
        connection.execute(
            "SELECT coalesce(max(position), 0) FROM commands WHERE state = ?", (state,)
        ).fetchone()[0]
        for state in State
    )
    return int(last) + 1


def _size(message: str, metadata: dict[str, Any]) -> int:
    return len(message.encode()) + len(json.dumps(metadata))


def _marks(values: frozenset[State]) -> str:
    return ", ".join("?" * len(values))


def _may_have_been_done(connection: sqlite3.Connection, command_id: str) -> bool:
    """Whether an earlier attempt was written and never answered."""
    unanswered = connection.execute(
        "SELECT 1 FROM attempts WHERE command_id = ? AND outcome IN (?, ?)",
        (command_id, State.UNCERTAIN, _REPEATED),
    )
    return unanswered.fetchone() is not None


def _row(connection: sqlite3.Connection, command_id: str, *, exact: bool = False) -> sqlite3.Row:
    """The command with this id or, where a person may have typed it, with this beginning of one."""
    if exact:
        row: sqlite3.Row | None
        row = connection.execute("SELECT * FROM commands WHERE id = ?", (command_id,)).fetchone()
        if row is None:
            raise NotFoundError(f"There is no command {command_id!r}.")
        return row
    rows: list[sqlite3.Row] = connection.execute(
        "SELECT * FROM commands WHERE substr(id, 1, length(?)) = ? LIMIT 2", (command_id, command_id)
    ).fetchall()
    if not command_id or not rows:
        raise NotFoundError(f"There is no command {command_id!r}. `omniid outbox list --all` shows them.")
    if len(rows) > 1:
        raise NotFoundError(f"Several commands begin with {command_id!r}. Give more of the id.")
    return rows[0]


def _command(row: sqlite3.Row) -> Command:
    return Command(
        id=row["id"],
        kind=row["kind"],
        message=row["message"],
        metadata=json.loads(row["metadata"]),
        state=State(row["state"]),
        reason=row["reason"],
        reply=json.loads(row["reply"]) if row["reply"] else None,
        attempts=row["attempts"],
        answer_wanted=bool(row["answer_wanted"]),
        created_at=datetime.fromisoformat(row["created_at"]),
        changed_at=datetime.fromisoformat(row["changed_at"]),
        expires_at=datetime.fromisoformat(row["expires_at"]),
    )


def _reply(reply: Reply | None) -> str | None:
    if reply is None:
        return None
    return json.dumps(dataclasses.asdict(reply))


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")
