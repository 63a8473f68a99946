"""The live stream: each event once and in order, whatever happens to the connection."""

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2 as httpx
import pytest

from modelyard.domain.control import SetPriority
from modelyard.domain.ports import Point
from modelyard.domain.run import Experiment, Lease, Reason, ReasonCode, Run, RunState
from modelyard.server import live
from modelyard.store import Store

Message = tuple[str, str, Any]


@contextmanager
def _listen(served: httpx.Client, **options: Any) -> Iterator[Iterator[Message]]:
    """Yield the messages of a stream as (kind, id, data)."""
    headers = options.pop("headers", {})
    with served.stream("GET", "/api/v1/stream", params=options, headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield _messages(answer.iter_lines())


def _messages(lines: Iterator[str]) -> Iterator[Message]:
    fields: dict[str, str] = {}
    for line in lines:
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            yield fields.get("event", ""), fields.get("id", ""), json.loads(fields["data"])
            fields = {}


def _until(messages: Iterator[Message], found: Callable[[Message], bool]) -> list[Message]:
    seen = []
    for message in messages:
        seen.append(message)
        if found(message):
            break
    return seen


@pytest.fixture
def training(store: Store, queued: Experiment) -> tuple[Run, Lease]:
    ((run, lease),) = store.leases.claim(store.leases.register(), limit=1)
    with store.write(lease) as write:
        write.begin(start_step=0, checkpoint_id=None, total_steps=100, execution="solo", device="cpu", reason="")
    return run, lease


def _seqs(messages: list[Message]) -> list[int]:
    return [data["seq"] for kind, _, data in messages if kind == "event"]


def test_it_begins_now_or_after_an_event(served: httpx.Client, store: Store, queued: Experiment) -> None:
    newest = store.events.last_seq()
    with _listen(served) as messages:
        kind, _, hello = next(messages)
        assert (kind, hello["last_seq"]) == ("hello", newest)
        store.runs.delete(store.runs.get("digits-1").id, actor="bob")
        assert _seqs(_until(messages, lambda one: one[0] == "event")) == [newest + 1]
    with _listen(served, after=1) as messages:
        assert _seqs(_until(messages, lambda one: one[1] == str(newest + 1))) == list(range(2, newest + 2))


def test_a_browser_that_reconnects_goes_on_where_it_was(served: httpx.Client, queued: Experiment) -> None:
    with _listen(served, after=0, headers={"Last-Event-ID": "2"}) as messages:
        assert _seqs(_until(messages, lambda one: one[0] == "event")) == [3]


def test_every_event_once_however_often_the_connection_breaks(
    served: httpx.Client, store: Store, queued: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "KEPT_EVENTS", 5)
    monkeypatch.setattr(live, "BATCH", 3)
    runs = [run.id for run in store.runs.list()]
    done = threading.Event()

    def change() -> None:
        for number in range(60):
            store.runs.request(runs[number % 3], SetPriority(priority=number), actor="bob")
            time.sleep(0.01)
        done.set()

    writer = threading.Thread(target=change)
    writer.start()
    chance = random.Random(1)
    seen: list[int] = []
    while not (done.is_set() and seen and seen[-1] == store.events.last_seq()):
        with _listen(served, after=seen[-1] if seen else 0) as messages:
            count = chance.randint(1, 20)
            for message in messages:
                seen += _seqs([message])
                count -= message[0] == "event"
                if count <= 0 or (done.is_set() and seen and seen[-1] == store.events.last_seq()):
                    break
    writer.join()
    assert seen == list(range(1, store.events.last_seq() + 1))


def test_how_far_runs_are_is_told_until_they_end(
    served: httpx.Client, store: Store, training: tuple[Run, Lease]
) -> None:
    run, lease = training
    with _listen(served) as messages:
        first = _until(messages, lambda one: one[0] == "progress")[-1][2]
        assert [(one["run_id"], one["step"]) for one in first] == [(run.id, 0)]
        with store.write(lease) as write:
            write.points([Point("loss", 10, time.time(), 0.5), Point("bad", 10, time.time(), float("inf"))])
            write.progress(step=10, epoch=1, total_steps=100)
        (told,) = _until(messages, lambda one: one[0] == "progress" and one[2][0]["step"] == 10)[-1][2]
        assert told["summary"] == {"loss": 0.5, "bad": None}
        with store.write(lease) as write:
            write.transition(RunState.COMPLETED, Reason(code=ReasonCode.FINISHED, message="done"))
        last = _until(messages, lambda one: one[0] == "progress")
        assert last[-1][2][0]["state"] == "completed"


def test_lines_and_points_come_after_their_cursors(
    served: httpx.Client, store: Store, training: tuple[Run, Lease]
) -> None:
    run, lease = training

    def log(steps: range) -> None:
        with store.write(lease) as write:
            write.points([Point("val/loss, all", step, 1.5, step / 10) for step in steps])
            write.lines([f"step {step}" for step in steps])
            write.progress(step=steps[-1], epoch=0, total_steps=100)

    log(range(1, 4))
    with _listen(served, lines=f"{run.id},2", points=f"{run.id},1,val/loss, all") as messages:
        begun = {kind: data for kind, _, data in [next(messages) for _ in range(3)]}
        assert [line["text"] for line in begun["lines"]["lines"]] == ["step 3"]
        assert (begun["points"]["steps"], begun["points"]["values"]) == ([2, 3], [0.2, 0.3])
        log(range(4, 6))
        news = {kind: data for kind, _, data in _until(messages, lambda one: one[0] == "points")}
        more = (
            {kind: data for kind, _, data in _until(messages, lambda one: one[0] == "lines")}
            if "lines" not in news
            else news
        )
        assert [line["number"] for line in more["lines"]["lines"]] == [4, 5]
        assert (news["points"]["steps"], news["points"]["next"]) == ([4, 5], 5)
    assert begun["points"]["next"] == 3


def test_points_are_read_across_sealed_chunks(served: httpx.Client, store: Store, training: tuple[Run, Lease]) -> None:
    run, lease = training
    for start in range(0, 10_000, 1000):
        with store.write(lease) as write:
            write.points([Point("loss", step, 0.0, float(step)) for step in range(start, start + 1000)])
    for cursor in (0, 1, 4095, 4096, 8191, 8192, 9999):
        with _listen(served, points=f"{run.id},{cursor},loss") as messages:
            points = _until(messages, lambda one: one[0] == "points")[-1][2]
            assert points["steps"] == list(range(cursor, 10_000))


def test_runs_that_are_gone_end_no_stream(served: httpx.Client, store: Store, queued: Experiment) -> None:
    run = store.runs.get("digits-1")
    with _listen(served, lines=f"{run.id},0", points=f"{run.id},0,loss") as messages:
        next(messages)
        store.runs.delete(run.id, actor="bob")
        assert _until(messages, lambda one: one[0] == "event")[-1][2]["payload"]["type"] == "run.deleted"
        store.runs.delete(store.runs.get("digits-2").id, actor="bob")
        assert _until(messages, lambda one: one[0] == "event")[-1][2]["payload"]["type"] == "run.deleted"


def test_a_server_that_ends_ends_its_streams(served: httpx.Client, context: Any) -> None:
    with _listen(served) as messages:
        next(messages)
        context.live.close()
        assert list(messages) == []


def test_nobody_watching_costs_nothing(served: httpx.Client, context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    look = context.live._look
    monkeypatch.setattr(context.live, "_look", lambda *given: looks.append(1) or look(*given))
    with _listen(served) as messages:
        next(messages)
        while not looks:
            time.sleep(0.01)
    while context.live._watchers:
        time.sleep(0.01)
    time.sleep(3 * live.LOOK_SECONDS)
    before = len(looks)
    time.sleep(3 * live.LOOK_SECONDS)
    assert len(looks) == before


def test_a_run_that_goes_while_nobody_watches_any_more_ends_no_feed(
    served: httpx.Client, store: Store, context: Any, training: tuple[Run, Lease], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, lease = training
    look = context.live._look
    looking, going = threading.Event(), threading.Event()

    def slow(seq: int | None, runs: Any) -> Any:
        found = look(seq, runs)
        if found.deleted:
            looking.set()
            going.wait(10)
        return found

    monkeypatch.setattr(context.live, "_look", slow)
    with _listen(served) as messages:
        _until(messages, lambda one: one[0] == "progress")
        with store.write(lease) as write:
            write.transition(RunState.COMPLETED, Reason(code=ReasonCode.FINISHED, message="done"))
        store.runs.delete(run.id, actor="bob")
        assert looking.wait(10)
    while context.live._watchers:
        time.sleep(0.01)
    with _listen(served) as messages:
        next(messages)
        going.set()
        store.runs.delete(store.runs.get("digits-2").id, actor="bob")
        assert _until(messages, lambda one: one[0] == "event")[-1][2]["payload"]["type"] == "run.deleted"
