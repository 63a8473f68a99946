"""How long a search of Modelyard takes to decide about one result."""

import random
import statistics
import time
from typing import Any

from _logical import WORKERS
from _replay import MODELYARD, listed, reached
from _table import Table

from modelyard.domain.config import SweepSpec
from modelyard.domain.sample_scores import pack_scores, scores_text
from modelyard.domain.search_log import Opened
from modelyard.scheduler.search.search import Search

SAMPLES = 359
"""Of the validation data of digits."""


def decisions() -> Table:
    """Measure every scheduler."""
    table = Table(
        title=f"One decision: 64 runs, {WORKERS} workers, microseconds",
        columns=["scheduler", "a result: median", "99th percentile", "a decision: 99th percentile", "results"],
    )
    schedulers = {**MODELYARD, "pbt": {"name": "pbt", "interval": 3}, "racing (no scores)": "racing"}
    schedulers[f"racing, {SAMPLES} samples"] = {"name": "racing", "patience": 1000}
    for name, scheduler in schedulers.items():
        taken = [one for seed in range(5) for one in decision_times(scheduler, seed, scored="samples" in name)]
        took = [seconds for seconds, _ in taken]
        each = [seconds / max(1, count) for seconds, count in taken]
        last = [statistics.quantiles(values, n=100)[98] * 1e6 for values in (took, each)]
        table.row(name, statistics.median(took) * 1e6, *last, len(taken))
    table.note("After one result there may be many decisions: the end of a search drops some sixty trials at once, and")
    table.note(
        "a generation of pbt is 64 decisions, sixteen of them forks whose configs are made and validated; a look of"
    )
    table.note("racing is 64 decisions, each a test over all samples.")
    table.note("Without the database: appending a result and its decisions is one transaction.")
    return table


def decision_times(scheduler: Any, seed: int, *, scored: bool = False) -> list[tuple[float, int]]:
    """Return, for each result, the seconds that it took and how many decisions followed."""
    chance = random.Random(seed)
    is_population = isinstance(scheduler, dict) and scheduler["name"] == "pbt"
    search = Search(population(scheduler) if is_population else listed(list(range(64)), scheduler, epochs=27))
    search.feed(Opened())
    took = []
    while (trial := search.expected) is not None:
        curve = [chance.random() / epoch for epoch in range(1, 28)]
        scores = scores_text(pack_scores([chance.random() for _ in range(SAMPLES)])) if scored else ""
        entry = reached(trial.number, curve, trial.epoch, trial.until, scores)
        start = time.perf_counter()
        decided = search.feed(entry)
        took.append((time.perf_counter() - start, len(decided)))
    return took


def population(scheduler: Any) -> SweepSpec:
    space = {"optimizer.learning_rate": {"log": [1e-4, 1.0]}}
    search = {"method": "random", "samples": 64, "space": space, "scheduler": scheduler, "concurrency": WORKERS}
    return SweepSpec.model_validate({"run": {"training": {"epochs": 27}}, "search": search})
