"""Ports for servers that start seconds after their ports were chosen."""

from __future__ import annotations

import contextlib
import random
import socket
from typing import Final

from stillwatch.errors import Unavailable

# Between Ray's workers (10002 to 19999) and the replicas behind its HAProxy (from 30000), and below the ports that
# Linux (from 32768) and others (from 49152, RFC 6335) give to whoever asks for any: the kernel's own "any free port"
# may be a connection's, or another server's, in the seconds before the one that it was meant for binds it.
_FIRST: Final = 20_000
_LAST: Final = 29_999


def free_ports(count: int) -> list[int]:
    """``count`` different ports on which nobody listens, on no interface, and that nobody is given by chance.

    Where one begins to look is drawn, so that two clusters that start at once on one machine do not choose the same.
    Raises Unavailable when there are not so many.

    >>> len(set(free_ports(3)))
    3
    """
    span = _LAST - _FIRST + 1
    begin = random.SystemRandom().randrange(span)
    found: list[int] = []
    # Each stays bound until all are found; nothing that only was bound, and never listened, keeps a port afterwards.
    with contextlib.ExitStack() as held:
        for offset in range(span):
            if len(found) == count:
                break
            probe = held.enter_context(socket.socket())
            port = _FIRST + (begin + offset) % span
            try:
                # On all interfaces, as HAProxy binds: a port that someone has on one of them is not free for it.
                probe.bind(("", port))
            except OSError:
                probe.close()
            else:
                found.append(port)
    if len(found) < count:
        raise Unavailable("a free TCP port", f"of {_FIRST} to {_LAST}, {len(found)} are free and {count} are needed")
    return found
