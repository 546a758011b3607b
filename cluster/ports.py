"""TCP ports of this machine."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import SystemRandom

# Ray's workers listen on 10002 to 19999. From the second bound on, the kernel hands ports out by itself, to every
# connection and to whoever binds port 0: one of those is free now and somebody's before a server comes to bind it.
_LOWEST = 20_000
_KERNELS_FIRST = 32_768
_KERNEL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_TRIES = 200


def is_free(host: str, port: int) -> bool:
    """Whether a server could bind the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def free_port(host: str) -> int:
    """A port that nobody has at this moment, and that the kernel gives to nobody who does not ask for it."""
    ours = range(_LOWEST, kernels_first())
    for port in SystemRandom().sample(ours, k=min(_TRIES, len(ours))):
        if is_free(host, port):
            return port
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        port = int(probe.getsockname()[1])
    return port


@contextmanager
def preferred_port(host: str, port: int) -> Iterator[int]:
    """`port` where nobody has it and nobody else is about to take it, else a free one; the choice holds for the block.

    Two that are brought up at once would both find it free. Who has chosen it says so by a socket of that name in
    Linux's abstract namespace: one a machine (a network namespace, as with ports), gone with its process.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as claim:
        try:
            claim.bind(f"\0planvault/port/{host}/{port}")
        except OSError:
            yield free_port(host)  # another one has chosen it, or this system has no such names
        else:
            yield port if is_free(host, port) else free_port(host)


def kernels_first() -> int:
    """The lowest port that the kernel hands out by itself."""
    try:
        return int(_KERNEL_RANGE.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return _KERNELS_FIRST
