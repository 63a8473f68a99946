"""A served home, and an engine that needs no torch."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx2 as httpx
import pytest
import uvicorn
from fastapi.testclient import TestClient

from modelyard.api.training import NoView, Resources, create, train_experiment
from modelyard.domain.config import SweepSpec
from modelyard.domain.run import Experiment
from modelyard.scheduler.search.expand import expand
from modelyard.server.app import create_app
from modelyard.server.context import Context
from modelyard.server.live import LiveFeed
from modelyard.store import Store


@pytest.fixture
def context(store: Store) -> Context:
    return Context(store=store, live=LiveFeed(store))


@pytest.fixture
def client(context: Context) -> Iterator[TestClient]:
    """Requests to the application, without a socket."""
    with TestClient(create_app(context, actor="ann")) as opened:
        yield opened


@pytest.fixture
def served(context: Context) -> Iterator[httpx.Client]:
    """Requests to a real server, for streams."""
    config = uvicorn.Config(create_app(context, actor="ann"), port=0, log_level="warning", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    while not server.started:
        threading.Event().wait(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as opened:
        yield opened
    context.live.close()
    server.should_exit = True
    thread.join()


@pytest.fixture
def sweep() -> SweepSpec:
    return SweepSpec.model_validate(
        {
            "name": "digits",
            "run": {"training": {"epochs": 2}},
            "search": {"method": "grid", "space": {"optimizer.learning_rate": {"choice": [0.01, 0.02, 0.04]}}},
        }
    )


@pytest.fixture
def queued(store: Store, sweep: SweepSpec) -> Experiment:
    """An experiment whose three runs have not begun."""
    return create(store, sweep, expand(sweep), actor="ann")


@pytest.fixture
def train(engine: Any, store: Store) -> Callable[[Experiment], None]:
    """Train an experiment to its end."""

    def run(experiment: Experiment) -> None:
        train_experiment(store, experiment, resources=Resources(), view=NoView(), actor="ann")

    return run
