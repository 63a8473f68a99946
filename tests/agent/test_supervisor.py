"""Real processes: engines that die, agents that die, and runs that end all the same."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from modelyard.agent.presence import live_agents, takes_runs_of
from modelyard.agent.supervisor import Supervisor
from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.control import Pause
from modelyard.domain.plan import Execution
from modelyard.domain.run import ACTIVE, ReasonCode, Run, RunState
from modelyard.store import LeaseObserver, Store

PATIENCE = 60.0


def spec(epochs: int = 3, **training: object) -> RunSpec:
    return RunSpec.model_validate(
        {
            "data": {"source": "digits", "max_per_class": 20},
            "training": {"epochs": epochs, "batch_size": 16, "checkpoint": {"every_steps": 20}, **training},
        }
    )


def submit(store: Store, *specs: RunSpec) -> list[Run]:
    experiment = store.experiments.create(SweepSpec(name="test"), list(specs), actor="test")
    return store.runs.list(experiment_id=experiment.id)


def wait_for(condition: Callable[[], object], poll: Callable[[], object] = lambda: None) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        poll()
        time.sleep(0.02)


def progressed(store: Store, run: Run, steps: int = 1) -> Callable[[], bool]:
    return lambda: store.runs.get(run.id).step >= steps


def test_it_trains_everything_and_is_idle(store: Store) -> None:
    runs = submit(store, spec(1), spec(2))
    with Supervisor(store, experiment_id=runs[0].experiment_id) as supervisor:
        supervisor.start()
        assert store.home.reserve.path.exists()
        assert takes_runs_of(live_agents(store)[0], runs[0].experiment_id)
        wait_for(lambda: supervisor.poll().idle)
        assert supervisor.plan.groups[0].reason
        assert supervisor.poll().message == ""
    assert [store.runs.get(run.id).state for run in runs] == [RunState.COMPLETED] * 2
    assert live_agents(store) == []
    assert store.leases.workers() == []


def test_a_killed_engine_is_replaced_and_its_run_goes_on(store: Store) -> None:
    (run,) = submit(store, spec(400, checkpoint={"every_steps": 5}))
    with Supervisor(store, experiment_id=run.experiment_id) as supervisor:
        supervisor.start()
        wait_for(progressed(store, run), supervisor.poll)
        (pid,) = supervisor.poll().processes
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: store.runs.get(run.id).attempt == 2, supervisor.poll)
        assert "SIGKILL" in supervisor.poll().message
        lost = [e.payload for e in store.events.read(run_id=run.id) if "lease_lost" in e.payload.model_dump_json()]
        assert "SIGKILL" in lost[0].model_dump_json()
        wait_for(progressed(store, run, store.runs.get(run.id).step + 1), supervisor.poll)


def test_a_run_that_always_kills_its_process_fails_in_the_end(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if 'modelyard.engine.worker' in ' '.join(sys.orig_argv):\n"
        "    import modelyard.engine.session as session\n"
        "    session.Session.advance = lambda self: os.kill(os.getpid(), 9)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    (run,) = submit(store, spec(max_retries=1))
    with Supervisor(store, experiment_id=run.experiment_id) as supervisor:
        supervisor.start()
        wait_for(lambda: supervisor.poll().idle)
    failed = store.runs.get(run.id)
    assert (failed.state, failed.reason.code) == (RunState.FAILED, ReasonCode.RETRIES_EXHAUSTED)
    assert "SIGKILL" in failed.reason.message


def test_stop_queues_the_runs_again_with_a_checkpoint(store: Store) -> None:
    runs = submit(store, spec(1000), spec(1000))
    supervisor = Supervisor(store, experiment_id=runs[0].experiment_id, execution=Execution.SLICED, processes=1)
    supervisor.start()
    wait_for(lambda: all(store.runs.get(run.id).step > 0 for run in runs), supervisor.poll)
    supervisor.stop()
    for run in runs:
        now = store.runs.get(run.id)
        assert (now.state, now.reason.code) == (RunState.QUEUED, ReasonCode.RELEASED)
        assert store.checkpoints.find(run.id, "last").step == now.step


def test_engines_of_a_killed_agent_save_and_end_by_themselves(store: Store) -> None:
    (run,) = submit(store, spec(100_000))
    code = (
        "import sys, time\n"
        "from modelyard.agent.supervisor import Supervisor\n"
        "from modelyard.store import open_store\n"
        "store = open_store(sys.argv[1])\n"
        "supervisor = Supervisor(store)\n"
        "supervisor.start()\n"
        "while True:\n"
        "    supervisor.poll()\n"
        "    time.sleep(0.1)\n"
    )
    agent = subprocess.Popen([sys.executable, "-c", code, str(store.home.path)])
    wait_for(progressed(store, run))
    engines = psutil.Process(agent.pid).children()
    agent.kill()
    agent.wait()
    wait_for(lambda: store.runs.get(run.id).state is RunState.QUEUED)
    wait_for(lambda: not any(engine.is_running() for engine in engines))
    now = store.runs.get(run.id)
    assert now.reason.code is ReasonCode.RELEASED
    assert store.checkpoints.find(run.id, "last").step == now.step
    store.leases.reap(LeaseObserver())
    assert store.leases.workers() == []


def test_everything_killed_at_once_is_taken_up_by_the_next_agent(store: Store) -> None:
    (run,) = submit(store, spec(400))
    with Supervisor(store, experiment_id=run.experiment_id) as first:
        first.start()
        wait_for(progressed(store, run, 20), first.poll)
        first.kill()
    assert store.runs.get(run.id).state not in ACTIVE
    with Supervisor(store, experiment_id=run.experiment_id) as second:
        second.start()
        wait_for(lambda: store.runs.get(run.id).attempt == 2, second.poll)
        store.runs.request(run.id, Pause(), actor="test")
        wait_for(lambda: second.poll().idle)
    assert store.runs.get(run.id).state is RunState.PAUSED


def test_out_of_memory_in_one_run_while_others_go_on(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import resource, sys\n"
        "if 'modelyard.engine.worker' in ' '.join(sys.orig_argv):\n"
        "    resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30))\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    huge = spec().model_copy(
        update={"model": RunSpec.model_validate({"model": {"name": "mlp", "hidden_sizes": [60_000, 60_000]}}).model}
    )
    runs = submit(store, spec(2), huge, spec(2))
    with Supervisor(store, experiment_id=runs[0].experiment_id, processes=1) as supervisor:
        supervisor.start()
        wait_for(lambda: supervisor.poll().idle)
    ended = [store.runs.get(run.id) for run in runs]
    assert [run.state for run in ended] == [RunState.COMPLETED, RunState.FAILED, RunState.COMPLETED]
    assert ended[1].reason.code is ReasonCode.OUT_OF_MEMORY
    assert "batch_size" in ended[1].reason.message
    assert ended[0].attempt == ended[2].attempt == 1
