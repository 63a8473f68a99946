"""Racing on recorded scores of single validation samples, beside schedulers that see the loss alone."""

import statistics
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from _logical import REDUCTION, WORKERS, Event, outcome, shuffled
from _record import read_scored
from _replay import ours
from _table import Spread, Table

from modelyard.domain.sample_scores import pack_scores, scores_text

FIELD = 32
"""Runs in each search."""
SCHEDULERS: dict[str, Any] = {
    "none (all runs to their end)": "none",
    "racing": "racing",
    "racing, interval 1": {"name": "racing", "interval": 1},
    "racing, interval 9": {"name": "racing", "interval": 9},
    "racing, patience 1": {"name": "racing", "patience": 1},
    "racing, patience 6": {"name": "racing", "patience": 6},
    "racing, tolerance 0.1": {"name": "racing", "tolerance": 0.1},
    "racing, alpha 0.001": {"name": "racing", "alpha": 0.001},
    "asha": {"name": "asha", "reduction": REDUCTION},
    "median": {"name": "median", "grace": 3, "interval": 1},
}


def racing(count: int) -> Table:
    """Search among ``count`` random halves of the recorded runs."""
    curves, scores = read_scored()
    final = scores[:, -1].mean(axis=1, dtype=float)
    fields = [shuffled(len(curves), seed)[:FIELD] for seed in range(count)]

    @cache
    def scored(config: int, epoch: int) -> str:
        return scores_text(pack_scores(scores[config, epoch - 1] / 255))

    table = Table(
        title=f"Racing: {FIELD} of {len(curves)} recorded runs, {count} draws, {scores.shape[2]} validation samples",
        columns=[
            "scheduler",
            "epochs trained",
            "share of all",
            "time: epochs",
            "regret: mean",
            "regret: worst",
            "dropped the lowest loss",
            "dropped the highest score",
        ],
    )
    means: dict[str, float] = {}
    for name, scheduler in SCHEDULERS.items():
        outcomes, lost_losses, lost_scores = [], 0, 0
        for field in fields:
            chosen = [curves[config] for config in field]
            events = ours(
                chosen, range(FIELD), scheduler, scored=lambda config, epoch, field=field: scored(field[config], epoch)
            )
            outcomes.append(outcome(chosen, events))
            ended = _ended(events, len(chosen[0]))
            lost_losses += min(range(FIELD), key=lambda config, chosen=chosen: chosen[config][-1]) not in ended
            lost_scores += int(np.argmax(final[field])) not in ended
        epochs = [float(one.epochs) for one in outcomes]
        regrets = [one.regret for one in outcomes]
        means[name] = statistics.fmean(regrets)
        table.row(
            name,
            Spread.of(epochs),
            f"{statistics.fmean(epochs) / (FIELD * len(curves[0])):.0%}",
            Spread.of([float(one.time) for one in outcomes]),
            means[name],
            max(regrets),
            f"{lost_losses} of {count}",
            f"{lost_scores} of {count}",
        )
    table.note("Dropped: the run that would have had the best last validation loss, or the best mean score (the chance")
    table.note(
        "that it gives to the true class), was not among those that trained to their end. Racing promises only that"
    )
    table.note("a run is worse at the epoch at which it is dropped; here many slow starters win in the end.")
    for name in ("asha", "median"):
        if means[name] < means["racing"]:
            against = f"{means['racing']:.4f} against {means[name]:.4f}"
            table.note(f"Racing with its defaults loses to {name}: a mean regret of {against}.")
    table.note(f"All have {WORKERS} logical workers; racing waits for all runs at each look.")
    return table


def _ended(events: Sequence[Event], last: int) -> set[int]:
    return {config for _, config, epoch in events if epoch == last}
