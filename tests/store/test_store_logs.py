"""Log lines: numbered without gaps, read onward or from the end, whatever bytes a program prints."""

import pytest

from modelyard.domain.errors import NotFoundError


def test_lines_come_back_in_order_with_their_attempt(store, claim):
    run, lease = claim(store)
    for start in (0, 3):
        with store.write(lease) as write:
            write.lines([f"line {number}" for number in range(start, start + 3)])
    store.leases.unregister(lease.worker_id)
    _, again = claim(store)
    with store.write(again) as write:
        write.lines(["resumed"])
    lines = store.logs.read(run.id)
    assert [line.number for line in lines] == [1, 2, 3, 4, 5, 6, 7]
    assert [line.text for line in lines] == [*(f"line {number}" for number in range(6)), "resumed"]
    assert [line.attempt for line in lines] == [1] * 6 + [2]
    assert lines[0].time <= lines[-1].time


def test_read_goes_on_where_it_ended_and_tail_starts_at_the_end(store, claim):
    run, lease = claim(store)
    with store.write(lease) as write:
        write.lines([str(number) for number in range(1, 11)])
    assert [line.text for line in store.logs.read(run.id, after=4, limit=3)] == ["5", "6", "7"]
    assert store.logs.read(run.id, after=10) == []
    assert [line.text for line in store.logs.tail(run.id, 3)] == ["8", "9", "10"]
    assert len(store.logs.tail(run.id, 100)) == 10


def test_any_text_can_be_logged(store, claim):
    run, lease = claim(store)
    with store.write(lease) as write:
        write.lines(["", "naïve 🚀", "a\0b", "half \ud800 pair", "x" * 100_000])
    assert [line.text for line in store.logs.read(run.id)] == ["", "naïve 🚀", "a\ufffdb", "half ? pair", "x" * 100_000]


def test_a_rolled_back_line_is_gone(store, claim):
    run, lease = claim(store)

    def fail():
        with store.write(lease) as write:
            write.lines(["never"])
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert store.logs.tail(run.id, 1) == []


def test_an_unknown_run_is_not_found(store):
    with pytest.raises(NotFoundError):
        store.logs.read("nobody")
