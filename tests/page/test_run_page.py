"""The tabs of a run: classes, relatives, the log, checkpoints, charts."""

import re
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from modelyard.api.cloning import clone
from modelyard.domain.run import Experiment, Lease
from modelyard.store import Store

Make = Callable[..., Experiment]


def test_the_confusion_matrix_of_each_validation(page: Page, make: Make, engine: Any) -> None:
    make(metrics=["accuracy", "confusion_matrix"])
    for _ in range(2):
        engine.poll()
    page.goto("/runs/rates-1")
    page.get_by_role("tab", name="classes").click()
    matrix = page.get_by_role("region", name="Confusion matrix")
    expect(matrix.get_by_role("row").nth(1)).to_contain_text("4")
    expect(page.get_by_text("epoch 1, step 10")).to_be_visible()
    engine.poll()
    expect(page.get_by_text("epoch 2, step 20")).to_be_visible()
    expect(matrix.get_by_role("link", name="5: cat predicted as cat")).to_be_visible()
    figures = page.get_by_role("region", name="Figures of each class").get_by_role("row")
    expect(figures.nth(1)).to_have_text(re.compile(r"cat\s*1.000\s*0.833\s*0.909\s*6"))
    page.get_by_label("Validation").fill("0")
    expect(page).to_have_url(re.compile("step=0"))
    expect(page.get_by_text("epoch 0, step 0")).to_be_visible()
    expect(matrix.get_by_role("link", name="3: cat predicted as cat")).to_be_visible()
    page.get_by_label("Shares of the true class").check()
    expect(matrix.get_by_role("link", name="0.75: cat predicted as cat")).to_be_visible()
    expect(page).to_have_url(re.compile("shares=true"))
    page.get_by_role("link", name="cat as dog", exact=True).click()
    expect(page).to_have_url(re.compile("tab=samples.*target=0.*predicted=1|predicted=1.*target=0"))


def test_a_run_without_a_matrix_says_which_metric_to_add(page: Page, make: Make) -> None:
    make()
    page.goto("/runs/rates-1?tab=classes")
    expect(page.get_by_text("metrics: [accuracy, f1_macro, confusion_matrix]")).to_be_visible()
    make("matrix", metrics=["confusion_matrix"])
    page.goto("/runs/matrix-1?tab=classes")
    expect(page.get_by_text("No validation has ended yet")).to_be_visible()


def test_relatives_are_linked_and_appear_by_themselves(page: Page, make: Make, engine: Any, store: Store) -> None:
    make(epochs=1)
    for _ in range(2):
        engine.poll()
    page.goto("/runs/rates-1?tab=overview")
    lineage = page.get_by_label("Lineage")
    expect(lineage).to_contain_text("it came with its experiment")
    expect(page.get_by_label("Trained on")).to_contain_text("d" * 64)
    child = clone(store, store.runs.get("rates-1"), {}, warm_start="best", inherit_optimizer=True, actor="ann").run
    lineage.get_by_role("link", name=child.name).click()
    expect(page.get_by_role("heading", name=child.name)).to_be_visible()
    page.get_by_role("tab", name="overview").click()
    expect(lineage).to_contain_text("rates-1 at step 10, epoch 1, with the optimizer's state")
    expect(page.get_by_label("Trained on")).to_contain_text("known once the run has begun")
    lineage.get_by_role("link", name="rates-1").first.click()
    expect(page.get_by_role("heading", name="rates-1", exact=True)).to_be_visible()


@pytest.fixture
def log(make: Make, store: Store) -> Callable[[list[str]], None]:
    """Write lines to the log of rates-1, which trains."""
    make()
    worker = store.leases.register()
    ((_, lease),) = store.leases.claim(worker, limit=1)
    return _writer(store, lease)


def _writer(store: Store, lease: Lease) -> Callable[[list[str]], None]:
    def write(lines: list[str]) -> None:
        with store.write(lease) as opened:
            opened.lines(lines)
            opened.progress(step=len(lines), epoch=0, total_steps=10**6)

    return write


def test_colours_of_a_log_are_shown_and_markup_is_text(page: Page, log: Callable[[list[str]], None]) -> None:
    log(["\x1b[1;31mred\x1b[0m plain", "<img src=x onerror=alert(1)> \x1b]0;title\x07\x1b[2Jend"])
    page.goto("/runs/rates-1?tab=logs")
    red = page.get_by_role("log").get_by_text("red", exact=True)
    expect(red).to_have_css("font-weight", "700")
    assert "oklch" in red.evaluate("element => element.style.color")
    expect(page.get_by_role("log")).to_contain_text("<img src=x onerror=alert(1)> end")


def test_a_log_of_many_lines_keeps_few_in_memory_and_is_searched_as_a_whole(
    page: Page, log: Callable[[list[str]], None]
) -> None:
    log([f"line {number}" for number in range(1, 60_001)])
    page.goto("/runs/rates-1?tab=logs")
    box = page.get_by_role("log")
    expect(page.get_by_text("60,000 lines")).to_be_visible()
    expect(box.get_by_text("line 60000", exact=True)).to_be_visible()
    assert box.locator("span.select-none").count() < 200
    search = page.get_by_role("searchbox", name="Search the log")
    search.fill("LINE 12345")
    expect(page.get_by_text("1 matches")).to_be_visible()
    search.press("Enter")
    expect(box.get_by_text("line 12345", exact=True)).to_be_in_viewport()
    expect(page.get_by_label("Follow")).not_to_be_checked()
    search.fill("line 4000")
    expect(page.get_by_text("11 matches")).to_be_visible()
    page.get_by_role("button", name="Next match").click()
    expect(page.get_by_text("1 of 11 matches")).to_be_visible()
    expect(box.get_by_text("line 4000", exact=True)).to_be_in_viewport()
    page.get_by_role("button", name="Next match").click()
    expect(box.get_by_text("line 40000", exact=True)).to_be_in_viewport()
    search.press("Shift+Enter")
    page.get_by_role("button", name="Previous match").click()
    expect(page.get_by_text("11 of 11 matches")).to_be_visible()
    expect(box.locator("[aria-current=true]")).to_contain_text("line 40009")
    box.evaluate("element => { element.scrollTop = 0 }")
    expect(box.get_by_text("line 1", exact=True)).to_be_visible()
    log(["the newest", "line 4000 again"])
    expect(page.get_by_text("60,002 lines")).to_be_visible()
    expect(page.get_by_text("of 12 matches")).to_be_visible()
    expect(box.get_by_text("line 1", exact=True)).to_be_visible()
    page.get_by_label("Follow").check()
    expect(box.get_by_text("the newest")).to_be_visible()


def test_only_warnings_and_errors(page: Page, log: Callable[[list[str]], None]) -> None:
    log(["fine", "WARNING torch: slow", "fine", "ValueError: broken"])
    page.goto("/runs/rates-1?tab=logs")
    box = page.get_by_role("log")
    expect(page.get_by_text("4 lines")).to_be_visible()
    page.get_by_label("Only warnings and errors").check()
    expect(page.get_by_text("2 lines")).to_be_visible()
    expect(box).not_to_contain_text("fine")
    log(["ERROR again"])
    expect(box).to_contain_text("ERROR again")
    page.get_by_label("Only warnings and errors").uncheck()
    expect(page.get_by_text("5 lines")).to_be_visible()


def test_the_log_comes_over_the_one_connection(page: Page, log: Callable[[list[str]], None]) -> None:
    opened = """
        const Original = window.EventSource;
        window.sources = [];
        window.EventSource = class extends Original {
            constructor(url) { super(url); window.sources.push(this); }
        };
    """
    page.add_init_script(opened)
    log(["first"])
    page.goto("/runs/rates-1?tab=logs")
    expect(page.get_by_role("log")).to_contain_text("first")
    log(["second"])
    expect(page.get_by_role("log")).to_contain_text("second")
    alive = "() => window.sources.filter(one => one.readyState !== 2).map(one => one.url.split('?')[1] ?? '')"
    (url,) = page.evaluate(alive)
    assert "lines=" in url
    page.get_by_role("tab", name="events").click()
    page.wait_for_function("() => window.sources.at(-1).readyState === 1")
    (url,) = page.evaluate(alive)
    assert "lines=" not in url


def test_checkpoints_are_compared_downloaded_and_gone_on_from(
    page: Page, make: Make, engine: Any, store: Store, tmp_path: Any
) -> None:
    make(epochs=30)
    for _ in range(2):
        engine.poll()
    run = store.runs.get("rates-1")
    page.goto("/runs/rates-1?tab=checkpoints")
    for _ in range(2):
        page.get_by_role("button", name="Pause").click()
        while not any(one.op.kind == "pause" for one in store.controls.pending([run.id])):
            page.wait_for_timeout(20)
        engine.poll()
        expect(page.get_by_role("button", name="Resume", exact=True)).to_be_enabled()
        page.get_by_role("button", name="Resume from here").click()
        expect(page.get_by_text("queued", exact=True)).to_be_visible()
        engine.poll()
        expect(page.get_by_text("running", exact=True)).to_be_visible()
    newest, oldest = store.checkpoints.list(run.id)
    for one in (oldest, newest):
        page.get_by_role("checkbox", name=f"Compare {one.id}").check()
    table = page.get_by_role("table", name="Compared checkpoints")
    difference = newest.step - oldest.step
    expect(table.get_by_role("row").nth(1)).to_have_text(re.compile(rf"step{oldest.step}{newest.step}\+{difference}"))
    page.get_by_role("checkbox", name=f"Compare {oldest.id}").uncheck()
    expect(table).to_be_hidden()
    with page.expect_download() as found:
        page.get_by_role("link", name=f"Download {newest.id}").click()
    found.value.save_as(tmp_path / "it.zip")
    with zipfile.ZipFile(tmp_path / "it.zip") as archive:
        assert set(archive.namelist()) == set(newest.files)
    page.get_by_role("row").filter(has_text=oldest.id).get_by_role("button", name="Clone from here").click()
    window = page.get_by_role("dialog", name="Clone rates-1")
    expect(window.get_by_role("combobox", name="Weights")).to_have_value(oldest.id)
    expect(window.get_by_label("Take over the optimizer's state")).to_be_checked()
    window.get_by_role("button", name="Clone").click()
    expect(page.get_by_role("heading", name="rates-4")).to_be_visible()
    child = store.runs.get("rates-4")
    assert (child.warm_start, child.inherit_optimizer) == (oldest.id, True)


def test_charts_of_a_run_are_smoothed_and_logarithmic(page: Page, make: Make, engine: Any) -> None:
    make(epochs=20)
    for _ in range(8):
        engine.poll()
    page.goto("/runs/rates-1")
    chart = page.get_by_role("img", name="train_loss of 1 runs by step")
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
