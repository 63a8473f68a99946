"""The activity page: everything that happened, live, by kind, person, experiment and run."""

import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

from modelyard.domain.control import Pause, SetPriority
from modelyard.domain.run import Experiment
from modelyard.store import Store

Make = Callable[..., Experiment]


def test_who_did_what_live_with_links(page: Page, make: Make, engine: Any, store: Store) -> None:
    page.get_by_role("link", name="Activity").click()
    expect(page.get_by_text("Nothing of that kind happened")).to_be_visible()
    expect(page.get_by_role("status")).to_have_text("live")
    make()
    entries = page.get_by_role("list", name="What happened").get_by_role("listitem")
    expect(entries).to_have_count(4)
    expect(entries.last).to_contain_text("experiment rates created with 3 runs")
    expect(entries.last).to_contain_text("ann")
    store.runs.request(store.runs.get("rates-2").id, Pause(), actor="bob")
    expect(entries.filter(has_text="bob").filter(has_text="queued → paused")).to_contain_text("bob asked to pause")
    engine.poll()
    expect(entries.filter(has_text="rates-1").first).to_contain_text(re.compile("attempt 1|queued → running"))
    entries.filter(has_text="rates-2").first.get_by_role("link").click()
    expect(page.get_by_role("heading", name="rates-2")).to_be_visible()
    expect(page.get_by_text("paused", exact=True)).to_be_visible()


def test_older_pages_follow(page: Page, make: Make, store: Store) -> None:
    make()
    run = store.runs.get("rates-1").id
    for number in range(60):
        store.runs.request(run, SetPriority(priority=number), actor="ann")
    page.goto("/activity")
    entries = page.get_by_role("list", name="What happened").get_by_role("listitem")
    expect(entries).to_have_count(100)
    page.get_by_role("button", name="Older").click()
    expect(entries).to_have_count(124)
    expect(entries.last).to_contain_text("experiment rates created")
    expect(page.get_by_role("button", name="Older")).to_be_hidden()
    store.runs.request(run, SetPriority(priority=-1), actor="ann")
    expect(entries.first).to_contain_text("priority=-1 took effect")
    expect(entries).to_have_count(126)


def test_filters_are_in_the_address(page: Page, make: Make, store: Store) -> None:
    make()
    make("other")
    store.runs.request(store.runs.get("rates-1").id, Pause(), actor="bob")
    page.goto("/activity")
    entries = page.get_by_role("list", name="What happened").get_by_role("listitem")
    expect(entries).to_have_count(11)
    page.get_by_label("Show").select_option("what people asked for")
    expect(entries).to_have_count(2)
    expect(page).to_have_url(re.compile("kind=requests"))
    page.get_by_label("Show").select_option("everything")
    expect(entries).to_have_count(11)
    entries.first.get_by_role("button", name="bob").click()
    expect(entries).to_have_count(3)
    expect(page.get_by_label("By")).to_have_value("bob")
    page.get_by_label("By").fill("")
    page.get_by_label("By").press("Enter")
    expect(entries).to_have_count(11)
    page.get_by_label("Experiment").fill("other")
    page.get_by_label("Experiment").press("Enter")
    expect(entries).to_have_count(4)
    page.reload()
    expect(entries).to_have_count(4)
    page.get_by_label("Experiment").fill("")
    page.get_by_role("textbox", name="Run").fill("rates-1")
    page.get_by_role("textbox", name="Run").press("Enter")
    expect(entries).to_have_count(4)
    expect(entries.last).to_contain_text("rates-1 created")
    page.get_by_role("textbox", name="Run").fill("nobody")
    page.get_by_role("textbox", name="Run").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("no run 'nobody'")


def test_what_was_deleted_keeps_its_name_without_a_link(page: Page, make: Make, store: Store) -> None:
    make()
    store.runs.delete(store.runs.get("rates-3").id, actor="bob")
    page.goto("/activity?run=rates-3")
    entries = page.get_by_role("list", name="What happened").get_by_role("listitem")
    expect(entries).to_have_count(2)
    expect(entries.first).to_contain_text("rates-3 deleted")
    expect(entries.get_by_role("link")).to_have_count(0)
