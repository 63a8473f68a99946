"""The table of all runs, best first."""

from collections.abc import Sequence
from dataclasses import dataclass

from modelyard.api.report.html.curves import swatch
from modelyard.api.report.html.elements import Child, Markup, element, joined
from modelyard.api.report.html.tables import table
from modelyard.api.report.html.words import UNAVAILABLE, config_value, duration, number, whole
from modelyard.api.report.model import Report, ReportedRun

MOST_PARAMETERS = 6
_MOST_OTHERS = 4


@dataclass(frozen=True)
class _Column:
    header: str
    cells: Sequence[Child]
    right: bool = False
    wrapped: bool = False


def runs_table(report: Report) -> Markup:
    """Show rank, state, results, what varies, and what it cost."""
    runs = report.runs
    columns = [
        _Column("run", [joined(swatch(run), " ", run.name) for run in runs]),
        _Column("state", [_state(run) for run in runs]),
        *_results(report),
        *(
            _Column(field, [config_value(run.parameters[field]) for run in runs])
            for field in report.varied[:MOST_PARAMETERS]
        ),
        _Column("epochs", [_of(run.epoch, run.epochs) for run in runs], right=True),
        _Column("steps", [_of(run.step, run.total_steps) for run in runs], right=True),
        _Column("took", [duration(run.seconds) for run in runs], right=True),
        _Column("samples/s", [number(run.samples_per_second) for run in runs], right=True),
        _Column("execution", [run.execution or "not started" for run in runs]),
        _Column("why", [run.why for run in runs], wrapped=True),
    ]
    return table(
        _title(report),
        [column.header for column in columns],
        [[column.cells[index] for column in columns] for index in range(len(runs))],
        right=[index for index, column in enumerate(columns) if column.right],
        wrapped=[index for index, column in enumerate(columns) if column.wrapped],
        run_ids=[run.id for run in runs],
    )


def _title(report: Report) -> str:
    if report.metric is None:
        return "Runs"
    return f"Runs, ranked by their best {report.metric} ({'lower' if report.lowest else 'higher'} is better)"


def _results(report: Report) -> list[_Column]:
    runs, metric = report.runs, report.metric
    if metric is None:
        return []
    known = {name for run in runs for name in run.metrics}
    twin = metric.replace("val_", "test_", 1)
    wanted = [twin, "val_loss", "train_loss", *sorted(name for name in known if name.startswith("val_"))]
    others = [name for name in dict.fromkeys(wanted) if name in known and name != metric and "/" not in name]
    return [
        _Column("rank", [UNAVAILABLE if run.rank is None else str(run.rank) for run in runs], right=True),
        _Column(f"best {metric}", [_best(run) for run in runs], right=True),
        _Column("at epoch", [_at(run, "epoch") for run in runs], right=True),
        _Column("at step", [_at(run, "step") for run in runs], right=True),
        _Column("final", [number(None if run.result is None else run.result.final) for run in runs], right=True),
        *(
            _Column(f"final {name}", [number(run.metrics.get(name)) for run in runs], right=True)
            for name in others[:_MOST_OTHERS]
        ),
    ]


def _best(run: ReportedRun) -> Child:
    value = number(None if run.result is None else run.result.best)
    return element("b", value) if run.rank == 1 else value


def _at(run: ReportedRun, what: str) -> str:
    if run.result is None:
        return UNAVAILABLE
    return whole(run.result.best_epoch if what == "epoch" else run.result.best_step)


def _state(run: ReportedRun) -> Markup:
    done = f" {100 * run.step / run.total_steps:.0f}%" if run.live and run.total_steps else ""
    return element("span", f"{run.state}{done}", class_=f"state {run.state}")


def _of(done: int, total: int | None) -> str:
    return f"{done:,}" if total is None or total == done else f"{done:,} of {total:,}"
