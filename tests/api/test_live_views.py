"""What a person sees while runs train: numbers that were measured, and nothing that was not."""

import io
import re
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from modelyard.api.notebook import NotebookView, Picture, curve_svg, text_table
from modelyard.api.progress import Pace, ProgressReader, RunRow, Snapshot
from modelyard.api.results import epochs_of
from modelyard.api.sparkline import sparkline
from modelyard.api.training import Resources, train_experiment
from modelyard.api.tuned import total_epochs
from modelyard.cli.chart import Curve, draw
from modelyard.cli.live import LiveView, summary, visible_rows
from modelyard.cli.live_table import why
from modelyard.cli.plain import PlainView
from modelyard.domain.config import SweepSpec
from modelyard.domain.run import Reason, ReasonCode, RunState
from modelyard.scheduler.search.expand import expand
from modelyard.store import Store


class Collector:
    """A view that keeps everything."""

    def __init__(self) -> None:
        self.snapshots: list[Snapshot] = []
        self.reasons: list[str] = []
        self.said: list[str] = []

    def planned(self, plan: Any) -> None:
        self.reasons = [group.reason for group in plan.groups]

    def update(self, snapshot: Snapshot, events: Any) -> None:
        self.snapshots.append(snapshot)

    def say(self, message: str) -> None:
        self.said.append(message)


@pytest.fixture
def watched(engine: Any, sweep: dict[str, Any], store: Store) -> Collector:
    spec = SweepSpec.model_validate(sweep)
    experiment = store.experiments.create(spec, expand(spec), actor="test")
    view = Collector()
    train_experiment(store, experiment, resources=Resources(), view=view, actor="test")
    return view


def test_a_view_sees_every_stage(watched: Collector) -> None:
    assert watched.reasons
    first, last = watched.snapshots[0], watched.snapshots[-1]
    assert {row.run.state for row in first.rows} == {RunState.QUEUED}
    assert [row.fraction for row in first.rows] == [None, None], "unknown until the data was opened"
    assert {row.fraction for row in last.rows} == {1.0}
    assert [(row.metric, row.epochs) for row in last.rows] == [("val_accuracy", 2)] * 2
    assert last.rows[0].value == pytest.approx(0.2)
    assert last.count(RunState.COMPLETED) == 2


def test_a_pace_needs_two_seconds_of_measurement() -> None:
    pace = Pace()
    pace.add(0.0, 0)
    assert pace.seconds_for(100) is None
    pace.add(1.0, 50)
    assert pace.seconds_for(100) is None
    pace.add(4.0, 200)
    assert pace.seconds_for(100) == pytest.approx(2.0)
    assert pace.seconds_for(None) is None
    pace.add(5.0, 100)
    assert pace.seconds_for(100) is None, "a run that went back to a checkpoint starts over"


def test_a_pace_forgets_what_is_older_than_half_a_minute() -> None:
    pace = Pace()
    for second in range(100):
        pace.add(float(second), 1000 if second < 50 else 1000 + 10 * (second - 49))
    assert pace.seconds_for(100) == pytest.approx(10.0, rel=0.05)


def test_the_time_left_counts_runs_that_wait(store: Store, sweep: dict[str, Any], engine: Any) -> None:
    spec = SweepSpec.model_validate(sweep)
    experiment = store.experiments.create(spec, expand(spec), actor="test")
    now = [0.0]
    reader = ProgressReader(store, experiment.id, experiment.name, clock=lambda: now[0])
    assert reader.read().eta_seconds is None
    ((run, lease),) = store.leases.claim(store.leases.register(), limit=1)
    for second, step in ((1.0, 1), (11.0, 11)):
        with store.write(lease) as write:
            write.progress(step=step, epoch=0, total_steps=20)
        now[0] = second
        snapshot = reader.read()
    assert snapshot.rows[0].eta_seconds == pytest.approx(9.0)
    assert snapshot.eta_seconds == pytest.approx(29.0), "9 steps of this run and 20 of the one that waits"
    assert run.name == "digits-1"
    assert not snapshot.more_may_come


def test_the_time_left_of_a_search_ends_where_its_runs_wait(store: Store, sweep: dict[str, Any]) -> None:
    sweep["run"]["training"] = {"epochs": 10}
    spec = SweepSpec.model_validate(sweep)
    experiment = store.experiments.create(spec, expand(spec), until_epochs=[2, None], actor="test")
    now = [0.0]
    reader = ProgressReader(store, experiment.id, experiment.name, clock=lambda: now[0])
    ((_, lease),) = store.leases.claim(store.leases.register(), limit=1)
    for second, step in ((1.0, 1), (11.0, 11)):
        with store.write(lease) as write:
            write.progress(step=step, epoch=0, total_steps=100)
        now[0] = second
        snapshot = reader.read()
    assert snapshot.rows[0].eta_seconds == pytest.approx(9.0), "20 of its 100 steps come before it waits"
    assert snapshot.more_may_come
    assert "at least" in summary(snapshot)


def test_a_process_in_which_nothing_moves_is_told_of_once_and_left_alone(
    store: Store, sweep: dict[str, Any], engine: Any
) -> None:
    spec = SweepSpec.model_validate(sweep)
    experiment = store.experiments.create(spec, expand(spec), actor="test")
    worker = store.leases.register(kind="engine")
    (run, lease), (other, _) = store.leases.claim(worker, limit=2)
    now, out = [0.0], io.StringIO()
    reader, view = ProgressReader(store, experiment.id, experiment.name, clock=lambda: now[0]), PlainView(out)

    def at(seconds: float) -> list[str]:
        now[0] = seconds
        snapshot = reader.read()
        view.update(snapshot, ())
        return [why(row) for row in snapshot.rows]

    assert at(0) == at(59) == ["", ""]
    with store.write(lease) as write:
        write.progress(step=3, epoch=0, total_steps=9)
    assert at(60) == ["", ""], "a run that moves speaks for all of its process"
    told = "no step for 60 s: a long evaluation, or its code hangs"
    assert at(120) == [told, told]
    at(130)
    assert out.getvalue().splitlines() == [f"{run.name}: {told}", f"{other.name}: {told}"]
    assert {one.state for one in store.runs.list()} == {RunState.RUNNING}


def screen(snapshot: Snapshot, *, width: int = 140, height: int = 30) -> str:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=False)
    view = LiveView(console)
    view.say("a message")
    console.print(view.render(snapshot))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_compiled_runs_are_told_with_their_gain_and_why(store: Store, sweep: dict[str, Any]) -> None:
    spec = SweepSpec.model_validate(sweep)
    experiment = store.experiments.create(spec, expand(spec), actor="test")
    how = {"execution": "compiled", "device": "cpu", "reason": "it trains at 1.42x the speed", "gain": 1.42}
    for _, lease in store.leases.claim(store.leases.register(kind="engine"), limit=2):
        with store.write(lease) as write:
            write.begin(start_step=0, checkpoint_id=None, total_steps=9, **how)
    out = io.StringIO()
    snapshot = ProgressReader(store, experiment.id, experiment.name).read()
    PlainView(out).update(snapshot, store.events.read(experiment_id=experiment.id))
    assert "digits-1 and others like it: compiled (it trains at 1.42x the speed)" in out.getvalue().splitlines()
    assert "training: 2 runs compiled (1.4x)" in screen(snapshot)
    quiet = replace(snapshot.rows[0], quiet_seconds=60.0).quiet
    assert quiet == "no step for 60 s: compiling, a long evaluation, or its code hangs"


def test_the_live_table_shows_runs_and_totals(watched: Collector) -> None:
    text = screen(watched.snapshots[-1])
    assert re.search(r"digits-1 +completed .* 100% +2/2 +[▁-█]+ 0.8333 +accuracy 0.2", text)
    assert "digits: 2 completed" in text
    assert "a message" in text
    assert "starting engine processes" in screen(watched.snapshots[0])


def rows(states: list[RunState], watched: Collector) -> list[RunRow]:
    one = watched.snapshots[-1].rows[0]
    return [replace(one, run=replace(one.run, id=str(i), name=f"r-{i}", state=state)) for i, state in enumerate(states)]


def test_groups_that_train_as_one_model_are_shown_with_their_gain(watched: Collector) -> None:
    several = rows([RunState.RUNNING] * 5 + [RunState.QUEUED], watched)
    how = [{"execution": "stacked", "stack_size": 4, "stack_gain": 2.31}] * 4 + [{"execution": "sliced"}, {}]
    several = [replace(row, run=replace(row.run, **values)) for row, values in zip(several, how, strict=True)]
    snapshot = Snapshot(name="digits", rows=tuple(several), elapsed=1.0, eta_seconds=None)
    wide, narrow = screen(snapshot, width=200), screen(snapshot, width=80)
    assert re.search(r"r-0 +running +stacked 4 \(2\.3x\)", wide)
    assert re.search(r"r-4 +running +sliced", wide)
    for text in (wide, narrow):
        assert "training: 4 runs stacked 4 (2.3x), 1 run sliced" in text
    assert "training:" not in screen(replace(snapshot, rows=tuple(several[4:])))


def test_a_small_terminal_shows_what_is_worth_seeing(watched: Collector) -> None:
    states = [RunState.QUEUED] * 10 + [RunState.RUNNING] * 2 + [RunState.FAILED] + [RunState.COMPLETED] * 5
    shown = visible_rows(rows(states, watched), 5)
    assert [row.run.name for row in shown] == ["r-0", "r-10", "r-11", "r-12"]
    snapshot = Snapshot(name="digits", rows=tuple(rows(states, watched)), elapsed=1.0, eta_seconds=None)
    text = screen(snapshot, height=11)
    assert "… and 12 more: modelyard runs list --experiment digits" in text
    assert len(text.splitlines()) <= 11


def test_text_from_runs_cannot_style_the_screen_or_the_page(watched: Collector) -> None:
    row = watched.snapshots[-1].rows[0]
    reason = Reason(code=ReasonCode.ERROR, message="<script>alert(1)</script> [red]x[/]")
    bad = replace(row, run=replace(row.run, name="<b>[blink]n[/]", state=RunState.FAILED, reason=reason))
    snapshot = Snapshot(name="<i>", rows=(bad,), elapsed=0.0, eta_seconds=None)
    text = screen(snapshot, width=250)
    assert "<b>[blink]n[/]" in text
    assert "[red]x[/]" in text
    html = NotebookView().html(snapshot)
    assert "<script" not in html
    assert "<b>[" not in html
    assert "&lt;script&gt;" in html
    assert "&lt;i&gt;" in html


def test_the_notebook_widget_is_displayed_once_and_then_updated(
    watched: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[tuple[str, Picture]] = []

    class Handle:
        def update(self, picture: Picture) -> None:
            shown.append(("update", picture))

    def display(picture: Picture, *, display_id: bool) -> Handle:
        assert display_id
        shown.append(("display", picture))
        return Handle()

    monkeypatch.setattr("IPython.display.display", display)
    view = NotebookView()
    for snapshot in watched.snapshots:
        view.update(snapshot, [])
    assert [kind for kind, _ in shown] == ["display"] + ["update"] * (len(watched.snapshots) - 1)
    assert "<svg" in shown[-1][1]._repr_html_()
    assert repr(shown[-1][1]) == text_table(watched.snapshots[-1])
    assert "digits-1: completed 100% epoch 2/2" in repr(shown[-1][1])


def test_the_widget_goes_without_ipython(watched: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "IPython.display", None)
    view = NotebookView()
    view.update(watched.snapshots[0], [])
    view.update(watched.snapshots[-1], [])


def test_a_sparkline_shows_the_shape_and_survives_nan() -> None:
    assert sparkline([1.0, 0.5, 0.0]) == "█▅▁"
    assert sparkline([1.0, float("nan"), 0.0]) == "█ ▁"
    assert sparkline([2.0, 2.0]) == "▁▁"
    assert sparkline([float("nan")]) == sparkline([]) == ""


def test_an_svg_curve_skips_what_is_not_finite() -> None:
    assert curve_svg([1.0]) == curve_svg([]) == curve_svg([float("inf"), 1.0]) == ""
    points = re.search(r"points='([^']+)'", curve_svg([1.0, float("nan"), 0.0]))
    assert points is not None
    assert points[1].split() == ["0.0,1.0", "96.0,19.0"]


def test_a_chart_puts_points_where_they_belong() -> None:
    lines = draw([Curve("a", [0, 10], [0.0, 1.0])], width=24, height=3)
    assert lines[0].endswith("●")
    assert lines[0].startswith("  1 ┤")
    assert lines[2].startswith("  0 ┤●")
    assert lines[-1] == "● a"
    assert draw([Curve("a", [1.0], [float("nan")])], width=20, height=3) == ["no finite values"]


def test_the_labels_of_a_chart_differ() -> None:
    assert draw([Curve("a", [1, 2, 3], [2.0, 2.0, 2.0])], width=20, height=9)[0].startswith("2 ┤●")
    lines = draw([Curve("a", [1, 2], [0.99991, 0.99994])], width=40, height=4)
    assert [line.split()[0] for line in lines[:4]] == ["0.99994", "0.99993", "0.99992", "0.99991"]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 130, 160])
def test_a_narrow_terminal_shortens_neither_run_nor_state_nor_epoch(watched: Collector, width: int) -> None:
    one = watched.snapshots[-1].rows[0]
    reason = Reason(code=ReasonCode.ERROR, message="the loss became nan; lower optimizer.learning_rate, " + "and " * 20)
    shown = []
    for number, state in enumerate(RunState, start=1):
        run = replace(one.run, id=str(number), name=f"digits-{number + 90}", state=state, reason=reason, epoch=19)
        curve = tuple(float(value) for value in range(24))
        shown.append(replace(one, run=run, epochs=20, curve=curve, samples_per_second=12345.0, eta_seconds=3725.0))
    text = screen(Snapshot(name="digits", rows=tuple(shown), elapsed=1.0, eta_seconds=None), width=width, height=40)
    lines = text.splitlines()
    for row in shown:
        found = [line for line in lines if re.match(rf"{row.run.name} +{row.run.state.value} .*\b19/20", line)]
        assert len(found) == 1, text
        assert "…" not in found[0] or width >= 130, text
        if width >= 60:
            assert f" {row.value:.4g} " in found[0], "the metric goes last"
    assert max(map(len, lines)) <= width
    assert "digits-98: the loss became nan" in " ".join(text.split()) or width >= 130
    assert ("samples/s" in text, "train loss" in text) == (width >= 130, width >= 80)


def test_a_trainers_epochs_are_its_own_and_unknown_before_it_was_made(store: Store, engine: Any) -> None:
    code = store.blobs.put([b"def make(): ..."])
    trainer = {"file": "mine.py", "function": "make", "code": code.digest}
    spec = SweepSpec.model_validate({"name": "text", "run": {"task": "hf-trainer", "trainer": trainer}})
    experiment = store.experiments.create(spec, expand(spec), actor="test")
    reader = ProgressReader(store, experiment.id, experiment.name)
    assert [row.epoch_text for row in reader.read().rows] == ["0/-"]
    ((run, lease),) = store.leases.claim(store.leases.register(), limit=1)
    with store.write(lease) as write:
        write.progress(step=30, epoch=3, total_steps=400, total_epochs=40)
        write.progress(step=31, epoch=3, total_steps=400)
    assert [row.epoch_text for row in reader.read().rows] == ["3/40"]
    assert epochs_of(store, [store.runs.get(run.id)]) == {run.id: 40}


def test_epochs_are_those_of_the_config_before_a_run_was_opened_and_what_it_was_tuned_to_then(
    store: Store, sweep: dict[str, Any], engine: Any
) -> None:
    spec = SweepSpec.model_validate(sweep)
    runs = store.runs.list(experiment_id=store.experiments.create(spec, expand(spec), actor="test").id)
    assert epochs_of(store, runs) == {run.id: 2 for run in runs}
    assert total_epochs(replace(runs[0], total_epochs=2), {"training.epochs": 6}) == 6
