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


def test_lines_with_a_text_are_found_whatever_the_case(store, claim):
    run, lease = claim(store)
    with store.write(lease) as write:
        write.lines(["Loss 0.5", "nothing", "the LOSS is 100%", "100 of it", "a_b", "axb"])
    assert store.logs.find(run.id, "loss") == [1, 3]
    assert store.logs.find(run.id, "loss", after=1) == [3]
    assert store.logs.find(run.id, "0", limit=1) == [1]
    assert store.logs.find(run.id, "100%") == [3]
    assert store.logs.find(run.id, "a_b") == [5]
    with pytest.raises(NotFoundError):
        store.logs.find("nobody", "loss")


def test_warnings_and_errors_are_told_from_the_rest(store, claim):
    run, lease = claim(store)
    trouble = [
        "WARNING torch: slow",
        "ERROR modelyard: broken",
        "UserWarning: is deprecated",
        "Traceback (most recent call last):",
        "torch.cuda.OutOfMemoryError: no room",
        "2026-01-01 [CRITICAL] gone",
    ]
    with store.write(lease) as write:
        write.lines(["epoch 1/3 val_error=0.5", *trouble, "TERROR", "no errors, no warnings", "MY_WARNING"])
    assert [line.text for line in store.logs.read(run.id, trouble=True)] == trouble
    assert [line.number for line in store.logs.read(run.id, after=3, limit=2, trouble=True)] == [4, 5]
