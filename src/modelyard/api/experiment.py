"""``Experiment``: a sweep and its runs, from Python; and ``train``, which makes one."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from modelyard.api.comparison import Comparison, compare
from modelyard.api.datacheck import check_runs, check_search
from modelyard.api.edits import apply_sweep_edits
from modelyard.api.export import Format, choose_format, export_metrics
from modelyard.api.notebook import NotebookView, in_notebook
from modelyard.api.operations import DEFAULT_TIMEOUT, Outcome, request, settle
from modelyard.api.report import Report, collect_report, report_html, write_report
from modelyard.api.results import check_metric, lower_is_better, ranked, results, search_goals
from modelyard.api.run import Run
from modelyard.api.selection import select_runs
from modelyard.api.sweepfile import expand_at, read_sweep, sweep_from_mapping
from modelyard.api.training import Ending, NoView, Resources, View, create, train_experiment
from modelyard.api.waiting import wait_until_over
from modelyard.api.who import actor
from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.control import ControlOp, Pause, Resume, Stop
from modelyard.domain.errors import UserError
from modelyard.domain.plan import Execution
from modelyard.domain.run import Experiment as ExperimentRecord
from modelyard.domain.validation import validate
from modelyard.store import Store, open_store

Source = SweepSpec | RunSpec | Mapping[str, Any] | Path | str
"""What can be trained: a sweep, one run, either as a mapping, or a sweep file."""


class Experiment:
    """An experiment in a home; a context manager that closes its connection to the store."""

    def __init__(self, ref: str, *, home: Path | str | None = None, store: Store | None = None) -> None:
        """Find an experiment by name, id or the start of an id. Raises ``NotFoundError`` with the nearest name."""
        self._store = store or open_store(home)
        try:
            self.record: ExperimentRecord = self._store.experiments.get(ref)
        except BaseException:
            if store is None:
                self._store.close()
            raise

    @classmethod
    def create(
        cls, source: Source, *, name: str | None = None, home: Path | str | None = None, resume: bool = False
    ) -> Self:
        """Create the experiment of a sweep and queue its runs, without training yet.

        The data are opened before, in a child process: ``DataError`` or ``ConfigError`` means that nothing was created.
        ``resume`` goes on with the newest unfinished experiment of this very sweep; if all of them are finished, it
        returns the newest one, and there is nothing to train.
        """
        sweep = as_sweep(source, name=name)
        specs = expand_at(sweep)
        check_search(sweep, check_runs(sweep.name, specs))
        store = open_store(home)
        try:
            record = create(store, sweep, specs, actor=actor(), go_on=resume)
            return cls(record.id, store=store)
        except BaseException:
            store.close()
            raise

    @classmethod
    def all(cls, *, home: Path | str | None = None) -> list[ExperimentRecord]:
        """Return a snapshot of every experiment, newest first."""
        with open_store(home) as store:
            return store.experiments.list()

    @property
    def id(self) -> str:
        """Its id, for ever."""
        return self.record.id

    @property
    def name(self) -> str:
        """Its name, unique in its project."""
        return self.record.name

    @property
    def sweep(self) -> SweepSpec:
        """The sweep that it was made from."""
        return SweepSpec.model_validate_json(self.record.sweep_json)

    def __repr__(self) -> str:
        return f"<Experiment {self.name}, {len(self.runs())} runs>"

    def __getitem__(self, ref: str | int) -> Run:
        """Return a run by name, id or number (from 1)."""
        return Run(f"{self.name}-{ref}" if isinstance(ref, int) else ref, store=self._store)

    def runs(self, where: str | None = None, *, sort: str | None = None) -> list[Run]:
        """Return its runs, in order of creation or sorted (``-val_accuracy``), filtered as ``runs list`` does."""
        settle(self._store)
        found = select_runs(self._store, experiment=self.id, where=where, sort=sort)
        return [Run(run.id, store=self._store) for run in found]

    def best(self, metric: str) -> Run:
        """Return the run that reached the best value of ``metric``, as reports and comparisons rank them.

        Less is better as the search, a ``mode`` in the config or else the metric's name says. Raises ``UserError`` if
        no run has the metric, or nobody knows what is better.
        """
        settle(self._store)
        runs = self._store.runs.list(experiment_id=self.id)
        lowest = lower_is_better(check_metric(metric, runs), runs, search_goals(self._store, runs))
        found = results(self._store, runs, metric, lowest=lowest)
        first = ranked(runs, found, lowest=lowest)[0]
        if first.id not in found or found[first.id].best is None:
            raise UserError(f"no run of {self.name} has a value of {metric!r} that is better than others")
        return Run(first.id, store=self._store)

    def compare(self) -> Comparison:
        """Put its runs side by side."""
        return compare(self._store, [run.record for run in self.runs()])

    def train(
        self,
        *,
        execution: Execution | str | None = None,
        processes: int | None = None,
        slots: int | None = None,
        live: bool | None = None,
    ) -> Ending:
        """Train its queued runs until none is left; an interrupt pauses all of them.

        ``live`` shows a table that is kept up to date; by default, in a notebook.
        """
        resources = Resources(
            execution=None if execution is None else Execution(execution), processes=processes, slots=slots
        )
        show = in_notebook() if live is None else live
        view: View = NotebookView() if show else NoView()
        return train_experiment(self._store, self.record, resources=resources, view=view, actor=actor())

    def pause(self, *, timeout: float = DEFAULT_TIMEOUT) -> Sequence[Outcome]:
        """Pause its live and queued runs."""
        return self._ask(Pause(), timeout)

    def resume(self) -> Sequence[Outcome]:
        """Queue its paused, stopped and failed runs again; ``train`` goes on with them."""
        return self._ask(Resume(), 0)

    def stop(self, *, timeout: float = DEFAULT_TIMEOUT) -> Sequence[Outcome]:
        """End its runs that are not over, each saved."""
        return self._ask(Stop(), timeout)

    def wait(self, *, timeout: float | None = None) -> Self:
        """Wait until all runs are over; raises ``TimeoutError`` after ``timeout`` seconds."""
        wait_until_over(self._store, lambda: self._store.runs.list(experiment_id=self.id), timeout=timeout)
        return self

    def export(self, path: Path | str, *, kind: Format | str | None = None, force: bool = False) -> int:
        """Write the metric histories of all runs to a file (``csv``, ``parquet``) or folder (``tensorboard``).

        Without ``kind``, the path's suffix says what. Raises ``UserError`` if it does not.
        """
        runs = self._store.runs.list(experiment_id=self.id)
        chosen = choose_format(Path(path), None if kind is None else Format(kind))
        return export_metrics(self._store, runs, Path(path), chosen, force=force)

    def report(self, path: Path | str, *, metrics: Sequence[str] = (), force: bool = False) -> Report:
        """Write an HTML page about it, and return what the page says; ``metrics`` rank the runs and are drawn.

        Raises ``NotFoundError`` for a metric that no run has, ``UserError`` if ``path`` is a file that is no report and
        ``force`` is not set.
        """
        settle(self._store)
        record = self._store.experiments.get(self.id)
        runs = self._store.runs.list(experiment_id=self.id)
        found = collect_report(self._store, runs, experiments=[record], metrics=metrics)
        write_report(report_html(found), Path(path), force=force)
        return found

    def delete(self) -> None:
        """Delete it with all its runs. Raises ``ConflictError`` while one is in training."""
        settle(self._store)
        self._store.experiments.delete(self.id, actor=actor())

    def close(self) -> None:
        """Close the connection to the store; its runs cannot be used any more."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, op: ControlOp, timeout: float) -> Sequence[Outcome]:
        return request(self._store, [f"experiment:{self.id}"], op, actor=actor(), timeout=timeout)


def train(
    source: Source,
    *,
    name: str | None = None,
    edits: Mapping[str, Any] | None = None,
    home: Path | str | None = None,
    resume: bool = False,
    execution: Execution | str | None = None,
    processes: int | None = None,
    slots: int | None = None,
    live: bool | None = None,
) -> Experiment:
    """Train a sweep, a run or a sweep file until all runs are over, and return the experiment.

    Failed runs do not raise: look at ``run.state`` and ``run.reason``. Raises ``ConfigError`` for a config that is
    wrong, ``DataError`` for data that cannot be used; then nothing was created.
    """
    sweep = as_sweep(source, name=name)
    if edits:
        sweep = apply_sweep_edits(sweep, edits)
    experiment = Experiment.create(sweep, home=home, resume=resume)
    experiment.train(execution=execution, processes=processes, slots=slots, live=live)
    return experiment


def as_sweep(source: Source, *, name: str | None = None) -> SweepSpec:
    """Turn what can be trained into a sweep. Raises ``ConfigError`` or ``UserError``."""
    if isinstance(source, Path | str):
        sweep = read_sweep(source)
    elif isinstance(source, SweepSpec):
        sweep = source
    elif isinstance(source, RunSpec):
        sweep = SweepSpec(run=source)
    else:
        is_sweep = not source.keys().isdisjoint(SweepSpec.model_fields)
        sweep = sweep_from_mapping(source if is_sweep else {"run": dict(source)})
    return sweep if name is None else validate(SweepSpec, {**sweep.model_dump(mode="json"), "name": name})
