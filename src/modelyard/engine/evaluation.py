"""One evaluation of a run, batch by batch."""

from collections.abc import Mapping

from torch import Tensor

from modelyard.engine.learner import Learner
from modelyard.engine.progress import Unit
from modelyard.engine.recorder import Recorder
from modelyard.engine.weights import with_weights
from modelyard.tasks.base import ScoresSamples, SplitName

_SPLITS = {Unit.VALIDATE: SplitName.VAL, Unit.TEST: SplitName.TEST}


class Evaluation:
    """Evaluates what a learner has come to, or other ``weights`` of it."""

    def __init__(self, learner: Learner, unit: Unit, weights: Mapping[str, Tensor] | None = None) -> None:
        model = learner.evaluated_model
        self.split = _SPLITS[unit]
        self._learner = learner
        self._batches = learner.evaluate(self.split, model if weights is None else with_weights(model, weights))

    def advance(self) -> bool:
        """Evaluate a batch; return whether that was all."""
        return next(self._batches, None) is None

    def close(self) -> None:
        """Give it up."""
        self._batches.close()

    def scores(self) -> bytes:
        """Return the packed scores of the samples, if the problem scores them, when it is done."""
        problem = self._learner.problem
        return problem.take_scores() if isinstance(problem, ScoresSamples) else b""

    def record(self, recorder: Recorder) -> dict[str, float]:
        """Hand over what it measured, and return it by name, when it is done."""
        learner = self._learner
        progress, prefix = learner.progress, self.split.value
        metrics, artifacts = learner.problem.finish_evaluation()
        values = {f"{prefix}_{name}": value for name, value in {"loss": learner.evaluation_loss, **metrics}.items()}
        recorder.points(progress.step, values)
        for name, artifact in artifacts.items():
            recorder.artifact(f"{prefix}/{name}", progress.step, artifact)
        shown = " ".join(f"{name}={value:.4g}" for name, value in values.items() if "/" not in name)
        recorder.line(f"epoch {progress.epoch}/{progress.epochs} step {progress.step} {shown}")
        return values
