"""A learner: one configuration in training. Its state is everything that decides what it will do next."""

import math
import os
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from modelyard.domain.config import RunSpec
from modelyard.domain.control import Tune
from modelyard.domain.errors import NonFiniteLossError
from modelyard.domain.structure import structure_key
from modelyard.engine.compiled import Compiled
from modelyard.engine.feed import Feed, Place
from modelyard.engine.numeric import all_finite, autocast, clip_gradients, make_average, make_scaler, set_training
from modelyard.engine.progress import Progress, Unit
from modelyard.engine.random_state import RandomState, seed_everything
from modelyard.engine.shared_parts import SharedParts
from modelyard.engine.step import Step, StepDone
from modelyard.engine.window import Window
from modelyard.tasks.base import Batch, Features, FrozenProblem, Problem, Saved, SplitName, Task
from modelyard.tasks.frozen_part import FrozenParts
from modelyard.tasks.nested import Nested
from modelyard.tasks.optimizers import build_optimizer, lean_step, repeated_step, set_hyperparameters
from modelyard.tasks.schedules import factor

FILL_NEW_MEMORY = bool(os.environ.get("MODELYARD_FILL_NEW_MEMORY"))
"""Whether deterministic runs fill new tensors with NaN, to find kernels that read them before they are set."""


class Learner:
    """One configuration in training, on its feed's device. Only an *active* learner may step alone."""

    stackable = True
    """Whether it may take its steps together with others."""
    compiled: Compiled | None = None
    """What computes its gradients, if that is not torch step by step; part of its state."""
    place: Place | None = None
    """Where it is in the data of its feed, if it has one."""
    _features: Features | None = None
    shared = SharedParts()
    """What its models share with those of other learners."""

    def __init__(self, spec: RunSpec, task: Task, feed: Feed, saved: Saved = None) -> None:
        data = feed.data
        self.spec = spec
        self.device = feed.device
        self.data = data
        self.plan = feed.plan
        self._feed = feed
        self.task = task
        self._config = spec.training
        self.progress = Progress(
            epochs=spec.training.epochs,
            evaluate_every=spec.training.evaluate_every,
            has_validation=data.size(SplitName.VAL) > 0,
            has_test=data.size(SplitName.TEST) > 0,
        )
        self.place = feed.open(self.progress)
        self.learning_rate = spec.optimizer.learning_rate
        self.weight_decay = spec.optimizer.weight_decay
        self.window = Window([], [])
        self.evaluation_loss = math.nan
        self._active = False
        self._build(saved)

    def _build(self, saved: Saved) -> None:
        self.prepare_process()
        seed_everything(self.spec.seed)
        self.problem: Problem = self.task.build(self.spec, self.data, saved)
        self.model: nn.Module = self.problem.model.to(self.device)
        self.optimizer = build_optimizer(self.spec.optimizer, self.model)
        self._step_optimizer = lean_step(self.optimizer)
        self.scaler = make_scaler(self._config, self.device)
        self._scales = self.scaler.is_enabled()
        self.average = make_average(self._config.ema, self.model)
        self._trainable = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self._random = RandomState.capture(self.device)
        self._stream: torch.Generator | None = None

    @cached_property
    def structure(self) -> str:
        """Equal for learners whose models and batches have the same shapes."""
        return structure_key(self.spec)

    # A frozen backbone.

    def use_features(self, features: Features, feed: Feed, parts: FrozenParts) -> None:
        """Train what is behind the frozen part of the model, on the ``features`` that ``feed`` hands out."""
        assert isinstance(self.problem, FrozenProblem)
        self.shared = SharedParts(self.problem.use_features(features, self._models, parts))
        if features.prepared:
            self.shared.leave_device()
        self._features, self._feed, self.data = features, feed, feed.data
        self.place = feed.open(self.progress)

    @property
    def on_features(self) -> bool:
        """Whether it trains on the features of a frozen backbone."""
        return self._features is not None

    def next_unit(self) -> Unit:
        """Return what comes next."""
        ready = self._features is None or self._features.prepared
        return self.progress.next_unit() if ready else Unit.PREPARE

    def prepare(self) -> list[str]:
        """Compute, or find, a few of the features; return what there is to say about it."""
        assert self._features is not None
        self._features.prepare(self._compute_features)
        if not self._features.prepared:
            return []
        self.shared.leave_device()
        return [f"all features are there: those of {self._features.computed} samples were computed, the others read"]

    def _compute_features(self, batch: Batch) -> Tensor:
        assert isinstance(self.problem, FrozenProblem)
        with torch.no_grad(), self.autocast():
            return self.problem.features(batch.to(self.device))

    # Taking turns on the device.

    def prepare_process(self) -> None:
        """Set the process-wide switches that this learner's arithmetic depends on."""
        if torch.get_num_threads() != self._config.threads:
            torch.set_num_threads(self._config.threads)
        if torch.are_deterministic_algorithms_enabled() != self._config.deterministic:
            # As torch.use_deterministic_algorithms does, without importing the compiler to tell it so.
            torch.set_deterministic_debug_mode("error" if self._config.deterministic else "default")
            # Filling all new memory with NaN finds kernels that read it unset, and costs 2% of a step. The tests do it.
            torch.utils.deterministic.fill_uninitialized_memory = FILL_NEW_MEMORY  # type: ignore[attr-defined]

    def activate(self) -> None:
        """Take the process-wide random state over; no other learner may be active."""
        self.prepare_process()
        self._catch_up()
        self._random.restore(self.device)
        self._active = True
        if self.compiled is not None:  # what was moved meanwhile may have to be compiled for anew
            self.compiled.unproven = True

    def deactivate(self) -> None:
        """Put the process-wide random state away."""
        self._random = RandomState.capture(self.device)
        self._active = False
        if self._stream is not None:
            self._stream.set_state(self._random.torch_stream)

    def join_stack(self) -> torch.Generator:
        """Return a generator that goes on where this learner's random stream is; a stack draws from it."""
        self._stream = torch.Generator(self.device)
        self._stream.set_state(self._random.torch_stream)
        return self._stream

    def leave_stack(self) -> None:
        """Go on from where the stack's draws ended."""
        self._catch_up()
        self._stream = None

    def _catch_up(self) -> None:
        if self._stream is not None and not self._active:
            self._random = self._random.with_stream(self._stream.get_state())

    # Training.

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the whole run, as long as it does not stop early."""
        return self.progress.epochs * self.plan.steps_per_epoch

    def current_learning_rate(self, ahead: int = 0) -> float:
        """Return the learning rate of the next step, or of the one after so many others."""
        return self.learning_rate * factor(self.spec.schedule, self.progress.step + ahead, self.total_steps)

    def train_step(self) -> StepDone:
        """Do one optimizer step on its micro-batches, alone."""
        step = self.begin_step()
        why_not = ""
        if self.compiled is None or not self.compiled.unproven:
            self._compute_gradients(step)
        elif why_not := self.compiled.attempt(lambda: self._compute_gradients(step), self.model, self.device):
            self.compiled = None
            step.forget_losses()
            self._compute_gradients(step)
        return self.end_step(step)._replace(not_compiled=why_not)

    def _compute_gradients(self, step: Step) -> None:
        for parameter in self._trainable:
            parameter.grad = None
        for number, batch in enumerate(step.micro_batches):
            with self.autocast():
                inputs, targets = self.problem.training_inputs(batch, epoch=self.progress.epoch)
                outputs = self._forward(inputs)
                loss = self.problem.loss(outputs, targets)
            step.add_loss(loss.detach(), number)
            loss.backward(self.scaled_share(step.shares[number]))  # type: ignore[no-untyped-call]

    def _forward(self, inputs: Nested) -> Nested:
        if self.compiled is None:
            return self.problem.forward(self.model, inputs)
        return self.compiled.forward(self.problem.forward, self.model, inputs)

    def scaled_share(self, share: float) -> Tensor | None:
        """Return the factor (scalar) of a micro-batch's gradients: its share of the step, as the scaler scales it.

        None stands for one.
        """
        if share == 1 and not self._scales:
            return None
        factor: Tensor = self.scaler.scale(torch.full((), share, device=self.device))
        return factor

    def begin_step(self) -> Step:
        """Take the batches of the next step."""
        assert self.place is not None
        return Step(self.place.micro_batches(), self.prepare_step())

    def prepare_step(self, ahead: int = 0) -> float:
        """Set what the next step needs, or the one after so many others; return its learning rate."""
        learning_rate = self.current_learning_rate(ahead)
        set_hyperparameters(self.optimizer, learning_rate=learning_rate, weight_decay=self.weight_decay)
        if not self.model.training:
            set_training(self.model, mode=True)
        return learning_rate

    @property
    def has_plain_steps(self) -> bool:
        """Whether a step is one micro-batch's gradients and the optimizer, and no more."""
        more = self.compiled is not None or self.average is not None or self._scales
        return not more and self._config.clip_norm is None and self.plan.accumulate == 1

    def optimizer_step(self) -> Callable[[], None]:
        """Return the plain optimizer step, for as long as the gradients stay in the same memory."""
        return repeated_step(self._step_optimizer)

    def end_stride(self, losses: Tensor, samples: int) -> StepDone:
        """Note plain steps, with losses [steps], that were done on so many samples."""
        learning_rate = self.current_learning_rate(len(losses) - 1)
        for _ in range(len(losses)):
            self.progress.advance_step(self.plan.steps_per_epoch)
        self.window.add_all(losses)
        return StepDone(samples, learning_rate)

    def end_step(self, step: Step) -> StepDone:
        """Change the weights by the gradients that are there: those of this step alone."""
        norm = None
        if self._config.clip_norm is not None:
            self.scaler.unscale_(self.optimizer)
            norm = clip_gradients(self._trainable, self._config.clip_norm)
        if self._scales:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        else:
            self._step_optimizer()
        if self.average is not None:
            self.average.update_parameters(self.model)
        self.progress.advance_step(self.plan.steps_per_epoch)
        self.window.add(step.loss(), norm)
        return StepDone(step.samples, step.learning_rate)

    def autocast(self) -> AbstractContextManager[None]:
        """Return the context in which forward passes run."""
        return autocast(self._config, self.device)

    def refusal(self, change: Tune) -> str:
        """Return why hyperparameters cannot be changed so; nothing if they can."""
        del change
        return ""

    def tune(self, change: Tune) -> None:
        """Change hyperparameters from the next step on."""
        if change.learning_rate is not None:
            self.learning_rate = change.learning_rate
        if change.weight_decay is not None:
            self.weight_decay = change.weight_decay
        if change.epochs is not None:
            self.progress.set_epochs(change.epochs)

    # Evaluation.

    @property
    def evaluated_model(self) -> nn.Module:
        """The weights that count: the moving average where there is one."""
        return self.model if self.average is None else self.average.module

    def evaluate(self, split: SplitName, model: nn.Module) -> Generator[int, None, None]:
        """Evaluate ``model``, yielding the number of samples after each batch; then ``problem`` holds the metrics.

        The learner is active for each batch, or in a stack if ``problem`` draws nothing for it. Training goes on as if
        there had been no evaluation, whether it was run to its end or given up.
        """
        self._catch_up()
        before = RandomState.capture(self.device) if self._active else self._random
        try:
            yield from self._evaluate(split, model)
        finally:
            self._random = before
            if self._active:
                before.restore(self.device)
            if self._stream is not None:
                self._stream.set_state(before.torch_stream)

    def _evaluate(self, split: SplitName, model: nn.Module) -> Generator[int, None, None]:
        set_training(model, mode=False)
        self.problem.start_evaluation()
        losses: list[tuple[Tensor, int]] = []
        for batch in self._feed.batches(split, self._config.eval_batch_size):
            with torch.no_grad(), self.autocast():
                losses.append((self.problem.evaluate(model, batch), len(batch)))
            yield len(batch)
        self.evaluation_loss = math.fsum(loss.item() * count for loss, count in losses) / self.data.size(split)

    def close(self) -> None:
        """Give up what does not go with the memory."""

    # State.

    def tensors(self) -> list[Tensor]:
        """Return every tensor that grows with the model, in a fixed order: weights, their average, optimizer state."""
        result: list[Tensor] = [tensor for model in self._models for tensor in (*model.parameters(), *model.buffers())]
        for parameter in self._trainable:
            state = self.optimizer.state.get(parameter, {})
            result.extend(value for value in state.values() if isinstance(value, Tensor))
        return result

    @property
    def _models(self) -> list[nn.Module]:
        return [self.model] if self.average is None else [self.model, self.average.module]

    def weights(self, model: nn.Module) -> dict[str, Tensor]:
        """Return a model's parameters and buffers by name (not copied)."""
        return dict(model.state_dict())

    def state(self) -> dict[str, Any]:
        """Return everything but the weights: nested tensors and JSON values, not copied. Flush the window first."""
        if self._active:
            self._random = RandomState.capture(self.device)
        self._catch_up()
        return {
            "progress": self.progress.state(),
            "learning_rate": self.learning_rate,
            "weight_decay": self.weight_decay,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "averaged_steps": None if self.average is None else self.average.n_averaged,
            "random": self._random.to_state(),
            "compiled": None if self.compiled is None else {"shapes": self.compiled.shapes},
            "window": {"losses": self.window.losses, "norms": self.window.norms},
        }

    def load(
        self, weights: Mapping[str, Tensor], state: dict[str, Any], *, average: Mapping[str, Tensor] | None = None
    ) -> None:
        """Go on from ``weights``, the moving ``average`` of them, and ``state``, bit for bit."""
        self.model.load_state_dict(dict(weights))
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        if self.average is not None:
            assert average is not None
            self.average.module.load_state_dict(dict(average))
            self.average.n_averaged.copy_(state["averaged_steps"])
        self.progress.load(state["progress"])
        self.learning_rate = state["learning_rate"]
        self.weight_decay = state["weight_decay"]
        self._random = RandomState.from_state(state["random"])
        compiled = state.get("compiled")  # older checkpoints have none
        self.compiled = None if compiled is None else Compiled(compiled["shapes"])
        if self._active:
            self._random.restore(self.device)
        self.window = Window(list(state["window"]["losses"]), list(state["window"]["norms"]))

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        """Take over another run's weights; position, schedule and random state stay at the start."""
        self.model.load_state_dict(dict(weights))
        if self.average is not None:
            self.average.module.load_state_dict(dict(weights))

    def inherit_optimizer(self, state: dict[str, Any]) -> None:
        """Take over another run's optimizer state. The learning rate stays this run's: every step sets it anew."""
        self.optimizer.load_state_dict({**state, "param_groups": self.optimizer.state_dict()["param_groups"]})

    def keep_hyperparameters(self, groups: list[dict[str, Any]]) -> None:
        """After ``load`` of another run's state: go by this run's own config; ``groups`` are those of its optimizer."""
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "param_groups": groups})
        self.learning_rate = self.spec.optimizer.learning_rate
        self.weight_decay = self.spec.optimizer.weight_decay
        self.progress.set_epochs(self._config.epochs)

    def check_finite(self) -> None:
        """Raise ``NonFiniteLossError`` if a weight became NaN or infinite, so that no such checkpoint is ever saved."""
        # What is shared never changes, and may be on another device.
        if not all_finite(tensor for tensor in self.weights(self.model).values() if not self.shared.holds(tensor)):
            step = self.progress.step
            raise NonFiniteLossError(
                step, f"the weights became NaN or infinite by step {step}; lower optimizer.learning_rate"
            )
