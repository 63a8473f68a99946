"""Drives a search: tells it what its runs came to, and makes the runs agree with what it decides.

The log in the store is the only state. Whoever opens a driver, after whatever crash, feeds the log to a new search and
goes on; two drivers at once write the same entries, and each act is done once.
"""

from collections.abc import Mapping

from modelyard.domain.config import SweepSpec
from modelyard.domain.errors import ConfigError, ConflictError
from modelyard.domain.run import FINAL, Experiment, ReasonCode, Run, RunState
from modelyard.domain.sample_scores import scores_text
from modelyard.domain.schedulers import Racing
from modelyard.domain.search_log import Closed, Ending, Entry, Evaluation, Opened, Settled, Taken, Trained
from modelyard.scheduler.search.search import Search
from modelyard.scheduler.search.trial import Trial, TrialStatus
from modelyard.store import Store
from modelyard.store.searches import NewTrial

_ENDINGS = {
    RunState.COMPLETED: Ending.COMPLETED,
    RunState.FAILED: Ending.FAILED,
    RunState.STOPPED: Ending.STOPPED,
}
_VALIDATED = "val_loss"
"""A metric that every validation writes, even if it is NaN."""
_DELETED = "its run was deleted"

Runs = Mapping[int, Run]
"""The runs of a search by the number of their trial."""


class SearchDriver:
    """Moves one experiment's search on, whenever it is polled."""

    def __init__(self, store: Store, experiment: Experiment) -> None:
        """Read the log. Raises ``ConflictError`` if this version would have made other trials."""
        self._store = store
        self._id = experiment.id
        self._sweep = SweepSpec.model_validate_json(experiment.sweep_json)
        self._search = Search(self._sweep)
        self._read = 0
        self._has_metrics = False
        """Whether a run was seen to report what the search decides by."""
        self._catch_up()
        self._check_trials()

    @classmethod
    def open(cls, store: Store, experiment: Experiment) -> "SearchDriver | None":
        """Return the driver of an experiment, or None if its runs were all queued at once and nothing is decided."""
        return cls(store, experiment) if SweepSpec.model_validate_json(experiment.sweep_json).search.decides else None

    @property
    def search(self) -> Search:
        """The search as far as its log goes."""
        return self._search

    @property
    def settled(self) -> bool:
        """Whether nothing is left to decide or to do."""
        return self._search.settled

    @property
    def ending(self) -> str:
        """How the search ended, in words; empty before it has."""
        return self._search.ending

    def poll(self) -> bool:
        """Take the results that are there, and do what follows; return whether there was anything."""
        moved = self._catch_up()
        if self.settled:
            return False
        made = self._store.searches.last_trial(self._id)  # before the runs: one that is missing then was deleted
        runs = self._runs()
        why_over = self._why_over(runs)
        while (entry := self._next_entry(made, runs, why_over)) is not None:
            self._append(entry)
            moved = True
        done = self._act(made, runs)
        if self._search.over and not done and not self._still_stopping(runs):
            self._append(Settled())
        return moved or done

    def close(self, message: str) -> None:
        """End the search, whatever it has still to decide. Its runs are left to whoever ends them."""
        self._catch_up()
        while not self._search.over:
            self._append(Closed(message=message, evaluations=self._validated(self._runs())))

    def waits_for(self) -> str:
        """Say which run a person paused that has to go on, or to be stopped, before the search can; or nothing."""
        trial = self._search.expected
        run = None if trial is None else self._runs().get(trial.number)
        if run is None or run.state is not RunState.PAUSED or run.waits_for_search:
            return ""
        return f"the search waits for {run.name}, which is paused: resume it, or stop it to go on without it"

    # The log.

    def _catch_up(self) -> bool:
        """Feed what others appended; return whether there was anything."""
        entries = self._store.searches.log(self._id, after=self._read)
        for entry in entries:
            self._search.feed(entry)
        self._read += len(entries)
        return bool(entries)

    def _append(self, entry: Entry) -> None:
        """Feed an entry and write it down; if somebody else wrote another one first, go by theirs."""
        written = False
        try:
            decisions = self._search.feed(entry)
            written = self._store.searches.append(self._id, self._read + 1, entry, decisions)
        finally:
            if written:
                self._read += 1
            else:
                self._search, self._read = Search(self._sweep), 0
        self._catch_up()

    def _next_entry(self, made: int, runs: Runs, why_over: Closed | None) -> Entry | None:
        """Return what the search is to be told next; ``made`` is the number of the last trial that was begun."""
        if self._read == 0:
            return Opened()
        if self._search.over:
            return None
        if why_over is not None:
            return why_over
        for trial in self._search.trials:
            if trial.status is TrialStatus.WAITING and (why := _taken(trial, runs)):
                return Taken(trial=trial.number, message=why)
        expected = self._search.expected
        if expected is None or expected.number > made:
            return None
        return self._result(expected, runs.get(expected.number))

    def _result(self, trial: Trial, run: Run | None) -> Trained | None:
        """Return how the trial's turn ended, or None if it has not."""
        if run is None:
            return Trained(trial=trial.number, ending=Ending.DELETED, evaluations=(), message=_DELETED)
        kept = self._store.searches.evaluations(run.id)
        if run.state in FINAL:
            ending = _ENDINGS[run.state]
        elif run.waits_for_search or _is_beyond(trial, run, kept):
            ending = Ending.REACHED
        else:
            return None
        if ending is Ending.REACHED and run.epoch < trial.until:
            return None  # it waits at the rung before, to be promoted
        scores = scores_text(self._store.searches.scores(run.id, trial.until)) if is_scored(self._sweep) else ""
        evaluations = _since_its_turn(trial, kept, scores)
        message = "" if ending is Ending.REACHED else run.why
        return Trained(trial=trial.number, ending=ending, evaluations=evaluations, message=message)

    def _why_over(self, runs: Runs) -> Closed | None:
        """Return what ends the search now, or None if it can go on."""
        if (missing := self._missing(runs)) is not None:
            return Closed(message=missing, failed=True)
        spent = self._spent()
        return None if spent is None else Closed(message=spent, evaluations=self._validated(runs))

    def _validated(self, runs: Runs) -> dict[int, tuple[Evaluation, ...]]:
        """Return what the trials in training have validated since their last turns."""
        found = {}
        for trial in self._search.training:
            run = runs.get(trial.number)
            if run is not None and (new := _since_its_turn(trial, self._store.searches.evaluations(run.id))):
                found[trial.number] = new
        return found

    def _missing(self, runs: Runs) -> str | None:
        """Return why the search can decide nothing, if what was validated so far has not got the metric it goes by."""
        for goal in () if self._has_metrics else self._sweep.search.goals:
            validated = [run for run in runs.values() if _VALIDATED in run.summary]
            if not validated:
                return None
            if not any(goal.metric in run.summary for run in validated):
                run = validated[0]
                known = sorted({name for kept in self._store.searches.evaluations(run.id).values() for name in kept})
                if known and goal.metric not in known:
                    return f"{run.name} reports no {goal.metric!r}, by which the search decides, but {', '.join(known)}"
                return None
        self._has_metrics = True
        return None

    def _spent(self) -> str | None:
        """Return why the search has to end now, if its budget of time is used up."""
        budget = self._sweep.search.budget
        if budget is None or budget.epochs is not None:
            return None
        used = self._store.searches.used(self._id)
        if budget.seconds is not None and used.seconds >= budget.seconds:
            return f"the budget of {budget.seconds:g} s is used up"
        if budget.device_seconds is not None and used.device_seconds >= budget.device_seconds:
            return f"the budget of {budget.device_seconds:g} device-seconds is used up"
        return None

    # The runs.

    def _act(self, made: int, runs: Runs) -> bool:
        """Make the runs agree with the decisions; return whether anything had to be done.

        New trials come first: a fork needs its parent's checkpoint, which is gone once the parent trains on.
        """
        new = [one for one in self._search.trials if one.number > made and one.status is TrialStatus.TRAINING]
        done = [self._make(trial, runs) for trial in new]
        for trial in self._search.trials:
            run = runs.get(trial.number)
            if run is None:
                continue
            if trial.status is TrialStatus.TRAINING and _waits_below(trial, run):
                done.append(self._store.searches.promote(run.id, until_epoch(trial), trial.reason))
            elif trial.status is TrialStatus.STOPPED and self._has_to_end(run):
                done.append(self._store.searches.stop(run.id, trial.reason))
        return any(done)

    def _make(self, trial: Trial, runs: Runs) -> bool:
        parent = None if trial.parent is None else runs.get(trial.parent)
        checkpoint = None
        if trial.parent is not None:
            checkpoint = None if parent is None else self._checkpoint_at(parent, trial.start)
            if checkpoint is None:
                self._store.searches.skip_trial(self._id, trial.number)
                return True
        new = NewTrial(
            number=trial.number,
            spec=trial.spec,
            until_epoch=until_epoch(trial),
            message=trial.reason,
            scored=is_scored(self._sweep),
            parent_id=None if parent is None else parent.id,
            checkpoint_id=checkpoint,
        )
        return self._store.searches.add_trial(self._id, new)

    def _checkpoint_at(self, run: Run, epoch: int) -> str | None:
        """Return the id of the checkpoint that a run saved at the end of an epoch: the first of those after it."""
        found = self._store.checkpoints.list(run.id)
        fitting = [one for one in found if one.epoch == epoch and one.resumable and not one.corrupt]
        return min(fitting, key=lambda one: one.step).id if fitting else None

    def _has_to_end(self, run: Run) -> bool:
        """Whether a run that the search gave up is still to be stopped; one that a person resumed since is theirs."""
        if run.state is RunState.PAUSED:
            return run.until_epoch is not None or self._search.closed
        return self._search.closed and run.state not in FINAL and run.state is not RunState.STOPPING

    def _still_stopping(self, runs: Runs) -> bool:
        """Whether a run that was asked to stop still trains."""
        given_up = [one.number for one in self._search.trials if one.status is TrialStatus.STOPPED]
        return any(number in runs and runs[number].state is RunState.STOPPING for number in given_up)

    def _runs(self) -> Runs:
        found = self._store.runs.list(experiment_id=self._id)
        return {run.trial: run for run in found if run.trial is not None}

    def _check_trials(self) -> None:
        runs = self._runs()
        for trial in self._search.trials:
            run = runs.get(trial.number)
            if run is not None and run.spec_hash != trial.spec.hash:
                raise ConflictError(
                    f"the search of {run.experiment} was begun by another version of Modelyard or Optuna, which chose "
                    f"{run.name} differently; go on with that version, or start the sweep anew"
                )


def can_decide(store: Store, experiment: Experiment) -> bool:
    """Whether an experiment has a search that is not over, or not yet done with its runs."""
    driver = SearchDriver.open(store, experiment)
    return driver is not None and not driver.settled


def search_failure(store: Store, experiment: Experiment) -> str:
    """Return why an experiment's search could decide nothing; empty if it could, goes on, or there is none."""
    driver = SearchDriver.open(store, experiment)
    return "" if driver is None else driver.search.failure


def end_search(store: Store, experiment: Experiment, message: str) -> None:
    """End an experiment's search, if it has one that is not over; its runs stay as they are."""
    driver = SearchDriver.open(store, experiment)
    if driver is not None:
        driver.close(message)


def until_epoch(trial: Trial) -> int | None:
    """Return where the trial's run pauses by itself; None if it trains to its end."""
    return trial.until if trial.until < trial.most else None


def is_scored(sweep: SweepSpec) -> bool:
    """Whether the search looks at single validation samples."""
    return isinstance(sweep.search.scheduler, Racing)


def first_trials(sweep: SweepSpec) -> list[Trial]:
    """Return the trials that a search begins with. Raises ``ConfigError`` if its budget allows for none."""
    search = Search(sweep)
    search.feed(Opened())
    if not search.trials:
        raise ConfigError("search.budget.epochs: there is not enough for the first rung of one run; give more")
    return search.trials


def _since_its_turn(
    trial: Trial, kept: Mapping[int, dict[str, float | None]], scores: str = ""
) -> tuple[Evaluation, ...]:
    """Return what a trial validated since its last turn; ``scores`` are those of the epoch it was to reach."""
    return tuple(
        Evaluation(epoch=epoch, metrics=metrics, scores=scores if epoch == trial.until else "")
        for epoch, metrics in kept.items()
        if epoch > trial.epoch
    )


def _taken(trial: Trial, runs: Runs) -> str:
    """Return how a trial that waits was taken from the search by a person, or an empty string."""
    run = runs.get(trial.number)
    if run is None:
        return _DELETED
    if run.state is RunState.PAUSED or run.until_epoch is not None:
        return run.why if run.state in FINAL else ""
    return run.why


def _is_beyond(trial: Trial, run: Run, kept: Mapping[int, object]) -> bool:
    """Whether a run has done its turn although it does not wait: a person paused it there, or let it train on."""
    paused = run.state is RunState.PAUSED and run.reason.code is not ReasonCode.RUNG
    return trial.until in kept and ((paused and run.epoch >= trial.until) or run.epoch > trial.until)


def _waits_below(trial: Trial, run: Run) -> bool:
    """Whether a run is paused at a rung below the epoch that its trial is to reach."""
    return run.state is RunState.PAUSED and run.until_epoch is not None and run.until_epoch < trial.until
