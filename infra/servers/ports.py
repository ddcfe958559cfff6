"""Free ports below the range that the kernel uses for outgoing connections.

A port in that range may be free now and belong to a connection a moment later, so a service could
not listen there.
"""

from __future__ import annotations

import random
import socket
from contextlib import closing, suppress
from pathlib import Path

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_USUAL = 32768  # the usual start of that range on Linux
_LOWEST = 10240


def free_ports(first: int, count: int) -> list[int]:
    """The next free ports from `first`, or from 10240 if `first` is in the kernel's range."""
    end = _end()
    port = first if first + count < end else _LOWEST
    found: list[int] = []
    while len(found) < count:
        if _is_free(port):
            found.append(port)
        port += 1
    return found


def free_port() -> int:
    """A random free port of the loopback interface."""
    end = _end()
    while True:
        port = random.randrange(_LOWEST, end)
        if _is_free(port):
            return port


def _end() -> int:
    """The first port of the kernel's range, if there is room below it; otherwise the usual one."""
    with suppress(OSError, ValueError, IndexError):
        begin = int(_RANGE.read_text("ascii").split()[0])
        return begin if begin > _LOWEST + 1000 else _USUAL
    return _USUAL


def _is_free(port: int) -> bool:
    with closing(socket.socket()) as probe, suppress(OSError):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        return True
    return False
