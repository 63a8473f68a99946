"""A run that was paused, killed or time-sliced ends as the same run undisturbed: every bit, every metric."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelyard.domain.config import RunSpec
from modelyard.domain.run import Run, RunState
from modelyard.engine.executors import Sliced
from modelyard.engine.residency import Residency
from modelyard.store import Store

MODELS = ("mlp", "cnn", "resnet", "vit")
OPTIMIZERS = ("sgd", "adam", "adamw", "rmsprop", "lion", "muon")

Train = Callable[..., list[Run]]
Outcome = Callable[[Run], dict[str, Any]]
MakeSpec = Callable[..., RunSpec]
Kill = Callable[..., list[Run]]


@pytest.mark.parametrize("model", MODELS)
def test_sliced_among_others_equals_solo(model: str, train: Train, outcome: Outcome, make_spec: MakeSpec) -> None:
    specs = [make_spec(model, optimizer) for optimizer in OPTIMIZERS]
    specs += [make_spec("mlp", "sgd", epochs=2), make_spec("cnn", "adamw", epochs=4)]
    alone = train(specs)
    together = train(specs, executor=Sliced(chunk_seconds=0.02), slots=8)
    for one, other in zip(alone, together, strict=True):
        assert one.state is RunState.COMPLETED, one.reason
        assert outcome(other) == outcome(one)
        assert one.name != other.name


def test_spilled_to_the_disk_between_turns_equals_solo(
    train: Train, outcome: Outcome, make_spec: MakeSpec, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = [make_spec(model, optimizer) for model, optimizer in zip(MODELS, OPTIMIZERS[:4], strict=True)]
    alone = train(specs)
    monkeypatch.setattr(Residency, "has_room", lambda _: True)  # they grow beyond what was expected of them
    residency = Residency(device_bytes=None, host_bytes=0)
    together = train(specs, executor=Sliced(chunk_seconds=0.02), slots=4, residency=residency)
    for one, other in zip(alone, together, strict=True):
        assert outcome(other) == outcome(one)
        assert not list(store.home.scratch(other.id).glob("*"))


@pytest.mark.parametrize("model", MODELS)
def test_paused_and_resumed_equals_undisturbed(
    model: str,
    train: Train,
    outcome: Outcome,
    make_spec: MakeSpec,
    pause_at_random: Callable[..., tuple[list[Run], int]],
) -> None:
    specs = [make_spec(model, optimizer) for optimizer in OPTIMIZERS]
    alone = train(specs)
    runs, pauses = pause_at_random(specs, Sliced(chunk_seconds=0.0), chance=0.1)
    assert pauses >= len(runs)
    for one, other in zip(alone, runs, strict=True):
        assert outcome(other) == outcome(one)


def assert_kills_change_nothing(specs: list[RunSpec], kills: int, train: Train, outcome: Outcome, kill: Kill) -> None:
    alone = train(specs)
    runs = kill(specs, kills=kills)
    for one, other in zip(alone, runs, strict=True):
        assert other.state is RunState.COMPLETED, other.reason
        assert other.attempt == kills + 1, "every kill must hit every run"
        assert outcome(other) == outcome(one)


def test_killed_three_times_equals_undisturbed(
    train: Train, outcome: Outcome, make_spec: MakeSpec, kill_at_random: Kill
) -> None:
    specs = [make_spec(model, "adamw", epochs=60) for model in ("mlp", "cnn")]
    assert_kills_change_nothing(specs, 3, train, outcome, kill_at_random)


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_killed_twenty_times_equals_undisturbed_for_every_model_and_optimizer(
    train: Train, outcome: Outcome, make_spec: MakeSpec, kill_at_random: Kill
) -> None:
    specs = [make_spec(model, optimizer, epochs=70) for model in MODELS for optimizer in OPTIMIZERS]
    assert_kills_change_nothing(specs, 20, train, outcome, kill_at_random)


def test_no_two_runs_share_a_name_or_a_folder(train: Train, make_spec: MakeSpec, store: Store, home: Path) -> None:
    spec = make_spec(epochs=1)
    runs = [*train([spec, spec]), *train([spec])]
    assert len({run.name for run in runs}) == 3
    assert len({store.home.scratch(run.id) for run in runs}) == 3
    assert len({run.spec_hash for run in runs}) == 1
