"""A process with models: started when asked, again when it died, ended when nobody asks."""

import os
import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from modelyard.agent.model_worker import ModelWorker
from modelyard.domain.errors import DataError, ModelyardError
from modelyard.store import Store

FAKE = """
import json, os, sys

def main():
    first = json.loads(sys.stdin.readline())
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "die":
            os._exit(3)
        if request["do"] == "fail":
            print(json.dumps({"failed": {"kind": "DataError", "message": "no image"}}), flush=True)
        elif request["do"] != "sleep":
            print("noise", flush=True)
            print(json.dumps({"pid": os.getpid(), "home": first["home"]}), flush=True)
    return 0
"""


@pytest.fixture
def worker(store: Store, tmp_path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelWorker]:  # type: ignore[no-untyped-def]
    (tmp_path / "fake_models.py").write_text(FAKE)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setattr("modelyard.agent.model_worker._MODULE", "fake_models")
    made = ModelWorker(store)
    yield made
    made.close()


def test_one_process_answers_all(worker: ModelWorker, store: Store) -> None:
    assert worker.pid is None
    first, second = worker.ask({"do": "predict"}), worker.ask({"do": "predict"})
    assert first == second == {"pid": worker.pid, "home": str(store.home.path)}
    assert worker.restarts == 0


def test_a_killed_process_is_started_again_and_that_is_said(worker: ModelWorker) -> None:
    before = worker.ask({"do": "predict"})["pid"]
    os.kill(before, signal.SIGKILL)
    assert worker.ask({"do": "predict"})["pid"] != before
    worker.ask({"do": "predict"})
    assert worker.restarts == 1


def test_a_request_that_kills_every_process_is_an_error_and_the_next_one_works(worker: ModelWorker) -> None:
    worker.ask({"do": "predict"})
    with pytest.raises(ModelyardError, match="ended unexpectedly"):
        worker.ask({"do": "die"})
    assert worker.ask({"do": "predict"})


def test_an_error_of_the_process_is_raised_and_it_lives_on(worker: ModelWorker) -> None:
    pid = worker.ask({"do": "predict"})["pid"]
    with pytest.raises(DataError, match="no image"):
        worker.ask({"do": "fail"})
    assert worker.ask({"do": "predict"})["pid"] == pid


def test_one_that_does_not_answer_is_ended(worker: ModelWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelyard.agent.model_worker.ANSWER_SECONDS", 0.2)
    with pytest.raises(ModelyardError, match="did not answer"):
        worker.ask({"do": "sleep"})
    assert worker.pid is None


def test_an_idle_process_ends(store: Store, worker: ModelWorker, wait_until: Callable[..., None]) -> None:
    del worker  # for its module
    brief = ModelWorker(store, idle_seconds=0.05)
    pid = brief.ask({"do": "predict"})["pid"]
    wait_until(lambda: brief.pid is None)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    brief.ask({"do": "predict"})
    assert brief.restarts == 0
    brief.close()


def test_closing_does_not_wait_for_an_answer(worker: ModelWorker, wait_until: Callable[..., None]) -> None:
    failed: list[str] = []

    def ask() -> None:
        try:
            worker.ask({"do": "sleep"})
        except ModelyardError as error:
            failed.append(str(error))

    asking = threading.Thread(target=ask)
    asking.start()
    wait_until(lambda: worker.pid is not None)
    worker.close()
    asking.join()
    assert len(failed) == 1
    with pytest.raises(ModelyardError, match="the server is ending"):
        worker.ask({"do": "predict"})


def test_threads_take_turns(worker: ModelWorker) -> None:
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(worker.ask({"do": "x"})["pid"])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [worker.pid] * 8
