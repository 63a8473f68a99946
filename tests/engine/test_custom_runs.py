"""A user's own class gets all that our tasks get: exact resumes, stacks, averages, early stopping, tunes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load

from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.control import Tune
from modelyard.domain.events import ExecutionChanged
from modelyard.domain.run import ReasonCode, Run, RunState
from modelyard.domain.sample_scores import read_scores, scores_text
from modelyard.engine.executors import Executor, Sliced, Solo, Stacked
from modelyard.engine.pool import SessionPool
from modelyard.engine.stack import Stack
from modelyard.engine.worker import work
from modelyard.store import Store

Train = Callable[..., list[Run]]
Outcome = Callable[[Run], dict[str, Any]]
MakeSpec = Callable[..., RunSpec]
Kill = Callable[..., list[Run]]

SOURCE = '''
import sys

import torch
from torch import nn
from torch.nn import functional


class Rows:
    @staticmethod
    def data():
        x = torch.randn(120, 6)
        y = x.sin().sum(1)
        return {"train": (x[:80], y[:80]), "val": (x[80:100], y[80:100]), "test": (x[100:], y[100:])}

    def __init__(self, width=16, dropout=0.2):
        self.width, self.dropout = width, dropout

    def build(self):
        return nn.Sequential(
            nn.Linear(6, self.width), nn.BatchNorm1d(self.width), nn.ReLU(), nn.Dropout(self.dropout),
            nn.Linear(self.width, 1),
        )

    def loss(self, outputs, batch):
        return functional.mse_loss(outputs.squeeze(1), batch[1])

    def metrics(self, outputs, batch):
        return {"mae": (outputs.squeeze(1) - batch[1]).abs()}


class Guessing(Rows):
    """Its metric compares with random guesses."""

    def metrics(self, outputs, batch):
        return {"mae": (outputs.squeeze(1) - torch.randn(len(outputs))).abs()}


class Gate(nn.Module):
    def __init__(self, width, dropout):
        super().__init__()
        self.first, self.second, self.out = nn.Linear(6, width), nn.Linear(6, width), nn.Linear(width, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        return self.out(self.dropout(torch.sigmoid(self.first(x)) * self.second(x)))


class Gated(Rows):
    def build(self):
        return Gate(self.width, self.dropout)

    def forward(self, model, batch):
        return model(batch[0])


class Texts:
    """A map-style data set of dicts, and noise that the model draws itself."""

    def data(self):
        samples = [
            {"tokens": torch.randint(0, 9, (5,)), "targets": number % 2} for number in range(60)
        ]
        return {"train": samples[:40], "val": samples[40:]}

    def build(self):
        return nn.ModuleDict({"embedding": nn.Embedding(9, 8), "head": nn.Linear(8, 2)})

    def forward(self, model, batch):
        hidden = model["embedding"](batch["tokens"]).mean(1)
        if model.training:
            hidden = hidden + torch.randn_like(hidden) * 0.1
        return model["head"](hidden)

    def loss(self, outputs, batch):
        return functional.cross_entropy(outputs.float(), batch["targets"])


class Scored(Rows):
    def scores(self, outputs, batch):
        return (1 - (outputs.squeeze(1) - batch[1]).abs() / 4).clamp(0, 1)


class Overdone(Scored):
    def scores(self, outputs, batch):
        return super().scores(outputs, batch) + (batch[1] == batch[1].max()) * 7


class Broken(Rows):
    def loss(self, outputs, batch):
        if len(batch[1]) < 16:
            raise ValueError("a short batch")
        return super().loss(outputs, batch)


class Exits(Rows):
    def metrics(self, outputs, batch):
        sys.exit(3)


class Interrupts(Rows):
    def loss(self, outputs, batch):
        raise KeyboardInterrupt
'''
CLASSES = ("Rows", "Gated", "Texts")


@pytest.fixture
def make_own(store: Store, tmp_path: Path) -> MakeSpec:
    """Build a small spec of one of the classes above, with everything switched on."""
    code = store.blobs.put([SOURCE.encode()]).digest

    def make(class_name: str, learning_rate: float = 0.01, seed: int = 0, **training: Any) -> RunSpec:
        return RunSpec.model_validate(
            {
                "task": "custom",
                "custom": {"file": str(tmp_path / "never_there.py"), "class_name": class_name, "code": code},
                "optimizer": {"name": "adamw", "learning_rate": learning_rate},
                "schedule": "warmup-cosine",
                "seed": seed,
                "training": {
                    "epochs": 4,
                    "batch_size": 16,
                    "eval_batch_size": 7,
                    "accumulate": 2,
                    "precision": "bf16",
                    "ema": {"decay": 0.9},
                    "clip_norm": 1.0,
                    "log_every": 2,
                    "max_retries": 1000,
                    "checkpoint": {"every_steps": 3},
                    **training,
                },
            }
        )

    return make


def test_sliced_equals_solo_and_every_part_has_an_effect(train: Train, outcome: Outcome, make_own: MakeSpec) -> None:
    specs = [make_own(name) for name in CLASSES]
    alone = train(specs)
    together = train(specs, executor=Sliced(chunk_seconds=0.0), slots=3)
    for one, other in zip(alone, together, strict=True):
        assert one.state is RunState.COMPLETED, one.reason
        assert outcome(other) == outcome(one)
    assert {"val_loss", "val_mae", "test_loss", "test_mae", "train_loss", "grad_norm"} <= set(alone[0].summary)
    assert "test_loss" not in alone[2].summary


def test_killed_three_times_equals_undisturbed(
    train: Train, outcome: Outcome, make_own: MakeSpec, kill_at_random: Kill
) -> None:
    specs = [make_own(name, epochs=60) for name in ("Gated", "Texts")]
    alone = train(specs)
    for one, other in zip(alone, kill_at_random(specs, kills=3), strict=True):
        assert other.state is RunState.COMPLETED, other.reason
        assert other.attempt == 4
        assert outcome(other) == outcome(one)


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list with the number of members of each step of a stack."""
    counted: list[int] = []
    backward = Stack.backward

    def count(stack: Stack, steps: Any) -> None:
        backward(stack, steps)
        counted.append(len(steps))

    monkeypatch.setattr(Stack, "backward", count)
    return counted


def test_paused_at_random_in_a_stack_agrees_with_undisturbed(
    train: Train,
    outcome: Outcome,
    make_own: MakeSpec,
    pause_at_random: Callable[..., tuple[list[Run], int]],
    sizes: list[int],
) -> None:
    specs = [make_own("Rows", seed=seed, precision="fp32") for seed in range(3)]
    specs += [make_own("Gated", seed=seed, precision="fp32") for seed in range(3)]
    alone = train(specs)
    runs, pauses = pause_at_random(specs, Stacked(chunk_seconds=0.0), chance=0.3)
    assert pauses
    assert max(sizes) == 3
    for one, other in zip(alone[:3], runs[:3], strict=True):
        assert outcome(other) == outcome(one), "a chain of known layers is bit-identical"
    for one, other in zip(alone[3:], runs[3:], strict=True):
        expected, found = outcome(one)["metrics"], outcome(other)["metrics"]
        for name in ("train_loss", "val_loss", "val_mae", "test_loss"):
            assert found[name][0] == expected[name][0]
            assert found[name][1] == pytest.approx(expected[name][1], rel=1e-4)


def test_metrics_that_draw_get_each_members_own_numbers_in_a_stack(
    train: Train, outcome: Outcome, make_own: MakeSpec
) -> None:
    specs = [make_own("Guessing", seed=seed, precision="fp32", eval_batch_size=6) for seed in range(3)]
    together = train(specs, executor=Stacked(), slots=3)
    assert all(run.execution == "stacked" for run in together)
    assert [outcome(run) for run in together] == [outcome(run) for run in train(specs)]


@pytest.fixture
def race(store: Store, make_pool: Callable[..., SessionPool]) -> Train:
    """Train specs of runs that keep the scores of their validation samples."""

    def train(specs: list[RunSpec], *, executor: Executor) -> list[Run]:
        until: list[int | None] = [None] * len(specs)
        race = store.experiments.create(SweepSpec(name="race"), specs, until_epochs=until, scored=True, actor="test")
        work(make_pool(experiment_id=race.id, slots=len(specs)), executor, idle_seconds=0.0)
        return store.runs.list(experiment_id=race.id)

    return train


def test_a_stack_gives_the_scores_of_each_member_alone(
    race: Train, make_own: MakeSpec, store: Store, sizes: list[int]
) -> None:
    specs = [make_own("Scored", seed=seed, precision="fp32") for seed in range(3)]
    alone, together = race(specs, executor=Solo()), race(specs, executor=Stacked(chunk_seconds=0.0))
    assert max(sizes) == 3
    for epoch in range(1, 5):
        expected = [store.searches.scores(run.id, epoch) for run in alone]
        assert len(set(expected)) == 3
        assert [store.searches.scores(run.id, epoch) for run in together] == expected
    last = read_scores(scores_text(expected[0]))
    assert last.shape == (20,)
    distance = store.metrics.history(alone[0].id, "val_mae").values[-1]
    assert 1 - last.mean() == pytest.approx(distance / 4, abs=0.01), "it is the scores of the validation data"


def test_scores_that_are_none_fail_the_run_that_gave_them(race: Train, make_own: MakeSpec) -> None:
    good, none, bad = race([make_own(name) for name in ("Scored", "Rows", "Overdone")], executor=Sliced())
    assert good.state is RunState.COMPLETED
    for run, said in (
        (none, "never_there.py: racing needs a score of each validation sample, and Rows has no method 'scores'; "),
        (bad, "never_there.py: Overdone: scores() returned "),
    ):
        assert (run.state, run.reason.code) == (RunState.FAILED, ReasonCode.BAD_INPUT)
        assert said in run.reason.message


def test_a_model_that_draws_by_itself_is_not_stacked(
    train: Train, outcome: Outcome, make_own: MakeSpec, store: Store
) -> None:
    specs = [make_own("Texts", seed=seed) for seed in range(3)]
    alone = train(specs)
    stacked = train(specs, executor=Stacked(), slots=3)
    assert [outcome(run) for run in stacked] == [outcome(run) for run in alone]
    for run in stacked:
        told = [line.text for line in store.logs.tail(run.id, 1000) if "could not be stacked" in line.text]
        why = "its model could not be stacked: 'function' object is not subscriptable"
        assert told == [f"step 1: sliced, since {why}"]
        events = [event.payload for event in store.events.read(run_id=run.id, limit=1000)]
        reasons = [event.reason for event in events if isinstance(event, ExecutionChanged)]
        assert [reason for reason in reasons if reason] == [why]


@pytest.mark.parametrize(
    ("training", "expected"),
    [
        ({"early_stopping": {"metric": "val_mae", "mode": "min", "patience": 1}}, ReasonCode.EARLY_STOPPED),
        ({"checkpoint": {"metric": "val_mae", "mode": "min"}}, ReasonCode.FINISHED),
        ({"checkpoint": {"metric": "val_rmse", "mode": "min"}}, ReasonCode.BAD_INPUT),
    ],
)
def test_own_metrics_can_be_watched(
    training: dict[str, Any], expected: ReasonCode, train: Train, make_own: MakeSpec
) -> None:
    (run,) = train([make_own("Rows", learning_rate=1.0, epochs=30, clip_norm=None, **training)])
    assert run.reason.code is expected
    if expected is ReasonCode.BAD_INPUT:
        assert "'val_rmse' is not a metric of this run" in run.reason.message
        assert "val_mae" in run.reason.message


def test_params_seeds_and_tunes_change_the_run(
    train: Train, outcome: Outcome, make_own: MakeSpec, store: Store, submit: Any, make_pool: Callable[..., SessionPool]
) -> None:
    spec = make_own("Rows")
    assert spec.custom is not None
    wide = spec.model_copy(update={"custom": spec.custom.model_copy(update={"params": {"width": 24}})})
    first, second, third = train([spec, wide, make_own("Rows", seed=1)])
    weights = [
        store.checkpoints.find(run.id, "last").files["model.safetensors"].digest for run in (first, second, third)
    ]
    assert len(set(weights)) == 3
    with store.blobs.open(weights[1]) as file:
        assert load(file.read())["0.weight"].shape == torch.Size([24, 6]), "weights have the names of the user's model"
    (run,) = submit([make_own("Rows")])
    pool = make_pool()
    pool.fill()
    (session,) = pool.sessions
    session.activate()
    store.runs.request(run.id, Tune(learning_rate=0.5, epochs=2), actor="test")
    pool.obey()
    while session.open:
        session.advance()
    session.deactivate()
    assert store.runs.get(run.id).step == 6
    assert store.metrics.history(run.id, "learning_rate").values.max() > 0.1


def test_an_error_in_the_users_code_names_file_line_and_signature(
    train: Train, make_own: MakeSpec, store: Store
) -> None:
    spec = make_own("Broken", batch_size=24, accumulate=1)
    (run,) = train([spec])
    line = 1 + SOURCE.splitlines().index('            raise ValueError("a short batch")')
    assert run.state is RunState.FAILED
    assert run.reason.message == (
        f"ValueError: a short batch (never_there.py:{line}, in Broken.loss(self, outputs, batch) -> "
        "the mean loss of the batch (scalar))"
    )
    assert any('raise ValueError("a short batch")' in one.text for one in store.logs.tail(run.id, 50))


@pytest.mark.parametrize("executor", [Sliced, Stacked])
@pytest.mark.parametrize(
    ("ends", "code"), [("Exits", "sys.exit(3)"), ("Interrupts", "raise KeyboardInterrupt")], ids=["exit", "interrupt"]
)
def test_code_that_ends_the_process_fails_its_own_run_with_the_place(
    ends: str, code: str, executor: type[Any], train: Train, make_own: MakeSpec
) -> None:
    good, ended = train([make_own("Rows", epochs=1), make_own(ends)], executor=executor())
    assert good.state is RunState.COMPLETED
    assert (ended.state, ended.reason.code) == (RunState.FAILED, ReasonCode.ERROR)
    line = 1 + next(number for number, text in enumerate(SOURCE.splitlines()) if code in text)
    assert ended.reason.message.startswith(f"never_there.py:{line}, in {ends}.")
    assert ended.reason.message.endswith("; raise an error instead, or return")


def test_deleting_a_run_lets_its_code_go_and_no_earlier(train: Train, make_own: MakeSpec, store: Store) -> None:
    first, second = train([make_own("Rows", epochs=1), make_own("Rows", epochs=1, seed=1)])
    digest = first.spec.user_code.code
    assert first.fingerprints["own code"] == digest.removeprefix("sha256:")
    for run, there in ((first, True), (second, False)):
        store.runs.delete(run.id, actor="test")
        store.gc.collect()
        assert store.blobs.exists(digest) is there
