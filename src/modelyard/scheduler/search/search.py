"""A search: a pure function of its config and of an ordered log of what it was told.

Trials train as if on ``search.concurrency`` logical workers in logical time: a worker that trains a trial from epoch a
to epoch b is busy for b - a units. Results are taken in the order of that time, ties by the trial's number, however
they really arrive. So equal configs and equal results give equal decisions on every machine.
"""

from collections.abc import Iterable, Iterator
from heapq import heappop, heappush

from modelyard.domain.base import canonical_json
from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.errors import ConfigError
from modelyard.domain.sample_scores import read_scores
from modelyard.domain.search_log import (
    Closed,
    Decision,
    DecisionKind,
    Ending,
    Entry,
    Evaluation,
    Opened,
    Settled,
    Taken,
    Trained,
)
from modelyard.scheduler.search.edit import edit_run
from modelyard.scheduler.search.goal import WORST, Goal
from modelyard.scheduler.search.samplers import make_sampler
from modelyard.scheduler.search.schedulers import Drop, Fork, GoOn, Verdict, make_scheduler
from modelyard.scheduler.search.trial import Job, Trial, TrialStatus

_AFTER = {
    Ending.COMPLETED: TrialStatus.COMPLETED,
    Ending.FAILED: TrialStatus.FAILED,
    Ending.STOPPED: TrialStatus.LEFT,
    Ending.DELETED: TrialStatus.LEFT,
}

OVER = "the search is over: "
"""What the words about its end begin with."""


class Search:
    """Decides which trials there are and how far each trains. It is fed entries of its log; it does nothing itself."""

    def __init__(self, sweep: SweepSpec) -> None:
        """Begin at an empty log. Raises ``ConfigError`` for a space without a valid point, ``MissingExtraError``.

        The order in which the sweep's fields were written does not matter: the store keeps them sorted.
        """
        sweep = SweepSpec.model_validate_json(canonical_json(sweep.model_dump(mode="json")))
        self.trials: list[Trial] = []
        """All trials so far; number 1 comes first."""
        self.over = False
        """Whether nothing more will be decided."""
        self.ending = ""
        """How it ended, in words."""
        self.closed = False
        """Whether it was ended before it was done: then trials that train are stopped, too."""
        self.undecidable = False
        """Whether it was ended because what it decides by is not reported."""
        self.settled = False
        """Whether all that it decided was done."""
        self._config = sweep.search
        self._sampler = make_sampler(sweep)
        self._scheduler = make_scheduler(sweep)
        self._goals = tuple(map(Goal.of, sweep.search.goals))
        self._jobs: list[Job] = []
        self._now = 0
        self._spent = 0
        self._exhausted = False
        """Whether the budget of epochs does not suffice for what comes next."""
        self._all_begun = False

    @property
    def expected(self) -> Trial | None:
        """The trial whose result is taken next."""
        return self.trials[self._jobs[0].trial - 1] if self._jobs else None

    @property
    def failure(self) -> str:
        """Why it is over without having been able to compare anything, in words; else empty."""
        compared = any(trial.status in {TrialStatus.COMPLETED, TrialStatus.STOPPED} for trial in self.trials)
        nothing = self.over and not self.closed and compared and self.best is None
        return self.ending if self.undecidable or nothing else ""

    @property
    def now(self) -> int:
        """Logical time: the epochs that a logical worker has trained."""
        return self._now

    @property
    def training(self) -> list[Trial]:
        """The trials that train, in the order in which their results are taken."""
        return [self.trials[job.trial - 1] for job in sorted(self._jobs)]

    def feed(self, entry: Entry) -> tuple[Decision, ...]:
        """Take the next entry of the log; return what follows from it."""
        if self.over:
            self.settled = self.settled or isinstance(entry, Settled)
            return ()
        match entry:
            case Opened():
                pass
            case Settled():
                raise AssertionError("a search is settled only once it is over")
            case Trained():
                self._take(entry)
            case Taken():
                self._leave(self.trials[entry.trial - 1], entry.message)
            case Closed():
                self.undecidable = entry.failed
                for number, evaluations in entry.evaluations.items():
                    trial = self.trials[number - 1]
                    self._note(trial, evaluations)
                    trial.epoch = max(trial.losses, default=trial.epoch)
                return tuple(self._close(entry.message))
        return tuple(self._decide())

    # What it is told.

    def _take(self, entry: Trained) -> None:
        job = heappop(self._jobs)
        assert job.trial == entry.trial, "results are taken in logical order"
        self._now = job.ends
        trial = self.trials[entry.trial - 1]
        trial.scores = None
        self._note(trial, entry.evaluations)
        trial.epoch = trial.until if entry.ending is Ending.REACHED else max(trial.losses, default=trial.start)
        if entry.ending is Ending.REACHED:
            trial.status = TrialStatus.COMPLETED if trial.epoch >= trial.most else TrialStatus.WAITING
        else:
            trial.status = _AFTER[entry.ending]
        trial.reason = entry.message or f"{trial.status} at epoch {trial.epoch}"
        self._sampler.observe(trial)
        self._scheduler.report(trial)

    def _note(self, trial: Trial, evaluations: Iterable[Evaluation]) -> None:
        for evaluation in evaluations:
            trial.metrics[evaluation.epoch] = evaluation.metrics
            trial.losses[evaluation.epoch] = self._goals[0].loss(evaluation.metrics)
            if evaluation.scores:
                trial.scores = read_scores(evaluation.scores)

    def _leave(self, trial: Trial, message: str) -> None:
        if trial.status is TrialStatus.WAITING:
            trial.status, trial.reason = TrialStatus.LEFT, message
            self._scheduler.leave(trial.number)

    def _close(self, message: str) -> Iterator[Decision]:
        self.closed = True
        self._jobs.clear()
        for trial in self.trials:
            if trial.status in {TrialStatus.TRAINING, TrialStatus.WAITING}:
                yield self._stop(trial, message)
        yield self._end(message)

    # What it decides.

    def _decide(self) -> Iterator[Decision]:
        yield from self._fill()
        while not self._jobs and not self.over:
            verdict = None if self._exhausted else self._scheduler.decide(last=True)
            if verdict is None:
                yield from self._finish()
            else:
                yield from self._carry_out(verdict)
                yield from self._fill()

    def _fill(self) -> Iterator[Decision]:
        """Give every free worker something to do: first what can go on, then a new trial."""
        while len(self._jobs) < self._config.concurrency and not self._exhausted:
            verdict = self._scheduler.decide()
            if verdict is not None:
                yield from self._carry_out(verdict)
            elif not self._all_begun:
                yield from self._begin_next()
            else:
                return

    def _begin_next(self) -> Iterator[Decision]:
        number = len(self.trials) + 1
        spec = self._sampler.propose(number)
        if spec is None:
            self._all_begun = True
            return
        until = min(self._scheduler.begin(number), spec.training.epochs)
        reason = f"trial {number} of the search trains to epoch {until}"
        yield from self._add(Trial(number=number, spec=spec, until=until, reason=reason), DecisionKind.START)

    def _carry_out(self, verdict: Verdict) -> Iterator[Decision]:
        match verdict:
            case Drop():
                yield self._stop(self.trials[verdict.trial - 1], verdict.reason)
            case GoOn():
                yield from self._promote(self.trials[verdict.trial - 1], verdict)
            case Fork():
                yield from self._fork(self.trials[verdict.parent - 1], verdict)

    def _promote(self, trial: Trial, verdict: GoOn) -> Iterator[Decision]:
        if not self._can_pay(verdict.until - trial.epoch):
            return
        trial.until, trial.reason, trial.status = verdict.until, verdict.reason, TrialStatus.TRAINING
        self._start(trial)
        yield self._decision(DecisionKind.PROMOTE, trial)

    def _fork(self, parent: Trial, verdict: Fork) -> Iterator[Decision]:
        spec, note = _changed(parent.spec, verdict)
        trial = Trial(
            number=len(self.trials) + 1,
            spec=spec,
            until=verdict.until,
            parent=parent.number,
            start=parent.epoch,
            epoch=parent.epoch,
            reason=verdict.reason + note,
        )
        yield from self._add(trial, DecisionKind.FORK)

    def _add(self, trial: Trial, kind: DecisionKind) -> Iterator[Decision]:
        if self._can_pay(trial.until - trial.epoch):
            self.trials.append(trial)
            if kind is DecisionKind.FORK:
                self._scheduler.begin(trial.number)
            self._start(trial)
            yield self._decision(kind, trial)

    def _can_pay(self, epochs: int) -> bool:
        budget = None if self._config.budget is None else self._config.budget.epochs
        self._exhausted = budget is not None and self._spent + epochs > budget
        return not self._exhausted

    def _start(self, trial: Trial) -> None:
        epochs = trial.until - trial.epoch
        self._spent += epochs
        heappush(self._jobs, Job(self._now + epochs, trial.number))

    def _stop(self, trial: Trial, reason: str) -> Decision:
        trial.status, trial.reason = TrialStatus.STOPPED, reason
        return self._decision(DecisionKind.STOP, trial)

    def _finish(self) -> Iterator[Decision]:
        why = "all trials are done"
        if self._exhausted:
            assert self._config.budget is not None
            why = f"the budget of {self._config.budget.epochs} epochs is used up ({self._spent} were trained)"
            for trial in self.trials:
                if trial.status is TrialStatus.WAITING:
                    yield self._stop(trial, f"stopped at epoch {trial.epoch}: {why}")
        yield self._end(why)

    def _end(self, why: str) -> Decision:
        decision = self._last_decision(why)
        self.over, self.ending = True, decision.reason
        return decision

    def _last_decision(self, why: str) -> Decision:
        best = self.best
        count = sum(trial.status is TrialStatus.COMPLETED for trial in self.trials)
        told = f"{OVER}{why}; {len(self.trials)} trials, {count} of them trained to their end"
        if best is None:
            told += f"; none of them reported a finite {self._goals[0].metric}"
            return Decision(kind=DecisionKind.END, trial=None, epoch=0, until=0, reason=told)
        if len(self._goals) == 1:
            told += f"; the best is trial {best.number} with {self._goals[0].shown(best.best_loss)}"
        else:
            told += "; none of these is worse in all objectives than another: trials " + ", ".join(
                str(trial.number) for trial in self.front
            )
        return Decision(kind=DecisionKind.END, trial=best.number, epoch=best.epoch, until=best.epoch, reason=told)

    @property
    def best(self) -> Trial | None:
        """The trial that reached the best value, whatever became of it: its best checkpoint is kept."""
        ranked = [trial for trial in self.trials if trial.best_loss < WORST]
        return min(ranked, key=lambda trial: (trial.best_loss, trial.number), default=None)

    @property
    def front(self) -> list[Trial]:
        """The completed trials that no other one beats in every objective, in order of their numbers."""
        scored = [
            (trial, tuple(goal.loss(trial.newest) for goal in self._goals))
            for trial in self.trials
            if trial.status is TrialStatus.COMPLETED and trial.metrics
        ]
        return [trial for trial, losses in scored if not any(_dominates(other, losses) for _, other in scored)]

    @staticmethod
    def _decision(kind: DecisionKind, trial: Trial) -> Decision:
        return Decision(kind=kind, trial=trial.number, epoch=trial.epoch, until=trial.until, reason=trial.reason)


def _changed(spec: RunSpec, verdict: Fork) -> tuple[RunSpec, str]:
    """Return the parent's config with the fork's values; if they do not fit together, as it is, and a note of that."""
    try:
        return edit_run(spec, verdict.changes), ""
    except ConfigError as error:
        return spec, f" (its values stay those of its parent, since the new ones do not fit: {error})"


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(left <= right for left, right in zip(one, other, strict=True))
