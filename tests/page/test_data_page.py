"""The page of data: folders, what was found in them, and what runs used."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from modelyard.domain.run import Experiment


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data root for the server that is started after it."""
    for label, name in enumerate(("cat", "dog")):
        folder = tmp_path / "data" / "pets" / name
        folder.mkdir(parents=True)
        for number in range(6):
            Image.new("RGB", (20, 10), (label * 200, number * 40, 7)).save(folder / f"{number}.png")
    (tmp_path / "data" / "pets" / "dog" / "broken.png").write_bytes(b"no picture")
    monkeypatch.setenv("MODELYARD_DATA_ROOTS", str(tmp_path / "data"))
    return tmp_path / "data"


def test_a_folder_is_found_looked_at_and_forgotten(pictures: Path, page: Page) -> None:
    page.get_by_role("link", name="Data", exact=True).click()
    expect(page.get_by_text("No run has used any data yet")).to_be_visible()
    page.get_by_role("button", name="pets").click()
    expect(page.get_by_role("textbox", name="Folder or file")).to_have_value(str(pictures / "pets"))
    page.get_by_role("button", name="up").click()
    expect(page.get_by_role("textbox", name="Folder or file")).to_have_value(str(pictures))
    page.get_by_role("button", name="pets").click()
    expect(page.get_by_role("button", name="cat")).to_be_visible()
    page.get_by_role("button", name="Look at it").click()
    table = page.get_by_role("table", name="Classes")
    expect(table.get_by_role("row").filter(has_text="dog")).to_contain_text("5")
    expect(table.get_by_role("img", name="dog, sample 1")).to_be_visible()
    expect(page.get_by_text("1 corrupt image", exact=True)).to_be_visible()
    expect(page.get_by_text("dog/broken.png: ")).to_be_visible()
    page.reload()
    expect(table).to_be_visible()
    page.get_by_role("button", name="Close").click()
    expect(table).to_be_hidden()
    page.get_by_role("region", name="Looked at").get_by_role("button").click()
    expect(table).to_be_visible()
    page.get_by_role("button", name="Look again").click()
    expect(page.get_by_role("region", name="Looked at").get_by_role("listitem")).to_have_count(2)
    expect(table).to_be_visible()
    page.get_by_role("button", name="Forget").click()
    expect(page.get_by_role("region", name="Looked at").get_by_role("listitem")).to_have_count(1)


def test_a_place_outside_of_the_roots_is_refused(pictures: Path, page: Page) -> None:
    page.goto("/data")
    box = page.get_by_role("textbox", name="Folder or file")
    expect(box).to_have_value(str(pictures))
    box.fill("/")
    page.get_by_role("button", name="Look at it").click()
    expect(page.get_by_role("alert")).to_contain_text("outside of the folders that may be looked at")
    box.fill("..")
    page.get_by_role("button", name="Open folder").click()
    expect(page.get_by_role("alert")).to_contain_text("outside of the folders that may be looked at")


def test_a_kind_that_does_not_fit_says_so(pictures: Path, page: Page) -> None:
    page.goto("/data")
    page.get_by_role("button", name="pets").click()
    page.get_by_label("Kind of data").select_option("idx")
    page.get_by_role("button", name="Look at it").click()
    expect(page.get_by_role("region", name=str(pictures / "pets")).get_by_role("alert")).to_be_visible()


def test_one_that_takes_long_is_cancelled(pictures: Path, page: Page) -> None:
    page.goto("/data")
    page.get_by_role("button", name="pets").click()
    expect(page.get_by_role("button", name="cat")).to_be_visible()
    page.get_by_role("button", name="Look at it").click()
    page.get_by_role("button", name="Cancel").click()  # its process takes about two seconds to start
    expect(page.get_by_role("region", name=str(pictures / "pets"))).to_contain_text("cancelled")


def test_data_sets_that_runs_used_appear_by_themselves(
    page: Page, make: Callable[..., Experiment], engine: Any
) -> None:
    page.goto("/data")
    expect(page.get_by_text("No run has used any data yet")).to_be_visible()
    expect(page.get_by_role("status")).to_have_text("live")
    make()
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="rates"))
    expect(row).to_contain_text("not opened yet")
    expect(row).to_contain_text("3 runs")
    page.get_by_role("link", name="rates").click()
    expect(page.get_by_role("heading", name="rates")).to_be_visible()
