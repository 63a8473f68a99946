"""Histories, charts and summaries say the same as a plain list of points would, whatever was logged in what order."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select

from modelyard.domain.errors import NotFoundError
from modelyard.domain.ports import Point
from modelyard.domain.run import Experiment, Lease, Run
from modelyard.store import Store, clock, metrics
from modelyard.store.metrics import ChartSeries, layout, sealing
from modelyard.store.schema import attempts, runs

Claim = Callable[..., tuple[Run, Lease]]
Sweep = Callable[..., Experiment]


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seal and build levels after a handful of points, so that short histories reach every path."""
    monkeypatch.setattr(sealing, "CHUNK", 8)
    monkeypatch.setattr(layout, "DENSITY", 2)
    monkeypatch.setattr(layout, "PART_BITS", 2)
    monkeypatch.setattr(layout, "SPARSE", 2)


@dataclass
class Begin:
    start_step: int


@dataclass
class Log:
    points: list[tuple[str, int, float]]


@dataclass
class Seal:
    pass


@dataclass
class Model:
    """A run as a plain list: what the store must agree with."""

    attempt: int = 1
    start_steps: dict[int, int] = field(default_factory=lambda: {1: 0})
    points: list[tuple[int, str, int, float]] = field(default_factory=list)

    def effective(self, name: str) -> list[tuple[int, float, int]]:
        """Return (step, value, attempt) of what counts, by step, then arrival: the rule, word for word."""
        of_name = [(step, value, attempt) for attempt, found, step, value in self.points if found == name]
        visible = [
            (step, value, attempt)
            for step, value, attempt in of_name
            if all(step <= start for later, start in self.start_steps.items() if later > attempt)
        ]
        latest: dict[int, int] = {}
        for step, _, attempt in visible:
            latest[step] = max(attempt, latest.get(step, 0))
        return sorted((point for point in visible if point[2] == latest[point[0]]), key=lambda point: point[0])


def brute_force_chart(points: list[tuple[int, float, int]], width: int) -> list[tuple[int, float, float, float, float]]:
    buckets: dict[int, list[tuple[int, float]]] = {}
    for step, value, _ in points:
        buckets.setdefault(step // width, []).append((step, value))
    drawn = []
    for _, inside in sorted(buckets.items()):
        valid = [value for _, value in inside if not math.isnan(value)] or [math.nan]
        with np.errstate(all="ignore"):
            mean = float(np.sum(valid)) / len(valid)
        drawn.append((inside[-1][0], min(valid), max(valid), mean, inside[-1][1]))
    return drawn


def assert_draws(chart: ChartSeries, expected: list[tuple[int, float, float, float, float]]) -> None:
    columns = [np.array([row[i] for row in expected]) for i in range(5)]
    np.testing.assert_array_equal(chart.steps, columns[0])
    np.testing.assert_array_equal(chart.minimum, columns[1])
    np.testing.assert_array_equal(chart.maximum, columns[2])
    np.testing.assert_allclose(chart.mean, columns[3], rtol=1e-5, atol=1e-9 + 1e-6 * _scale(columns[1:3]))
    np.testing.assert_array_equal(chart.last, columns[4])


def _scale(columns: list[np.ndarray]) -> float:
    finite = np.concatenate([np.abs(column[np.isfinite(column)]) for column in columns] + [np.zeros(1)])
    return float(finite.max())


near_steps = st.integers(-3, 60)
any_steps = st.one_of(near_steps, st.integers(-(2**63), 2**63 - 1))
values = st.one_of(
    st.floats(-1000, 1000, width=32), st.floats(-1e6, 1e6), st.sampled_from([math.nan, math.inf, -math.inf])
)
points = st.lists(st.tuples(st.sampled_from(["loss", "accuracy"]), near_steps, values), min_size=1, max_size=20)
far_points = st.lists(st.tuples(st.just("loss"), any_steps, values), min_size=1, max_size=20)


@st.composite
def climbing(draw: st.DrawFn) -> Log:
    """Points as training logs them: step after step, in a stride."""
    first, stride = draw(st.integers(0, 50)), draw(st.sampled_from([1, 1, 5, 1000]))
    logged = draw(st.lists(values, min_size=1, max_size=30))
    return Log([("loss", first + i * stride, value) for i, value in enumerate(logged)])


actions = st.lists(
    st.one_of(
        climbing(),
        climbing(),
        points.map(Log),
        far_points.map(Log),
        st.builds(Begin, st.integers(0, 80)),
        st.builds(Seal),
    ),
    min_size=1,
    max_size=12,
)
windows = st.tuples(
    st.integers(1, 40), st.one_of(st.none(), st.integers(-5, 100)), st.one_of(st.none(), st.integers(-5, 100))
)


class Driver:
    """Does the same to a run in the store and to its model."""

    def __init__(self, store: Store, run_id: str) -> None:
        self.store, self.run_id, self.model = store, run_id, Model()
        with store.database.write() as connection:
            self.key = connection.execute(select(runs.c.key).where(runs.c.id == run_id)).scalar_one()
        self._attempt(1, 0)

    def do(self, action: Begin | Log | Seal) -> None:
        model = self.model
        if isinstance(action, Begin):
            model.attempt += 1
            model.start_steps[model.attempt] = action.start_step
            self._attempt(model.attempt, action.start_step)
        elif isinstance(action, Log):
            model.points += [(model.attempt, *point) for point in action.points]
            logged = [Point(name, step, 1.5, value) for name, step, value in action.points]
            with self.store.database.write() as connection:
                metrics.append(connection, self.key, model.attempt, logged)
        else:
            self.store.metrics.seal(self.run_id)

    def check(self, buckets: int, first: int | None, last: int | None) -> None:
        store, model = self.store, self.model
        names = list(dict.fromkeys(name for _, name, _, _ in model.points))
        assert store.metrics.names(self.run_id) == [name for name in names if model.effective(name)]
        summary = {}
        for name in names:
            expected = model.effective(name)
            history = store.metrics.history(self.run_id, name)
            np.testing.assert_array_equal(history.steps, [step for step, _, _ in expected])
            np.testing.assert_array_equal(history.values, [value for _, value, _ in expected])
            np.testing.assert_array_equal(history.attempts, [attempt for _, _, attempt in expected])
            self._check_chart(name, expected, buckets, first, last)
            if expected:
                summary[name] = expected[-1][1]
        found = self._summary()
        assert list(found) == list(summary)
        np.testing.assert_array_equal(list(found.values()), list(summary.values()))  # NaN equals NaN, -0.0 equals 0.0

    def _check_chart(
        self, name: str, expected: list[tuple[int, float, int]], buckets: int, first: int | None, last: int | None
    ) -> None:
        drawn = self.store.metrics.chart([self.run_id], name, buckets=buckets, first_step=first, last_step=last)
        if not expected:
            assert drawn == {}
            return
        chart = drawn[self.run_id]
        low = max(expected[0][0], expected[0][0] if first is None else first)
        high = min(expected[-1][0], expected[-1][0] if last is None else last)
        if low > high:
            assert len(chart) == 0
            return
        assert high // chart.width - low // chart.width + 1 <= max(buckets, 2)
        inside = [p for p in expected if low // chart.width <= p[0] // chart.width <= high // chart.width]
        assert_draws(chart, brute_force_chart(inside, chart.width))

    def _summary(self) -> dict[str, float]:
        with self.store.database.read() as connection:
            return json.loads(connection.execute(select(runs.c.summary).where(runs.c.key == self.key)).scalar_one())

    def _attempt(self, number: int, start_step: int) -> None:
        with self.store.database.write() as connection:
            row = {"run_key": self.key, "number": number, "start_step": start_step, "worker_id": "w"}
            connection.execute(insert(attempts), row | {"claimed_at": clock.now()})
            metrics.rewind(connection, self.key)


@pytest.fixture
def drivers(sqlite_store: Store, sweep: Sweep) -> Callable[[], Driver]:
    """Give a function that makes a new run and its model; hypothesis takes one for each example."""

    def make() -> Driver:
        return Driver(sqlite_store, sqlite_store.runs.list(experiment_id=sweep(sqlite_store).id)[0].id)

    return make


@given(actions, windows)
@settings(max_examples=70, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@pytest.mark.usefixtures("small_chunks")
def test_store_agrees_with_a_plain_list(
    drivers: Callable[[], Driver],
    todo: list[Begin | Log | Seal],
    window: tuple[int, int | None, int | None],
) -> None:
    driver = drivers()
    for action in todo:
        driver.do(action)
        driver.check(*window)
    driver.check(1000, None, None)
    driver.do(Seal())
    driver.check(*window)


@pytest.mark.usefixtures("small_chunks")
def test_what_arrived_after_a_cursor_is_what_was_appended_since(store: Store, sweep: Sweep, claim: Claim) -> None:
    sweep(store, 1)
    run, lease = claim(store)
    steps = [3, 1, 2, *range(4, 40)]
    for start in range(0, len(steps), 5):
        with store.write(lease) as write:
            write.points([Point("loss", step, 1.0, step / 2) for step in steps[start : start + 5]])
        written = len(steps[: start + 5])
        for cursor in range(written):
            arrived = store.metrics.after(run.id, {"loss": cursor, "other": 0})
            assert list(arrived) == ["loss"]
            assert arrived["loss"].next == written
            assert arrived["loss"].points.steps.tolist() == steps[cursor:written]
            assert arrived["loss"].points.values.tolist() == [step / 2 for step in steps[cursor:written]]
        assert store.metrics.after(run.id, {"loss": written}) == {}
    with pytest.raises(NotFoundError):
        store.metrics.after("nobody", {"loss": 0})
