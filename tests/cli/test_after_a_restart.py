"""Runs of a process that cannot be known from here: from before a reboot, or on another host."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelyard.agent import presence
from modelyard.agent.presence import AGENT
from modelyard.domain.run import RunState
from modelyard.store import LeaseObserver, Store, schema

quick = functools.partial(LeaseObserver, timeout_seconds=0.2)


def restart(store: Store) -> None:
    """Make every worker look as if the machine had been restarted since."""
    with store.database.write() as connection:
        connection.execute(schema.workers.update().values(boot_id="before"))


@pytest.fixture
def restarted(cli: Any, engine: Any, sweep: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """Two runs: digits-1 was in training when the machine went down, digits-2 was queued."""
    from modelyard.api.sweepfile import expand_at, read_sweep
    from modelyard.api.training import create

    monkeypatch.setattr(presence, "WATCH_SECONDS", 0.3)
    monkeypatch.setattr("modelyard.api.operations.LeaseObserver", quick)
    spec = read_sweep(sweep)
    create(store, spec, expand_at(spec), actor="test")
    store.leases.register(kind=AGENT)
    store.leases.claim(store.leases.register(), limit=1)
    restart(store)

    def give_up_the_silent(supervisor: Any, poll: int) -> None:
        """Do what a real supervisor does after 30 seconds."""
        for worker in store.leases.workers():
            if poll == 3 and worker.alive is None:
                store.leases.unregister(worker.id)

    engine.on_poll = give_up_the_silent
    return cli


@pytest.mark.parametrize("target", ["digits", "digits-1"])
def test_resume_takes_up_what_was_in_training(restarted: Any, engine: Any, store: Store, target: str) -> None:
    output = restarted("resume", target)
    assert "looking whether process" in output.err
    assert "goes on here" in output.err
    assert "nothing to resume" not in output.err
    assert len(engine.made) == 1
    assert store.runs.get("digits-1").state is RunState.COMPLETED


def test_train_continue_takes_it_up_too(restarted: Any, engine: Any, sweep: Path, store: Store) -> None:
    store.runs.request(store.runs.get("digits-1").id, _pause(), actor="test")
    restarted("train", sweep, "--continue")
    assert {run.state for run in store.runs.list()} == {RunState.COMPLETED}
    assert len(store.experiments.list()) == 1


def test_resume_of_a_run_that_was_about_to_pause(restarted: Any, store: Store) -> None:
    store.runs.request(store.runs.get("digits-1").id, _pause(), actor="test")
    output = restarted("resume", "digits-1")
    assert "waiting for a sign of life of process" in output.err
    assert store.runs.get("digits-1").state is RunState.COMPLETED


def test_resume_leaves_it_to_a_far_agent_that_beats(
    restarted: Any, engine: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = next(worker for worker in store.leases.workers() if worker.kind == AGENT)
    monkeypatch.setattr(presence.time, "sleep", lambda seconds: store.leases.heartbeat(agent.id))
    assert f"process {agent.pid} on {agent.host} goes on with it" in restarted("resume", "digits").out
    assert engine.made == []


def test_pause_is_done_once_the_silence_has_lasted(restarted: Any, store: Store) -> None:
    assert restarted("pause", "digits-1").out == "digits-1: paused at step 0\n"
    assert store.runs.get("digits-1").state is RunState.PAUSED


def test_a_request_waits_longer_than_a_silence_takes() -> None:
    from modelyard.api.operations import DEFAULT_TIMEOUT

    assert LeaseObserver().timeout_seconds + 1 < DEFAULT_TIMEOUT


def test_doctor_does_not_count_what_it_cannot_know(restarted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from modelyard.agent.devices import Machine

    monkeypatch.setattr("modelyard.api.health.probe_machine", lambda: Machine(devices=(), environment={}))
    checks = {check["name"]: check for check in restarted("doctor", "--json").json}
    assert checks["workers"]["message"] == "0 agents and 0 engines at work"
    assert checks["unknown workers"]["verdict"] == "warning"
    assert "cannot be known from here (another host, or before a restart)" in checks["unknown workers"]["message"]


def _pause() -> Any:
    from modelyard.domain.control import Pause

    return Pause()
