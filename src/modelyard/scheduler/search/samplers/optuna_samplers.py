"""Trials that learn from those before: Optuna's TPE, CMA-ES and NSGA-II, asked and told.

The study is in memory and seeded from ``search.seed``. It is never stored: a search that is fed its log asks and tells
the same again, in the same order.
"""

import logging
import warnings
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.errors import ConfigError, MissingExtraError
from modelyard.scheduler.search.goal import WORST, Goal
from modelyard.scheduler.search.samplers.space import SuggestedSpace
from modelyard.scheduler.search.trial import Trial, TrialStatus

TRIES = 100
"""Draws in a row that may be invalid, or known already, before the space is taken to have no more."""
_LARGEST_POPULATION = 50


def import_optuna() -> Any:
    """Import Optuna where it is used. Raises ``MissingExtraError``."""
    try:
        import optuna  # noqa: PLC0415 - takes half a second, and belongs to an extra
    except ModuleNotFoundError as error:
        raise MissingExtraError("this search method needs Optuna: pip install 'modelyard[train]'") from error
    return optuna


class _OptunaSampler:
    """Asks a study for valid trials that are not known yet."""

    def __init__(self, sweep: SweepSpec) -> None:
        """Raise ``ConfigError`` for a space with unknown fields, ``MissingExtraError`` without Optuna."""
        self._optuna = import_optuna()
        self._goals = tuple(map(Goal.of, sweep.search.goals))
        self._space = SuggestedSpace(sweep)
        self._left = sweep.search.samples or 0
        self._known: set[str] = set()
        with _quiet():
            self._sampler = self._make_sampler(sweep)

    def propose(self, trial: int) -> RunSpec | None:
        """Return the next config; None after all samples, or when the space has no more valid ones.

        Raises ``ConfigError`` if there never was one.
        """
        if not self._left:
            return None
        self._left -= 1
        problem = ""
        with _quiet():
            for _ in range(TRIES):
                asked = self._ask()
                try:
                    spec = self._space.suggest(asked)
                except ConfigError as error:
                    problem = str(error)
                else:
                    if spec.hash not in self._known:
                        self._known.add(spec.hash)
                        self._accept(trial, asked)
                        return spec
                self._refuse(asked)
        if not self._known:
            raise ConfigError(f"search.space: none of {TRIES} draws is a valid run; the last one: {problem}")
        self._left = 0
        return None

    @abstractmethod
    def _make_sampler(self, sweep: SweepSpec) -> Any: ...

    @abstractmethod
    def _ask(self) -> Any: ...

    @abstractmethod
    def _accept(self, trial: int, asked: Any) -> None: ...

    def _refuse(self, asked: Any) -> None:
        """Have the study know that a draw was not used."""

    def _study(self) -> Any:
        return self._optuna.create_study(sampler=self._sampler, directions=["minimize"] * len(self._goals))


class TpeSampler(_OptunaSampler):
    """Tree-structured Parzen estimator (Bergstra et al., 2011).

    It learns from each result as soon as it is there, also from those of trials that wait or were ended: a trial that
    came further counts for more. Optuna's own study cannot take such news of a trial it was told of before, so that a
    new one is filled each time.
    """

    def __init__(self, sweep: SweepSpec) -> None:
        super().__init__(sweep)
        self._asked: dict[int, Any] = {}
        self._seen: dict[int, Any] = {}

    def observe(self, trial: Trial) -> None:
        """Take the newest results."""
        if trial.number not in self._asked:
            return
        params, distributions = self._asked[trial.number]
        states = self._optuna.trial.TrialState
        finite = {epoch: loss for epoch, loss in trial.losses.items() if loss < WORST}
        completed = trial.status is TrialStatus.COMPLETED and trial.loss < WORST
        failed = trial.status is TrialStatus.FAILED or trial.loss == WORST
        self._seen[trial.number] = self._optuna.trial.create_trial(
            state=states.COMPLETE if completed else states.PRUNED,
            params=params,
            distributions=distributions,
            value=trial.loss if completed else None,
            intermediate_values={} if failed else finite,
        )

    def _make_sampler(self, sweep: SweepSpec) -> Any:
        return self._optuna.samplers.TPESampler(seed=sweep.search.seed, constant_liar=True)

    def _ask(self) -> Any:
        study = self._study()
        trials = self._optuna.trial
        for number, (params, distributions) in self._asked.items():
            known = self._seen.get(number)
            if known is None:
                running = trials.TrialState.RUNNING
                known = trials.create_trial(state=running, params=params, distributions=distributions)
            study.add_trial(known)
        return study.ask()

    def _accept(self, trial: int, asked: Any) -> None:
        self._asked[trial] = (asked.params, asked.distributions)


class _ToldSampler(_OptunaSampler):
    """Is told of each trial once, when it is over; one that did not come to its end failed."""

    def __init__(self, sweep: SweepSpec) -> None:
        super().__init__(sweep)
        self._open: dict[int, Any] = {}
        with _quiet():
            self._kept = self._study()

    def observe(self, trial: Trial) -> None:
        """Tell the study how a trial ended."""
        asked = self._open.pop(trial.number, None)
        if asked is None:
            return
        last = trial.newest
        losses = [goal.loss(last) for goal in self._goals]
        with _quiet():
            if trial.status is TrialStatus.COMPLETED and WORST not in losses:
                self._kept.tell(asked, losses)
            else:
                self._refuse(asked)

    def _ask(self) -> Any:
        return self._kept.ask()

    def _accept(self, trial: int, asked: Any) -> None:
        self._open[trial] = asked

    def _refuse(self, asked: Any) -> None:
        self._kept.tell(asked, state=self._optuna.trial.TrialState.FAIL)


class CmaEsSampler(_ToldSampler):
    """Covariance matrix adaptation (Hansen and Ostermeier, 2001); choices and conditional fields are random."""

    def _make_sampler(self, sweep: SweepSpec) -> Any:
        seed = sweep.search.seed
        try:
            import cmaes  # noqa: F401, PLC0415 - Optuna asks for it only once it draws
        except ModuleNotFoundError as error:
            raise MissingExtraError("method cma-es needs one more package: pip install 'modelyard[train]'") from error
        independent = self._optuna.samplers.RandomSampler(seed=seed)
        return self._optuna.samplers.CmaEsSampler(
            seed=seed, independent_sampler=independent, warn_independent_sampling=False
        )


class Nsga2Sampler(_ToldSampler):
    """Non-dominated sorting genetic algorithm II (Deb et al., 2002), with a fifth of the samples as its population."""

    def _make_sampler(self, sweep: SweepSpec) -> Any:
        population = min(_LARGEST_POPULATION, max(2, (sweep.search.samples or 0) // 5))
        return self._optuna.samplers.NSGAIISampler(seed=sweep.search.seed, population_size=population)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna's log lines and its notes on experimental features from the user, here only."""
    logger = logging.getLogger("optuna")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
