"""Modelyard, Optuna and Ray Tune on recorded curves: the same orders, rungs and workers in logical time."""

import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from _logical import REDUCTION, WORKERS, Curves, Event, Outcome, outcome, prune

from modelyard.domain.config import SweepSpec
from modelyard.domain.search_log import Ending, Evaluation, Opened, Trained
from modelyard.scheduler.search.search import Search

HERE = Path(__file__).parent
RAY = HERE / ".venv-ray" / "bin" / "python"

MODELYARD: dict[str, Any] = {
    "none": "none",
    "asha": {"name": "asha", "reduction": REDUCTION},
    "pasha": {"name": "pasha", "reduction": REDUCTION},
    "hyperband": {"name": "hyperband", "reduction": REDUCTION},
    "median": {"name": "median", "grace": 3, "interval": 1},
}
OPTUNA = ("SuccessiveHalvingPruner", "HyperbandPruner", "MedianPruner")
RAY_TUNE = {
    "AsyncHyperBandScheduler": "asha",
    "AsyncHyperBandScheduler, 4 brackets": "asha, 4 brackets",
    "HyperBandScheduler": "hyperband",
    "MedianStoppingRule": "median",
}

Scored = Callable[[int, int], str]
"""A configuration and an epoch to the scores of its validation samples."""


def ours(curves: Curves, order: Sequence[int], scheduler: Any, *, scored: Scored | None = None) -> list[Event]:
    """Return what a search of Modelyard trains."""
    search = Search(listed(order, scheduler, epochs=len(curves[0])))
    search.feed(Opened())
    events: list[Event] = []
    while (trial := search.expected) is not None:
        config, start, end = trial.spec.seed, trial.epoch, trial.until
        scores = "" if scored is None else scored(config, end)
        search.feed(reached(trial.number, curves[config], start, end, scores))
        events.extend((search.now - (end - epoch), config, epoch) for epoch in range(start + 1, end + 1))
    assert search.best is not None
    _check_choice(curves, events, search.best.spec.seed)
    return events


def _check_choice(curves: Curves, events: Sequence[Event], chosen: int) -> None:
    """Make sure that the search itself ends with the run that the table takes for its choice."""
    ended = [curves[config][-1] for _, config, epoch in events if epoch == len(curves[config])]
    assert curves[chosen][-1] == min(ended)


def listed(order: Sequence[int], scheduler: Any, *, epochs: int) -> SweepSpec:
    """Return a sweep whose runs are told apart by their seed."""
    search = {"method": "list", "runs": [{"seed": number} for number in order], "scheduler": scheduler}
    if scheduler == "none":
        search["budget"] = {"epochs": 10**9}
    search["concurrency"] = WORKERS
    return SweepSpec.model_validate({"run": {"training": {"epochs": epochs}}, "search": search})


def reached(trial: int, curve: Sequence[float], start: int, end: int, scores: str = "") -> Trained:
    """Return what the search is told when a trial has come to the epoch that it was to train to."""
    evaluations = tuple(
        Evaluation(epoch=epoch, metrics={"val_loss": curve[epoch - 1]}, scores=scores if epoch == end else "")
        for epoch in range(start + 1, end + 1)
    )
    return Trained(trial=trial, ending=Ending.REACHED, evaluations=evaluations)


class OptunaPruner:
    """Optuna: it is told every epoch, and asked whether to prune."""

    def __init__(self, name: str, *, epochs: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        pruners = {
            "SuccessiveHalvingPruner": lambda: optuna.pruners.SuccessiveHalvingPruner(
                min_resource=1, reduction_factor=REDUCTION
            ),
            "HyperbandPruner": lambda: optuna.pruners.HyperbandPruner(
                min_resource=1, max_resource=epochs, reduction_factor=REDUCTION
            ),
            "MedianPruner": lambda: optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=2),
        }
        self._study = optuna.create_study(pruner=pruners[name](), sampler=optuna.samplers.RandomSampler(seed=0))
        self._pruned = optuna.trial.TrialState.PRUNED

    def begin(self, config: int) -> Any:
        """Ask for a trial."""
        del config
        return self._study.ask()

    def goes_on(self, trial: Any, epoch: int, loss: float) -> bool:
        """Report, and ask."""
        trial.report(loss, epoch)
        if not trial.should_prune():
            return True
        self._study.tell(trial, state=self._pruned)
        return False

    def ends(self, trial: Any, loss: float) -> None:
        """Tell the last loss."""
        self._study.tell(trial, loss)


def optunas(curves: Curves, order: Sequence[int], name: str) -> list[Event]:
    """Return what Optuna trains."""
    return prune(curves, order, OptunaPruner(name, epochs=len(curves[0])))


def judged(curves: Curves, name: str, order: Sequence[int]) -> Outcome:
    """Return what a scheduler of Modelyard or Optuna comes to with an order; ``name``: library and scheduler."""
    library, _, scheduler = name.partition(" ")
    if library == "Modelyard":
        return outcome(curves, ours(curves, order, MODELYARD[scheduler]))
    return outcome(curves, optunas(curves, order, scheduler))


@contextmanager
def started_ray(
    curves: Curves, orders: Sequence[Sequence[int]]
) -> Iterator[Callable[[], tuple[dict[str, list[Outcome]], str]]]:
    """Replay Ray Tune's schedulers in a process of its own; what is yielded waits for the outcomes and Ray's version.

    Ray's median rule looks at every result of every trial again and again: a thousand runs are replayed in ten orders.
    """
    if not RAY.exists():
        yield lambda: ({}, "(not installed)")
        return
    chosen = dict.fromkeys(RAY_TUNE.values(), orders)
    if len(curves) > 100:
        chosen["median"] = orders[:10]
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder) / "job.json"
        job.write_text(json.dumps({"curves": curves, "orders": chosen}))
        with subprocess.Popen([RAY, HERE / "_ray_replay.py", job], stdout=subprocess.PIPE, text=True) as process:
            yield lambda: _answer(process)


def _answer(process: subprocess.Popen[str]) -> tuple[dict[str, list[Outcome]], str]:
    told, _ = process.communicate()
    assert process.returncode == 0, "Ray's side failed"
    answer = json.loads(told)
    outcomes = {
        name: [Outcome(**{**one, "on_the_way": tuple(one["on_the_way"])}) for one in ones]
        for name, ones in answer["outcomes"].items()
    }
    return outcomes, answer["version"]
