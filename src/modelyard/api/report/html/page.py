"""The whole page: one file that loads nothing and runs no script but its own."""

import base64
import hashlib
from collections.abc import Mapping
from importlib.resources import files

from modelyard.api.report.html import overview, sections
from modelyard.api.report.html.curves import draw_panel, legend
from modelyard.api.report.html.effects import draw_effect
from modelyard.api.report.html.elements import Markup, element, joined
from modelyard.api.report.html.matrix import draw_confusion
from modelyard.api.report.html.runs_table import runs_table
from modelyard.api.report.model import Report, ReportedRun
from modelyard.api.report.writing import MARK

_FOLDER = files(__package__)


def report_html(report: Report) -> str:
    """Return the page."""
    style, script = _text("page.css"), _text("page.js")
    policy = f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; base-uri 'none'"
    document_head = element(
        "head",
        element("meta", charset="utf-8"),
        Markup(MARK),
        # Whatever came from outside could not load or run anything, even if it were not escaped.
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", f"{report.title} - Modelyard report"),
        element("style", Markup(style)),
    )
    body = element("body", overview.head(report), _contents(report), element("script", Markup(script)))
    return f"<!DOCTYPE html>\n{element('html', document_head, body, lang='en')}\n"


def _contents(report: Report) -> Markup:
    runs = {run.id: run for run in report.runs}
    best, alone = report.best, len(report.runs) == 1
    parts = [
        _section("Runs", _runs(report), sections.differences(report)),
        _section("Learning curves", _curves(report, runs)),
        _section("Config against result", _effects(report, runs)),
        _section("Config" if alone else "The best config", None if best is None else sections.best_config(best)),
        _section("Classes", _classes(report)),
        _section("What happened", sections.happenings(report)),
        _section("Where clones come from", sections.descents(report)),
        _section("Experiment", overview.experiments(report), overview.ways(report) if report.runs else None),
        _section("Fingerprints", sections.fingerprints(report) if report.runs else None),
        _section(
            "Train it again" if alone else "Train the best again", None if best is None else sections.recipe(best)
        ),
    ]
    return element("main", *parts)


def _section(title: str, *parts: Markup | None) -> Markup | None:
    shown = [part for part in parts if part is not None]
    return element("section", element("h2", title), *shown) if shown else None


def _runs(report: Report) -> Markup:
    if report.runs:
        return runs_table(report)
    command = element("code", "modelyard train sweep.yaml")
    return element("p", "There are no runs: they were deleted. Train some: ", command)


def _curves(report: Report, runs: Mapping[str, ReportedRun]) -> Markup | None:
    if not report.runs:
        return None
    if not report.panels:
        command = element("code", f"modelyard resume {' '.join(one.name for one in report.experiments)}")
        return element("p", "No metric has been recorded yet. Train: ", command)
    drawn = report.runs[: report.drawn]
    hidden = len(report.runs) - len(drawn)
    note = f"Curves of the {len(drawn)} best runs, {drawn[0].name} to {drawn[-1].name}; {hidden} are left out."
    panels = [draw_panel(panel, runs) for panel in report.panels]
    curved = {curve.run_id for panel in report.panels for curve in panel.curves}
    return joined(
        element("p", note, class_="note") if hidden else None,
        legend([run for run in drawn if run.id in curved]),
        element("div", *panels, class_="panels"),
    )


def _effects(report: Report, runs: Mapping[str, ReportedRun]) -> Markup | None:
    if not report.effects or report.metric is None:
        return None
    note = (
        f"The best {report.metric} of each completed run against the fields that vary. "
        "The figures say how the two go together in these runs; they prove no cause."
    )
    drawn = [draw_effect(effect, report.metric, runs) for effect in report.effects]
    return joined(element("p", note, class_="none"), element("div", *drawn, class_="panels"))


def _classes(report: Report) -> Markup | None:
    best = report.best
    if best is None:
        return None
    if not best.confusions:
        hint = "; it is kept if the config's metrics have confusion_matrix."
        return element("p", f"A confusion matrix of {best.name} is unavailable{hint}")
    about = element("p", f"Of {best.name}, the best run.", class_="none")
    return joined(
        about if len(report.runs) > 1 else None, *(draw_confusion(confusion) for confusion in best.confusions)
    )


def _text(name: str) -> str:
    return _FOLDER.joinpath(name).read_text("utf-8")


def _digest(text: str) -> str:
    """Return the source expression of an inline style or script in a content security policy."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
