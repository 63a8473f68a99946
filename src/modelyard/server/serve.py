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

from modelyard.api.who import actor
from modelyard.domain.errors import ConflictError, UserError
from modelyard.server.agent import AgentKeeper
from modelyard.server.app import create_app
from modelyard.server.context import Context
from modelyard.server.folders import Folders
from modelyard.server.guard import Guard
from modelyard.server.live import LiveFeed
from modelyard.store import Home, Store
from modelyard.store.home import translated_os_errors

DEFAULT_PORT = 8765
PORTS = 20
"""How many ports are tried, unless one was asked for."""
SHUTDOWN_SECONDS = 5
_LOCK, _ADDRESS = "server.lock", "server.json"


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a server is."""

    url: str
    pid: int


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to serve."""

    port: int | None = None
    """None for the first free one from ``DEFAULT_PORT``."""
    agent: bool = True
    """Whether to train what is queued."""
    folders: Sequence[Path] = ()
    """Folders besides the user's own whose images models may be tried on."""


def serve(store: Store, options: Options, *, ready: Callable[[Address], None]) -> None:
    """Serve until SIGINT or SIGTERM; ``ready`` is called once requests are taken.

    Raises ``ConflictError`` where another process serves this home already, with its address.
    """
    with ExitStack() as cleanup:
        cleanup.enter_context(_only_one(store.home))
        listener = cleanup.enter_context(_listen(options.port))
        address = Address(url=f"http://127.0.0.1:{listener.getsockname()[1]}", pid=os.getpid())
        cleanup.enter_context(_announced(store.home, address))
        keeper = AgentKeeper(store)
        folders = Folders([Path.home(), *options.folders])
        context = Context(store=store, live=LiveFeed(store), trouble=lambda: keeper.trouble, folders=folders)
        app = Guard(create_app(context, actor=actor()))
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, timeout_graceful_shutdown=SHUTDOWN_SECONDS, server_header=False
        )
        if options.agent:
            cleanup.enter_context(keeper)
        asyncio.run(_run(_Server(config), listener, context.live, lambda: ready(address)))


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


@contextmanager
def _listen(port: int | None) -> Iterator[socket.socket]:
    tried = [port] if port is not None else [*range(DEFAULT_PORT, DEFAULT_PORT + PORTS), 0]
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for number in tried:
            try:
                listener.bind(("127.0.0.1", number))
                listener.listen()  # at once: two that are bound and do not listen may have the same port
            except OSError as error:
                if number == tried[-1]:
                    raise UserError(f"port {number}: {error.strerror}; choose another with --port") from error
            else:
                break
        yield listener
