"""The page in a real browser, on a real server, with an engine that needs no torch and trains when a test says so."""

import asyncio
import inspect
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from modelyard.api.training import create
from modelyard.api.who import actor
from modelyard.domain.config import SweepSpec
from modelyard.domain.run import Experiment
from modelyard.scheduler.search.expand import expand
from modelyard.server.app import create_app
from modelyard.server.context import Context
from modelyard.server.guard import Guard
from modelyard.server.live import LiveFeed
from modelyard.server.page import FOLDER
from modelyard.store import Store

expect.set_options(timeout=20_000)  # two workers on two cores, each with a browser
_QUIET = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium here; on Debian: apt install chromium")
    if not (FOLDER / "index.html").exists():
        pytest.fail("the page is not built; run: make page")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=_QUIET)
        yield opened
        opened.close()


class Server:
    """``modelyard up`` without an agent, which can be killed and started again at the same port."""

    def __init__(self, home: Path, *options: str) -> None:
        self._options = options
        self._home = home
        self._process: subprocess.Popen[str] | None = None
        self.url = ""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = str(free.getsockname()[1])  # its own, so that nobody else takes it while it is down

    def start(self) -> None:
        command = [sys.executable, "-m", "modelyard.cli.main", "--home", str(self._home), "up", "--no-agent"]
        command += ["--port", self._port, *self._options]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().split()[3]

    @property
    def pid(self) -> int:
        """Process id of the server."""
        assert self._process is not None
        return self._process.pid

    def end(self, number: int = signal.SIGINT) -> None:
        if self._process is not None:
            os.kill(self._process.pid, number)
            self._process.communicate()
            self._process = None


@pytest.fixture
def server_options() -> tuple[str, ...]:
    """More options of ``modelyard up``, for tests that define this anew."""
    return ()


@pytest.fixture
def server(store: Store, home: Path, server_options: tuple[str, ...]) -> Iterator[Server]:
    del store  # opened first, so that only one process makes the home
    made = Server(home, *server_options)
    made.start()
    yield made
    made.end()


@contextmanager
def _in_thread(store: Store) -> Iterator[str]:
    """Serve as ``modelyard up --no-agent`` does, in this process: that starts in no time. Yields the address."""
    context = Context(store=store, live=LiveFeed(store))
    app = Guard(create_app(context, actor=actor()))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    context.live.close()
    server.should_exit = True
    thread.join()


@pytest.fixture
def url(request: pytest.FixtureRequest, store: Store, server_options: tuple[str, ...]) -> Iterator[str]:
    """Where the page is: at a process of its own for tests that ask for ``server`` or for options."""
    if server_options or "server" in inspect.signature(request.function).parameters:
        yield request.getfixturevalue("server").url
    else:
        with _in_thread(store) as address:
            yield address


@pytest.fixture
def page(browser: Browser, url: str) -> Iterator[Page]:
    """A new browser profile at the start page; whatever the browser complains about fails the test."""
    context = browser.new_context(base_url=url, viewport={"width": 1280, "height": 800})
    opened = context.new_page()
    opened.set_default_timeout(20_000)
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            complaints.append(message.text)

    opened.on("console", note)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.goto("/")
    yield opened
    opened.unroute_all(behavior="ignoreErrors")
    context.close()
    assert complaints == []


@pytest.fixture
def make(store: Store) -> Callable[..., Experiment]:
    """Queue an experiment of three learning rates."""

    def queue(name: str = "rates", *, epochs: int = 3, **run: Any) -> Experiment:
        space = {"optimizer.learning_rate": {"choice": [0.01, 0.02, 0.04]}}
        sweep = SweepSpec.model_validate(
            {"name": name, "run": {"training": {"epochs": epochs}, **run}, "search": {"method": "grid", "space": space}}
        )
        return create(store, sweep, expand(sweep), actor="ann")

    return queue


@pytest.fixture
def engine(store: Store, fake_supervisor: type[Any]) -> Iterator[Any]:
    """An agent and engine in one; each ``poll`` trains an epoch of every run."""
    with fake_supervisor(store) as opened:
        opened.start()
        yield opened
