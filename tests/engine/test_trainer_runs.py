"""A ``transformers.Trainer`` runs sliced, is paused and killed, and ends as if its user had called ``train()``."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load

from modelyard.domain.config import RunSpec
from modelyard.domain.control import OpStatus, Tune
from modelyard.domain.parts.usercode import TrainerFunction
from modelyard.domain.run import ReasonCode, Run, RunState
from modelyard.engine.executors import Sliced, Stacked
from modelyard.engine.pool import SessionPool
from modelyard.engine.random_state import seed_everything
from modelyard.store import Store

Train = Callable[..., list[Run]]
Outcome = Callable[[Run], dict[str, Any]]
MakeSpec = Callable[..., RunSpec]
Kill = Callable[..., list[Run]]

SOURCE = '''
import tempfile

import torch
import transformers
from torch.utils.data import Dataset
from transformers.trainer_callback import ExportableState


class Sentences(Dataset):
    def __init__(self, size, seed):
        generator = torch.Generator().manual_seed(seed)
        self.tokens = torch.randint(2, 20, (size, 6), generator=generator)

    def __len__(self):
        return len(self.tokens)

    def __getitem__(self, index):
        return {"input_ids": self.tokens[index], "labels": int(self.tokens[index].sum() % 2)}


class Counting(transformers.TrainerCallback, ExportableState):
    """Counts, and lets the counts decide about the weight decay."""

    def __init__(self):
        self.steps = self.epochs = 0

    def on_step_end(self, args, state, control, optimizer=None, **kwargs):
        self.steps += 1
        if self.steps % 5 == 0:
            for group in optimizer.param_groups:
                group["weight_decay"] = 0.01 * self.steps * self.epochs

    def on_epoch_begin(self, args, state, control, **kwargs):
        self.epochs += 1

    def state(self):
        return {"args": {}, "attributes": {"steps": self.steps, "epochs": self.epochs}}


def masking(samples):
    """A collator that draws random numbers."""
    batch = transformers.default_data_collator(samples)
    hidden = torch.rand(batch["input_ids"].shape) < 0.15
    batch["input_ids"] = batch["input_ids"].masked_fill(hidden, 1)
    return batch


class Patience(transformers.TrainerCallback, ExportableState):
    """Stops when the accuracy has not become better for some evaluations."""

    def __init__(self, patience):
        self.patience, self.best, self.misses = patience, -1.0, 0

    def on_evaluate(self, args, state, control, metrics=None, **kwargs):
        self.misses = 0 if metrics["eval_accuracy"] > self.best else self.misses + 1
        self.best = max(self.best, metrics["eval_accuracy"])
        control.should_training_stop = self.misses >= self.patience

    def state(self):
        return {"args": {"patience": self.patience}, "attributes": {"best": self.best, "misses": self.misses}}


def make_trainer(model="bert", collator="plain", scheduler="linear", patience=0, **arguments):
    small = {"num_labels": 2, "pad_token_id": 0}
    if model == "bert":
        config = transformers.BertConfig(
            vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
            max_position_embeddings=8, **small,
        )
        network = transformers.BertForSequenceClassification(config)
    else:
        config = transformers.GPT2Config(vocab_size=20, n_embd=8, n_layer=1, n_head=2, n_positions=8, **small)
        network = transformers.GPT2ForSequenceClassification(config)

    class Noting(transformers.Trainer):
        def compute_loss(self, *given, **named):
            self.log({"seen": 1.0}) if self.state.global_step == 2 else None
            return super().compute_loss(*given, **named)

    return Noting(
        model=network,
        args=transformers.TrainingArguments(
            report_to="none", use_cpu=True, per_device_train_batch_size=8,
            learning_rate=0.01, lr_scheduler_type=scheduler, logging_steps=3,
            **{
                "output_dir": tempfile.gettempdir(), "num_train_epochs": 3, "gradient_accumulation_steps": 2,
                "eval_strategy": "epoch", "warmup_steps": 3, **arguments,
            },
        ),
        train_dataset=Sentences(70, 0),
        eval_dataset=Sentences(30, 1),
        data_collator=masking if collator == "masking" else None,
        compute_metrics=lambda found: {"accuracy": float((found.predictions.argmax(1) == found.label_ids).mean())},
        callbacks=[Counting(), *([Patience(patience)] if patience else [])],
    )
'''
CASES: dict[str, dict[str, Any]] = {
    "bert": {},
    "gpt2": {"model": "gpt2"},
    "masking": {"collator": "masking"},
    "steps": {"max_steps": 11, "eval_strategy": "steps", "eval_steps": 4, "gradient_accumulation_steps": 1},
    "cosine": {"scheduler": "cosine", "gradient_accumulation_steps": 3, "optim": "adafactor"},
}


@pytest.fixture
def make_trained(store: Store, tmp_path: Path) -> MakeSpec:
    """Build the spec of a run of the function above."""
    code = store.blobs.put([SOURCE.encode()]).digest

    def make(seed: int = 0, checkpoint: dict[str, Any] | None = None, **params: Any) -> RunSpec:
        trainer = {"file": str(tmp_path / "train.py"), "function": "make_trainer", "code": code, "params": params}
        training = {"max_retries": 1000, "log_every": 2, "checkpoint": {"every_steps": 3, **(checkpoint or {})}}
        return RunSpec.model_validate({"task": "hf-trainer", "trainer": trainer, "seed": seed, "training": training})

    return make


@pytest.fixture
def outcome(outcome: Outcome) -> Outcome:
    """Leave out the index, which has the trainer's own log with the times that its evaluations took."""

    def describe(run: Run) -> dict[str, Any]:
        found = outcome(run)
        del found["files"]["checkpoint.json"]
        return found

    return describe


def plainly(spec: RunSpec) -> dict[str, torch.Tensor]:
    """Return the weights after the user's own ``train()``, without us."""
    assert isinstance(spec.trainer, TrainerFunction)
    names: dict[str, Any] = {}
    exec(compile(SOURCE, "train.py", "exec"), names)
    torch.use_deterministic_algorithms(True)
    seed_everything(spec.seed)
    trainer = names["make_trainer"](**{**spec.trainer.params, "save_strategy": "no", "disable_tqdm": True})
    trainer.train()
    return dict(trainer.model.state_dict())


def weights(store: Store, run: Run) -> dict[str, torch.Tensor]:
    with store.blobs.open(store.checkpoints.find(run.id, "last").files["model.safetensors"].digest) as file:
        return load(file.read())


@pytest.mark.parametrize("case", CASES)
def test_ends_bit_identical_to_a_plain_call_of_train(
    case: str, train: Train, make_trained: MakeSpec, store: Store
) -> None:
    spec = make_trained(**CASES[case])
    expected = plainly(spec)
    (run,) = train([spec])
    assert run.state is RunState.COMPLETED, run.reason
    found = weights(store, run)
    assert found.keys() <= expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in found.items())
    assert {"val_loss", "val_accuracy", "train_loss", "learning_rate", "grad_norm", "seen"} <= set(run.summary)


def test_several_take_turns_and_are_paused_at_random(
    train: Train, outcome: Outcome, make_trained: MakeSpec, pause_at_random: Callable[..., tuple[list[Run], int]]
) -> None:
    specs = [make_trained(**case) for case in CASES.values()]
    alone = train(specs)
    runs, pauses = pause_at_random(specs, Sliced(chunk_seconds=0.0), chance=0.2)
    assert pauses >= 3
    for one, other in zip(alone, runs, strict=True):
        assert one.state is RunState.COMPLETED, one.reason
        assert outcome(other) == outcome(one)


@pytest.mark.parametrize("step", range(1, 15))
def test_every_boundary_can_be_resumed_from(
    step: int,
    train: Train,
    outcome: Outcome,
    make_trained: MakeSpec,
    interrupt: Any,
    submit: Any,
    make_pool: Any,
    store: Store,
) -> None:
    from modelyard.engine.executors import Solo
    from modelyard.engine.worker import work

    spec = make_trained(collator="masking")
    (alone,) = train([spec])
    (run,) = submit([spec])
    interrupt(step)
    assert store.runs.get(run.id).state is RunState.QUEUED
    work(make_pool(), Solo(), idle_seconds=0.0)
    assert outcome(store.runs.get(run.id)) == outcome(alone)


def test_killed_three_times_equals_undisturbed(
    train: Train, outcome: Outcome, make_trained: MakeSpec, kill_at_random: Kill
) -> None:
    specs = [make_trained(num_train_epochs=60), make_trained(num_train_epochs=60, collator="masking")]
    alone = train(specs)
    for one, other in zip(alone, kill_at_random(specs, kills=3), strict=True):
        assert other.state is RunState.COMPLETED, other.reason
        assert other.attempt == 4
        assert outcome(other) == outcome(one)


def test_its_epochs_are_known_once_it_was_made(train: Train, make_trained: MakeSpec) -> None:
    """The config's own number, 5, is not what it trains."""
    specs = [make_trained(num_train_epochs=4), make_trained(max_steps=10)]
    assert [(run.epoch, run.total_epochs) for run in train(specs)] == [(4, 4), (2, 2)]


def test_trainers_are_not_stacked(train: Train, outcome: Outcome, make_trained: MakeSpec) -> None:
    specs = [make_trained(seed=seed) for seed in range(2)]
    alone = train(specs)
    assert [outcome(run) for run in train(specs, executor=Stacked(), slots=2)] == [outcome(run) for run in alone]


def test_the_learning_rate_can_be_tuned_and_the_epochs_cannot(
    make_trained: MakeSpec, store: Store, submit: Any, make_pool: Callable[..., SessionPool]
) -> None:
    (run,) = submit([make_trained(scheduler="constant", warmup_steps=0)])
    pool = make_pool()
    pool.fill()
    (session,) = pool.sessions
    session.activate()
    asked = [
        store.runs.request(run.id, op, actor="test")
        for op in (Tune(learning_rate=0.5, weight_decay=0.3), Tune(epochs=9))
    ]
    pool.obey()
    while session.open:
        session.advance()
    session.deactivate()
    assert [store.controls.get(one.id).status for one in asked] == [OpStatus.ACKNOWLEDGED, OpStatus.REJECTED]
    assert "clone the run with other params" in store.controls.get(asked[1].id).message
    assert set(store.metrics.history(run.id, "learning_rate").values) == {0.5}
    assert store.runs.get(run.id).state is RunState.COMPLETED


def test_our_early_stopping_and_its_own_both_end_the_loop(
    train: Train, outcome: Outcome, make_trained: MakeSpec, store: Store
) -> None:
    early = {"early_stopping": {"metric": "val_accuracy", "mode": "max", "patience": 1}}
    spec = make_trained(num_train_epochs=50)
    ours = RunSpec.model_validate({**spec.model_dump(), "training": early})
    own = make_trained(num_train_epochs=50, patience=1)
    first, second = train([ours, own])
    assert first.reason.code is ReasonCode.EARLY_STOPPED
    assert second.reason.code is ReasonCode.FINISHED
    assert max(first.step, second.step) < 250
    assert all(torch.equal(tensor, plainly(own)[name]) for name, tensor in weights(store, second).items())


def test_neither_files_nor_threads_are_left_behind(
    train: Train, make_trained: MakeSpec, tmp_path: Path, interrupt: Any, submit: Any
) -> None:
    folder = tmp_path / "out"
    train([make_trained(num_train_epochs=1, output_dir=str(folder), save_strategy="steps", save_steps=1)])
    submit([make_trained()])
    interrupt(4)
    assert not [path for path in folder.rglob("*") if path.is_file()]
    assert not [thread for thread in threading.enumerate() if thread.name == "trainer"]
