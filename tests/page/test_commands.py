"""The palette and the keys: everything they offer does what it says."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from modelyard.domain.run import Experiment

Make = Callable[..., Experiment]


def test_the_palette_finds_what_to_do_and_what_to_open(page: Page, make: Make) -> None:
    make()
    expect(page.get_by_role("status")).to_have_text("live")
    page.keyboard.press("Control+k")
    palette = page.get_by_role("dialog", name="Commands")
    expect(palette.get_by_role("combobox")).to_be_focused()
    page.keyboard.type("sett")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Settings")).to_be_visible()
    expect(palette).to_be_hidden()
    page.keyboard.press("Control+k")
    page.keyboard.type("rates")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="rates")).to_be_visible()
    page.keyboard.press("Control+k")
    page.keyboard.type("nothing like this")
    expect(page.get_by_text("nothing has that name")).to_be_visible()
    page.keyboard.press("Escape")
    expect(palette).to_be_hidden()


def test_themes_are_in_the_palette(page: Page) -> None:
    def background() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    expect(page.get_by_role("status")).to_have_text("live")
    page.get_by_label("Theme").select_option("light")
    light = background()
    page.keyboard.press("Control+k")
    expect(page.get_by_role("combobox", name="Commands")).to_be_focused()
    page.keyboard.type("theme: dark")
    page.keyboard.press("Enter")
    page.wait_for_function("before => getComputedStyle(document.body).backgroundColor !== before", arg=light)
    expect(page.get_by_label("Theme")).to_have_value("dark")


def test_every_key_on_the_page_of_shortcuts_works(page: Page, make: Make) -> None:
    make()
    expect(page.get_by_role("status")).to_have_text("live")
    page.keyboard.press("?")
    expect(page.get_by_role("heading", name="Shortcuts")).to_be_visible()
    rows = page.get_by_role("row").filter(has=page.locator("kbd"))
    shown = [row.inner_text().split("\t") for row in rows.all()]
    assert ["?", "Shortcuts"] in shown
    for keys, title in shown:
        page.goto("/experiments/rates")
        expect(page.get_by_role("heading", name="rates")).to_be_visible()
        for key in keys.split():
            page.keyboard.press(key)
        expect(page.get_by_role("heading", name=title, level=1)).to_be_visible()


def test_what_is_typed_into_a_field_is_no_command(page: Page, make: Make) -> None:
    made = make()
    page.goto(f"/experiments/{made.id}")
    page.get_by_role("textbox", name="Filter runs").press_sequentially("g e ?")
    expect(page.get_by_role("textbox", name="Filter runs")).to_have_value("g e ?")
    expect(page.get_by_role("heading", name="rates")).to_be_visible()
