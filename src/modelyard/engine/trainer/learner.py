"""A ``transformers.Trainer`` as a learner: its own loop takes the steps, and its state is everything that decides."""

import math
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from modelyard.domain.config import RunSpec
from modelyard.domain.control import Tune
from modelyard.domain.errors import ConfigError
from modelyard.domain.structure import structure_key
from modelyard.engine.learner import Learner
from modelyard.engine.random_state import RandomState, seed_everything
from modelyard.engine.step import StepDone
from modelyard.engine.trainer.loop import TrainerLoop
from modelyard.engine.trainer.problem import TrainerProblem, other_logs
from modelyard.engine.trainer.progress import TrainerProgress
from modelyard.engine.trainer.shared import SharedState
from modelyard.engine.window import Window
from modelyard.tasks.base import SplitName
from modelyard.tasks.trainer.opening import fingerprint, open_trainer
from modelyard.tasks.usercode import noted


@dataclass(frozen=True)
class TrainerData:
    """What the records keep of a trainer's data."""

    fingerprint: str


class TrainerLearner(Learner):
    """One trainer. Only an *active* learner may step."""

    stackable = False

    def __init__(self, spec: RunSpec, source: str, device: torch.device) -> None:
        assert spec.trainer is not None
        self.spec = spec
        self.device = device
        self._config = spec.training
        self._code = spec.trainer
        self.prepare_process()
        self._shared = SharedState()
        self._shared.restore()
        seed_everything(spec.seed)
        trainer = open_trainer(spec.trainer, source)
        self._random = RandomState.capture(device)
        self._shared.capture()
        self._check_device(trainer)
        self.data = TrainerData(fingerprint(trainer))  # type: ignore[assignment]
        self.loop = TrainerLoop(trainer, device)
        self.model: nn.Module = trainer.model
        self.problem = TrainerProblem(spec, self.model, source=source)  # type: ignore[assignment]
        steps, epochs, self._steps_per_epoch = _length(trainer)
        self.progress: TrainerProgress = TrainerProgress(
            epochs=epochs, evaluate_every=1, has_validation=False, has_test=False, max_steps=steps
        )
        self.average = None
        self.window = Window([], [])
        self.evaluation_loss = math.nan
        self._active = False
        self._stream = None
        self._trainable = [parameter for parameter in self.model.parameters() if parameter.requires_grad]

    def _check_device(self, trainer: Any) -> None:
        if trainer.args.device.type != self.device.type:
            raise ConfigError(
                f"{self._code.file}: {self._code.function}: the trainer is on {trainer.args.device.type}, this run on "
                f"{self.device.type}; set training.device, or TrainingArguments.use_cpu"
            )

    @cached_property
    def structure(self) -> str:
        """Equal for trainers of the same code and params."""
        return structure_key(self.spec)

    @property
    def plan(self) -> "TrainerLearner":  # type: ignore[override]
        """What knows how many steps an epoch has."""
        return self

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in an epoch."""
        return self._steps_per_epoch

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the whole run, as long as it does not stop early."""
        return self.progress.max_steps

    @property
    def optimizer(self) -> Any:  # type: ignore[override]
        """The trainer's optimizer; before the first step one without parameters' state."""
        wrapped = self.loop.trainer.optimizer
        return getattr(wrapped, "optimizer", wrapped) or torch.optim.SGD(self.model.parameters(), lr=0.0)

    # Taking turns.

    def activate(self) -> None:
        """Take over what belongs to the process: generators, and accelerate's state."""
        super().activate()
        self._shared.restore()

    def deactivate(self) -> None:
        """Put it away."""
        self._shared.capture()
        super().deactivate()

    # Training.

    def train_step(self) -> StepDone:
        """Let the trainer do one optimizer step, with the logging and evaluation that belong to it."""
        with noted(self._code, f"the trainer of {self._code.function}()"):
            report = self.loop.advance()
            while not self.loop.alternation.ended and self._is_over():
                self.loop.alternation.advance()
        state = self.loop.trainer.state
        progress = self.progress
        progress.step, progress.epoch = state.global_step, int(state.epoch + 1e-6)
        progress.max_steps = state.max_steps
        progress.ended = self.loop.alternation.ended
        if report.losses:
            self.window.add(torch.stack(report.losses).sum(), report.norm)
        if report.evaluated:
            self.problem.evaluated = report.evaluated  # type: ignore[attr-defined]
            progress.evaluated = True
        return StepDone(report.samples, report.learning_rate, other_logs(report.logged))

    def _is_over(self) -> bool:
        trainer = self.loop.trainer
        return bool(trainer.control.should_training_stop or trainer.state.global_step >= trainer.state.max_steps)

    def refusal(self, change: Tune) -> str:
        """Return why hyperparameters cannot be changed so; nothing if they can."""
        if change.epochs is not None:
            return "a trainer fixes its number of epochs when it starts; clone the run with other params instead"
        return ""

    def tune(self, change: Tune) -> None:
        """Change hyperparameters from the next step on."""
        self.loop.tune(change)

    # Evaluation.

    def evaluate(self, split: SplitName, model: nn.Module) -> Generator[int, None, None]:
        """Take the metrics that the trainer's own evaluation gave."""
        del split, model
        self.evaluation_loss = self.problem.loss  # type: ignore[assignment]
        self.progress.evaluated = False
        yield from ()

    # State.

    def state(self) -> dict[str, Any]:
        """Return everything but the weights: nested tensors and JSON values, not copied. Flush the window first."""
        if self._active:
            self._random = RandomState.capture(self.device)
        return {
            "progress": self.progress.state(),
            "evaluated": dict(self.problem.evaluated),  # type: ignore[attr-defined]
            "loop": self.loop.state(),
            "random": self._random.to_state(),
            "window": {"losses": self.window.losses, "norms": self.window.norms},
            "tunes": [change.model_dump(mode="json") for change in self.loop.tunes],
        }

    def load(
        self, weights: Mapping[str, Tensor], state: dict[str, Any], *, average: Mapping[str, Tensor] | None = None
    ) -> None:
        """Go on from ``weights`` and ``state``, bit for bit."""
        del average
        self.model.load_state_dict(dict(weights))
        self.progress.load(state["progress"])
        self.problem.evaluated = dict(state["evaluated"])  # type: ignore[attr-defined]
        self._random = RandomState.from_state(state["random"])
        if state["loop"] is not None:
            self.loop.go_on_from(state["loop"], self._random)
        self.window = Window(list(state["window"]["losses"]), list(state["window"]["norms"]))
        self.loop.tunes = [Tune.model_validate(change) for change in state["tunes"]]

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        """Take over another run's weights; everything else stays at the start."""
        self.model.load_state_dict(dict(weights))

    def inherit_optimizer(self, state: dict[str, Any]) -> None:
        """Refuse: a trainer makes its optimizer when it starts."""
        del state
        raise ConfigError("inherit_optimizer: a trainer makes its own optimizer; leave inherit_optimizer out")

    def close(self) -> None:
        """End the trainer's loop."""
        self.loop.close()


def _length(trainer: Any) -> tuple[int, int, int]:
    """Return optimizer steps and epochs of the whole run, and steps in an epoch, as the trainer will count them."""
    arguments = trainer.args
    samples, batch = len(trainer.train_dataset), arguments.train_batch_size
    batches = samples // batch if arguments.dataloader_drop_last else -(-samples // batch)
    per_epoch = max(1, -(-batches // arguments.gradient_accumulation_steps))
    steps = arguments.max_steps if arguments.max_steps > 0 else math.ceil(arguments.num_train_epochs * per_epoch)
    return steps, -(-steps // per_epoch), per_epoch
