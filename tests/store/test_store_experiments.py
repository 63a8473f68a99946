"""Experiments: created whole or not at all, found by any name a user may type, deleted with all that is theirs."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.errors import ConflictError, NotFoundError, UserError
from modelyard.domain.run import ReasonCode, RunState
from modelyard.store import open_store


def test_create_queues_all_runs_with_their_own_names_and_snapshots(store):
    specs = [RunSpec(seed=seed) for seed in range(3)]
    sweep = SweepSpec(name="digits", project="vision")
    experiment = store.experiments.create(sweep, specs, actor="ada")
    assert (experiment.name, experiment.project, experiment.run_count) == ("digits", "vision", 3)
    assert experiment.sweep_hash == sweep.hash
    assert SweepSpec.model_validate_json(experiment.sweep_json) == sweep
    runs = store.runs.list(experiment_id=experiment.id)
    assert [run.name for run in runs] == ["digits-1", "digits-2", "digits-3"]
    assert [run.spec for run in runs] == specs
    assert [run.spec_hash for run in runs] == [spec.hash for spec in specs]
    assert {(run.state, run.reason.code, run.attempt) for run in runs} == {(RunState.QUEUED, ReasonCode.CREATED, 0)}
    assert [event.payload.type for event in store.events.read()] == ["experiment.created"] + ["run.created"] * 3
    assert {event.actor for event in store.events.read()} == {"ada"}


def test_a_taken_name_gets_a_number_in_its_project_only(store, sweep):
    names = [sweep(store, name="a").name for _ in range(3)]
    assert names == ["a", "a.2", "a.3"]
    assert sweep(store, name="a", project="other").name == "a"


def test_two_clients_that_create_the_same_at_once_get_two_experiments(store, sweep):
    with ThreadPoolExecutor(4) as pool:
        created = list(pool.map(lambda _: sweep(store, 2, name="a"), range(4)))
    assert sorted(experiment.name for experiment in created) == ["a", "a.2", "a.3", "a.4"]
    assert len({run.name for run in store.runs.list()}) == 8


def test_an_experiment_needs_a_run(store):
    with pytest.raises(UserError, match="no runs"):
        store.experiments.create(SweepSpec(name="a"), [], actor="ada")
    assert store.experiments.list() == []


def test_found_by_id_name_and_prefix(store, sweep):
    experiment = sweep(store, name="digits")
    for ref in (experiment.id, experiment.id[:8], "digits"):
        assert store.experiments.get(ref) == experiment
    with pytest.raises(NotFoundError, match="did you mean 'digits'"):
        store.experiments.get("digit")
    with pytest.raises(NotFoundError):
        store.experiments.get(experiment.id[:3])
    with pytest.raises(NotFoundError):
        store.experiments.get("%%%%")


def test_list_is_newest_first_and_a_name_in_two_projects_means_the_newest(store, sweep):
    old, new = sweep(store, name="a", project="p"), sweep(store, name="a", project="q")
    assert store.experiments.list() == [new, old]
    assert store.experiments.list(project="p") == [old]
    assert store.experiments.get("a") == new


def test_delete_removes_its_runs_and_nothing_else(store, sweep):
    doomed, other = sweep(store, 2, name="a"), sweep(store, 1, name="b")
    scratch = store.home.scratch(store.runs.get("a-1").id)
    (scratch / "file").write_text("x")
    store.experiments.delete(doomed.id, actor="ada")
    assert store.experiments.list() == [other]
    assert [run.name for run in store.runs.list()] == ["b-1"]
    assert not scratch.exists()
    last = store.events.read(experiment_id=doomed.id)[-3:]
    assert [event.payload.type for event in last] == ["run.deleted", "run.deleted", "experiment.deleted"]
    with pytest.raises(NotFoundError):
        store.experiments.delete(doomed.id, actor="ada")


def test_delete_is_refused_while_a_run_is_active(store, sweep, claim):
    experiment = sweep(store, 2)
    claim(store)
    with pytest.raises(ConflictError, match="sweep-1 is running"):
        store.experiments.delete(experiment.id, actor="ada")
    assert len(store.runs.list()) == 2


def test_everything_is_there_after_opening_again(home, database_url, sweep):
    with open_store(home, database_url=database_url) as store:
        experiment, runs = sweep(store, 2), store.runs.list()
    with open_store(home, database_url=database_url) as store:
        assert store.experiments.list() == [experiment]
        assert store.runs.list() == runs
