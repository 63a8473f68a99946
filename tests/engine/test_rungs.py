"""A run that pauses at rungs and is promoted ends as the same run trained straight through; so does a fork."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.control import Pause, Resume
from modelyard.domain.run import Reason, ReasonCode, Run, RunState
from modelyard.domain.sample_scores import read_scores, scores_text
from modelyard.engine.executors import Sliced, Solo, Stacked
from modelyard.engine.worker import work
from modelyard.store import Store
from modelyard.store.searches import NewTrial

Outcome = Callable[[Run], dict[str, Any]]
MakeSpec = Callable[..., RunSpec]
Train = Callable[..., list[Run]]

EXECUTORS = {"solo": Solo, "sliced": lambda: Sliced(chunk_seconds=0.0), "stacked": lambda: Stacked(chunk_seconds=0.02)}


@pytest.fixture
def climb(store: Store, make_pool: Callable[..., Any]) -> Callable[..., list[Run]]:
    """Train specs as trials that pause at each of ``rungs`` and are promoted; return the runs as they ended."""

    def run(specs: list[RunSpec], rungs: list[int], execution: str = "sliced") -> list[Run]:
        untils: list[int | None] = [rungs[0]] * len(specs)
        experiment = store.experiments.create(SweepSpec(name="climb"), specs, until_epochs=untils, actor="test")
        for now, then in zip(rungs, [*rungs[1:], None], strict=True):
            work(make_pool(slots=8, experiment_id=experiment.id), EXECUTORS[execution](), idle_seconds=0.0)
            for trial in store.runs.list(experiment_id=experiment.id):
                reason = Reason(code=ReasonCode.RUNG, message=f"waits at epoch {now} for the search")
                assert (trial.state, trial.reason, trial.epoch) == (RunState.PAUSED, reason, now)
                assert store.checkpoints.find(trial.id, "last").epoch == now
                assert store.searches.promote(trial.id, then, f"goes on to epoch {then}")
                assert not store.searches.promote(trial.id, then, "twice")
                assert store.runs.get(trial.id).reason.code is ReasonCode.PROMOTED
        work(make_pool(slots=8, experiment_id=experiment.id), EXECUTORS[execution](), idle_seconds=0.0)
        return store.runs.list(experiment_id=experiment.id)

    return run


@pytest.mark.parametrize("execution", EXECUTORS)
def test_paused_at_rungs_equals_straight_through(
    execution: str, train: Train, climb: Callable[..., list[Run]], outcome: Outcome, make_spec: MakeSpec
) -> None:
    models = ("mlp",) if execution == "stacked" else ("mlp", "cnn", "resnet", "vit")
    optimizers = ("sgd", "adamw") if execution == "stacked" else ("adamw", "sgd", "lion", "muon")
    pairs = [(model, optimizer) for model in models for optimizer in optimizers][:: 1 if execution == "stacked" else 5]
    specs = [make_spec(model, optimizer, epochs=4) for model, optimizer in pairs]
    straight = train(specs)
    climbed = climb(specs, [1, 3], execution)
    for one, other in zip(straight, climbed, strict=True):
        assert other.state is RunState.COMPLETED, other.reason
        assert outcome(other) == outcome(one)


def test_evaluations_for_the_search_alone_change_nothing_of_the_run(
    train: Train, climb: Callable[..., list[Run]], outcome: Outcome, make_spec: MakeSpec, store: Store
) -> None:
    early = {"early_stopping": {"metric": "val_loss", "patience": 1, "min_delta": 0.0}}
    specs = [make_spec("mlp", epochs=6, evaluate_every=3, **early)]
    (straight,) = train(specs)
    (climbed,) = climb(specs, [1, 2, 4])
    ours, theirs = outcome(climbed), outcome(straight)
    more = {name: points for name, points in ours.pop("metrics").items() if name.startswith("val_")}
    fewer = theirs.pop("metrics")
    assert ours == theirs
    for name, (steps, values) in more.items():
        assert set(zip(*fewer[name], strict=True)) <= set(zip(steps, values, strict=True))
    assert list(store.searches.evaluations(climbed.id)) == [1, 2, 3, 4, 6]
    assert list(store.searches.evaluations(straight.id)) == [3, 6]


def test_an_evaluation_holds_what_the_series_hold(train: Train, make_spec: MakeSpec, store: Store) -> None:
    (run,) = train([make_spec(epochs=2)])
    history = store.metrics.history(run.id, "val_loss")
    kept = store.searches.evaluations(run.id)
    assert [metrics["val_loss"] for metrics in kept.values()] == history.values.tolist()
    assert store.searches.evaluations("gone") == {}


def test_a_person_who_resumes_a_waiting_run_takes_it_from_the_search(
    store: Store, make_pool: Callable[..., Any], make_spec: MakeSpec
) -> None:
    sweep = SweepSpec(name="taken")
    experiment = store.experiments.create(sweep, [make_spec(epochs=3)], until_epochs=[1], actor="test")
    work(make_pool(experiment_id=experiment.id), Solo(), idle_seconds=0.0)
    (waiting,) = store.runs.list(experiment_id=experiment.id)
    assert waiting.waits_for_search
    store.runs.request(waiting.id, Resume(), actor="ada")
    assert not store.searches.promote(waiting.id, 2, "too late")
    work(make_pool(experiment_id=experiment.id), Solo(), idle_seconds=0.0)
    done = store.runs.get(waiting.id)
    assert (done.state, done.epoch, done.until_epoch) == (RunState.COMPLETED, 3, None)


def test_a_run_that_a_person_paused_on_its_way_still_stops_at_its_rung(
    store: Store, make_pool: Callable[..., Any], make_spec: MakeSpec
) -> None:
    sweep = SweepSpec(name="paused")
    experiment = store.experiments.create(sweep, [make_spec(epochs=3)], until_epochs=[2], actor="test")
    (run,) = store.runs.list(experiment_id=experiment.id)
    store.runs.request(run.id, Pause(), actor="ada")
    assert not store.runs.get(run.id).waits_for_search
    store.runs.request(run.id, Resume(), actor="ada")
    work(make_pool(experiment_id=experiment.id), Solo(), idle_seconds=0.0)
    assert store.runs.get(run.id).waits_for_search
    assert store.runs.get(run.id).epoch == 2


@pytest.fixture
def fork(store: Store, make_pool: Callable[..., Any]) -> Callable[[RunSpec, RunSpec, int], tuple[Run, Run]]:
    """Train a run to ``epoch``, fork it with another spec, and train both to the end."""

    def run(spec: RunSpec, changed: RunSpec, epoch: int) -> tuple[Run, Run]:
        experiment = store.experiments.create(SweepSpec(name="fork"), [spec], until_epochs=[epoch], actor="test")
        work(make_pool(experiment_id=experiment.id), Solo(), idle_seconds=0.0)
        (parent,) = store.runs.list(experiment_id=experiment.id)
        checkpoint = store.checkpoints.find(parent.id, "last")
        trial = NewTrial(
            number=2,
            spec=changed,
            until_epoch=None,
            message="forked",
            parent_id=parent.id,
            checkpoint_id=checkpoint.id,
        )
        assert store.searches.add_trial(experiment.id, trial)
        assert not store.searches.add_trial(experiment.id, trial)
        assert store.searches.promote(parent.id, None, "goes on")
        work(make_pool(experiment_id=experiment.id), Solo(), idle_seconds=0.0)
        before, after = store.runs.list(experiment_id=experiment.id)
        return before, after

    return run


@pytest.mark.parametrize(("model", "optimizer"), [("mlp", "adamw"), ("cnn", "sgd"), ("resnet", "muon")])
def test_an_unchanged_fork_equals_its_parent(
    model: str, optimizer: str, fork: Callable[..., tuple[Run, Run]], store: Store, make_spec: MakeSpec
) -> None:
    spec = make_spec(model, optimizer, epochs=3)
    parent, child = fork(spec, spec, 1)
    assert child.state is RunState.COMPLETED, child.reason
    files = [
        {name: blob.digest for name, blob in store.checkpoints.find(run.id, "last").files.items()}
        for run in (parent, child)
    ]
    assert files[0] == files[1]
    assert (child.trial, child.parent_id, child.forked) == (2, parent.id, True)
    assert list(store.searches.evaluations(child.id)) == [2, 3]


def test_a_fork_goes_on_with_its_own_hyperparameters(
    fork: Callable[..., tuple[Run, Run]], store: Store, make_spec: MakeSpec
) -> None:
    spec = make_spec("mlp", "sgd", epochs=2)
    optimizer = spec.optimizer.model_copy(update={"learning_rate": 0.0123, "momentum": 0.5, "weight_decay": 0.2})
    changed = spec.model_copy(update={"optimizer": optimizer, "schedule": RunSpec().schedule})
    _, child = fork(spec, changed, 1)
    assert child.state is RunState.COMPLETED, child.reason
    assert set(store.metrics.history(child.id, "learning_rate").values.tolist()) == {0.0123}
    straight = store.metrics.history(child.id, "train_loss").values.tolist()
    _, other = fork(spec, changed.model_copy(update={"optimizer": spec.optimizer}), 1)
    assert store.metrics.history(other.id, "train_loss").values.tolist() != straight


def test_a_fork_of_another_optimizer_fails_with_the_reason(
    fork: Callable[..., tuple[Run, Run]], make_spec: MakeSpec
) -> None:
    _, child = fork(make_spec("mlp", "sgd", epochs=2), make_spec("mlp", "adamw", epochs=2), 1)
    assert child.state is RunState.FAILED
    assert "fork: the parent trained with sgd, this run with adamw" in child.reason.message


def test_only_a_scored_run_keeps_the_chance_of_each_true_class(
    store: Store, make_pool: Callable[..., Any], make_spec: MakeSpec, train: Train, outcome: Outcome
) -> None:
    spec = make_spec("mlp", epochs=2)
    (plain,) = train([spec])
    sweep = SweepSpec(name="scored")
    experiment = store.experiments.create(sweep, [spec], until_epochs=[1], scored=True, actor="test")
    work(make_pool(experiment_id=experiment.id), Solo(), idle_seconds=0.0)
    (run,) = store.runs.list(experiment_id=experiment.id)
    assert run.scored
    assert store.searches.promote(run.id, None, "goes on")
    work(make_pool(experiment_id=experiment.id), Solo(), idle_seconds=0.0)
    assert outcome(store.runs.get(run.id)) == outcome(plain)
    assert store.searches.scores(plain.id, 1) == b""
    scores = [read_scores(scores_text(store.searches.scores(run.id, epoch))) for epoch in (1, 2)]
    assert len(scores[0]) == len(scores[1]) > 5
    loss = store.searches.evaluations(run.id)[2]["val_loss"]
    assert -np.log(np.maximum(scores[1], 1e-3)).mean() == pytest.approx(loss, rel=0.1)
