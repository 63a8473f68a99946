"""Counts are bounded, so that steps and samples stay within 64 bits."""

import pytest
from pydantic import ValidationError

from modelyard.domain.parts.training import TrainingConfig
from modelyard.domain.search import Dimension, SearchConfig

HUGE = 10**12


@pytest.mark.parametrize("field", [
    "epochs", "batch_size", "accumulate", "eval_batch_size", "evaluate_every", "log_every", "threads", "max_retries"
])  # fmt: skip
def test_a_huge_count_is_refused(field: str) -> None:
    with pytest.raises(ValidationError, match="less than or equal"):
        TrainingConfig.model_validate({field: HUGE})


def test_nested_counts_are_bounded_too() -> None:
    for part in (
        {"early_stopping": {"patience": HUGE}},
        {"checkpoint": {"every_steps": HUGE}},
        {"checkpoint": {"keep": HUGE}},
    ):
        with pytest.raises(ValidationError, match="less than or equal"):
            TrainingConfig.model_validate(part)
    with pytest.raises(ValidationError, match="less than or equal"):
        Dimension.model_validate({"int": [0, 9], "points": HUGE})
    with pytest.raises(ValidationError, match="less than or equal"):
        SearchConfig.model_validate({"method": "random", "samples": 10_001, "space": {"seed": {"int": [0, 9]}}})
