"""Who is at the other end of a Unix socket. Imports next to nothing, since a key binding waits for it."""

from __future__ import annotations

import os
import socket
import struct
import sys


def uid(sock: socket.socket) -> int:
    """The user id of the process at the other end, as the kernel knows it."""
    if sys.platform == "darwin":
        xucred = sock.getsockopt(0, 1, 76)  # SOL_LOCAL, LOCAL_PEERCRED: version, uid, groups
        return int(struct.unpack_from("=II", xucred)[1])
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1])


def is_ours(sock: socket.socket) -> bool:
    """Whether it is a process of this user: in a shared folder somebody else could listen in our name."""
    return uid(sock) == os.getuid()
