"""Engine processes that wait are used for the runs that come, and leave nothing behind if none do."""

from collections.abc import Callable
from pathlib import Path

import pytest

from modelyard.agent.supervisor import Supervisor
from modelyard.agent.warm_engines import WarmEngines
from modelyard.domain.config import RunSpec
from modelyard.domain.run import Run, RunState
from modelyard.scheduler.planner import Wishes
from modelyard.store import Store

SpecOf = Callable[[int], RunSpec]


@pytest.fixture
def warm(small_spec: SpecOf, monkeypatch: pytest.MonkeyPatch) -> WarmEngines:
    monkeypatch.setattr("modelyard.agent.warm_engines.may_have_accelerator", lambda: False)
    return WarmEngines([small_spec(1)], Wishes())


def test_a_waiting_process_trains_the_runs(
    warm: WarmEngines, store: Store, queue_run: Callable[[int], Run], wait_until: Callable[..., None]
) -> None:
    run = queue_run(2)
    ((_, waiting),) = warm._waiting
    with warm, Supervisor(store, experiment_id=run.experiment_id, warm=warm) as supervisor:
        supervisor.start()
        assert supervisor.poll().processes == (waiting.pid,)
        wait_until(lambda: supervisor.poll().idle)
    assert store.runs.get(run.id).state is RunState.COMPLETED
    assert waiting.returncode is not None


def test_its_output_goes_to_its_log(warm: WarmEngines, tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    with warm:
        ((threads, _),) = warm._waiting
        taken = warm.take(["--nonsense"], threads=threads, variables={}, log=log)
        assert taken is not None
        taken.communicate(timeout=60)
        assert "the following arguments are required: --home" in log.read_text()


def test_those_that_nobody_needs_end(warm: WarmEngines) -> None:
    ((_, waiting),) = warm._waiting
    with warm:
        assert waiting.poll() is None
    assert waiting.returncode is not None


def test_one_ends_with_the_process_that_started_it(warm: WarmEngines) -> None:
    ((_, waiting),) = warm._waiting
    with warm:
        assert waiting.stdin is not None
        waiting.stdin.close()
        assert waiting.wait(60) == 0


def test_one_with_other_threads_and_one_that_ended_are_left(warm: WarmEngines, tmp_path: Path) -> None:
    ((threads, waiting),) = warm._waiting
    log = tmp_path / "engine.log"
    with warm:
        assert warm.take([], threads=threads + 1, variables={}, log=log) is None
        waiting.kill()
        waiting.wait()
        assert warm.take([], threads=threads, variables={}, log=log) is None


def test_none_waits_where_there_may_be_an_accelerator(small_spec: SpecOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelyard.agent.warm_engines.may_have_accelerator", lambda: True)
    assert WarmEngines([small_spec(1)], Wishes())._waiting == []
