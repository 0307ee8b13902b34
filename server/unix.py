"""What Parley asks of Unix: users, who is at the other end of a socket, and sockets with long paths."""

import contextlib
import os
import pwd
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

CONSOLE_SOCKET = "console.sock"  # in the data folder, while a phone book runs
MAX_SOCKET_PATH = 107  # bytes of a Unix socket's path (unix(7): 108 with the zero at its end)
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid


def user_name(uid: int) -> str:
    """The name of a Unix user; its number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def peer_uid(connected: socket.socket) -> int:
    """The Unix user at the other end, as the kernel vouches for it (SO_PEERCRED, unix(7))."""
    packed = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(packed)
    return int(uid)


@contextlib.contextmanager
def reachable(path: Path) -> Iterator[str]:
    """A path that fits into a socket's address; a long one leads through a descriptor of its folder."""
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
