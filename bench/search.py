"""Schedulers on recorded learning curves: regret against epochs, beside Optuna's; and the time of one decision.

    python bench/search.py            # replay bench/results/curves-digits.json
    python bench/search.py --record   # train the 48 runs again and record their curves first (a minute)

Every side sees the same configurations in the same random order, has eight workers in logical time, and the same rungs.
Regret: by how much the validation loss of the run that it ends with, at the last epoch, is above the best of all 48.
"""

import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any

from _table import RESULTS, Spread, Table

from modelyard.api.experiment import train
from modelyard.domain.config import SweepSpec
from modelyard.domain.search_log import Ending, Entry, Evaluation, Opened, Trained
from modelyard.scheduler.search.search import Search
from modelyard.store import open_store

CURVES = RESULTS / "curves-digits.json"
WORKERS = 8
ORDERS = 50
REDUCTION = 3

SWEEP: dict[str, Any] = {
    "name": "curves",
    "run": {
        "model": {"name": "mlp", "hidden_sizes": [32]},
        "metrics": ["accuracy"],
        "training": {"epochs": 27, "log_every": 1000},
    },
    "search": {
        "method": "random",
        "samples": 48,
        "space": {
            "optimizer.learning_rate": {"log": [1e-4, 1.0]},
            "optimizer.weight_decay": {"log": [1e-4, 1.0]},
            "model.dropout": {"float": [0.0, 0.8]},
            "schedule.name": {"choice": ["constant", "cosine"]},
            "training.batch_size": {"choice": [32, 128]},
        },
    },
}

Curves = Sequence[Sequence[float]]
"""Validation loss by configuration and epoch."""

SCHEDULERS: dict[str, Any] = {
    "none: all runs to their end": "none",
    "asha": {"name": "asha", "reduction": REDUCTION},
    "pasha": {"name": "pasha", "reduction": REDUCTION},
    "hyperband": {"name": "hyperband", "reduction": REDUCTION},
    "median": {"name": "median", "grace": 3, "interval": 1},
}


def main() -> None:
    if "--record" in sys.argv:
        record()
    curves: Curves = json.loads(CURVES.read_text())["val_loss"]
    text = [regret(curves).markdown(), decisions().markdown()]
    print("\n".join(text))
    if "--write" in sys.argv:
        (RESULTS / "search.md").write_text("\n".join(text))


def record() -> None:
    """Train every configuration to its end and write down its validation loss at each epoch."""
    with tempfile.TemporaryDirectory() as home:
        train(SWEEP, home=home, execution="sliced").close()
        with open_store(home) as store:
            kept = [store.searches.evaluations(run.id) for run in store.runs.list()]
    losses = [[round(metrics["val_loss"], 5) for metrics in epochs.values()] for epochs in kept]
    CURVES.write_text(json.dumps({"sweep": SWEEP, "val_loss": losses}))


@dataclass(frozen=True)
class Outcome:
    """What one search came to."""

    regret: float
    epochs: int
    time: int
    """Logical: epochs of one worker."""


def regret(curves: Curves) -> Table:
    best = min(curve[-1] for curve in curves)
    table = Table(
        title=f"Regret on {len(curves)} recorded curves, {ORDERS} random orders, {WORKERS} logical workers",
        columns=["scheduler", "regret: median", "regret: mean", "regret: worst", "epochs trained", "time: epochs"],
        packages=["optuna"],
    )
    sides: dict[str, Callable[[list[int]], Outcome]] = {
        f"Modelyard {name}": (lambda order, own=config: ours(curves, order, own, best))
        for name, config in SCHEDULERS.items()
    }
    sides |= {
        f"Optuna {name}": (lambda order, own=name: optunas(curves, order, own, best))
        for name in ("SuccessiveHalvingPruner", "HyperbandPruner", "MedianPruner")
    }
    for name, side in sides.items():
        outcomes = [side(shuffled(len(curves), seed)) for seed in range(ORDERS)]
        regrets = [one.regret for one in outcomes]
        table.row(
            name,
            statistics.median(regrets),
            statistics.fmean(regrets),
            max(regrets),
            Spread.of([float(one.epochs) for one in outcomes]),
            Spread.of([float(one.time) for one in outcomes]),
        )
    table.note("The best loss is " + f"{best:.4f}. Optuna ends with the best of what it trained to the last epoch.")
    table.note("Racing needs the score of each validation sample, which these curves do not hold.")
    return table


def shuffled(count: int, seed: int) -> list[int]:
    order = list(range(count))
    random.Random(seed).shuffle(order)
    return order


def ours(curves: Curves, order: list[int], scheduler: Any, best: float) -> Outcome:
    search = Search(listed(order, scheduler, epochs=len(curves[0])))
    search.feed(Opened())
    while (trial := search.expected) is not None:
        curve = curves[trial.spec.seed]
        search.feed(reached(trial.number, curve, trial.epoch, trial.until))
    assert search.best is not None
    chosen = curves[search.best.spec.seed][-1]
    return Outcome(chosen - best, sum(trial.epoch for trial in search.trials), search.now)


def listed(order: list[int], scheduler: Any, *, epochs: int) -> SweepSpec:
    """Return a sweep whose runs are told apart by their seed."""
    search = {"method": "list", "runs": [{"seed": number} for number in order], "scheduler": scheduler}
    if scheduler == "none":
        search["budget"] = {"epochs": 10**9}
    search["concurrency"] = WORKERS
    return SweepSpec.model_validate({"run": {"training": {"epochs": epochs}}, "search": search})


def reached(trial: int, curve: Sequence[float], start: int, end: int) -> Entry:
    evaluations = tuple(
        Evaluation(epoch=epoch, metrics={"val_loss": curve[epoch - 1]}) for epoch in range(start + 1, end + 1)
    )
    return Trained(trial=trial, ending=Ending.REACHED, evaluations=evaluations)


def optunas(curves: Curves, order: list[int], name: str, best: float) -> Outcome:
    """Train on the same logical workers: each reports every epoch, and is pruned or goes on at once."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    pruners = {
        "SuccessiveHalvingPruner": lambda: optuna.pruners.SuccessiveHalvingPruner(
            min_resource=1, reduction_factor=REDUCTION
        ),
        "HyperbandPruner": lambda: optuna.pruners.HyperbandPruner(
            min_resource=1, max_resource=len(curves[0]), reduction_factor=REDUCTION
        ),
        "MedianPruner": lambda: optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=2),
    }
    study = optuna.create_study(pruner=pruners[name](), sampler=optuna.samplers.RandomSampler(seed=0))
    left, busy, epochs, now = list(order), [], 0, 0
    trials: dict[int, tuple[Any, int]] = {}
    while left or busy:
        while left and len(busy) < WORKERS:
            asked = study.ask()
            trials[asked.number] = (asked, left.pop(0))
            heappush(busy, (now + 1, asked.number, 1))
        now, number, epoch = heappop(busy)
        epochs += 1
        asked, config = trials[number]
        asked.report(curves[config][epoch - 1], epoch)
        if epoch == len(curves[config]):
            study.tell(asked, curves[config][-1])
        elif asked.should_prune():
            study.tell(asked, state=optuna.trial.TrialState.PRUNED)
        else:
            heappush(busy, (now + 1, number, epoch + 1))
    done = [trial for trial in study.trials if trial.state is optuna.trial.TrialState.COMPLETE]
    chosen = min((curves[trials[one.number][1]][-1] for one in done), default=max(curve[-1] for curve in curves))
    return Outcome(chosen - best, epochs, now)


def decisions() -> Table:
    """Measure how long a search takes to decide about one result."""
    table = Table(
        title=f"One decision: 64 runs, {WORKERS} workers, microseconds",
        columns=["scheduler", "a result: median", "99th percentile", "a decision: 99th percentile", "results"],
    )
    schedulers = {**SCHEDULERS, "pbt": {"name": "pbt", "interval": 3}, "racing (no scores)": "racing"}
    for name, scheduler in schedulers.items():
        taken = [one for seed in range(5) for one in decision_times(scheduler, seed)]
        took = [seconds for seconds, _ in taken]
        each = [seconds / max(1, count) for seconds, count in taken]
        last = [statistics.quantiles(values, n=100)[98] * 1e6 for values in (took, each)]
        table.row(name, statistics.median(took) * 1e6, *last, len(taken))
    table.note("After one result there may be many decisions: the end of a search drops some sixty trials at once, and")
    table.note("a generation of pbt is 64 decisions, sixteen of them forks whose configs are made and validated.")
    table.note("Without the database: appending a result and its decisions is one transaction.")
    return table


def decision_times(scheduler: Any, seed: int) -> list[tuple[float, int]]:
    """Return, for each result, the seconds that it took and how many decisions followed."""
    chance = random.Random(seed)
    is_population = isinstance(scheduler, dict) and scheduler["name"] == "pbt"
    search = Search(population(scheduler) if is_population else listed(list(range(64)), scheduler, epochs=27))
    search.feed(Opened())
    took = []
    while (trial := search.expected) is not None:
        curve = [chance.random() / epoch for epoch in range(1, 28)]
        entry = reached(trial.number, curve, trial.epoch, trial.until)
        start = time.perf_counter()
        decided = search.feed(entry)
        took.append((time.perf_counter() - start, len(decided)))
    return took


def population(scheduler: Any) -> SweepSpec:
    space = {"optimizer.learning_rate": {"log": [1e-4, 1.0]}}
    search = {"method": "random", "samples": 64, "space": space, "scheduler": scheduler, "concurrency": WORKERS}
    return SweepSpec.model_validate({"run": {"training": {"epochs": 27}}, "search": search})


if __name__ == "__main__":
    main()
