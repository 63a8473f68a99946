"""Every control of the page changes what it says it changes, and what is shown is true, live."""

import re
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from modelyard.domain.run import Experiment, RunState
from modelyard.store import Store

Make = Callable[..., Experiment]


def _row(page: Page, run: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_role("link", name=run, exact=True))


def _names(page: Page) -> list[str]:
    return page.get_by_role("row").get_by_role("link").all_text_contents()


def _open(page: Page, name: str = "rates") -> None:
    page.get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()


def _stored(store: Store, run: str, count: int) -> None:
    """Wait until so many requests to a run are in the store: the page shows them before."""
    run_id = store.runs.get(run).id
    while len([one for one in store.controls.history(run_id) if one.op.kind != "resume"]) < count:
        time.sleep(0.02)


def test_an_empty_home_says_what_to_type(page: Page) -> None:
    expect(page.get_by_text("No experiments yet")).to_be_visible()
    expect(page.get_by_text("modelyard train sweep.yaml")).to_be_visible()


def test_an_experiment_appears_and_goes_by_itself(page: Page, make: Make, store: Store) -> None:
    expect(page.get_by_text("No experiments yet")).to_be_visible()
    expect(page.get_by_role("status")).to_have_text("live")
    made = make()
    expect(page.get_by_role("link", name="rates")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="rates")).to_contain_text("3 queued")
    store.experiments.delete(made.id, actor="bob")
    expect(page.get_by_text("No experiments yet")).to_be_visible()


def test_training_is_seen_live(page: Page, make: Make, engine: Any) -> None:
    make()
    _open(page)
    expect(_row(page, "rates-1")).to_contain_text("queued")
    engine.poll()
    expect(_row(page, "rates-1")).to_contain_text("running")
    expect(_row(page, "rates-1")).to_contain_text("1/3")
    expect(page.get_by_role("img", name="val_accuracy of 3 runs by step")).to_be_visible()
    for _ in range(3):
        engine.poll()
    expect(_row(page, "rates-3")).to_contain_text("completed")
    expect(_row(page, "rates-3")).to_contain_text("3/3")


def test_columns_sort_and_the_address_keeps_it(page: Page, make: Make) -> None:
    make()
    _open(page)
    head = page.get_by_role("button", name="optimizer.learning_rate")
    expect(_row(page, "rates-1")).to_contain_text("0.01")
    head.click()
    head.click()
    expect(page).to_have_url(re.compile("sort=-optimizer.learning_rate"))
    expect(page.get_by_role("row").nth(1)).to_contain_text("rates-3")
    assert _names(page) == ["rates-3", "rates-2", "rates-1"]
    page.reload()
    expect(page.get_by_role("row").nth(1)).to_contain_text("rates-3")
    head.click()
    expect(page.get_by_role("row").nth(1)).to_contain_text("rates-1")


def test_a_filter_picks_runs_and_a_wrong_one_is_explained(page: Page, make: Make) -> None:
    make()
    _open(page)
    box = page.get_by_role("textbox", name="Filter runs")
    box.fill("optimizer.learning_rate > 0.015")
    box.press("Enter")
    expect(page.get_by_text("2 runs")).to_be_visible()
    assert _names(page) == ["rates-2", "rates-3"]
    box.fill("learning_rat > 1")
    box.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("no run has a field 'learning_rat'")
    box.fill("")
    box.press("Enter")
    expect(page.get_by_text("3 runs")).to_be_visible()


def test_chosen_runs_are_drawn_and_steered(page: Page, make: Make, engine: Any, store: Store) -> None:
    make()
    engine.poll()
    _open(page)
    page.get_by_role("checkbox", name="Select rates-2").check()
    expect(page.get_by_text("1 selected")).to_be_visible()
    expect(page.get_by_role("img", name="val_loss of 1 runs by step")).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    expect(_row(page, "rates-2")).to_contain_text("pause asked for")  # and not: paused
    _stored(store, "rates-2", 1)
    engine.poll()
    expect(_row(page, "rates-2")).to_contain_text("paused")
    assert [run.state for run in store.runs.list()].count(RunState.PAUSED) == 1
    page.get_by_role("button", name="Resume").click()
    expect(_row(page, "rates-2")).to_contain_text("queued")
    engine.poll()
    expect(_row(page, "rates-2")).to_contain_text("running")
    page.get_by_role("button", name="Stop").click()
    expect(_row(page, "rates-2")).to_contain_text("stop asked for")
    _stored(store, "rates-2", 2)
    engine.poll()
    expect(_row(page, "rates-2")).to_contain_text("stopped")
    expect(page.get_by_role("button", name="Stop")).to_be_disabled()
    page.get_by_role("checkbox", name="Select all runs").check()
    expect(page.get_by_text("3 selected")).to_be_visible()
    page.get_by_role("checkbox", name="Select all runs").uncheck()
    expect(page.get_by_text("3 selected")).to_be_hidden()


def test_what_happens_while_an_answer_is_on_its_way_is_not_missed(page: Page, make: Make) -> None:
    def late(route: Route) -> None:
        answer = route.fetch()
        if not made:
            made.append(make())
            time.sleep(1)  # its event is there before the answer that does not know of it
        route.fulfill(response=answer)

    made: list[Experiment] = []
    page.route("**/api/v1/experiments", late)
    page.reload()
    expect(page.get_by_role("link", name="rates", exact=True)).to_be_visible()
    assert len(made) == 1


def test_what_was_carried_out_before_the_answer_came_is_no_longer_asked_for(
    page: Page, make: Make, engine: Any
) -> None:
    def late(route: Route) -> None:
        answer = route.fetch()
        engine.poll()
        time.sleep(1)
        route.fulfill(response=answer)

    make()
    engine.poll()
    _open(page)
    page.route("**/api/v1/operations", late)
    page.get_by_role("button", name="Pause").click()
    expect(_row(page, "rates-2")).to_contain_text("paused")


def test_a_filter_by_state_follows_what_happens(page: Page, make: Make, engine: Any) -> None:
    make()
    engine.poll()
    _open(page)
    box = page.get_by_role("textbox", name="Filter runs")
    box.fill("state = running")
    box.press("Enter")
    expect(page.get_by_text("3 runs")).to_be_visible()
    for _ in range(4):
        engine.poll()
    expect(page.get_by_text("0 runs")).to_be_visible()


def test_what_was_refused_is_said(page: Page, make: Make, store: Store) -> None:
    make()
    _open(page)
    expect(_row(page, "rates-1")).to_contain_text("queued")
    page.route("**/api/v1/operations", lambda route: route.abort())
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("alert")).to_contain_text("the server cannot be reached")
    expect(_row(page, "rates-1")).to_contain_text("queued")
    assert {run.state for run in store.runs.list()} == {RunState.QUEUED}


def test_smoothing_and_a_logarithmic_axis_change_the_drawing(page: Page, make: Make, engine: Any) -> None:
    make(epochs=20)
    for _ in range(10):
        engine.poll()
    _open(page)
    chart = page.get_by_role("img", name="train_loss of 3 runs by step")
    expect(chart).to_be_visible()

    def drawing() -> bytes:
        page.mouse.move(5, 5)
        page.wait_for_timeout(300)
        return chart.screenshot()

    plain = drawing()
    page.get_by_label("Smoothing").fill("0.95")
    expect(page).to_have_url(re.compile("smoothing=0.95"))
    smoothed = drawing()
    assert smoothed != plain
    page.get_by_label("Logarithmic").check()
    expect(page).to_have_url(re.compile("log=true"))
    assert drawing() != smoothed


def test_a_run_and_its_tabs(page: Page, make: Make, engine: Any) -> None:
    make()
    engine.poll()
    engine.poll()
    _open(page)
    page.get_by_role("link", name="rates-2").click()
    expect(page.get_by_role("heading", name="rates-2")).to_be_visible()
    expect(page.get_by_role("img", name="val_loss of 1 runs by step")).to_be_visible()
    page.get_by_role("tab", name="config").click()
    expect(page.get_by_role("row").filter(has_text="optimizer.learning_rate")).to_contain_text("0.02")
    page.get_by_role("tab", name="logs").click()
    expect(page.get_by_role("log")).to_contain_text("epoch 2 done")
    engine.poll()
    expect(page.get_by_role("log")).to_contain_text("epoch 3 done")
    page.get_by_role("searchbox", name="Search the log").fill("epoch 1")
    expect(page.get_by_text("1 matches")).to_be_visible()
    page.get_by_role("tab", name="checkpoints").click()
    expect(page.get_by_text("No checkpoint yet.")).to_be_visible()
    engine.poll()
    expect(page.get_by_role("row").filter(has_text="best")).to_contain_text("30")
    page.get_by_role("tab", name="events").click()
    expect(page.get_by_text("completed at step 30")).to_be_visible()
    expect(page).to_have_url(re.compile("tab=events"))
    page.get_by_role("link", name="rates", exact=True).click()
    expect(page.get_by_role("heading", name="rates")).to_be_visible()


def test_a_log_is_followed_unless_that_is_switched_off(page: Page, make: Make, engine: Any) -> None:
    make(epochs=200)
    for _ in range(100):
        engine.poll()
    page.goto("/runs/rates-1?tab=logs")
    log = page.get_by_role("log")
    expect(log.get_by_text("epoch 100 done")).to_be_visible()
    page.get_by_label("Follow").uncheck()
    log.evaluate("element => { element.scrollTop = 0 }")
    expect(log.get_by_text("epoch 1 done")).to_be_visible()
    engine.poll()
    expect(page.get_by_text("102 lines")).to_be_visible()
    expect(log.get_by_text("epoch 1 done")).to_be_visible()
    page.get_by_label("Follow").check()
    expect(log.get_by_text("epoch 101 done")).to_be_visible()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_page_that_lost_its_server_says_so_and_catches_up(
    page: Page, server: Any, make: Make, engine: Any, number: int
) -> None:
    make()
    _open(page)
    expect(page.get_by_role("status")).to_have_text("live")
    server.end(number)
    expect(page.get_by_role("status")).to_contain_text("the server is not there")
    for _ in range(4):
        engine.poll()
    server.start()
    expect(page.get_by_role("status")).to_have_text("live", timeout=20_000)
    expect(_row(page, "rates-1")).to_contain_text("completed")
    expect(_row(page, "rates-1")).to_contain_text("3/3")


def test_that_nobody_trains_is_said(page: Page, store: Store) -> None:
    expect(page.get_by_text("no agent: queued runs wait")).to_be_visible()
    agent = store.leases.register(kind="agent")
    expect(page.get_by_text("no agent")).to_be_hidden(timeout=15_000)
    store.leases.unregister(agent)


def test_themes(page: Page, make: Make) -> None:
    def background() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    def turns(colour: str) -> None:
        page.wait_for_function("wanted => getComputedStyle(document.body).backgroundColor === wanted", arg=colour)

    page.get_by_label("Theme").select_option("light")
    light = background()
    page.get_by_label("Theme").select_option("dark")
    dark = background()
    page.get_by_label("Theme").select_option("contrast")
    assert len({light, dark, background()}) == 3
    page.get_by_label("Theme").select_option("dark")
    page.reload()
    assert background() == dark
    page.get_by_label("Theme").select_option("system")
    page.emulate_media(color_scheme="light")
    turns(light)
    page.emulate_media(color_scheme="dark")
    turns(dark)


def test_addresses_that_are_nothing_say_so(page: Page) -> None:
    page.goto("/runs/nobody")
    expect(page.get_by_role("alert")).to_contain_text("no run 'nobody'")
    page.goto("/experiments/nothing")
    expect(page.get_by_role("alert")).to_contain_text("no experiment 'nothing'")
    page.goto("/what/ever")
    expect(page.get_by_text("There is nothing at this address")).to_be_visible()
