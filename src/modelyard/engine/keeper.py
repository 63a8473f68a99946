"""Keeps one learner's checkpoints: what to save, what was best, and how to go on from what was saved."""

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from modelyard.domain.checkpoint import BlobRef, CheckpointDraft
from modelyard.domain.errors import ConfigError
from modelyard.engine.checkpoint_files import BEST, INDEX, MODEL, STATE, TRAINING, CheckpointFiles, LoadedCheckpoint
from modelyard.engine.learner import Learner


class Keeper:
    """Saves and restores one learner."""

    def __init__(self, learner: Learner, files: CheckpointFiles) -> None:
        self.learner = learner
        self._files = files
        self.best_weights: Mapping[str, Tensor] | None = None
        self._best: dict[str, Any] = {}
        self._best_blob: BlobRef | None = None
        self._best_recorded = True

    def remember_best(self, metrics: Mapping[str, float]) -> None:
        """Keep a copy of the evaluated weights as the best so far."""
        learner = self.learner
        weights = learner.weights(learner.evaluated_model)
        self.best_weights = learner.shared.keep(weights, weights)
        self._best = {
            "step": learner.progress.step,
            "epoch": learner.progress.epoch,
            "metrics": _finite(metrics),
        }
        self._best_blob = None
        self._best_recorded = False

    def share(self) -> None:
        """Keep no copy of what the learner shares with others."""
        learner = self.learner
        if self.best_weights is not None and learner.shared.parts:
            self.best_weights = learner.shared.keep(self.best_weights, learner.weights(learner.evaluated_model))

    def drafts(self, metrics: Mapping[str, float], session_state: dict[str, Any]) -> list[CheckpointDraft]:
        """Write the files of a checkpoint (and of the best one, if it is new) and return what is to be recorded.

        Raises ``NonFiniteLossError`` instead of saving weights that are not finite.
        """
        learner = self.learner
        learner.window.flush(learner.progress.step)
        learner.check_finite()
        files = self._weight_files()
        if self.best_weights is not None:
            self._best_blob = self._best_blob or self._files.write_weights(self.best_weights)
            files[BEST] = self._best_blob
        files[STATE], rest = self._files.write_state({"learner": learner.state(), "session": session_state})
        progress = learner.progress
        is_best = bool(self._best) and self._best["step"] == progress.step and self._best_blob == files[MODEL]
        files[INDEX] = self._files.write_index(
            {**self._index(progress.step, progress.epoch, metrics), "best": self._best, "state": rest}
        )
        last = CheckpointDraft(
            step=progress.step,
            epoch=progress.epoch,
            files=files,
            metrics=_finite(metrics),
            best=is_best and not self._best_recorded,
        )
        return [last] if is_best or self._best_recorded else [self._best_draft(), last]

    def recorded(self) -> None:
        """Note that the drafts are in the store."""
        self._best_recorded = True
        self._files.recorded()

    def not_recorded(self) -> None:
        """Give up the files of drafts that could not be written or recorded, so that they do not fill the disk."""
        if not self._best_recorded:
            self._best_blob = None
        self._files.discard()

    def restore(self, loaded: LoadedCheckpoint) -> dict[str, Any]:
        """Load a checkpoint of this run; return the session's part of the state."""
        assert loaded.state is not None
        self.learner.load(loaded.training_weights, loaded.state["learner"], average=loaded.weights)
        self._best = loaded.index["best"]
        self.best_weights = loaded.best_weights
        self._best_recorded = True
        session: dict[str, Any] = loaded.state["session"]
        return session

    def fork(self, loaded: LoadedCheckpoint) -> dict[str, Any]:
        """Go on from another run's checkpoint as that run would, but with this run's hyperparameters.

        Returns the session's part of the state. Raises ``ConfigError`` if the two cannot share a state.
        """
        learner = self.learner
        if loaded.state is None:
            raise ConfigError("fork: this checkpoint has weights only; a fork needs one that training can go on from")
        _check_fits(learner.weights(learner.model), loaded.training_weights)
        if (learner.average is None) != (loaded.state["learner"]["averaged_steps"] is None):
            raise ConfigError("fork: training.ema must be on, or off, as in the parent")
        self._check_inherits(loaded.state["learner"]["optimizer"], loaded.index["spec"]["optimizer"]["name"], "fork")
        own = learner.optimizer.state_dict()["param_groups"]
        session = self.restore(loaded)
        learner.keep_hyperparameters(own)
        return session

    def warm_start(self, loaded: LoadedCheckpoint, *, inherit_optimizer: bool) -> None:
        """Start from another run's weights, and from its optimizer's state if asked for."""
        learner = self.learner
        _check_fits(learner.weights(learner.model), loaded.weights)
        learner.start_from(loaded.weights)
        if inherit_optimizer:
            if loaded.state is None:
                raise ConfigError("inherit_optimizer: this checkpoint has weights only; choose the last one instead")
            parent = loaded.index["spec"]["optimizer"]["name"]
            self._check_inherits(loaded.state["learner"]["optimizer"], parent, "inherit_optimizer")
            learner.inherit_optimizer(loaded.state["learner"]["optimizer"])

    def _check_inherits(self, state: dict[str, Any], name: str, what: str) -> None:
        """Raise ``ConfigError`` if the state of an optimizer ``name`` does not fit this run's; ``what`` wants it.

        That is another optimizer, or other parameters in its groups.
        """
        own = self.learner.spec.optimizer.name
        if name != own:
            raise ConfigError(f"{what}: the parent trained with {name}, this run with {own}; leave {what} out")
        groups = self.learner.optimizer.state_dict()["param_groups"]
        if [group["params"] for group in groups] != [group["params"] for group in state["param_groups"]]:
            raise ConfigError(
                f"{what}: the parent trained other parameters or decayed others; "
                f"keep optimizer.decay_norm_and_bias and the frozen layers as they were, or leave {what} out"
            )

    def _weight_files(self) -> dict[str, BlobRef]:
        learner = self.learner
        files = {MODEL: self._files.write_weights(learner.weights(learner.evaluated_model))}
        if learner.average is not None:
            files[TRAINING] = self._files.write_weights(learner.weights(learner.model))
        return files

    def _best_draft(self) -> CheckpointDraft:
        assert self._best_blob is not None
        step, epoch, metrics = self._best["step"], self._best["epoch"], self._best["metrics"]
        index = self._files.write_index(self._index(step, epoch, metrics))
        files = {MODEL: self._best_blob, INDEX: index}
        return CheckpointDraft(step=step, epoch=epoch, files=files, metrics=metrics, best=True, resumable=False)

    def _index(self, step: int, epoch: int, metrics: Mapping[str, float]) -> dict[str, Any]:
        learner = self.learner
        return {
            "spec": learner.spec.model_dump(mode="json"),
            "step": step,
            "epoch": epoch,
            "metrics": _finite(metrics),
            "metadata": dict(learner.problem.metadata),
        }


def _finite(metrics: Mapping[str, float]) -> dict[str, float]:
    """Leave out what the data did not define: JSON has no NaN."""
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def _check_fits(own: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> None:
    """Raise ``ConfigError`` that names the first weights that do not fit."""
    problems = [f"{name} is missing" for name in own.keys() - other.keys()]
    problems += [f"{name} is not part of this model" for name in other.keys() - own.keys()]
    problems += [
        f"{name} has shape {tuple(other[name].shape)}, this model needs {tuple(own[name].shape)}"
        for name in own.keys() & other.keys()
        if own[name].shape != other[name].shape
    ]
    if problems:
        shown = "; ".join(sorted(problems)[:3])
        raise ConfigError(f"warm start: the checkpoint's weights do not fit this model: {shown}")
