"""For every test: a home of its own, one thread for arithmetic, no time limit on single hypothesis examples."""

import os

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MODELYARD_FILL_NEW_MEMORY", "1")  # a kernel that reads memory before it is set gives NaN

# Examples share two cores with other workers, so a slow one says nothing about the code.
settings.register_profile("modelyard", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("modelyard")


@pytest.fixture(scope="session", autouse=True)
def _home_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep tests that name no home out of the home of the person who runs them."""
    os.environ["MODELYARD_HOME"] = str(tmp_path_factory.mktemp("home"))
