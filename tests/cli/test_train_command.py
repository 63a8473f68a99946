"""``modelyard train`` and ``modelyard resume``."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from modelyard.domain.plan import Execution
from modelyard.domain.run import RunState
from modelyard.store import Store


def states(store: Store) -> dict[str, str]:
    return {run.name: run.state.value for run in store.runs.list()}


@pytest.mark.covers("train")
def test_train_says_what_happens_in_a_pipe(cli: Any, engine: Any, sweep: Path) -> None:
    lines = cli("train", sweep).out.splitlines()
    assert lines[0].startswith("plan: 2 runs on ")
    assert lines.count("digits-1: completed (all epochs are done)") == 1
    assert [line.split(",")[0] for line in lines if line.startswith("digits-2: epoch")] == [
        "digits-2: epoch 1/2",
        "digits-2: epoch 2/2",
    ]
    assert lines[-1] == "done; see: modelyard runs list --experiment digits"


@pytest.mark.covers("train --json")
def test_train_json_is_one_document_and_the_lines_go_to_standard_error(cli: Any, engine: Any, sweep: Path) -> None:
    output = cli("train", sweep, "--json")
    assert output.json["ending"] == "idle"
    assert output.json["experiment"]["name"] == "digits"
    assert [(run["name"], run["state"]) for run in output.json["runs"]] == [
        ("digits-1", "completed"),
        ("digits-2", "completed"),
    ]
    assert output.json["runs"][0]["created_at"].endswith("Z")
    assert "digits-1: completed" in output.err


@pytest.mark.covers("train --set", "train --name")
def test_edits_and_the_name_reach_the_runs(cli: Any, engine: Any, sweep: Path, store: Store) -> None:
    cli("train", sweep, "--set", "training.epochs=1", "--set", "model.hidden_sizes=[8]", "--name", "small")
    run = store.runs.get("small-1")
    assert run.spec.training.epochs == 1
    assert run.spec.model.model_dump()["hidden_sizes"] == (8,)
    assert run.epoch == 1


def test_bad_edits_and_names_create_nothing(cli: Any, engine: Any, sweep: Path, store: Store) -> None:
    assert "did you mean 'epochs'" in cli.fails(2, "train", sweep, "--set", "training.epoch=1")
    assert "the search decides" in cli.fails(2, "train", sweep, "--set", "optimizer.learning_rate=1")
    assert "not a valid name" in cli.fails(2, "train", sweep, "--name", "No Good")
    assert store.experiments.list() == []


def test_a_broken_sweep_file_is_named_with_its_line(cli: Any, engine: Any, tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("run:\n  training:\n    epochs: 0\n")
    assert cli.fails(2, "train", file).startswith(f"{file}:3: run.training.epochs: ")
    assert "no such file" in cli.fails(2, "train", tmp_path / "none.yaml")


@pytest.mark.covers("train --execution", "train --processes", "train --slots")
def test_resources_reach_the_plan(cli: Any, engine: Any, sweep: Path) -> None:
    cli("train", sweep, "--execution", "sliced", "--processes", "1", "--slots", "2")
    plan = engine.made[-1].plan
    assert [(group.execution, group.slots) for group in plan.groups] == [(Execution.SLICED, 2)]
    assert "'compiled' is not one of solo, sliced, stacked" in cli.fails(2, "train", sweep, "--execution", "compiled")
    assert "solo execution trains one run" in cli.fails(2, "train", sweep, "--execution", "solo", "--slots", "2")


@pytest.mark.covers("train --continue")
def test_continue_goes_on_with_the_unfinished_experiment(cli: Any, engine: Any, sweep: Path, store: Store) -> None:
    engine.on_poll = pause_at(store, 2)
    cli("train", sweep)
    assert states(store) == {"digits-1": "paused", "digits-2": "paused"}
    engine.on_poll = None
    cli("train", sweep, "--continue")
    assert states(store) == {"digits-1": "completed", "digits-2": "completed"}
    assert len(store.experiments.list()) == 1


def test_continue_of_what_is_finished_says_so_and_trains_nothing(
    cli: Any, engine: Any, sweep: Path, store: Store
) -> None:
    cli("train", sweep, "--set", "seed=1")
    out = cli("train", sweep, "--set", "seed=1", "--continue").out
    assert out.startswith("digits is finished (2 completed), so there is nothing to go on with\n")
    assert out.endswith(f"train it anew:    modelyard train {sweep} --set seed=1\n")
    document = cli("train", sweep, "--set", "seed=1", "--continue", "--json").json
    assert (document["ending"], len(document["runs"])) == ("idle", 2)
    assert len(store.experiments.list()) == 1
    assert len(engine.made) == 1


def test_continue_names_what_failed_instead_of_starting_anew(cli: Any, engine: Any, sweep: Path, store: Store) -> None:
    sweep.write_text(sweep.read_text().replace("epochs: 2", "epochs: 3").replace("run:", "run:\n  seed: 13"))
    engine.on_poll = pause_at(store, 2)
    cli("train", sweep)
    engine.on_poll = None
    assert "2 runs failed" in cli("train", sweep, "--continue", expect=5).err
    message = cli.fails(5, "train", sweep, "--continue")
    assert message.startswith("2 of 2 runs of digits failed; to try them again: modelyard resume digits")
    assert "digits-2: the loss was NaN" in message
    assert len(store.experiments.list()) == 1


def test_continue_is_for_the_very_same_sweep(cli: Any, engine: Any, sweep: Path, store: Store) -> None:
    engine.on_poll = pause_at(store, 2)
    cli("train", sweep)
    engine.on_poll = None
    cli("train", sweep, "--continue", "--set", "training.epochs=1")
    assert states(store)["digits-1"] == "paused"


def test_a_failed_run_gives_exit_code_5_and_its_reason(cli: Any, engine: Any, sweep: Path, store: Store) -> None:
    output = cli("train", sweep, "--set", "seed=13", expect=5)
    assert "2 runs failed; see: modelyard runs logs digits-1" in output.err
    assert "digits-2: the loss was NaN" in output.err
    document = cli("train", sweep, "--set", "seed=13", "--json", expect=5).json
    assert document["runs"][0]["reason"] == {"code": "non_finite_loss", "message": "the loss was NaN"}


def test_ctrl_c_pauses_all_runs_and_says_how_to_go_on(cli: Any, engine: Any, sweep: Path, store: Store) -> None:
    engine.on_poll = lambda supervisor, poll: signal.raise_signal(signal.SIGINT) if poll == 2 else None
    output = cli("train", sweep, "--set", "training.epochs=50")
    assert "pausing all runs; press Ctrl-C again" in output.out
    assert output.out.endswith("paused; go on with: modelyard resume digits\n")
    assert states(store) == {"digits-1": "paused", "digits-2": "paused"}
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler, "the handler is put back"


def test_a_second_ctrl_c_ends_at_once_and_loses_nothing(cli: Any, engine: Any, sweep: Path, store: Store) -> None:
    def interrupt(supervisor: Any, poll: int) -> None:
        if poll == 2:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    engine.on_poll = interrupt
    output = cli("train", sweep, "--set", "training.epochs=50", expect=130)
    assert engine.made[-1].killed
    assert "ended; go on with: modelyard resume digits" in output.out
    assert set(states(store).values()) == {"queued"}


def test_sigterm_gives_the_runs_back(cli: Any, engine: Any, sweep: Path, store: Store) -> None:
    engine.on_poll = lambda supervisor, poll: signal.raise_signal(signal.SIGTERM) if poll == 2 else None
    cli("train", sweep, "--set", "training.epochs=50", expect=143)
    assert engine.made[-1].stopped
    assert set(states(store).values()) == {"queued"}


def pause_at(store: Store, when: int) -> Any:
    """Pause all runs from "another terminal" at a poll."""
    from modelyard.api.operations import request_runs
    from modelyard.domain.control import Pause

    def on_poll(supervisor: Any, poll: int) -> None:
        if poll == when:
            request_runs(store, store.runs.list(), Pause(), actor="other")

    return on_poll


@pytest.mark.covers("resume", "resume --execution", "resume --processes", "resume --slots")
def test_resume_goes_on_in_the_foreground(cli: Any, engine: Any, sweep: Path, store: Store) -> None:
    engine.on_poll = pause_at(store, 2)
    cli("train", sweep)
    engine.on_poll = None
    output = cli("resume", "digits", "--execution", "sliced", "--processes", "1", "--slots", "2")
    assert "digits-1: epoch 2/2" in output.out
    assert set(states(store).values()) == {"completed"}
    assert [(group.execution, group.slots) for group in engine.made[-1].plan.groups] == [(Execution.SLICED, 2)]


@pytest.mark.covers("resume --json")
def test_resume_of_one_run_leaves_the_others(cli: Any, engine: Any, sweep: Path, store: Store) -> None:
    engine.on_poll = pause_at(store, 2)
    cli("train", sweep)
    engine.on_poll = None
    document = cli("resume", "digits-2", "--json").json
    assert document["ending"] == "idle"
    assert states(store) == {"digits-1": "paused", "digits-2": "completed"}


def test_resume_trains_runs_that_only_wait(cli: Any, engine: Any, sweep: Path, store: Store) -> None:
    engine.on_poll = lambda supervisor, poll: signal.raise_signal(signal.SIGTERM) if poll == 2 else None
    cli("train", sweep, expect=143)
    engine.on_poll = None
    cli("resume", "digits")
    assert set(states(store).values()) == {"completed"}


def test_resume_of_what_is_done_says_so(trained: Any) -> None:
    assert "raise its epochs first: modelyard tune digits-1" in trained.fails(4, "resume", "digits-1")
    assert "nothing to do: digits-1: is completed" in trained.fails(4, "resume", "digits")
    assert "no run or experiment is called 'digitz'; did you mean 'digits'?" in trained.fails(3, "resume", "digitz")


def test_resume_leaves_it_to_an_agent_that_is_there(cli: Any, engine: Any, sweep: Path, store: Store) -> None:
    engine.on_poll = pause_at(store, 2)
    cli("train", sweep)
    made = len(engine.made)
    store.leases.register(kind="agent")
    assert "goes on with it" in cli("resume", "digits").out
    assert len(engine.made) == made, "no engine of our own beside the agent's"
    assert set(states(store).values()) == {"queued"}


def test_more_epochs_of_a_completed_run(trained: Any, store: Store) -> None:
    trained("tune", "digits-1", "--epochs", "4")
    trained("resume", "digits-1")
    assert store.runs.get("digits-1").epoch == 4
    assert store.runs.get("digits-2").state is RunState.COMPLETED
    shown = json.loads(trained("runs", "show", "digits-1", "--json").out)
    assert shown["tuned"] == {"training.epochs": 4}


def test_runs_that_cannot_go_on_do_not_keep_the_others(cli: Any, engine: Any, sweep: Path, store: Store) -> None:
    cli("train", sweep)
    cli("clone", "digits-1")
    output = cli("resume", "digits-1", "digits-3")
    assert "digits-1: run digits-1 is completed; raise its epochs first" in output.err
    assert states(store)["digits-3"] == "completed"


def test_runs_of_two_experiments_are_resumed_one_after_the_other(
    cli: Any, engine: Any, sweep: Path, store: Store
) -> None:
    for name in ("one", "two"):
        cli("train", sweep, "--name", name)
        cli("clone", f"{name}-1")
    assert "one experiment at a time" in cli("resume", "one", "two", "--json", expect=2).json["error"]["message"]
    cli("resume", "one", "two-3")
    assert set(states(store).values()) == {"completed"}
