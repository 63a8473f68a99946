"""Stores to test with: every contract test runs on SQLite and on a PostgreSQL server of its own."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, text
from sqlalchemy.exc import OperationalError

from modelyard.domain.checkpoint import BlobRef, CheckpointDraft
from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.run import Experiment, Lease, Run
from modelyard.store import Store, open_store

BACKENDS = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[URL]:
    """Start a server on a socket in a temporary folder; give the URL of a database with all tables, to copy from."""
    initdb = shutil.which("initdb")
    if initdb is None:
        pytest.skip("no PostgreSQL server here: initdb is not on the PATH")
    programs = Path(initdb).resolve().parent
    # Not pytest's own folder: the server's user must be able to reach it.
    folder = Path(tempfile.mkdtemp(prefix="modelyard-pg-"))
    user = _unprivileged_user()
    if user is not None:
        shutil.chown(folder, user)
    data = folder / "data"
    _run_as(user, [programs / "initdb", "-D", data, "-U", "modelyard", "-A", "trust", "-E", "UTF8", "--no-sync"])
    options = ["-c", "fsync=off", "-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, *options], user=user, stdout=log, stderr=log, cwd=folder
        )
    url = URL.create("postgresql+psycopg", username="modelyard", database="postgres", query={"host": str(folder)})
    try:
        _await_server(url, server, folder / "log")
        _administer(url, "CREATE DATABASE template")
        open_store(folder / "home", database_url=_text(url.set(database="template"))).close()
        yield url
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(timeout=30)
        shutil.rmtree(folder)


@pytest.fixture(params=BACKENDS)
def database_url(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """Give the URL of a fresh database: None for SQLite, which needs none."""
    if request.param == "sqlite":
        yield None
        return
    server: URL = request.getfixturevalue("postgresql_server")
    name = f"test_{time.monotonic_ns()}"
    _administer(server, f"CREATE DATABASE {name} TEMPLATE template")
    yield _text(server.set(database=name))
    _administer(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def empty_database_url(request: pytest.FixtureRequest, database_url: str | None) -> Iterator[str | None]:
    """Give the URL of a database without tables."""
    if database_url is None:
        yield None
        return
    server: URL = request.getfixturevalue("postgresql_server")
    _administer(server, "CREATE DATABASE no_tables")
    yield _text(server.set(database="no_tables"))
    _administer(server, "DROP DATABASE no_tables WITH (FORCE)")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Give the path of a home that does not exist yet."""
    return tmp_path / "home"


@pytest.fixture
def store(home: Path, database_url: str | None) -> Iterator[Store]:
    """Open a new store, once on each database."""
    with open_store(home, database_url=database_url) as opened:
        yield opened


@pytest.fixture
def sqlite_store(home: Path) -> Iterator[Store]:
    """Open a new store on SQLite, for what is the same on every database."""
    with open_store(home) as opened:
        yield opened


@pytest.fixture
def sweep() -> Callable[..., Experiment]:
    """Give a function that creates an experiment with a number of runs."""

    def create(store: Store, count: int = 1, *, name: str = "sweep", project: str = "default") -> Experiment:
        specs = [RunSpec(seed=seed) for seed in range(count)]
        return store.experiments.create(SweepSpec(name=name, project=project), specs, actor="tester")

    return create


@pytest.fixture
def claim(sweep: Callable[..., Experiment]) -> Callable[..., tuple[Run, Lease]]:
    """Give a function that claims a run for a new worker, after creating one if the queue is empty."""

    def take(store: Store, *, begin_at: int | None = 0) -> tuple[Run, Lease]:
        worker_id = store.leases.register()
        if not (found := store.leases.claim(worker_id, limit=1)):
            sweep(store)
            found = store.leases.claim(worker_id, limit=1)
        run, lease = found[0]
        if begin_at is not None:
            with store.write(lease) as write:
                write.begin(
                    start_step=begin_at,
                    checkpoint_id=None,
                    total_steps=100,
                    execution="solo",
                    device="cpu",
                    reason="the only one",
                )
        return run, lease

    return take


@pytest.fixture
def draft() -> Callable[..., CheckpointDraft]:
    """Give a function that makes a checkpoint of one file; its bytes differ from step to step."""

    def make(store: Store, step: int, *, best: bool = False, resumable: bool = True) -> CheckpointDraft:
        blob: BlobRef = store.blobs.put([b"weights of step %d" % step])
        files = {"model.safetensors": blob}
        return CheckpointDraft(step=step, epoch=0, files=files, metrics={}, best=best, resumable=resumable)

    return make


def _unprivileged_user() -> str | None:
    """Return whom to run the server as if we are root, which it refuses to be."""
    if os.getuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _run_as(user: str | None, command: list[str | Path]) -> None:
    subprocess.run(command, user=user, check=True, capture_output=True, cwd="/")


def _await_server(url: URL, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            return _administer(url, "SELECT 1")
        except OperationalError as error:
            if server.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(log.read_text()) from error
            time.sleep(0.05)


def _administer(url: URL, statement: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.execute(text(statement))
    finally:
        engine.dispose()


def _text(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)
