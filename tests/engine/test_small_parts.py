import math
import random

import numpy as np
import pytest
import torch

from modelyard.domain.errors import DataError, NonFiniteLossError, StorageFullError
from modelyard.domain.parts.training import TrainingConfig
from modelyard.domain.run import ReasonCode
from modelyard.engine.early_stopping import Judge, MetricWatch
from modelyard.engine.failures import reason_for, traceback_lines
from modelyard.engine.random_state import RandomState, seed_everything
from modelyard.engine.recorder import Recorder
from modelyard.engine.state_codec import flatten, unflatten

CPU = torch.device("cpu")


def draws() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def test_random_state_goes_through_a_checkpoint() -> None:
    seed_everything(7)
    random.gauss(0, 1)
    np.random.randn()
    saved = RandomState.capture(CPU).to_state()
    expected = draws()
    tensors, rest = flatten(saved)
    RandomState.from_state(unflatten(tensors, rest)).restore(CPU)
    assert draws() == expected


@pytest.mark.parametrize(
    ("mode", "values", "best"),
    [
        ("min", [3.0, 2.0, 2.5, 2.0], [True, True, False, False]),
        ("max", [0.1, 0.3, float("nan"), 0.4], [True, True, False, True]),
    ],
)
def test_metric_watch_finds_the_best(mode: str, values: list[float], best: list[bool]) -> None:
    watch = MetricWatch(mode)  # type: ignore[arg-type]
    assert [watch.update(value) for value in values] == best


def test_an_improvement_below_min_delta_does_not_count() -> None:
    watch = MetricWatch("min", min_delta=0.1)
    assert [watch.update(value) for value in (1.0, 0.95, 0.91, 0.85)] == [True, False, False, True]
    assert watch.misses == 0


def test_what_could_not_be_written_is_kept_in_order() -> None:
    recorder = Recorder()
    recorder.point("loss", 1, 0.5)
    recorder.artifact("matrix", 1, [1])
    said = recorder.take()
    recorder.point("loss", 2, 0.4)
    recorder.artifact("matrix", 2, [2])
    recorder.put_back(said)
    again = recorder.take()
    assert [point.step for point in again.points] == [1, 2]
    assert again.artifacts == {("matrix", 1): b"[1]", ("matrix", 2): b"[2]"}
    assert recorder.take().points == []


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NonFiniteLossError(3, "nan at step 3"), ReasonCode.NON_FINITE_LOSS),
        (torch.OutOfMemoryError("CUDA out of memory"), ReasonCode.OUT_OF_MEMORY),
        (MemoryError(), ReasonCode.OUT_OF_MEMORY),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), ReasonCode.OUT_OF_MEMORY),
        (StorageFullError("disk is full"), ReasonCode.STORAGE_FULL),
        (DataError("a.jpg is damaged"), ReasonCode.BAD_INPUT),
        (ZeroDivisionError("division by zero"), ReasonCode.ERROR),
    ],
)
def test_every_error_has_its_reason(error: Exception, code: ReasonCode) -> None:
    reason = reason_for(error)
    assert reason.code is code
    assert reason.message


def test_only_surprises_have_a_traceback() -> None:
    assert traceback_lines(DataError("x")) == []
    assert "ZeroDivisionError" in traceback_lines(ZeroDivisionError("x"))[-1]


def test_a_metric_that_was_never_a_number_ends_a_run_early_and_is_called_nan() -> None:
    judge = Judge(
        TrainingConfig.model_validate({"early_stopping": {"metric": "val_mae", "mode": "min", "patience": 1}})
    )
    assert judge.why_stop({"val_mae": math.nan}) == (
        "val_mae has not improved for 1 evaluations (NaN every time): ending early"
    )
