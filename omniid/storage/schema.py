"""The tables, as a list of steps: a file of any earlier version is brought up to date by those it lacks.

A step that has been released is never changed. Its number is the file's `user_version` once it has been made.
"""

from __future__ import annotations

MIGRATIONS = (
    """
    CREATE TABLE commands (
        id TEXT PRIMARY KEY,
        position INTEGER NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('voice', 'text')),
        message TEXT NOT NULL,
        metadata TEXT NOT NULL,
        idempotency_key TEXT UNIQUE,
        state TEXT NOT NULL CHECK (state IN ('queued', 'sending', 'waiting', 'done', 'failed', 'rejected',
            'needs_auth', 'uncertain', 'expired', 'cancelled', 'dropped')),
        reason TEXT,
        reply TEXT,
        attempts INTEGER NOT NULL DEFAULT 0,
        answer_wanted INTEGER NOT NULL DEFAULT 1,
        bytes INTEGER NOT NULL,
        created_at TEXT NOT NULL,
        changed_at TEXT NOT NULL,
        expires_at TEXT NOT NULL
    ) STRICT;
    CREATE INDEX commands_line ON commands (state, position);
    CREATE TABLE attempts (
        command_id TEXT NOT NULL REFERENCES commands (id) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        began_at TEXT NOT NULL,
        written_at TEXT,
        outcome TEXT,
        PRIMARY KEY (command_id, number)
    ) STRICT;
    """,
    # `repeat_at`: the backend that may get the command again by itself, since it knew the id when it got it.
    # `first_message`: what an edited command said when it was accepted; its idempotency key stands for that.
    # `tally` keeps what the caps and the status need, so that no question about it reads the whole line.
    """
    ALTER TABLE commands ADD COLUMN repeat_at TEXT;
    ALTER TABLE commands ADD COLUMN first_message TEXT;
    ALTER TABLE attempts ADD COLUMN target TEXT NOT NULL DEFAULT '';
    ALTER TABLE attempts ADD COLUMN dedupes INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX commands_expiry ON commands (expires_at) WHERE state = 'queued';
    CREATE TABLE tally (
        state TEXT PRIMARY KEY,
        number INTEGER NOT NULL,
        bytes INTEGER NOT NULL
    ) STRICT;
    INSERT INTO tally SELECT state, count(*), sum(bytes) FROM commands GROUP BY state;
    CREATE TRIGGER tally_added AFTER INSERT ON commands BEGIN
        INSERT INTO tally VALUES (new.state, 1, new.bytes)
            ON CONFLICT (state) DO UPDATE SET number = number + 1, bytes = bytes + excluded.bytes;
    END;
    CREATE TRIGGER tally_removed AFTER DELETE ON commands BEGIN
        UPDATE tally SET number = number - 1, bytes = bytes - old.bytes WHERE state = old.state;
    END;
    CREATE TRIGGER tally_moved AFTER UPDATE OF state, bytes ON commands BEGIN
        UPDATE tally SET number = number - 1, bytes = bytes - old.bytes WHERE state = old.state;
        INSERT INTO tally VALUES (new.state, 1, new.bytes)
            ON CONFLICT (state) DO UPDATE SET number = number + 1, bytes = bytes + excluded.bytes;
    END;
    """,
    # The conversations. Numbers are never used twice, so that a place in the history stays one.
    # `whole_bytes`: what the text had before it was cut. `words` is the search index; it holds no text.
    # `text_gone`: what a command said, and its answer, have been forgotten; its id and its key still stand.
    # `chores`: what is still to be done about something that was deleted, should omniid end before it is.
    """
    CREATE TABLE messages (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        at TEXT NOT NULL,
        sender TEXT NOT NULL CHECK (sender IN ('user', 'assistant', 'system')),
        kind TEXT NOT NULL,
        text TEXT NOT NULL,
        whole_bytes INTEGER,
        command_id TEXT,
        metadata TEXT NOT NULL,
        reply TEXT
    ) STRICT;
    CREATE INDEX messages_age ON messages (at);
    CREATE VIRTUAL TABLE words USING fts5 (
        text, content = 'messages', content_rowid = 'number', columnsize = 0,
        tokenize = 'unicode61 remove_diacritics 2'
    );
    CREATE TRIGGER words_added AFTER INSERT ON messages BEGIN
        INSERT INTO words (rowid, text) VALUES (new.number, new.text);
    END;
    CREATE TRIGGER words_removed AFTER DELETE ON messages BEGIN
        INSERT INTO words (words, rowid, text) VALUES ('delete', old.number, old.text);
    END;
    CREATE TRIGGER words_changed AFTER UPDATE OF text ON messages BEGIN
        INSERT INTO words (words, rowid, text) VALUES ('delete', old.number, old.text);
        INSERT INTO words (rowid, text) VALUES (new.number, new.text);
    END;
    CREATE TABLE chores (name TEXT PRIMARY KEY) STRICT;
    ALTER TABLE commands ADD COLUMN text_gone INTEGER NOT NULL DEFAULT 0;
    """,
    # `marks`: when the history was last `cleared`, or that it is `off`: nothing from before comes into it.
    """
    CREATE TABLE marks (name TEXT PRIMARY KEY, at TEXT NOT NULL) STRICT;
    """,
)
