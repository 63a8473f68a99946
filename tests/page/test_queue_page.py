"""The queue page: moving a run changes its priority in the store, and the list shows only what the store has."""

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Locator, Page, Route, expect

from modelyard.domain.run import Experiment
from modelyard.store import Store

Make = Callable[..., Experiment]


def _rows(page: Page) -> Locator:
    return page.get_by_role("list", name="Queued runs").get_by_role("listitem")


def _expect_order(page: Page, *names: str) -> None:
    for index, name in enumerate(names):
        expect(_rows(page).nth(index).get_by_role("link")).to_have_text(name)


def _priorities(store: Store) -> list[int]:
    return [run.priority for run in store.runs.list()]


def test_runs_move_by_buttons_and_keyboard(page: Page, make: Make, store: Store) -> None:
    page.get_by_role("link", name="Queue").click()
    expect(page.get_by_text("Nothing is queued")).to_be_visible()
    make()
    expect(page.get_by_text("3 queued, 0 in training")).to_be_visible()
    _expect_order(page, "rates-1", "rates-2", "rates-3")
    expect(page.get_by_role("button", name="Move rates-1 up")).to_be_disabled()
    expect(page.get_by_role("button", name="Move rates-3 down")).to_be_disabled()
    page.get_by_role("button", name="Move rates-3 first").click()
    _expect_order(page, "rates-3", "rates-1", "rates-2")
    assert _priorities(store) == [0, 0, 1]
    expect(_rows(page).first).to_contain_text("priority 1")
    down = page.get_by_role("button", name="Move rates-1 down")
    down.focus()
    page.keyboard.press("Enter")
    _expect_order(page, "rates-3", "rates-2", "rates-1")
    expect(page.get_by_role("button", name="Move rates-1 first")).to_be_focused()
    up = page.get_by_role("button", name="Move rates-1 up")
    up.focus()
    page.keyboard.press("Space")
    _expect_order(page, "rates-3", "rates-1", "rates-2")
    expect(up).to_be_focused()
    assert {record.actor for record in store.controls.history(store.runs.get("rates-1").id)} != set()


def test_a_run_is_dragged_to_its_place(page: Page, make: Make, store: Store) -> None:
    make()
    page.goto("/queue")
    _rows(page).nth(2).drag_to(_rows(page).nth(0))
    _expect_order(page, "rates-3", "rates-1", "rates-2")
    _rows(page).nth(0).drag_to(_rows(page).nth(2))
    _expect_order(page, "rates-1", "rates-2", "rates-3")
    worker = store.leases.register()
    claimed = [store.leases.claim(worker, limit=1)[0][0].name for _ in range(3)]
    assert claimed == ["rates-1", "rates-2", "rates-3"]


def test_what_is_asked_for_is_not_shown_as_done(page: Page, make: Make, store: Store) -> None:
    make()
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.goto("/queue")
    page.route("**/api/v1/operations", hold)
    page.get_by_role("button", name="Move rates-3 first").click()
    expect(_rows(page).nth(2)).to_contain_text("priority 0, 1 asked for")
    expect(page.get_by_role("button", name="Move rates-2 up")).to_be_disabled()
    _expect_order(page, "rates-1", "rates-2", "rates-3")
    held[0].abort()
    expect(page.get_by_role("alert")).to_contain_text("the server cannot be reached")
    expect(page.get_by_text("asked for")).to_be_hidden()
    assert _priorities(store) == [0, 0, 0]
    page.unroute("**/api/v1/operations")
    page.get_by_role("button", name="Move rates-3 first").click()
    _expect_order(page, "rates-3", "rates-1", "rates-2")
    expect(page.get_by_role("alert")).to_be_hidden()


def test_the_queue_follows_what_happens_and_says_what_runs_wait_for(page: Page, make: Make, engine: Any) -> None:
    page.goto("/queue")
    expect(page.get_by_role("status")).to_have_text("live")
    make()
    expect(_rows(page).nth(0)).to_contain_text("waits for a free place on a device")
    expect(_rows(page).nth(2)).to_contain_text("2 runs are before it")
    engine.poll()
    expect(page.get_by_text("Nothing is queued")).to_be_visible()
    expect(page.get_by_text("0 queued, 3 in training")).to_be_visible()
