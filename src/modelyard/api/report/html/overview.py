"""The head of a report: what it is about, what came out, and how it was trained."""

from modelyard.api.report.html.elements import Child, Markup, element, joined
from modelyard.api.report.html.tables import facts, table
from modelyard.api.report.html.words import UNAVAILABLE, config_value, count, moment, number, whole
from modelyard.api.report.model import Report, ReportedExperiment, ReportedRun, Way

_MOST_WAYS = 30


def head(report: Report) -> Markup:
    """Say in a few lines what the report is about."""
    return element(
        "header",
        element("h1", report.title),
        element("p", _summary(report), class_="lead"),
        _live(report),
        element("p", f"Written {moment(report.created_at)} with {report.made_with}.", class_="none"),
    )


def _summary(report: Report) -> str:
    states: dict[str, int] = {}
    for run in report.runs:
        states[run.state] = states.get(run.state, 0) + 1
    told = ", ".join(f"{amount} {state}" for state, amount in states.items())
    parts = [f"{count(len(report.runs), 'run')}{f' ({told})' if told else ''}."]
    best = report.runs[0] if report.runs else None
    if best is not None and best.rank is not None and report.metric is not None:
        assert best.result is not None
        way = "lower" if report.lowest else "higher"
        parts.append(f"Best: {best.name}, {report.metric} {number(best.result.best)}{where(best)}; {way} is better.")
    return " ".join(parts)


def where(run: ReportedRun) -> str:
    """Say at which epoch and step a run's best value was reached."""
    if run.result is None or run.result.best_step is None:
        return ""
    epoch = "" if run.result.best_epoch is None else f" in epoch {run.result.best_epoch}"
    return f"{epoch} (step {run.result.best_step:,})"


def _live(report: Report) -> Markup | None:
    live = sum(run.live for run in report.runs)
    if not live:
        return None
    if len(report.runs) == 1:
        what = "This run is not over yet: its figures are not final."
    else:
        are = "is not over yet: its" if live == 1 else "are not over yet: their"
        what = f"{live:,} of {len(report.runs):,} runs {are} figures are not final."
    return element("p", what, class_="note")


def experiments(report: Report) -> Markup:
    """Show each experiment: project, search space, base config."""
    return joined(*(_experiment(one, report) for one in report.experiments))


def _experiment(one: ReportedExperiment, report: Report) -> Markup:
    here = sum(run.experiment == one.name for run in report.runs)
    rows: list[tuple[str, Child]] = [
        ("project", one.project),
        ("created", moment(one.created_at)),
        ("runs", whole(one.run_count) if here == one.run_count else f"{here:,} of {one.run_count:,} in this report"),
        ("search", one.search),
        *((f"varies {path}", said) for path, said in one.space.items()),
        ("id", one.id),
    ]
    base = table(
        f"Config of the base run of {one.name}",
        ("field", "value"),
        [(path, config_value(value)) for path, value in one.base.items()],
        wrapped=(1,),
    )
    return element(
        "section",
        element("h3", one.name),
        facts(rows),
        element("details", element("summary", "Config of the base run"), base),
    )


def ways(report: Report) -> Markup:
    """Show how the runs were trained, with the measured gain."""
    rows = [_way(way) for way in report.ways[:_MOST_WAYS]]
    columns = ("execution", "runs", "per group", "measured gain", "device", "why")
    note = (
        "The machine's other facts are kept as a fingerprint only. "
        "A gain is the measured speed against taking turns; without a stack or compiled code it is unavailable."
    )
    left_out = f" ({len(rows)} of {len(report.ways)} ways)" if len(report.ways) > len(rows) else ""
    shown = table(f"How the runs were trained{left_out}", columns, rows, right=(1, 2, 3), wrapped=(5,))
    return joined(shown, element("p", note, class_="none"))


def _way(way: Way) -> tuple[Child, ...]:
    gain = UNAVAILABLE if way.gain is None else f"{way.gain:.1f}x"
    return (
        way.execution or "not started",
        whole(way.runs),
        whole(way.group),
        gain,
        ", ".join(way.devices) or UNAVAILABLE,
        way.reason or UNAVAILABLE,
    )
