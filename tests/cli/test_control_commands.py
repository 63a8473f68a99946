"""pause, stop, tune, priority, clone and delete, on runs that train meanwhile."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modelyard.api.operations import Outcome, Result, request
from modelyard.domain.control import Pause
from modelyard.domain.run import RunState
from modelyard.store import Store, open_store


@pytest.fixture
def training(cli: Any, engine: Any, sweep: Any, home: Any) -> Iterator[Any]:
    """The command line, while the two runs of ``digits`` train in another thread."""
    cli.home = home
    with open_store(home) as background:
        from modelyard.api.sweepfile import expand_at, read_sweep
        from modelyard.api.training import create

        spec = read_sweep(sweep)
        spec = spec.model_copy(
            update={
                "run": spec.run.model_copy(update={"training": spec.run.training.model_copy(update={"epochs": 9999})})
            }
        )
        experiment = create(background, spec, expand_at(spec), actor="test")
        supervisor = engine(background, experiment_id=experiment.id)
        supervisor.start()
        ended = threading.Event()

        def work() -> None:
            while not ended.is_set():
                supervisor.poll()
                ended.wait(0.01)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            while not all(run.step for run in background.runs.list()):
                ended.wait(0.01)
            yield cli
        finally:
            ended.set()
            thread.join()
            supervisor.stop()


@pytest.fixture
def waiting(cli: Any, engine: Any, sweep: Any, store: Store) -> Any:
    """The command line, with two queued runs and nobody who trains them."""
    from modelyard.api.sweepfile import expand_at, read_sweep
    from modelyard.api.training import create

    spec = read_sweep(sweep)
    create(store, spec, expand_at(spec), actor="test")
    return cli


@pytest.mark.covers("pause")
def test_pause_waits_for_the_engine(training: Any, store: Store) -> None:
    output = training("pause", "digits-1")
    assert output.out.startswith("digits-1: paused at step ")
    assert store.runs.get("digits-1").state is RunState.PAUSED
    assert store.runs.get("digits-2").state is RunState.RUNNING


@pytest.mark.covers("pause --json")
def test_pause_json_tells_every_run(training: Any, store: Store) -> None:
    document = training("pause", "digits", "--json").json
    assert [(entry["run"], entry["state"], entry["result"]) for entry in document] == [
        ("digits-1", "paused", "done"),
        ("digits-2", "paused", "done"),
    ]
    assert document[0]["applied_step"] == store.checkpoints.find(store.runs.get("digits-1").id, "last").step


@pytest.mark.covers("pause --no-wait", "pause --timeout")
@pytest.mark.parametrize("option", [["--no-wait"], ["--timeout", "0.05"]])
def test_a_pause_that_nobody_acknowledges_says_so(waiting: Any, store: Store, option: list[str]) -> None:
    worker = store.leases.register()
    store.leases.claim(worker, limit=1)
    assert "digits-1: requested, but not acknowledged yet" in waiting("pause", "digits-1", *option).out
    assert store.runs.get("digits-1").state is RunState.PAUSING


def test_a_queued_run_pauses_at_once(waiting: Any, store: Store) -> None:
    assert waiting("pause", "digits-1", "digits-2").out == "digits-1: paused at step 0\ndigits-2: paused at step 0\n"


def test_a_clone_with_other_data_is_checked_before_it_is_queued(waiting: Any, store: Store, tmp_path: Path) -> None:
    message = waiting.fails(2, "clone", "digits-1", "--set", "data.source=image-folder", "--set", "data.path=photos")
    assert message.startswith(f"data.path: there is nothing at {tmp_path / 'photos'}")
    message = waiting.fails(2, "clone", "digits-1", "--set", "training.batch_size=5000")
    assert message.startswith("training.batch_size: 5000 is larger than the 1258 training samples")
    assert len(store.runs.list()) == 2


def test_what_is_done_already_is_no_mistake(waiting: Any, store: Store) -> None:
    waiting("pause", "digits-1")
    waiting("stop", "digits-2")
    assert waiting("pause", "digits-1").out == "digits-1: already paused at step 0\n"
    assert waiting("stop", "digits-2", "--json").json[0]["result"] == "done"
    assert len(store.controls.history(store.runs.get("digits-1").id)) == 1


def test_several_who_ask_for_the_same_all_get_it(training: Any, store: Store) -> None:
    answers: list[list[Outcome]] = []

    def ask() -> None:
        with open_store(training.home) as own:
            answers.append(request(own, ["digits-1"], Pause(), actor="test"))

    clients = [threading.Thread(target=ask) for _ in range(4)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert [outcome.result for (outcome,) in answers] == [Result.DONE] * 4
    assert store.runs.get("digits-1").state is RunState.PAUSED


def test_one_run_that_cannot_does_not_keep_the_others(waiting: Any, store: Store) -> None:
    waiting("stop", "digits-1")
    output = waiting("pause", "digits-1", "digits-2", expect=4)
    assert "digits-2: paused" in output.out
    assert "digits-1: run digits-1 is stopped and cannot be asked to pause" in output.err
    assert [entry["result"] for entry in waiting("pause", "digits-1", "digits-2", "--json", expect=4).json] == [
        "refused", "done"
    ]  # fmt: skip


@pytest.mark.covers("stop", "stop --json", "stop --no-wait", "stop --timeout")
def test_stop(training: Any, store: Store) -> None:
    assert training("stop", "digits-2", "--timeout", "20").out.startswith("digits-2: stopped at step ")
    assert training("stop", "digits-1", "--json").json[0]["state"] == "stopped"
    assert "already stopped" in training("stop", "digits-1", "--no-wait").out


@pytest.mark.covers("tune", "tune --learning-rate", "tune --weight-decay", "tune --epochs", "tune --json")
def test_tune_reaches_the_engine(training: Any, store: Store) -> None:
    output = training("tune", "digits-1", "--learning-rate", "0.5", "--weight-decay", "0.1", "--epochs", "500")
    assert output.out.startswith("digits-1: learning_rate 0.5, weight_decay 0.1, epochs 500 at step ")
    assert training("tune", "digits-2", "--epochs", "7000", "--json").json[0]["result"] == "done"
    ops = [record.op.model_dump() for record in store.controls.history(store.runs.get("digits-1").id)]
    assert ops == [{"kind": "tune", "learning_rate": 0.5, "weight_decay": 0.1, "epochs": 500}]


@pytest.mark.covers("tune --no-wait", "tune --timeout")
def test_tune_of_a_paused_run_is_stored_without_a_wait(waiting: Any, store: Store) -> None:
    waiting("pause", "digits-1")
    output = waiting("tune", "digits-1", "--learning-rate", "0.5", "--timeout", "600")
    assert output.out == "digits-1: stored; it takes effect when the run trains next (it is paused)\n"
    assert "stored" in waiting("tune", "digits-1", "--epochs", "9", "--no-wait").out


def test_a_tune_out_of_range_is_refused(waiting: Any) -> None:
    assert "learning_rate" in waiting.fails(2, "tune", "digits-1", "--learning-rate", "-1")
    assert "say what to change" in waiting.fails(2, "tune", "digits-1")


def test_a_stopped_run_is_tuned_when_it_goes_on(waiting: Any, store: Store) -> None:
    waiting("stop", "digits-1")
    assert "(it is stopped)" in waiting("tune", "digits-1", "--learning-rate", "0.5").out
    waiting("resume", "digits-1")
    assert store.controls.tunes([store.runs.get("digits-1").id])[0].op.model_dump()["learning_rate"] == 0.5


@pytest.mark.covers("priority", "priority --level", "priority --json")
def test_priority_decides_who_is_claimed_first(waiting: Any, store: Store) -> None:
    assert waiting("priority", "digits-2", "--level", "5").out == "digits-2: priority 5\n"
    assert waiting("priority", "digits-1", "-p", "-3", "--json").json[0]["result"] == "done"
    claimed = store.leases.claim(store.leases.register(), limit=2)
    assert [(run.name, run.priority) for run, _ in claimed] == [("digits-2", 5), ("digits-1", -3)]
    assert "priority" in waiting.fails(2, "priority", "digits-1", "--level", "101")


@pytest.mark.covers("clone", "clone --set")
def test_clone_shows_the_difference_and_says_who_takes_it(trained: Any, store: Store) -> None:
    output = trained("clone", "digits-1", "--set", "optimizer.name=sgd", "--set", "training.epochs=3")
    assert "  optimizer.name: adamw -> sgd" in output.out
    assert "  training.epochs: 2 -> 3" in output.out
    assert "digits-3 is queued\nno process of this machine takes it yet; run: modelyard resume digits-3\n" in output.out
    clone = store.runs.get("digits-3")
    assert clone.parent_id == store.runs.get("digits-1").id
    assert clone.spec.optimizer.learning_rate == 0.01, "chosen by the parent, so it is kept"
    store.leases.register(kind="agent")
    assert "takes it" in trained("clone", "digits-1").out


@pytest.mark.covers("clone --warm-start", "clone --inherit-optimizer", "clone --priority", "clone --json")
def test_clone_with_a_warm_start(trained: Any, store: Store) -> None:
    best = store.checkpoints.find(store.runs.get("digits-1").id, "best")
    output = trained("clone", "digits-1", "--warm-start", "best", "--inherit-optimizer", "--priority", "7", "--json")
    run = output.json["run"]
    assert (run["warm_start"], run["inherit_optimizer"], run["priority"]) == (best.id, True, 7)
    for which in ("last", str(best.step), best.id):
        assert trained("clone", "digits-1", "--warm-start", which, "--json").json["run"]["warm_start"] == best.id


def test_clone_of_a_live_run_starts_from_its_weights_of_now(training: Any, store: Store) -> None:
    output = training("clone", "digits-1", "--warm-start", "last", "--json")
    assert output.json["run"]["warm_start"]
    assert output.json["taken_by"]
    kinds = [record.op.kind for record in store.controls.history(store.runs.get("digits-1").id)]
    assert kinds == ["save"]


def test_a_clone_keeps_what_the_parent_was_tuned_to(trained: Any, store: Store) -> None:
    trained("tune", "digits-1", "--epochs", "4", "--learning-rate", "0.5")
    trained("resume", "digits-1")
    output = trained("clone", "digits-1")
    assert "optimizer.learning_rate: 0.01 -> 0.5" in output.out
    assert store.runs.get("digits-3").spec.training.epochs == 4
    assert "learning_rate: 0.01 -> 0.2" in trained("clone", "digits-1", "--set", "optimizer.learning_rate=0.2").out


def test_a_clone_that_cannot_work_is_refused(trained: Any, store: Store) -> None:
    runs = len(store.runs.list())
    assert "did you mean 'learning_rate'" in trained.fails(2, "clone", "digits-1", "--set", "optimizer.learning_rat=1")
    assert "model.hidden_sizes differ" in trained.fails(
        2, "clone", "digits-1", "--set", "model.hidden_sizes=[3]", "--warm-start", "last"
    )
    assert "add --warm-start" in trained.fails(2, "clone", "digits-1", "--inherit-optimizer")
    assert "leave out --inherit-optimizer" in trained.fails(
        2, "clone", "digits-1", "--set", "optimizer.name=sgd", "--warm-start", "last", "--inherit-optimizer"
    )
    assert "has no checkpoint of step 7" in trained.fails(3, "clone", "digits-1", "--warm-start", "7")
    assert "no run" in trained.fails(3, "clone", "nothing-1")
    assert len(store.runs.list()) == runs


@pytest.mark.covers("delete", "delete --yes", "delete --json")
def test_delete_runs_and_experiments(trained: Any, store: Store) -> None:
    assert re.fullmatch(r"deleted run digits-1; \d+ B of files are free\n", trained("delete", "digits-1", "--yes").out)
    assert [run.name for run in store.runs.list()] == ["digits-2"]
    assert trained("delete", "digits", "digits-2", "-y", "--json").json["deleted"] == ["digits", "digits-2"]
    assert store.runs.list() == []
    assert store.experiments.list() == []


def test_delete_asks_first(trained: Any, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from io import StringIO

    monkeypatch.setattr("sys.stdin", StringIO("n\n"))
    output = trained("delete", "digits", expect=1)
    own = store.gc.footprint([run.id for run in store.runs.list()]).own
    assert f"Delete experiment digits with 2 runs? It frees {own} B of files and cannot be undone" in output.out
    assert "nothing was changed" in output.err
    assert len(store.runs.list()) == 2
    monkeypatch.setattr("sys.stdin", StringIO("y\n"))
    trained("delete", "digits-1")
    assert len(store.runs.list()) == 1
    assert "add --yes" in trained("delete", "digits-2", "--json", expect=2).json["error"]["message"]


def test_nothing_is_deleted_while_a_run_trains(training: Any, store: Store) -> None:
    training("pause", "digits-1")
    assert "in training: digits-2; stop first: modelyard stop digits-2" in training.fails(4, "delete", "digits", "-y")
    assert len(store.runs.list()) == 2


def test_a_dead_process_does_not_keep_its_runs(waiting: Any, store: Store) -> None:
    """A run whose process is gone is given back by whoever looks next."""
    import subprocess
    import sys

    code = (
        "import sys; from modelyard.store import open_store; s = open_store(sys.argv[1]);"
        "s.leases.claim(s.leases.register(), limit=1); import os; os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, str(waiting.home)], check=False)
    assert store.runs.get("digits-1").state is RunState.RUNNING
    assert "digits-1: paused at step 0" in waiting("pause", "digits-1", "--no-wait").out


def test_a_name_of_a_run_and_an_experiment_must_be_told_apart(trained: Any, sweep: Any, store: Store) -> None:
    trained("train", sweep, "--name", "digits-1")
    assert "write run:digits-1 or experiment:digits-1" in trained.fails(2, "delete", "digits-1", "--yes")
    assert trained("delete", "experiment:digits-1", "-y").out.startswith("deleted experiment digits-1 with 2 runs; ")
    assert store.runs.get("digits-1").experiment == "digits"
