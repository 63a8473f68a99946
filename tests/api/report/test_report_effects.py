"""Config fields against results: figures that are right, and none where there are too few runs."""

import numpy as np
import pytest

from modelyard.domain.run import RunState

RATES = [10**-power for power in np.linspace(1, 4, 12)]


def runs_with(made, results, **fields):
    """Return one run per result; ``fields`` give each run its value of a field of the optimizer."""
    return [
        made({"val_accuracy": [0.01, float(result)]}, {"seed": 0, "optimizer": {"name": "sgd", **of_run}})
        for result, of_run in zip(
            results, [dict(zip(fields, row, strict=True)) for row in zip(*fields.values(), strict=True)], strict=True
        )
    ]


def test_a_field_that_orders_the_results_has_a_rank_correlation_of_one(make, made, report):
    results = [rate**0.3 for rate in RATES]
    (effect,) = report(make(runs_with(made, results, learning_rate=RATES))).effects
    assert (effect.field, effect.numeric, effect.log) == ("optimizer.learning_rate", True, True)
    assert effect.correlation == pytest.approx(1)
    assert effect.explained > 0.7
    assert len(effect.points) == 12


def test_a_field_with_its_best_in_the_middle_is_found_all_the_same(make, made, report):
    middle = [1 - abs(place - 5.5) / 10 for place in range(12)]
    (effect,) = report(make(runs_with(made, middle, learning_rate=RATES))).effects
    assert abs(effect.correlation) < 0.1
    assert effect.explained > 0.6


def test_ties_share_their_rank(make, made, report):
    """Spearman of (1, 2, 2, 3) against (1, 2, 3, 4), each twice: 0.948683, worked out by hand."""
    momenta, results = [0.1, 0.2, 0.2, 0.3] * 2, [0.1, 0.2, 0.3, 0.4] * 2
    (effect,) = report(make(runs_with(made, results, momentum=momenta))).effects
    assert effect.correlation == pytest.approx(0.948683, abs=1e-6)


def test_groups_explain_the_variance_between_them(make, made, report):
    """Two groups (0.1, 0.3) and (0.7, 0.9), twice each: within 8 * 0.01 / 6, total 8 * 0.1 / 7, so 1 - 7 / 60."""
    nesterov = [False, False, True, True] * 2
    results = [0.1, 0.3, 0.7, 0.9] * 2
    fields = {"nesterov": nesterov, "momentum": [0.9] * 8}
    (effect,) = report(make(runs_with(made, results, **fields))).effects
    assert (effect.field, effect.numeric, effect.correlation) == ("optimizer.nesterov", False, None)
    assert effect.explained == pytest.approx(1 - (8 * 0.01 / 6) / (8 * 0.1 / 7))


def test_too_few_completed_runs_get_no_figure(make, made, report):
    runs = runs_with(made, [rate**0.3 for rate in RATES[:9]], learning_rate=RATES[:9])
    for run in runs[7:]:
        run.end = RunState.FAILED
    (effect,) = report(make(runs)).effects
    assert len(effect.points) == 7, "a failed run's result is not compared with those of completed ones"
    assert (effect.correlation, effect.explained) == (None, None)


def test_a_field_of_which_each_run_has_its_own_word_explains_nothing(make, made, report):
    sizes = [[8 * (number + 1)] for number in range(8)]
    specs = [
        made({"val_accuracy": [number / 10]}, {"seed": 0, "model": {"name": "mlp", "hidden_sizes": size}})
        for number, size in enumerate(sizes)
    ]
    (effect,) = report(make(specs)).effects
    assert (effect.numeric, effect.explained) == (False, None)


def test_equal_results_give_no_figure(make, made, report):
    (effect,) = report(make(runs_with(made, [0.5] * 12, learning_rate=RATES))).effects
    assert (effect.correlation, effect.explained) == (None, None)
