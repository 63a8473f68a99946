"""``python -m modelyard.tasks.custom.check_main``: looks at a user's code in a process of its own, before it trains.

Reads JSON objects from standard input, one a line: ``{"spec": <RunSpec>, "source": <text of the file>}``, and writes
one JSON line to standard output for each: ``{"opened": {"train": n, "val": n, "test": n, "metrics": [<name>, ...],
"unscored": <text>}}``, where the metrics are what a validation reports and the text says why no search can race (empty
if one can), or ``{"error": {"kind": <class of the error>, "message": ...}}``. Ends after the first error with its exit
code, else with 0. What the code prints goes to standard error.
"""

import json
import sys
import traceback
from contextlib import redirect_stdout
from typing import Any, TextIO

import numpy as np

from modelyard.domain.config import RunSpec
from modelyard.domain.errors import ConfigError, ModelyardError
from modelyard.domain.parts.usercode import TrainerFunction, UserCode
from modelyard.domain.validation import validate
from modelyard.tasks.base import Saved, SplitName, Task, TaskData
from modelyard.tasks.custom.data import seed_generators
from modelyard.tasks.custom.problem import CustomProblem
from modelyard.tasks.custom.task import CustomTask
from modelyard.tasks.trainer.opening import open_trainer
from modelyard.tasks.usercode import RAISED, explained, noted

_SAMPLES = 2
"""Samples of the batch that is tried; batch norm needs two."""


class NoBlobs:
    """Stands where the store's blobs are: the text of the file comes with the request."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError("the text of the file comes with the request")


class Checker:
    """Checks specs one after the other; data that several of them share are opened once."""

    def __init__(self) -> None:
        self._task: Task = CustomTask(NoBlobs())
        self._data: dict[str, TaskData] = {}

    def check(self, spec: RunSpec, saved: Saved) -> dict[str, Any]:
        """Open the data and do a step and an evaluation of a few samples.

        Returns the size of each split, the names of the ``metrics`` as far as they are known, and why the samples are
        ``unscored``.

        Raises ``ConfigError`` or ``DataError`` for what would stop the run.
        """
        assert spec.user_code is not None
        try:
            if spec.trainer is not None:
                return check_trainer(spec.trainer, saved, seed=spec.seed)
            data = self._open(spec, saved)
            tried = self._try(spec, data, saved)
        except ModelyardError:
            raise
        except RAISED as error:
            raise ConfigError(explained(error, spec.user_code)) from error
        return {**{split.value: data.size(split) for split in SplitName}, **tried}

    def _open(self, spec: RunSpec, saved: Saved) -> TaskData:
        key = self._task.data_key(spec, saved)
        if key not in self._data:
            self._data[key] = self._task.open_data(spec, saved)
        return self._data[key]

    def _try(self, spec: RunSpec, data: TaskData, saved: Saved) -> dict[str, Any]:
        seed_generators(spec.seed)
        problem = self._task.build(spec, data, saved)
        assert isinstance(problem, CustomProblem)
        samples = np.arange(min(_SAMPLES, data.size(SplitName.TRAIN)), dtype=np.int64)
        batch = data.batch(SplitName.TRAIN, samples)
        inputs, targets = problem.training_inputs(batch, epoch=0)
        loss = problem.loss(problem.forward(problem.model.train(), inputs), targets)
        if not loss.requires_grad:
            raise ConfigError(f"{_name(spec.user_code)}: the loss does not depend on any weight of the model")
        problem.keep_scores = not problem.unscored
        problem.start_evaluation()
        problem.evaluate(problem.model.eval(), batch)
        measured, _ = problem.finish_evaluation()
        return {"metrics": [f"val_{name}" for name in ("loss", *measured)], "unscored": problem.unscored}


def check_trainer(config: TrainerFunction, saved: Saved, *, seed: int) -> dict[str, int]:
    """Make the trainer, its optimizer and the loss of its first batch; return the sizes of its data."""
    assert saved is not None
    seed_generators(seed)
    trainer = open_trainer(config, saved["source"])
    with noted(config, f"the trainer of {config.function}(), for its first batch"):
        batch = next(iter(trainer.get_train_dataloader()))
        trainer.compute_loss(trainer.model, trainer._prepare_inputs(batch))
    with noted(config, f"the trainer of {config.function}(), for its optimizer and schedule"):
        trainer.create_optimizer_and_scheduler(num_training_steps=max(1, trainer.args.max_steps))
    evaluated = trainer.eval_dataset
    return {"train": len(trainer.train_dataset), "val": len(evaluated) if hasattr(evaluated, "__len__") else 0}


def main() -> int:
    """Answer the requests on standard input; returns the exit code."""
    out = sys.stdout
    checker = Checker()
    try:
        with redirect_stdout(sys.stderr):
            for line in sys.stdin.read().splitlines():
                request = json.loads(line)
                spec = validate(RunSpec, request["spec"])
                _write(out, {"opened": checker.check(spec, {"source": request["source"]})})
    except ModelyardError as error:
        _write(out, {"error": {"kind": type(error).__name__, "message": str(error)}})
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the process boundary: the parent must learn of every failure
        traceback.print_exc()
        _write(out, {"error": {"kind": ModelyardError.__name__, "message": f"the check failed: {error!r}"}})
        return ModelyardError.exit_code
    return 0


def _name(config: UserCode | None) -> str:
    return "" if config is None else f"{config.file}: {config.entry}"


def _write(out: TextIO, line: dict[str, Any]) -> None:
    out.write(json.dumps(line) + "\n")
    out.flush()


if __name__ == "__main__":
    sys.exit(main())
