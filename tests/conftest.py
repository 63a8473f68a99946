"""For every test: a home of its own, one thread for arithmetic, no time limit on single hypothesis examples."""

import importlib.util
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from modelyard.store import Store, open_store

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MODELYARD_FILL_NEW_MEMORY", "1")  # a kernel that reads memory before it is set gives NaN

# Examples share two cores with other workers, so a slow one says nothing about the code.
settings.register_profile("modelyard", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("modelyard")


@pytest.fixture(scope="session", autouse=True)
def _home_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep tests that name no home out of the home of the person who runs them."""
    os.environ["MODELYARD_HOME"] = str(tmp_path_factory.mktemp("home"))


@pytest.fixture
def fake_supervisor() -> type[Any]:
    """Return a supervisor of its own for one test, with an engine that needs no torch: see fake_engine.py."""
    spec = importlib.util.spec_from_file_location("fake_engine", Path(__file__).parent / "fake_engine.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    class Supervisor(module.FakeSupervisor):  # type: ignore[misc,name-defined]
        made: list[Any] = []

    return Supervisor


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, fake_supervisor: type[Any]) -> type[Any]:
    """Train with the engine without torch; returns its class, to look at what was made or to act on each poll."""
    monkeypatch.setattr("modelyard.api.training.Supervisor", fake_supervisor)
    monkeypatch.setattr("modelyard.api.training._REFRESH_SECONDS", 0.0)
    return fake_supervisor


@pytest.fixture(autouse=True)
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash passwords at a cost that tests can pay many times; what it was is kept with each hash."""
    monkeypatch.setattr("modelyard.store.users._COST", 1 << 10)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    with open_store(home) as opened:
        yield opened


class SmallDisk:
    """A tmpfs that can be filled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def fill(self) -> None:
        """Leave no byte."""
        with (self.path / "ballast").open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 4096)
            except OSError:
                return

    def empty(self) -> None:
        (self.path / "ballast").unlink(missing_ok=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    path = tmp_path / "disk"
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(path)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mounting a tmpfs is not permitted here")
    yield SmallDisk(path)
    subprocess.run(["umount", "-l", str(path)], check=True)
