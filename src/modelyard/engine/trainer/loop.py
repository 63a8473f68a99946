"""One trainer's loop under control: hands back after each optimizer step, and goes on from a saved state.

It replaces methods of the one object, not of its class: those that end a step, and those that read or write files.
"""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import TrainerCallback
from transformers.trainer_callback import ExportableState

from modelyard.domain.control import Tune
from modelyard.engine.random_state import RandomState
from modelyard.engine.trainer.alternation import Alternation
from modelyard.engine.trainer.batches import Fetching, WatchedBatches
from modelyard.engine.trainer.tuning import tune_trainer

_COUNTERS = ("_total_loss_scalar", "_globalstep_last_logged", "current_flos", "_initial_global_step")
"""Numbers of the trainer besides its ``TrainerState``."""


@dataclass
class StepReport:
    """What the loop did until it handed back."""

    losses: list[Tensor] = field(default_factory=list)
    norm: Tensor | None = None
    learning_rate: float = 0.0
    samples: int = 0
    logged: dict[str, float] = field(default_factory=dict)
    evaluated: dict[str, float] = field(default_factory=dict)


class TrainerLoop:
    """A trainer and the thread of its loop."""

    def __init__(self, trainer: Any, device: torch.device) -> None:
        self.trainer = trainer
        self._device = device
        self.report = StepReport()
        self.alternation = Alternation(self._train)
        self.begun = False
        """Whether the optimizer and the scheduler are there."""
        self.tunes: list[Tune] = []
        """Changes that wait for the optimizer."""
        self._saved: dict[str, Any] | None = None
        self._batches: WatchedBatches | None = None
        self._epoch_ended = False
        self._at_epoch_start = False
        self._random: RandomState | None = None
        """The generators at the moment of the state that this loop goes on from."""
        self._original = {
            name: getattr(trainer, name)
            for name in ("_maybe_log_save_evaluate", "training_step", "_get_grad_norm", "get_train_dataloader")
            if hasattr(trainer, name)
        }
        for name in self._original:
            setattr(trainer, name, getattr(self, name.removeprefix("_")))
        trainer._save_checkpoint = lambda *_, **__: None
        trainer._load_from_checkpoint = lambda *_, **__: None
        trainer._load_scaler = lambda *_, **__: None
        trainer._load_callback_state = lambda *_, **__: None
        trainer._load_rng_state = self.load_rng_state
        trainer._load_optimizer_and_scheduler = self.load_optimizer_and_scheduler
        trainer.add_callback(_Watcher(self))

    # The engine's side.

    def advance(self) -> StepReport:
        """Train until the next boundary; return what happened."""
        self.report = StepReport()
        self.alternation.advance()
        return self.report

    def go_on_from(self, saved: dict[str, Any], random: RandomState) -> None:
        """Begin where ``state`` was taken and the generators were ``random``; the weights are loaded by the caller."""
        assert not self.begun
        self._saved = saved
        self._random = random

    def state(self) -> dict[str, Any] | None:
        """Return everything but weights and generators, as nested tensors and JSON values; None before the start."""
        trainer = self.trainer
        if not self.begun:
            return self._saved
        scaler = getattr(trainer.accelerator, "scaler", None)
        batches = self._batches
        assert batches is not None
        return {
            "optimizer": trainer.optimizer.state_dict(),
            "scheduler": trainer.lr_scheduler.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
            "trainer": {**asdict(trainer.state), "stateful_callbacks": {}},
            "callbacks": [callback.state() for callback in self._stateful()],
            "control": trainer.control.state(),
            "loss": trainer._tr_loss,
            "counters": {name: getattr(trainer, name) for name in _COUNTERS},
            "fetched": batches.position,
            "before_fetch": None if batches.before is None else batches.before.to_state(),
        }

    def tune(self, change: Tune) -> None:
        """Change hyperparameters from the next step on."""
        if self.begun:
            tune_trainer(self.trainer, change)
        else:
            self.tunes.append(change)

    def close(self) -> None:
        """End the loop where it is."""
        self.alternation.close()

    # In the loop's thread.

    def _train(self) -> None:
        if self._saved is None:
            self.trainer.train()
            return
        self.trainer.args.eval_on_start = False
        with tempfile.TemporaryDirectory() as folder:
            # Its own format, so that it finds its place by itself; JSON, and gone with the end of the loop.
            Path(folder, "trainer_state.json").write_text(json.dumps(self._saved["trainer"]))
            self.trainer.train(resume_from_checkpoint=folder)

    def _stateful(self) -> list[Any]:
        return [one for one in self.trainer.callback_handler.callbacks if isinstance(one, ExportableState)]

    def restore_callbacks(self) -> None:
        """Give the callbacks and the control the state that they had."""
        if self._saved is None:
            return
        pairs = [*zip(self._stateful(), self._saved["callbacks"], strict=True)]
        for one, state in [*pairs, (self.trainer.control, self._saved["control"])]:
            for name, value in state.get("attributes", {}).items():
                setattr(one, name, value)

    def train_begins(self) -> None:
        """Take over the numbers that the loop has just set to their start; the optimizer is there now."""
        self.begun = True
        if self._saved is not None:
            self.trainer._tr_loss.copy_(self._saved["loss"])
            for name, value in self._saved["counters"].items():
                setattr(self.trainer, name, value)
        self.restore_callbacks()
        for change in self.tunes:
            tune_trainer(self.trainer, change)
        self.tunes = []

    def epoch_begins(self) -> None:
        """In a resumed epoch the callbacks have seen this before."""
        self._epoch_ended = False
        if self._saved is not None and self.trainer.state.global_step % self._steps_per_epoch():
            self.restore_callbacks()
        self._saved = None

    def epoch_ends(self) -> None:
        """Note that what follows belongs to the epoch."""
        self._epoch_ended = True

    def _steps_per_epoch(self) -> int:
        assert self._batches is not None
        accumulated: int = self.trainer.args.gradient_accumulation_steps
        return max(1, -(-len(self._batches) // accumulated))

    def maybe_log_save_evaluate(self, *arguments: Any, **named: Any) -> None:
        """Log and evaluate as the trainer does, then hand back: unless the epoch is about to end."""
        self._original["_maybe_log_save_evaluate"](*arguments, **named)
        stops = self.trainer.control.should_training_stop or self.trainer.control.should_epoch_stop
        ends = stops or self.trainer.state.global_step % self._steps_per_epoch() == 0
        if self._epoch_ended or not ends:
            self.alternation.hand_back()

    def training_step(self, model: Any, inputs: Any, *arguments: Any, **named: Any) -> Tensor:
        """Do one micro-batch, and note its share of the step's loss."""
        loss: Tensor = self._original["training_step"](model, inputs, *arguments, **named)
        self.report.losses.append(loss.detach())
        self.report.samples += _batch_size(inputs)
        return loss

    def get_grad_norm(self, *arguments: Any, **named: Any) -> Any:
        """Note the norm that the trainer logs."""
        norm = self._original["_get_grad_norm"](*arguments, **named)
        self.report.norm = None if norm is None else torch.as_tensor(norm).detach()
        return norm

    def get_train_dataloader(self) -> Any:
        """Watch the batch sampler of the trainer's loader."""
        loader = self._original["get_train_dataloader"]()
        self._batches = WatchedBatches(loader.batch_sampler, self._device)
        if self._saved is not None and self._saved["before_fetch"] is not None:
            assert self._random is not None
            before = RandomState.from_state(self._saved["before_fetch"])
            self._batches.resume = Fetching(self._saved["fetched"], before, self._random)
        # A loader's own attribute cannot be set any more; everything else of it stays as it is.
        object.__setattr__(loader, "batch_sampler", self._batches)
        base = getattr(loader, "base_dataloader", None)
        if base is not None:
            object.__setattr__(base, "batch_sampler", self._batches)
        return loader

    def load_rng_state(self, _: Any) -> None:
        """At the start of an epoch set the generators; in the middle of one the batches did."""
        if self._at_epoch_start and self._random is not None:
            self._random.restore(self._device)

    def load_optimizer_and_scheduler(self, checkpoint: Any) -> None:
        """Load the states from memory."""
        if checkpoint is None:
            return
        saved = self._saved
        assert saved is not None
        self.trainer.optimizer.load_state_dict(saved["optimizer"])
        self.trainer.lr_scheduler.load_state_dict(saved["scheduler"])
        if saved["scaler"] is not None:
            self.trainer.accelerator.scaler.load_state_dict(saved["scaler"])
        self._at_epoch_start = saved["trainer"]["global_step"] % self._steps_per_epoch() == 0
        if self._at_epoch_start and self._batches is not None:
            self._batches.resume = None


class _Watcher(TrainerCallback):  # type: ignore[misc]
    """Tells the loop where the trainer is. The last of its callbacks."""

    def __init__(self, loop: TrainerLoop) -> None:
        self._loop = loop

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Training starts or goes on."""
        self._loop.train_begins()

    def on_epoch_begin(self, *_: Any, **__: Any) -> None:
        """An epoch starts or goes on."""
        self._loop.epoch_begins()

    def on_epoch_end(self, *_: Any, **__: Any) -> None:
        """An epoch ended."""
        self._loop.epoch_ends()

    def on_pre_optimizer_step(self, *_: Any, optimizer: Any = None, **__: Any) -> None:
        """The optimizer is about to step."""
        self._loop.report.learning_rate = float(optimizer.param_groups[0]["lr"])

    def on_log(self, *_: Any, logs: Mapping[str, Any] | None = None, **__: Any) -> None:
        """Something was logged."""
        self._loop.report.logged.update(_numbers(logs or {}))

    def on_evaluate(self, *_: Any, metrics: Mapping[str, Any] | None = None, **__: Any) -> None:
        """An evaluation is done."""
        self._loop.report.evaluated.update(_numbers(metrics or {}))


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items() if isinstance(value, int | float)}


def _batch_size(inputs: Any) -> int:
    values = inputs.values() if isinstance(inputs, Mapping) else inputs
    return next((len(value) for value in values if isinstance(value, Tensor) and value.ndim), 0)
