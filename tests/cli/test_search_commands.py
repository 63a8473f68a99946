"""What the command line shows of a search, and how it goes on with one."""

import signal
from pathlib import Path
from typing import Any

import pytest

from modelyard.domain.control import Stop, Tune
from modelyard.store import Store

SWEEP = """\
name: asha
run:
  training: {epochs: 9}
search:
  method: random
  samples: 9
  space:
    optimizer.learning_rate: {log: [1e-4, 1e-1]}
  scheduler: asha
  concurrency: 4
"""


@pytest.fixture
def search(home: Path) -> Path:
    file = home.parent / "search.yaml"
    file.write_text(SWEEP)
    return file


def test_a_plan_says_how_the_search_decides(cli: Any, search: Path) -> None:
    out = cli("plan", search).out
    told = (
        "random, 9 trials, 4 at a time, by val_loss (less is better); asha: rungs at epochs 1, 3 of 9; the best 1 in 3"
    )
    assert f"search: {told} goes on" in out
    assert cli("plan", search, "--json").json["search"] == f"{told} goes on"


@pytest.mark.parametrize("command", ["plan", "train"])
def test_a_search_without_validation_data_is_refused(command: str, cli: Any, search: Path) -> None:
    search.write_text(SWEEP.replace("run:", "run:\n  data: {source: digits, val_fraction: 0}"))
    assert "there is no validation data; set data.val_fraction above 0" in cli.fails(2, command, search)
    assert cli("experiments", "list", "--json").json == []


@pytest.mark.parametrize(
    ("scheduler", "told"),
    [
        ("{name: median, grace: 2}", "median: looks after 2 of 9 epochs, and every 1 from then on"),
        ("{name: pbt, interval: 3}", "pbt: every 3 of 9 epochs the worst 25% are replaced by copies of the best"),
        ("none\n  budget: {device_seconds: 60}", "every trial trains to its end; at most 60 device-seconds"),
    ],
)
def test_a_plan_says_so_for_each_scheduler(scheduler: str, told: str, cli: Any, search: Path) -> None:
    search.write_text(SWEEP.replace("asha\n  concurrency", f"{scheduler}\n  concurrency"))
    assert told in cli("plan", search).out


@pytest.mark.covers("experiments show --decisions")
def test_an_experiment_shows_its_rungs_and_decisions(cli: Any, engine: Any, search: Path) -> None:
    out = cli("train", search).out
    assert "the search is over: all trials are done; 9 trials" in out
    brief = cli("experiments", "show", "asha").out
    assert "asha: rungs at epochs 1, 3 of 9" in brief
    assert brief.splitlines()[3].split() == [
        "epoch",
        "trials",
        "waiting",
        "in",
        "training",
        "went",
        "on",
        "stopped",
        "best",
    ]
    assert brief.splitlines()[4].split()[:2] == ["1", "9"]
    assert "promote" not in brief
    assert "asha-1 " in brief
    assert " promote " in (told := cli("experiments", "show", "asha", "--decisions").out)
    assert told.count("asha-1 ") > brief.count("asha-1 "), "decisions name the run"
    document = cli("experiments", "show", "asha", "--json").json
    assert document["search"]["trials"] == 9
    assert document["search"]["runs"]["9"] == "asha-9"
    assert document["search"]["rungs"][0]["came"] == 9
    assert {one["kind"] for one in document["search"]["decisions"]} == {"start", "promote", "stop", "end"}
    stopped = next(run for run in document["runs"] if run["reason"]["code"] == "search")
    assert stopped["reason"]["message"].startswith("stopped at epoch ")
    assert stopped["reason"]["message"] in cli("runs", "show", stopped["name"]).out


def test_what_people_do_and_failures_stand_among_the_decisions(
    cli: Any, engine: Any, search: Path, store: Store
) -> None:
    def act(supervisor: Any, poll: int) -> None:
        runs = {run.name: run for run in store.runs.list()}
        if poll == 1:
            store.runs.request(runs["asha-1"].id, Tune(learning_rate=0.5), actor="ada")
            store.runs.request(runs["asha-2"].id, Stop(), actor="bob")

    engine.on_poll = act
    search.write_text(SWEEP.replace("run:", "run:\n  seed: 13"))  # it fails after an epoch
    cli("train", search, expect=5)
    history = cli("experiments", "show", "asha", "--json").json["search"]["history"]
    told = [(one["kind"], one["run"], one["actor"], one["reason"]) for one in history if one["actor"] != "search"]
    assert told[:2] == [
        ("tune", "asha-1", "ada", "ada asked to tune learning_rate=0.5"),
        ("stop", "asha-2", "bob", "bob asked to stop"),
    ]
    failed = next(one for one in told if one[0] == "failed")
    assert failed[2:] == ("engine", "step 10: the loss was NaN")
    kinds = [one["kind"] for one in history]
    assert kinds.index("start") < kinds.index("tune") < kinds.index("end")
    out = cli("experiments", "show", "asha", "--decisions").out
    assert "bob asked to stop" in " ".join(out.split())


def test_an_experiment_without_decisions_shows_none(cli: Any, trained: Any) -> None:
    assert "search:" not in cli("experiments", "show", "digits").out
    assert cli("experiments", "show", "digits", "--json").json["search"] is None


def interrupt(engine: Any, cli: Any, search: Path, *, at: int = 1) -> dict[str, str]:
    """Train, press Ctrl-C, and return why each run is where it is."""
    engine.on_poll = lambda supervisor, poll: signal.raise_signal(signal.SIGINT) if poll == at else None
    assert "paused; go on with: modelyard resume asha" in cli("train", search).out
    engine.on_poll = None
    runs = cli("runs", "list", "--json").json
    return {run["name"]: run["reason"]["code"] for run in runs}


def test_resume_goes_on_with_the_search(cli: Any, engine: Any, search: Path) -> None:
    codes = interrupt(engine, cli, search, at=2)
    assert set(codes.values()) == {"user_request", "rung"}
    assert "the search is over" in cli("resume", "asha").out
    runs = cli("runs", "list", "--json").json
    assert len(runs) == 9
    assert {run["state"] for run in runs} == {"completed", "stopped"}


def test_resume_of_a_search_that_only_waits_for_its_driver(cli: Any, engine: Any, search: Path) -> None:
    interrupt(engine, cli, search)
    for name, code in {run["name"]: run["reason"]["code"] for run in cli("runs", "list", "--json").json}.items():
        if code == "user_request":
            cli("stop", name)
    assert "the search is over" in cli("resume", "asha").out
    assert "nothing" in cli.fails(4, "resume", "asha")


def test_continue_goes_on_with_the_search(cli: Any, engine: Any, search: Path) -> None:
    interrupt(engine, cli, search)
    assert "the search is over" in cli("train", search, "--continue").out
    assert len(cli("experiments", "list", "--json").json) == 1


def test_a_mistake_in_the_search_is_told_with_its_place(cli: Any, search: Path) -> None:
    search.write_text(SWEEP.replace("scheduler: asha", "scheduler: {name: asha, min_epochs: 9}"))
    assert "search.scheduler.min_epochs: 9 leaves nothing to decide" in cli.fails(2, "plan", search)
    search.write_text(SWEEP.replace("scheduler: asha", "scheduler: asha\n  metric: val_f1"))
    assert "'val_f1' is not a validation metric of these runs; did you mean 'val_f1_macro'?" in cli.fails(
        2, "plan", search
    )
    search.write_text(SWEEP.replace("scheduler: asha", "scheduler: asha\n  budget: {epochs: 0}"))
    assert "search.yaml:10: search.budget.epochs: must be greater" in cli.fails(2, "plan", search)


def test_a_search_whose_metric_is_missing_ends_as_failed(cli: Any, engine: Any, search: Path) -> None:
    run = "run:\n  metrics: [accuracy, f1_macro]"
    search.write_text(SWEEP.replace("run:", run).replace("scheduler: asha", "scheduler: asha\n  metric: val_f1_macro"))
    why = "asha-1 reports no 'val_f1_macro', by which the search decides, but val_accuracy, val_loss"
    output = cli("train", search, expect=5)
    assert output.err.startswith(f"error: the search of asha failed: {why}; ")
    assert f"the search of asha failed: {why}" in cli.fails(5, "train", search, "--continue")
    document = cli("train", search, "--name", "again", "--json", expect=5).json
    assert document["search_failure"].startswith("the search is over: again-1 reports no 'val_f1_macro'")


def test_resuming_a_run_of_a_search_that_had_failed_before_is_no_failure(cli: Any, engine: Any, search: Path) -> None:
    run = "run:\n  metrics: [accuracy, f1_macro]"
    search.write_text(SWEEP.replace("run:", run).replace("scheduler: asha", "scheduler: asha\n  metric: val_f1_macro"))
    cli("train", search, expect=5)
    cli("resume", "run:asha-1")
    assert cli("runs", "show", "asha-1", "--json").json["state"] == "completed"
