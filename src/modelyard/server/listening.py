"""Where a server listens."""

import ipaddress
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from modelyard.domain.errors import UserError

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 8765
PORTS = 20
"""How many ports are tried, unless one was asked for."""


@contextmanager
def listen(host: str, port: int | None) -> Iterator[tuple[socket.socket, bool]]:
    """Yield a listening socket, and whether only this machine can reach it. Raises ``UserError``."""
    family, address = _resolve(host)
    tried = [port] if port is not None else [*range(DEFAULT_PORT, DEFAULT_PORT + PORTS), 0]
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for number in tried:
            try:
                listener.bind((address, number))
                listener.listen()  # at once: two that are bound and do not listen may have the same port
            except OSError as error:
                if number == tried[-1]:
                    raise UserError(_why_not(host, number, error)) from error
            else:
                break
        yield listener, ipaddress.ip_address(address).is_loopback


def name_of(host: str) -> str:
    """Return how others call what listens on ``host``, as part of an address."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        return socket.gethostname()
    return f"[{host}]" if address.version == 6 else host


def _resolve(host: str) -> tuple[socket.AddressFamily, str]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UserError(f"--host: {host!r} is no address of this machine; give one, or 0.0.0.0 for all") from error
    family, _, _, _, address = found[0]
    return family, str(address[0])


def _why_not(host: str, port: int, error: OSError) -> str:
    if host == LOOPBACK:
        return f"port {port}: {error.strerror}; choose another with --port"
    return f"{host}, port {port}: {error.strerror}; choose others with --host and --port"
