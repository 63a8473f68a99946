"""A search that comes in a bundle is over here: it can be read, and decides nothing any more."""

import json
from pathlib import Path
from typing import Any

import pytest

from modelyard.api.bundles import export_bundle, import_bundle
from modelyard.api.bundles.searches import ENDED
from modelyard.api.home_agent import HomeSearches
from modelyard.api.operations import Outcome, Result, request
from modelyard.api.search import can_decide
from modelyard.api.searchview import view_search
from modelyard.api.targets import find_target
from modelyard.api.training import NoView, Resources, create, train_experiment
from modelyard.domain.config import SweepSpec
from modelyard.domain.control import Resume
from modelyard.domain.errors import UserError
from modelyard.domain.run import FINAL, Experiment, RunState
from modelyard.store import Store, open_store

SWEEP = SweepSpec.model_validate(
    {
        "name": "searched",
        "run": {"training": {"epochs": 4}},
        "search": {
            "method": "grid",
            "scheduler": {"name": "asha", "min_epochs": 1, "reduction": 2},
            "space": {"optimizer.learning_rate": {"choice": [0.01, 0.02, 0.03, 0.04]}},
        },
    }
)


def moved(store: Store, experiment: Experiment, folder: Path, ref: str | None = None) -> Any:
    export_bundle(store, find_target(store, ref or experiment.id), folder / "s.zip", actor="ada")
    with open_store(folder / "to") as target:
        return import_bundle(target, folder / "s.zip", actor="joe")


def test_a_search_that_is_over_arrives_as_it_was(store: Store, engine: Any, tmp_path: Path) -> None:
    experiment = create(store, SWEEP, (), actor="ada")
    train_experiment(store, experiment, resources=Resources(), view=NoView(), actor="ada")
    imported = moved(store, experiment, tmp_path)
    assert not imported.search_ended
    with open_store(tmp_path / "to") as target:
        there = target.experiments.get(experiment.id)
        assert target.searches.log(experiment.id) == store.searches.log(experiment.id)
        assert not can_decide(target, there)
        mine, theirs = view_search(store, experiment), view_search(target, there)
        assert mine is not None
        assert theirs is not None
        assert (mine.decisions, mine.rungs, mine.best_trial) == (theirs.decisions, theirs.rungs, theirs.best_trial)
        assert [run.trial for run in target.runs.list()] == [run.trial for run in store.runs.list()]


def test_a_search_that_goes_on_where_it_was_decides_nothing_here(store: Store, tmp_path: Path) -> None:
    experiment = create(store, SWEEP, (), actor="ada")
    assert can_decide(store, experiment)
    imported = moved(store, experiment, tmp_path)
    assert imported.search_ended
    assert imported.paused == imported.runs
    assert can_decide(store, experiment), "where it comes from, it goes on"
    with open_store(tmp_path / "to") as target:
        there = target.experiments.get(experiment.id)
        assert not can_decide(target, there)
        view = view_search(target, there)
        assert view is not None
        assert ENDED in view.ending
        searches = HomeSearches(target)
        searches.poll(lambda _: None)
        runs = target.runs.list()
        assert {run.state for run in runs} == {RunState.PAUSED}
        assert {run.until_epoch for run in runs} == {None}, "one that is resumed trains to its end"
        (outcome,) = request(target, [runs[0].name], Resume(), actor="joe", timeout=0)
        assert outcome.result is Result.DONE
        assert isinstance(outcome, Outcome)
        searches.poll(lambda _: None)
        assert target.runs.get(runs[0].id).state is RunState.QUEUED


def test_one_trial_of_a_search(store: Store, engine: Any, tmp_path: Path) -> None:
    experiment = create(store, SWEEP, (), actor="ada")
    train_experiment(store, experiment, resources=Resources(), view=NoView(), actor="ada")
    assert moved(store, experiment, tmp_path, "searched-2").runs == ["searched-2"]
    with open_store(tmp_path / "to") as target:
        assert not can_decide(target, target.experiments.get(experiment.id))
        assert [run.state in FINAL for run in target.runs.list()] == [True]


@pytest.mark.parametrize(
    "entry",
    [
        {"kind": "settled"},
        {"kind": "trained", "trial": 99, "ending": "reached", "evaluations": []},
        {"kind": "taken", "trial": 99, "message": "x"},
        {"kind": "closed", "message": "x", "evaluations": {"99": [{"epoch": 1, "metrics": {}}]}},
        {"kind": "trained", "trial": 1, "ending": "reached", "evaluations": [], "message": "x", "extra": 1},
    ],
)
def test_a_log_that_no_search_can_have_is_refused(store: Store, tmp_path: Path, entry: dict[str, Any]) -> None:
    """Whoever opened it later, such as the agent of the home, would fail each time."""
    import hashlib
    import zipfile

    experiment = create(store, SWEEP, (), actor="ada")
    export_bundle(store, find_target(store, experiment.id), tmp_path / "s.zip", actor="ada")
    with zipfile.ZipFile(tmp_path / "s.zip") as opened:
        members = {name: opened.read(name) for name in opened.namelist()}
    manifest = json.loads(members.pop("manifest.json"))
    members["search/000001.jsonl"] = json.dumps({"number": 1, "entry": entry}).encode() + b"\n"
    manifest["members"] = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)} for name, data in members.items()
    }
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as made:
        for name, data in {**members, "manifest.json": json.dumps(manifest).encode()}.items():
            made.writestr(name, data)
    with open_store(tmp_path / "to") as target:
        with pytest.raises(UserError, match=r"search"):
            import_bundle(target, tmp_path / "bad.zip", actor="joe")
        assert target.events.last_seq() == 0
