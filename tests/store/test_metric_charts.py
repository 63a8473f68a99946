"""Charts and chunks at their real sizes: exact, few bytes, few queries, on both databases."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from sqlalchemy import event, func, select

from modelyard.domain.errors import NotFoundError
from modelyard.domain.ports import Point
from modelyard.store import metrics
from modelyard.store.metrics import sealing, times
from modelyard.store.schema import metric_chunks, metric_pyramid, metric_tail, runs

COUNT = 20_000


def noisy_curve(count, *, seed=0, narrow=True):
    """Return (steps, times, values) of a loss with noise, logged at every step with a jitter of some milliseconds."""
    random = np.random.default_rng(seed)
    steps = np.arange(count)
    times = 1.7e9 + np.cumsum(0.05 + random.normal(0, 0.003, count))
    values = 2 * np.exp(-steps / 5000) + random.normal(0, 0.05, count)
    return steps, times, values.astype(np.float32).astype(np.float64) if narrow else values


def log(store, run_id, curve, *, name="loss", attempt=1, batch=3000):
    points = [Point(name, int(step), float(time), float(value)) for step, time, value in zip(*curve, strict=True)]
    with store.database.read() as connection:
        key = connection.execute(select(runs.c.key).where(runs.c.id == run_id)).scalar_one()
    for start in range(0, len(points), batch):
        with store.database.write() as connection:
            metrics.append(connection, key, attempt, points[start : start + batch])


@contextmanager
def counted_queries(store) -> Iterator[list[str]]:
    statements: list[str] = []

    def note(_connection, _cursor, statement, *_rest):
        if statement.startswith("SELECT"):
            statements.append(statement)

    event.listen(store.database._engine, "before_cursor_execute", note)
    yield statements
    event.remove(store.database._engine, "before_cursor_execute", note)


def run_ids(store):
    return [run.id for run in store.runs.list()]


def test_history_of_a_long_run_is_exact_to_the_millisecond(store, sweep):
    sweep(store)
    [run_id] = run_ids(store)
    steps, times, values = noisy_curve(COUNT)
    log(store, run_id, (steps, times, values))
    for _ in range(2):
        history = store.metrics.history(run_id, "loss")
        np.testing.assert_array_equal(history.steps, steps)
        np.testing.assert_array_equal(history.values, values)
        np.testing.assert_allclose(history.times, times, rtol=0, atol=0.00051)
        assert set(history.attempts) == {1}
        store.metrics.seal(run_id)


@pytest.mark.parametrize("window", [(None, None), (5000, 15_000), (7000, 7050)])
def test_chart_is_what_brute_force_gives(store, sweep, window):
    sweep(store)
    [run_id] = run_ids(store)
    steps, times, values = noisy_curve(COUNT)
    log(store, run_id, (steps, times, values))
    first, last = window
    for _ in range(2):
        chart = store.metrics.chart([run_id], "loss", buckets=200, first_step=first, last_step=last)[run_id]
        low, high = (first or 0) // chart.width, (COUNT - 1 if last is None else last) // chart.width
        assert 100 < len(chart) == high - low + 1 <= 200 or chart.width == 1
        for row, bucket in enumerate(range(low, high + 1)):
            inside = values[(steps // chart.width) == bucket]
            assert chart.minimum[row] == inside.min()
            assert chart.maximum[row] == inside.max()
            assert chart.mean[row] == pytest.approx(inside.mean(), abs=1e-6)
            assert chart.last[row] == inside[-1]
        store.metrics.seal(run_id)


@pytest.mark.parametrize("narrow", [True, False])
def test_a_sealed_point_takes_at_most_ten_bytes(store, sweep, narrow):
    sweep(store)
    [run_id] = run_ids(store)
    log(store, run_id, noisy_curve(COUNT, narrow=narrow))
    store.metrics.seal(run_id)
    with store.database.read() as connection:
        chunks = connection.execute(select(func.sum(func.length(metric_chunks.c.points)))).scalar_one()
        pyramid = connection.execute(select(func.sum(func.length(metric_pyramid.c.buckets)))).scalar_one()
        assert connection.execute(select(func.count()).select_from(metric_tail)).scalar() == 0
    assert (chunks + pyramid) / COUNT < (6.0 if narrow else 10.0)


def test_the_tail_stays_short(store, sweep):
    sweep(store)
    [run_id] = run_ids(store)
    log(store, run_id, noisy_curve(COUNT), batch=500)
    with store.database.read() as connection:
        size = connection.execute(select(func.sum(func.length(metric_tail.c.points)))).scalar_one()
        full = connection.execute(select(metric_chunks.c.count)).scalars().all()
    assert size < sealing.CHUNK * 32
    assert set(full) == {sealing.CHUNK}


def test_number_of_queries_does_not_grow_with_runs_points_or_attempts(sqlite_store, sweep):
    store = sqlite_store
    sweep(store, 6)
    ids = run_ids(store)
    counts = []
    for number, run_id in enumerate(ids):
        log(store, run_id, noisy_curve(3000 * (number + 1), seed=number))
        for window in ((None, None), (1000, 1100)):
            with counted_queries(store) as queries:
                drawn = store.metrics.chart(ids, "loss", buckets=100, first_step=window[0], last_step=window[1])
            assert len(drawn) == number + 1
            counts.append(len(queries))
    assert max(counts) <= 5


def test_runs_of_a_chart_share_their_buckets(sqlite_store, sweep):
    store = sqlite_store
    sweep(store, 2)
    short, long = run_ids(store)
    log(store, short, noisy_curve(300))
    log(store, long, noisy_curve(10_000))
    drawn = store.metrics.chart([long, short, "nobody"], "loss", buckets=100)
    assert list(drawn) == [long, short]
    assert drawn[short].width == drawn[long].width == 128
    assert len(drawn[short]) == 3
    assert store.metrics.chart([long], "no such metric") == {}


def test_a_run_that_logs_more_seldom_than_it_used_to_stays_cheap(sqlite_store, sweep):
    store = sqlite_store
    sweep(store)
    [run_id] = run_ids(store)
    steps, times, values = noisy_curve(5 * 4096)
    steps = np.where(steps < 4096, steps, steps * 10_000)
    log(store, run_id, (steps, times, values))
    with store.database.read() as connection:
        size, parts = connection.execute(
            select(func.sum(func.length(metric_pyramid.c.buckets)), func.count()).select_from(metric_pyramid)
        ).one()
    assert size < 4 * len(steps)
    assert parts < 40
    chart = store.metrics.chart([run_id], "loss", buckets=50)[run_id]
    for row, bucket in enumerate(np.unique(steps // chart.width)):
        assert chart.maximum[row] == values[steps // chart.width == bucket].max()


def test_readers_see_every_point_once_while_another_thread_seals(store, sweep):
    sweep(store)
    [run_id] = run_ids(store)
    curve = noisy_curve(COUNT)
    log(store, run_id, tuple(column[:100] for column in curve), batch=100)
    failures: list[str] = []
    done = threading.Event()

    def read() -> None:
        known = 0
        while not done.is_set():
            history = store.metrics.history(run_id, "loss")
            drawn = store.metrics.chart([run_id], "loss", buckets=COUNT)[run_id]
            if not np.array_equal(history.steps, np.arange(len(history))) or len(history) < known:
                failures.append(f"a history of {len(history)} points after one of {known}")
            if drawn.steps[-1] + 1 < len(history):
                failures.append("the chart is behind the history")
            known = len(history)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    log(store, run_id, tuple(column[100:] for column in curve), batch=500)
    store.metrics.seal(run_id)
    done.set()
    for reader in readers:
        reader.join()
    assert failures == []


def test_unknown_names_are_not_found(sqlite_store, sweep):
    store = sqlite_store
    sweep(store)
    [run_id] = run_ids(store)
    with pytest.raises(NotFoundError, match="has not logged the metric 'loss' yet"):
        store.metrics.history(run_id, "loss")
    log(store, run_id, noisy_curve(2))
    with pytest.raises(NotFoundError, match="it has loss"):
        store.metrics.raw(run_id, "los")
    for read in (store.metrics.names, store.metrics.seal):
        with pytest.raises(NotFoundError, match="no run"):
            read("nobody")


def test_a_resumed_attempt_overwrites_what_came_after_its_checkpoint(store, claim):
    """Through the public interface: the crashed attempt logged 6 points, the next one starts at step 3."""
    run, lease = claim(store)
    with store.write(lease) as write:
        write.points([Point("loss", step, 1.0, 10.0 + step) for step in range(6)])
    store.leases.unregister(lease.worker_id)
    assert list(store.metrics.history(run.id, "loss").steps) == [0, 1, 2, 3, 4, 5]
    _, again = claim(store, begin_at=3)
    assert list(store.metrics.history(run.id, "loss").steps) == [0, 1, 2, 3]
    assert store.runs.get(run.id).summary == {"loss": 13.0}
    with store.write(again) as write:
        write.points([Point("loss", step, 2.0, 20.0 + step) for step in (3, 4)])
    history = store.metrics.history(run.id, "loss")
    assert list(zip(history.steps, history.values, history.attempts, strict=True)) == [
        (0, 10.0, 1),
        (1, 11.0, 1),
        (2, 12.0, 1),
        (3, 23.0, 2),
        (4, 24.0, 2),
    ]
    assert list(store.metrics.chart([run.id], "loss")[run.id].last) == list(history.values)
    assert len(store.metrics.raw(run.id, "loss")) == 8
    assert list(store.metrics.raw(run.id, "loss", attempt=1).steps) == [0, 1, 2, 3, 4, 5]


def test_times_are_those_of_the_last_step_of_each_bucket(store, sweep):
    sweep(store, count=2)
    ids = run_ids(store)
    curves = [noisy_curve(20_000, seed=seed) for seed in range(2)]
    for run_id, curve in zip(ids, curves, strict=True):
        log(store, run_id, curve)
    drawn = store.metrics.chart(ids, "loss", buckets=400)
    with counted_queries(store) as queries:
        found = store.metrics.times("loss", drawn)
    assert len(queries) <= 5
    for run_id, (_, logged, _) in zip(ids, curves, strict=True):
        assert found[run_id] == pytest.approx(logged[drawn[run_id].steps], abs=1e-3)


def test_of_a_history_too_long_to_be_read_times_lie_between_those_that_are(store, sweep, monkeypatch):
    sweep(store)
    (run_id,) = run_ids(store)
    curve = noisy_curve(60_000)
    log(store, run_id, curve, batch=60_000)
    monkeypatch.setattr(times, "_MOST_CHUNKS", 4)
    drawn = store.metrics.chart([run_id], "loss", buckets=400)
    found = store.metrics.times("loss", drawn)[run_id]
    assert np.all(np.diff(found) > 0)
    assert found[[0, -1]] == pytest.approx(curve[1][drawn[run_id].steps[[0, -1]]], abs=1e-3)
    assert found == pytest.approx(curve[1][drawn[run_id].steps], abs=5)  # of 3,000 seconds


def test_what_an_attempt_made_void_has_no_time(store, claim, sweep):
    run, lease = claim(store)
    with store.write(lease) as write:
        write.points([Point("loss", step, 100.0 + step, 1.0) for step in range(1, 9)])
    log(store, run.id, ([4, 5], [500.0, 501.0], [1.0, 1.0]), attempt=2)
    drawn = store.metrics.chart([run.id], "loss", buckets=100)
    found = dict(zip(drawn[run.id].steps.tolist(), store.metrics.times("loss", drawn)[run.id].tolist(), strict=True))
    assert (found[3], found[4], found[5]) == (103.0, 500.0, 501.0)


def test_ranges_are_those_of_all_that_counts(store, sweep):
    sweep(store, count=3)
    ids = run_ids(store)
    values = [3.0, 1.0, float("nan"), 2.0]
    log(store, ids[0], (range(4), range(4), values))
    log(store, ids[1], (range(1), range(1), [float("nan")]))
    with counted_queries(store) as queries:
        assert store.metrics.ranges(ids, "loss") == {ids[0]: (1.0, 3.0)}
    assert len(queries) == 1
