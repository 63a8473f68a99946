"""Serves one home: the lock that keeps it to one server, the socket, uvicorn, and the agent beside it."""

import asyncio
import fcntl
import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from modelyard.api.dataroots import DataRoots
from modelyard.api.who import actor
from modelyard.domain.errors import ConflictError, UserError
from modelyard.server.agent import AgentKeeper
from modelyard.server.alerting import AlertKeeper
from modelyard.server.app import create_app
from modelyard.server.context import Context
from modelyard.server.guard import Guard
from modelyard.server.listening import LOOPBACK, listen, name_of
from modelyard.server.live import LiveFeed
from modelyard.store import Home, Store
from modelyard.store.home import translated_os_errors

SHUTDOWN_SECONDS = 5
_LOCK, _ADDRESS = "server.lock", "server.json"


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a server is."""

    url: str
    pid: int


@dataclass(frozen=True, kw_only=True)
class Tls:
    """What a server shows to be who it is, both in PEM."""

    certificate: Path
    key: Path


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to serve."""

    port: int | None = None
    """None for the first free one from ``DEFAULT_PORT``."""
    host: str = LOOPBACK
    """The address, or a name of it, to listen on."""
    auth: bool = False
    """Whether to ask who somebody is; done anyway where others than this machine can reach it."""
    tls: Tls | None = None
    agent: bool = True
    """Whether to train what is queued."""
    data_roots: Sequence[Path] = ()
    """Folders below which data may be looked at; by default the user's home."""


def serve(store: Store, options: Options, *, ready: Callable[[Address], None]) -> None:
    """Serve until SIGINT or SIGTERM; ``ready`` is called once requests are taken.

    Raises ``ConflictError`` where another process serves this home already, with its address, or where a login is
    demanded and nobody could log in; ``UserError`` for an address or certificate that cannot be used.
    """
    with ExitStack() as cleanup:
        cleanup.enter_context(_only_one(store.home))
        listener, is_local = cleanup.enter_context(listen(options.host, options.port))
        demands_login = options.auth or not is_local
        if demands_login and not store.users.has_admin():
            raise ConflictError("nobody could log in; make a user first: modelyard users add NAME --role admin")
        keeper = AgentKeeper(store)
        live = LiveFeed(store)
        context = Context(
            store=store,
            live=live,
            trouble=lambda: keeper.trouble,
            demands_login=demands_login,
            data_roots=DataRoots(options.data_roots),
        )
        app = Guard(create_app(context, actor=actor()), demands_login=demands_login)
        config = _config(app, options.tls)
        scheme = "http" if options.tls is None else "https"
        address = Address(url=f"{scheme}://{name_of(options.host)}:{listener.getsockname()[1]}", pid=os.getpid())
        cleanup.enter_context(_announced(store.home, address))
        cleanup.enter_context(AlertKeeper(store))
        if options.agent:
            cleanup.enter_context(keeper)
        asyncio.run(_run(_Server(config), listener, live, lambda: ready(address)))


def _config(app: ASGIApp, tls: Tls | None) -> uvicorn.Config:
    """Return how to serve. Raises ``UserError`` for a certificate that cannot be used."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        server_header=False,
        ssl_certfile=None if tls is None else tls.certificate,
        ssl_keyfile=None if tls is None else tls.key,
    )
    try:
        config.load()
    except OSError as error:  # an SSLError is one, too
        why = f"--tls-cert and --tls-key: {error.strerror or error}; both have to be PEM files that belong together"
        raise UserError(why) from error
    return config


class _Server(uvicorn.Server):
    """Ends on SIGINT and SIGTERM without raising them once more: what is open around it is closed in order."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take both signals while it serves."""
        numbers = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()
        before = {number: signal.signal(number, self.handle_exit) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


async def _run(server: uvicorn.Server, listener: socket.socket, live: LiveFeed, ready: Callable[[], None]) -> None:
    async def watch() -> None:
        while not server.started:
            await asyncio.sleep(0.01)
        ready()
        while not server.should_exit:  # streams end by themselves, so that the server need not wait for them
            await asyncio.sleep(0.1)
        live.close()

    watching = asyncio.create_task(watch())
    await server.serve(sockets=[listener])
    watching.cancel()


@contextmanager
def _only_one(home: Home) -> Iterator[None]:
    """Hold the home's lock; it goes with the process, however that ends."""
    path = home.path / _LOCK
    with translated_os_errors(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            found = _read_address(home)
            where = "" if found is None else f" at {found.url} (process {found.pid})"
            raise ConflictError(f"{home.path} is served already{where}") from error
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _announced(home: Home, address: Address) -> Iterator[None]:
    """Say in the home where the server is."""
    path = home.path / _ADDRESS
    temporary = path.with_name(f".{_ADDRESS}.tmp")
    with translated_os_errors(path):
        temporary.write_text(json.dumps(asdict(address)) + "\n")
        temporary.replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _read_address(home: Home) -> Address | None:
    try:
        return Address(**json.loads((home.path / _ADDRESS).read_text()))
    except (OSError, ValueError, TypeError):  # it is just starting
        return None
