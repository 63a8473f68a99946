"""axe-core finds nothing serious on any page, in any theme; all is readable at phone width, and reached by keyboard."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from modelyard.domain.control import Save
from modelyard.domain.device import Device, Reading
from modelyard.domain.run import Experiment
from modelyard.store import Store

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
BOARD = [f"/experiments/rates?tab={tab}" for tab in ("table", "parallel", "importance", "pareto", "diff", "plan")]
GROUPED = "/experiments/rates?colour=optimizer.learning_rate&facet=state&x=time"
TABS = ("charts", "overview", "config", "classes", "logs", "checkpoints", "devices", "events")
PAGES = [
    "/",
    "/new",
    "/data",
    "/experiments/rates",
    GROUPED,
    *BOARD,
    *(f"/runs/rates-1?tab={tab}" for tab in TABS),
    "/queue",
    "/devices",
    "/storage",
    "/activity",
    "/testing",
    "/settings",
    "/shortcuts",
]


COLOURFUL = ["/", GROUPED, *BOARD[:3], "/runs/rates-1?tab=classes", "/devices", "/storage"]
"""Pages that use every colour there is; the others have no more than these."""


def _violations(page: Page) -> list[str]:
    page.evaluate(AXE.read_text())  # not as a script element: the page's own policy forbids that
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{one['id']}: {node['html'][:120]}"
        for one in found["violations"]
        if one["impact"] in {"serious", "critical"}
        for node in one["nodes"]
    ]


@pytest.fixture
def full(make: Callable[..., Experiment], engine: Any, store: Store) -> None:
    make()
    with store.devices.record() as record:
        cpu = Device(name="cpu", platform="cpu", model="a processor", unavailable={})
        figures = {"utilisation": 0.5, "memory_used": 2e9, "memory_total": 8e9}
        for _ in range(2):
            engine.poll()
            record.add([cpu], {"cpu": Reading(figures=figures, unavailable={"power": "not counted"})})
    store.runs.request(store.runs.get("rates-1").id, Save(), actor="ann")
    engine.poll()
    make("later")


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize(("theme", "paths"), [("light", PAGES), ("dark", COLOURFUL), ("contrast", COLOURFUL)])
def test_nothing_serious_on_any_page(page: Page, theme: str, paths: list[str]) -> None:
    page.get_by_label("Theme").select_option(theme)
    for path in paths:
        page.goto(path)
        expect(page.get_by_role("heading").first).to_be_visible()
        expect(page.get_by_role("status")).to_have_text("live")
        expect(page.get_by_text("…", exact=True)).to_have_count(0)  # all of it is there
        assert _violations(page) == [], path


@pytest.mark.usefixtures("full")
def test_nothing_serious_in_a_window(page: Page) -> None:
    page.goto("/runs/rates-1")
    page.get_by_role("button", name="Clone").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert _violations(page) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_serious_where_much_is_shown(page: Page, theme: str) -> None:
    page.get_by_label("Theme").select_option(theme)
    page.goto("/new")
    expect(page.get_by_role("button", name="Queue 6 runs")).to_be_enabled()
    page.get_by_label("Sweep as YAML").fill(
        "name: A\nrun:\n  training: {epochs: 0, ema: {decay: 2}}\n  augment: [blur]\n"
    )
    page.get_by_label("Explain every field").check()
    expect(page.get_by_role("list", name="Mistakes").get_by_role("listitem")).to_have_count(3)
    assert _violations(page) == []
    page.goto("/data")
    box = page.get_by_label("Folder or file")
    expect(box).not_to_have_value("")  # the first root has come
    box.fill("digits")
    page.get_by_role("button", name="Look at it").click()
    expect(page.get_by_role("table", name="Classes")).to_be_visible()
    assert _violations(page) == []


@pytest.mark.usefixtures("full")
def test_a_phone_shows_all_of_it(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    for path in PAGES:
        page.goto(path)
        expect(page.get_by_role("heading").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path


@pytest.mark.usefixtures("full")
def test_a_run_is_reached_and_paused_by_keyboard(page: Page, engine: Any) -> None:
    def focus_on(name: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.textContent").strip() == name:
                return
        pytest.fail(f"the keyboard does not reach {name}")

    focus_on("rates")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="rates")).to_be_visible()
    focus_on("rates-2")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="rates-2")).to_be_visible()
    focus_on("Pause")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Pause")).to_be_disabled()
    expect(page.get_by_text("pausing", exact=True)).to_be_visible()
    engine.poll()
    expect(page.get_by_text("paused", exact=True)).to_be_visible()
