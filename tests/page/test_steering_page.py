"""Tune, clone and delete in the page."""

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

from modelyard.domain.control import Tune
from modelyard.domain.run import Experiment
from modelyard.store import Store

Make = Callable[..., Experiment]


def test_tuning_one_run_and_refusing_nonsense(page: Page, make: Make, engine: Any, store: Store) -> None:
    make(epochs=9)
    engine.poll()
    page.goto("/runs/rates-2")
    page.get_by_role("button", name="Tune").click()
    window = page.get_by_role("dialog", name="Tune rates-2")
    expect(window.get_by_role("button", name="Tune")).to_be_disabled()
    window.get_by_label("Learning rate").fill("-1")
    window.get_by_role("button", name="Tune").click()
    expect(window.get_by_role("alert")).to_contain_text("learning_rate")
    assert store.controls.history(store.runs.get("rates-2").id) == []
    window.get_by_label("Learning rate").fill("0.5")
    window.get_by_label("Weight decay").fill("0.25")
    window.get_by_label("Epochs").fill("12")
    window.get_by_role("button", name="Tune").click()
    expect(window).to_be_hidden()
    (record,) = store.controls.history(store.runs.get("rates-2").id)
    assert record.op == Tune(learning_rate=0.5, weight_decay=0.25, epochs=12)
    engine.poll()
    page.get_by_role("tab", name="events").click()
    expect(
        page.get_by_text("tune learning_rate=0.5 weight_decay=0.25 epochs=12 took effect at step 10")
    ).to_be_visible()


def test_a_clone_shows_its_changes_and_begins_where_it_is_told_to(
    page: Page, make: Make, engine: Any, store: Store
) -> None:
    make(epochs=2)
    for _ in range(3):
        engine.poll()
    page.goto("/runs/rates-1")
    page.get_by_role("button", name="Clone").click()
    window = page.get_by_role("dialog", name="Clone rates-1")
    window.get_by_label("Find a field").fill("optimizer")
    rate = window.get_by_label("optimizer.learning_rate")
    rate.fill("0.5")
    expect(window.get_by_role("list", name="Changes")).to_have_text("optimizer.learning_rate: 0.01 → 0.5")
    rate.fill("oops")
    window.get_by_role("button", name="Clone").click()
    expect(window.get_by_role("alert")).to_contain_text("optimizer.learning_rate")
    rate.fill("0.5")
    expect(window.get_by_label("Take over the optimizer's state")).to_be_disabled()
    window.get_by_label("Weights").select_option("last")
    window.get_by_label("Take over the optimizer's state").check()
    window.get_by_role("button", name="Clone").click()
    expect(page.get_by_role("heading", name="rates-4")).to_be_visible()
    clone = store.runs.get("rates-4")
    assert clone.spec.optimizer.learning_rate == 0.5
    assert clone.parent_id == store.runs.get("rates-1").id
    assert clone.warm_start is not None
    assert clone.inherit_optimizer


def test_a_run_is_deleted_after_one_question(page: Page, make: Make, store: Store) -> None:
    make()
    page.goto("/runs/rates-2")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Keep").click()
    assert len(store.runs.list()) == 3
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete run rates-2").click()
    expect(page.get_by_role("heading", name="rates")).to_be_visible()
    expect(page.get_by_text("2 runs")).to_be_visible()
    assert [run.name for run in store.runs.list()] == ["rates-1", "rates-3"]


def test_an_experiment_is_deleted_only_while_nothing_trains(page: Page, make: Make, engine: Any, store: Store) -> None:
    made = make()
    page.goto(f"/experiments/{made.id}")
    delete = page.get_by_role("button", name="Delete", exact=True)
    expect(delete).to_be_enabled()
    engine.poll()
    expect(delete).to_be_disabled()
    for _ in range(4):
        engine.poll()
    delete.click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    delete.click()
    page.get_by_role("button", name="Delete experiment rates with 3 runs").click()
    expect(page.get_by_text("No experiments yet")).to_be_visible()
    assert store.experiments.list() == []
