"""The embedded backend: a complete local assistant behind the same protocol.

It imports `omniid.protocol` and `omniid.errors`, and nothing else of omniid.

    server        the sockets, the handshake's rules, signals; nothing about what is said
    conversation  PURE: a client's frame, what is remembered and the time in; frames and what to remember out
    intents       PURE: a sentence to an intent and its slots
    skills/       PURE: one file a subject; a request in, an answer out
    diary/        the desktop's calendars, read in a child process
    consent/      the page on which the user allows it
    desk          answers one command: conversation, then the disk, then the reply
    store         the tasks file and its lock
"""
