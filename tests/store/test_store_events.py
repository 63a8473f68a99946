"""The feed: in order, filtered, and without ever hiding a committed event from a reader that went on."""

import threading

import pytest

from modelyard.domain.control import SetPriority
from modelyard.domain.events import GarbageCollected
from modelyard.store import eventfeed


def test_read_pages_in_order(store, sweep):
    sweep(store, 5)
    assert [event.seq for event in store.events.read()] == [1, 2, 3, 4, 5, 6]
    assert [event.seq for event in store.events.read(after=2, limit=3)] == [3, 4, 5]
    assert store.events.read(after=6) == []
    assert store.events.last_seq() == 6


def test_an_empty_feed(store):
    assert store.events.read() == []
    assert store.events.last_seq() == 0


def test_filters(store, sweep):
    a, b = sweep(store, 2, name="a"), sweep(store, 1, name="b")
    run = store.runs.get("a-2")
    store.runs.request(run.id, SetPriority(priority=1), actor="ada")
    types = [event.payload.type for event in store.events.read(run_id=run.id)]
    assert types == ["run.created", "control.requested", "control.acknowledged"]
    assert len(store.events.read(experiment_id=a.id)) == 5
    assert {event.experiment_id for event in store.events.read(experiment_id=b.id)} == {b.id}
    assert store.events.read(run_id="nobody") == []


def test_an_event_that_was_rolled_back_was_never_there(store):
    def fail():
        with store.database.write() as connection:
            eventfeed.append(connection, GarbageCollected(blobs=1, freed_bytes=1), actor="x")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert store.events.read() == []


def test_a_reader_that_follows_the_feed_misses_nothing(store):
    writers, per_writer = 4, 25
    done = threading.Event()
    seen = []

    def follow():
        after = 0
        while True:
            finished = done.is_set()  # looked at before reading, so that the last read comes after the last write
            page = store.events.read(after=after)
            seen.extend(event.payload.blobs for event in page)
            after = page[-1].seq if page else after
            if finished and not page:
                return

    def write(number):
        for i in range(per_writer):
            with store.database.write() as connection:
                payload = GarbageCollected(blobs=number * per_writer + i, freed_bytes=0)
                eventfeed.append(connection, payload, actor="x")

    reader = threading.Thread(target=follow)
    threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
    for thread in [reader, *threads]:
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    reader.join()
    assert sorted(seen) == list(range(writers * per_writer))


def test_an_event_is_not_visible_before_an_earlier_one(store):
    """While one transaction holds number n, no other can commit number n + 1."""
    inside, leave = threading.Event(), threading.Event()
    payload = GarbageCollected(blobs=0, freed_bytes=0)

    def slow():
        with store.database.write() as connection:
            eventfeed.append(connection, payload, actor="slow")
            inside.set()
            leave.wait(10)

    def fast():
        with store.database.write() as connection:
            eventfeed.append(connection, payload, actor="fast")

    first, second = threading.Thread(target=slow), threading.Thread(target=fast)
    first.start()
    inside.wait(10)
    second.start()
    second.join(0.3)
    assert store.events.read() == []
    leave.set()
    first.join()
    second.join()
    assert [event.actor for event in store.events.read()] == ["slow", "fast"]
