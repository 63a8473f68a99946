"""The other parts of the page: config, what happened, where runs come from, and how to repeat it."""

from collections import Counter

from modelyard.api.report.html.elements import Child, Markup, element, joined
from modelyard.api.report.html.runs_table import MOST_PARAMETERS
from modelyard.api.report.html.tables import facts, table
from modelyard.api.report.html.words import UNAVAILABLE, config_value, count, moment
from modelyard.api.report.model import BestRun, Report
from modelyard.domain.query import Value

_MOST_VALUES = 8
_FINGERPRINTS = ("data", "code", "environment")


def differences(report: Report) -> Markup | None:
    """Show every varied field with its values, where the table of runs has no room for all of them."""
    if len(report.varied) <= MOST_PARAMETERS:
        return None
    rows = [(field, _values([run.parameters[field] for run in report.runs])) for field in report.varied]
    shown = table("Fields that differ between the runs", ("field", "values (runs)"), rows, wrapped=(1,))
    note = f"The table of runs has the first {MOST_PARAMETERS} of these {len(rows)} fields; --json has them all."
    return joined(shown, element("p", note, class_="none"))


def _values(values: list[Value]) -> str:
    counted = Counter(config_value(value) for value in values).most_common()
    told = [f"{value} ({amount})" for value, amount in counted[:_MOST_VALUES]]
    return ", ".join(told) + (f" and {len(counted) - _MOST_VALUES} more" if len(counted) > _MOST_VALUES else "")


def best_config(best: BestRun) -> Markup:
    """Show what the best run changed, and its whole config."""
    changed = [(path, config_value(before), element("b", config_value(after))) for path, before, after in best.changes]
    title = f"Where {best.name} differs from the base run"
    shown = (
        table(title, ("field", "base run", best.name), changed, wrapped=(1, 2))
        if changed
        else element("p", f"{best.name} has the config of the base run.")
    )
    everything = table(
        f"Config of {best.name}",
        ("field", "value"),
        [(path, config_value(value)) for path, value in best.config.items()],
        wrapped=(1,),
    )
    return joined(shown, element("details", element("summary", f"Whole config of {best.name}"), everything))


def happenings(report: Report) -> Markup:
    """Show what happened, oldest first."""
    if not report.happenings:
        nothing = "Nothing: no failure, no lost process, no pause, no stop, no change while training, no clone."
        return element("p", nothing)
    rows: list[tuple[Child, ...]] = [
        (moment(one.time), element("span", one.kind.value, class_="kind"), one.run or UNAVAILABLE, one.what)
        for one in report.happenings
    ]
    older = f", the newest; {count(report.happenings_hidden, 'older one')} left out" if report.happenings_hidden else ""
    title = f"{count(len(rows), 'event')}{older}"
    return table(title, ("time", "what", "run", "why"), rows, wrapped=(3,))


def descents(report: Report) -> Markup | None:
    """Show where clones come from."""
    if not report.descents:
        return None
    rows = [(one.run, one.parent or "a deleted run", one.warm_start or "from scratch") for one in report.descents]
    return table("Clones", ("run", "cloned from", "weights at the start"), rows, wrapped=(2,))


def fingerprints(report: Report) -> Markup:
    """Show which data, code and environment the runs were trained with."""
    rows: list[tuple[str, Child]] = []
    for name in _FINGERPRINTS:
        counted = Counter(run.fingerprints.get(name, UNAVAILABLE) for run in report.runs)
        told = [
            joined(element("code", value), "" if len(counted) == 1 else f" ({count(amount, 'run')})", element("br"))
            for value, amount in counted.most_common(_MOST_VALUES)
        ]
        more = f"and {len(counted) - _MOST_VALUES} more" if len(counted) > _MOST_VALUES else None
        rows.append((name, joined(*told, more)))
    first = next((run for run in report.runs if report.best is not None and run.id == report.best.run_id), None)
    if first is not None:
        rows.append((f"config of {first.name}", element("code", first.spec_hash)))
        rows.append((f"id of {first.name}", element("code", first.id)))
    return facts(rows)


def recipe(best: BestRun) -> Markup:
    """Show how to train the best config again."""
    return joined(
        element("p", "Save this as ", element("code", "again.yaml"), ", then:"),
        element("pre", element("code", "modelyard train again.yaml"), tabindex="0"),
        element("pre", element("code", best.recipe), tabindex="0"),
        *(element("p", caveat, class_="none") for caveat in best.caveats),
    )
