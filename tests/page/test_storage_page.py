"""The storage page: what it shows is what the disk has, and what it says is freed is freed."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from modelyard.domain.run import Experiment
from modelyard.store import Store

Make = Callable[..., Experiment]


@pytest.fixture
def trained(make: Make, engine: Any) -> Experiment:
    made = make(epochs=1)
    for _ in range(3):
        engine.poll()
    return made


@pytest.mark.usefixtures("trained")
def test_by_kind_by_experiment_and_by_run_with_links(page: Page) -> None:
    page.get_by_role("link", name="Storage").click()
    expect(page.get_by_role("heading", name="Storage")).to_be_visible()
    expect(page.get_by_text("are free")).to_be_visible()
    kinds = page.get_by_role("table", name="By kind")
    expect(kinds.get_by_role("row").filter(has_text="Checkpoints")).to_contain_text("B")
    runs = page.get_by_role("table", name="By run")
    expect(runs.get_by_role("link")).to_have_count(3)
    runs.get_by_role("link", name="rates-2").click()
    expect(page.get_by_role("heading", name="rates-2")).to_be_visible()
    page.go_back()
    page.get_by_role("table", name="By experiment").get_by_role("link", name="rates").click()
    expect(page.get_by_role("heading", name="rates")).to_be_visible()


def test_a_collection_is_first_tried_then_done(page: Page, store: Store) -> None:
    blob = store.blobs.put([b"a" * 5000])
    store.blobs.unpin([blob])
    page.goto("/storage")
    unneeded = page.get_by_role("row").filter(has_text="Needed by nothing")
    expect(unneeded).to_contain_text("5.00 kB")
    page.get_by_role("button", name="What would go?").click()
    expect(page.get_by_text("It would delete 1 files that no run needs: 5.00 kB.")).to_be_visible()
    assert store.blobs.exists(blob.digest)
    page.get_by_role("button", name="Free 5.00 kB").click()
    expect(page.get_by_text("Deleted 1 files that no run needs: 5.00 kB are free again.")).to_be_visible()
    assert not store.blobs.exists(blob.digest)
    expect(unneeded).to_contain_text("0 B")
    page.get_by_role("button", name="What would go?").click()
    expect(page.get_by_text("Nothing to free")).to_be_visible()
    expect(page.get_by_role("button", name="Free", exact=False).filter(has_text="kB")).to_be_hidden()


def test_it_is_measured_again_when_something_goes_and_when_asked(page: Page, trained: Experiment, store: Store) -> None:
    page.goto("/storage")
    logs = page.get_by_role("row").filter(has_text="Logs of processes")
    expect(logs).to_contain_text("0 B")
    store.home.worker_log("w1").write_text("x" * 1234)
    page.get_by_role("button", name="Measure again").click()
    expect(logs).to_contain_text("1.23 kB")
    store.experiments.delete(trained.id, actor="bob")
    expect(page.get_by_role("table", name="By run")).to_be_hidden()


@pytest.mark.usefixtures("trained")
def test_deleting_says_before_what_it_frees(page: Page, store: Store) -> None:
    size = store.gc.footprint([run.id for run in store.runs.list()])
    page.goto("/runs/rates-1")
    page.get_by_role("button", name="Delete").click()
    own = store.gc.footprint([store.runs.get("rates-1").id])
    assert 0 < own.own < size.own, "the confusion matrices are the same"
    window = page.get_by_role("dialog")
    expect(window.get_by_text(f"It frees {own.own} B of files. Another {own.files - own.own} B stays")).to_be_visible()
    page.get_by_role("button", name="Keep").click()
    page.goto("/experiments/rates")
    page.get_by_role("button", name="Delete").click()
    expect(window.get_by_text(f"It frees {size.own} B of files.")).to_be_visible()
    page.get_by_role("button", name="Delete experiment rates with 3 runs").click()
    expect(page.get_by_text("No experiments yet")).to_be_visible()
    assert store.gc.usage().unreferenced == 0
    assert store.gc.usage().checkpoints == 0
