"""What a board can do: axes, columns, views, groups, and the tabs that compare runs."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from modelyard.api.search import SearchDriver
from modelyard.api.training import create
from modelyard.domain.config import SweepSpec
from modelyard.domain.run import Experiment
from modelyard.scheduler.search.expand import expand
from modelyard.store import Store

Make = Callable[..., Experiment]
RATE = "optimizer.learning_rate"


@pytest.fixture
def trained(make: Make, engine: Any) -> None:
    """Three runs of three epochs that are over."""
    make()
    for _ in range(4):
        engine.poll()


def _open(page: Page, search: str = "") -> None:
    page.goto(f"/experiments/rates{search}")
    expect(page.get_by_role("status")).to_have_text("live")
    expect(page.get_by_text("3 runs")).to_be_visible()


def _heads(page: Page) -> list[str]:
    return [text.strip() for text in page.get_by_role("columnheader").all_text_contents()]


def _drawing(page: Page, chart: Locator) -> bytes:
    page.mouse.move(5, 5)
    page.wait_for_timeout(300)
    return chart.screenshot()


def _tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()
    expect(page.get_by_role("tab", name=name, exact=True)).to_have_attribute("aria-selected", "true")


@pytest.mark.usefixtures("trained")
def test_charts_go_by_step_epoch_time_or_samples_and_a_zoom_ends_with_its_axis(page: Page) -> None:
    _open(page, "?tab=charts")
    chart = page.get_by_role("img", name="train_loss of 3 runs by step")
    whole = _drawing(page, chart)
    box = chart.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 120, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + 60, steps=5)
    page.mouse.up()
    assert _drawing(page, chart) != whole
    seen = []
    for axis in ("epoch", "time", "samples"):
        page.get_by_label("x axis").select_option(axis)
        expect(page).to_have_url(re.compile(f"x={axis}"))
        by = page.get_by_role("img", name=f"train_loss of 3 runs by {axis}")
        expect(by).to_be_visible()
        seen.append(_drawing(page, by))
    assert len({whole, *seen}) == 4
    page.get_by_label("x axis").select_option("step")
    expect(chart).to_be_visible()
    assert _drawing(page, chart) == whole  # not zoomed any more
    assert "x=" not in page.url


@pytest.mark.usefixtures("trained")
def test_a_press_on_a_line_opens_its_run(page: Page) -> None:
    page.goto("/experiments/rates?tab=charts&filter=name+%3D+%22rates-2%22")
    expect(page.get_by_text("1 runs")).to_be_visible()
    over = page.locator("figure", has_text="val_loss").locator(".u-over")
    box = over.bounding_box()
    assert box is not None
    for part in range(1, 20):  # along the middle, until the pointer is on the line
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * part / 20)
        if over.evaluate("element => element.style.cursor") == "pointer":
            break
    page.mouse.down()
    page.mouse.up()
    expect(page.get_by_role("heading", name="rates-2")).to_be_visible()


@pytest.mark.usefixtures("trained")
def test_columns_are_chosen_ordered_and_hidden(page: Page) -> None:
    _open(page, "?tab=table")
    assert _heads(page)[1:] == [
        "Run",
        "State",
        "Progress",
        "How",
        RATE,
        "val_accuracy",
        "val_loss",
        "train_loss",
        "samples_per_second",
    ]
    page.get_by_role("button", name="Columns").click()
    window = page.get_by_role("dialog")
    window.get_by_role("button", name="Hide How").click()
    window.get_by_role("searchbox", name="Search fields").fill("best.val")
    window.get_by_role("button", name="Show best.val_loss").click()
    window.get_by_role("searchbox", name="Search fields").fill("training.ep")
    window.get_by_role("button", name="Show training.epochs").click()
    for _ in range(2):
        window.get_by_role("button", name="Move training.epochs up").click()
    window.get_by_role("button", name="Move Progress down").click()
    page.keyboard.press("Escape")
    expect(window).to_be_hidden()
    expected = [
        "Run",
        "State",
        RATE,
        "Progress",
        "val_accuracy",
        "val_loss",
        "train_loss",
        "training.epochs",
        "samples_per_second",
        "best.val_loss",
    ]
    assert _heads(page)[1:] == expected
    row = page.get_by_role("row").filter(has_text="rates-1")
    expect(row.get_by_role("cell").nth(8)).to_have_text("3")
    expect(row.get_by_role("cell").nth(10)).to_have_text("0.7692")
    page.reload()
    expect(row.get_by_role("cell").nth(10)).to_have_text("0.7692")
    assert _heads(page)[1:] == expected
    page.get_by_role("button", name="best.val_loss").click()
    expect(page.get_by_role("row").nth(1)).to_contain_text("rates-3")
    page.get_by_role("button", name="Columns").click()
    page.get_by_role("button", name="As by itself").click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("columnheader", name="How")).to_be_visible()


def test_the_best_value_of_a_column_is_live(page: Page, make: Make, engine: Any) -> None:
    make(epochs=9)
    engine.poll()
    _open(page, "?tab=table&columns=%5B%22best.val_loss%22%5D")
    cell = page.get_by_role("row").filter(has_text="rates-1").get_by_role("cell").nth(3)
    expect(cell).to_have_text("0.9091")
    engine.poll()
    expect(cell).to_have_text("0.8333")


@pytest.mark.usefixtures("trained")
def test_a_view_is_saved_loaded_overwritten_and_deleted(page: Page, store: Store) -> None:
    def dialog() -> Locator:
        page.get_by_role("button", name="Views").click()
        return page.get_by_role("dialog")

    _open(page, f"?sort=-{RATE}&x=epoch&colour={RATE}&smoothing=0.5&log=true")
    window = dialog()
    expect(window.get_by_text("No view is saved yet.")).to_be_visible()
    window.get_by_role("textbox", name="Name of the view").fill("fast first")
    window.get_by_role("button", name="Save").click()
    expect(window.get_by_role("listitem").filter(has_text="fast first")).to_contain_text("shown now")
    page.keyboard.press("Escape")
    _open(page)
    window = dialog()
    expect(window.get_by_role("listitem")).not_to_contain_text("shown now")
    window.get_by_role("button", name="Load fast first").click()
    expect(page).to_have_url(re.compile("x=epoch"))
    expect(page.get_by_label("Smoothing")).to_have_value("0.5")
    expect(page.get_by_label("Colour by")).to_have_value(RATE)
    expect(page.get_by_role("row").nth(1)).to_contain_text("rates-3")
    page.get_by_label("x axis").select_option("time")
    window = dialog()
    window.get_by_role("button", name="Overwrite fast first").click()
    expect(window.get_by_role("listitem")).to_contain_text("shown now")
    assert store.saved_views.list("default")[0].search["x"] == "time"
    store.saved_views.save("default", "of somebody else", {}, actor="bob")
    expect(window.get_by_role("listitem").filter(has_text="of somebody else")).to_contain_text("bob")
    window.get_by_role("button", name="Delete fast first").click()
    expect(window.get_by_role("listitem").filter(has_text="fast first")).to_be_hidden()
    assert [one.name for one in store.saved_views.list("default")] == ["of somebody else"]


@pytest.mark.usefixtures("trained")
def test_lines_are_grouped_by_colour_dash_and_charts(page: Page) -> None:
    def strokes(kind: str) -> list[str]:
        return (
            page.get_by_role("row")
            .locator(f"svg line[{kind}]")
            .evaluate_all(f"lines => lines.map(line => line.getAttribute('{kind}'))")
        )

    _open(page)
    own = strokes("stroke")
    page.get_by_label("Colour by").select_option(RATE)
    legend = page.get_by_label(f"Legend: {RATE}")
    expect(legend).to_contain_text("0.01")
    expect(legend).to_contain_text("(1)")
    assert len(set(strokes("stroke"))) == 3
    assert strokes("stroke") != own
    assert len(set(strokes("stroke-dasharray"))) == 3  # told apart without hue
    page.get_by_label("Colour by").select_option("state")
    expect(page.get_by_label("Legend: state")).to_contain_text("completed")
    assert len(set(strokes("stroke"))) == 1
    page.get_by_label("Dash by").select_option(RATE)
    expect(page).to_have_url(re.compile(f"dash={RATE}"))
    assert len(set(strokes("stroke-dasharray"))) == 3
    page.get_by_label("Charts by").select_option(RATE)
    expect(page.get_by_role("img", name=f"val_loss, {RATE} = 0.02 of 1 runs by step")).to_be_visible()
    page.get_by_label("Charts by").select_option("metric")
    expect(page.get_by_role("img", name="val_loss of 3 runs by step")).to_be_visible()
    page.get_by_label("Colour by").select_option("run")
    page.get_by_label("Dash by").select_option("run")
    expect(page.get_by_label("Legend: state")).to_be_hidden()
    assert strokes("stroke") == own


@pytest.mark.usefixtures("trained")
def test_brushes_on_parallel_axes_choose_runs(page: Page) -> None:
    _open(page)
    _tab(page, "parallel")
    expect(page).to_have_url(re.compile("tab=parallel"))
    expect(page.get_by_role("group", name="3 runs on 2 axes")).to_be_visible()
    strip = page.locator(f"rect[data-axis='{RATE}']")
    box = strip.bounding_box()
    assert box is not None
    middle = box["x"] + box["width"] / 2
    page.mouse.move(middle, box["y"] + 2)
    page.mouse.down()
    page.mouse.move(middle, box["y"] + box["height"] * 0.3, steps=4)
    page.mouse.up()
    expect(page.get_by_text("1 of 3 runs pass all brushes")).to_be_visible()
    expect(page.get_by_text("1 selected")).to_be_visible()
    page.get_by_role("button", name="Clear brushes").click()
    expect(page.get_by_text("1 selected")).to_be_hidden()
    page.get_by_role("slider", name=f"{RATE} to").focus()
    for _ in range(8):
        page.keyboard.press("ArrowDown")
    expect(page.get_by_text("2 of 3 runs pass all brushes")).to_be_visible()
    _tab(page, "board")
    expect(page.get_by_role("checkbox", name="Select rates-2")).to_be_checked()
    expect(page.get_by_role("checkbox", name="Select rates-3")).not_to_be_checked()


@pytest.mark.usefixtures("trained")
def test_axes_of_parallel_coordinates_are_chosen(page: Page) -> None:
    _open(page, "?tab=parallel")
    page.get_by_role("button", name="Axes").click()
    page.get_by_role("button", name="Show val_loss", exact=True).click()
    page.get_by_role("button", name="Show state", exact=True).click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("group", name="3 runs on 4 axes")).to_be_visible()
    expect(page.locator("svg text", has_text="completed")).to_be_visible()
    page.reload()
    expect(page.get_by_role("group", name="3 runs on 4 axes")).to_be_visible()


def test_importance_has_figures_and_slices(page: Page, store: Store, engine: Any) -> None:
    space = {RATE: {"choice": [0.001 * number for number in range(1, 10)]}}
    sweep = SweepSpec.model_validate({"name": "rates", "run": {}, "search": {"method": "grid", "space": space}})
    create(store, sweep, expand(sweep), actor="ann")
    page.goto("/experiments/rates?tab=importance")
    expect(page.get_by_text("No field varies among completed runs yet")).to_be_visible()
    for _ in range(6):
        engine.poll()
    row = page.get_by_role("table", name="Importance of fields").get_by_role("row").filter(has_text=RATE)
    expect(row).to_contain_text("%")
    expect(row.get_by_role("cell").nth(1)).to_have_text("1")
    expect(page.get_by_role("img", name=f"val_accuracy by {RATE} in 9 runs")).to_be_visible()
    page.get_by_label("Metric").select_option("val_loss")
    expect(page).to_have_url(re.compile("metric=val_loss"))
    expect(row.get_by_role("cell").nth(1)).to_have_text("-1")
    expect(page.get_by_text("less is better")).to_be_visible()
    page.get_by_role("img", name=f"val_loss by {RATE} in 9 runs").locator("circle").first.click()
    expect(page.get_by_role("heading", name="rates-1")).to_be_visible()


@pytest.mark.usefixtures("trained")
def test_the_pareto_front_follows_the_directions(page: Page) -> None:
    _open(page, "?tab=pareto")
    front = page.get_by_role("table", name="Runs on the front")
    expect(page.get_by_text("1 of 3 runs are on the front")).to_be_visible()
    assert front.get_by_role("link").all_text_contents() == ["rates-3"]
    page.get_by_label("First direction").select_option("less is better")
    expect(page.get_by_text("3 of 3 runs are on the front")).to_be_visible()
    expect(page).to_have_url(re.compile("goals="))
    page.get_by_label("Second metric").select_option("train_loss")
    expect(page.get_by_role("img", name="train_loss against val_accuracy of 3 runs")).to_be_visible()
    page.reload()
    expect(page.get_by_label("First direction")).to_have_value("less")
    front.get_by_role("link", name="rates-2").click()
    expect(page.get_by_role("heading", name="rates-2")).to_be_visible()


@pytest.mark.usefixtures("trained")
def test_configs_of_the_selected_runs_are_compared(page: Page) -> None:
    _open(page)
    page.get_by_role("checkbox", name="Select rates-1").check()
    page.get_by_role("checkbox", name="Select rates-3").check()
    _tab(page, "diff")
    row = page.get_by_role("row").filter(has_text=RATE)
    expect(row.get_by_role("cell")).to_have_text(["0.01", "0.04"])
    expect(page.get_by_role("row")).to_have_count(2)
    page.get_by_label("All fields").check()
    expect(page.get_by_role("row").filter(has_text="training.epochs").get_by_role("cell")).to_have_text(["3", "3"])
    page.get_by_label("All fields").uncheck()
    expect(page.get_by_role("row")).to_have_count(2)


def test_the_plan_says_why(page: Page, make: Make, engine: Any) -> None:
    make()
    _open(page, "?tab=plan")
    ways = page.get_by_label("How the runs train")
    expect(ways.get_by_role("row").nth(1)).to_contain_text("not begun")
    expect(page.get_by_label("Plan", exact=True)).to_contain_text("3 runs on ")
    expect(page.get_by_text("every run trains to its end")).to_be_visible()
    engine.poll()
    expect(ways.get_by_role("row").nth(1)).to_contain_text("because")


def test_decisions_of_a_search_appear_with_their_reasons(page: Page, store: Store, engine: Any) -> None:
    search = {
        "method": "grid",
        "space": {RATE: {"choice": [0.01, 0.02, 0.024]}},
        "scheduler": {"name": "asha", "min_epochs": 1, "reduction": 2},
    }
    sweep = SweepSpec.model_validate({"name": "rates", "run": {"training": {"epochs": 4}}, "search": search})
    experiment = create(store, sweep, expand(sweep), actor="ann")
    _open(page, "?tab=plan")
    log = page.get_by_label("Search", exact=True)
    expect(log).to_contain_text("asha: rungs at epochs")
    driver = SearchDriver.open(store, experiment)
    assert driver is not None
    driver.poll()
    for _ in range(9):
        engine.poll()
        driver.poll()
    assert driver.settled
    expect(log.get_by_role("row").filter(has_text="promote").first).to_contain_text("rates-")
    expect(log.get_by_role("row").filter(has_text="stop").first).to_contain_text("rates-1")
    log.get_by_label("Decisions").select_option("promote")
    expect(log.get_by_role("row").filter(has_text="start")).to_have_count(0)
    log.get_by_role("row").filter(has_text="promote").first.get_by_role("link").click()
    expect(page.get_by_role("heading", name=re.compile("rates-[23]"))).to_be_visible()
