"""The page that writes sweeps: form and YAML are one, mistakes are where they are, nothing typed is lost."""

import re
import signal
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from modelyard.domain.run import Experiment
from modelyard.store import Store


@pytest.fixture
def builder(page: Page) -> Page:
    page.get_by_role("link", name="New experiment", exact=True).click()
    expect(page.get_by_role("heading", name="New experiment")).to_be_visible()
    expect(page.get_by_role("button", name="Queue 6 runs")).to_be_enabled()
    return page


def _yaml(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Sweep as YAML")


def _field(page: Page, name: str) -> Locator:
    return page.get_by_label(name, exact=True)


def _holds(page: Page, text: str) -> None:
    expect(_yaml(page)).to_have_value(re.compile(re.escape(text)))


def test_the_form_writes_yaml_and_keeps_its_comments(builder: Page) -> None:
    _field(builder, "run.schedule.warmup").fill("0.25")
    _holds(builder, "warmup: 0.25                   # share of the run")
    _field(builder, "name").fill("mine")
    _holds(builder, "name: mine\n")
    _field(builder, "run.training.epochs").fill("")  # back to the default
    expect(_yaml(builder)).not_to_have_value(re.compile("epochs"))
    _field(builder, "run.data.stratify").uncheck()
    _holds(builder, "stratify: false")
    _field(builder, "run.model.activation").select_option("gelu")
    _holds(builder, "activation: gelu")
    _field(builder, "run.model.hidden_sizes").fill("32, 16")
    _holds(builder, "hidden_sizes: [32, 16]")


def test_what_is_typed_before_the_presets_have_come_stays(page: Page) -> None:
    page.route("**/api/v1/presets", lambda route: (page.wait_for_timeout(1000), route.continue_()))
    with page.expect_response("**/api/v1/presets"):
        page.goto("/new")
        _yaml(page).fill("name: early\n")
    expect(page.get_by_role("button", name="Queue 1 run", exact=True)).to_be_enabled()
    expect(page.get_by_label("Start from").get_by_role("option", name="Learning rates")).to_be_attached()
    expect(_yaml(page)).to_have_value("name: early\n")


def test_yaml_fills_the_form(builder: Page) -> None:
    _yaml(builder).fill("name: other\nrun: {model: cnn, optimizer: {name: sgd, learning_rate: 0.2}}\n")
    expect(_field(builder, "name")).to_have_value("other")
    expect(_field(builder, "run.model")).to_have_value("cnn")
    expect(_field(builder, "run.model.channels")).to_be_visible()
    expect(_field(builder, "run.optimizer.learning_rate")).to_have_value("0.2")
    expect(_field(builder, "run.optimizer.momentum")).to_have_attribute("placeholder", "0.9")
    expect(builder.get_by_role("button", name="Queue 1 run", exact=True)).to_be_enabled()


def test_kinds_bring_their_own_fields(builder: Page) -> None:
    _field(builder, "run.model").select_option("vit")
    _holds(builder, "name: vit ")
    _field(builder, "run.model.heads").fill("2")
    _holds(builder, "heads: 2")
    _field(builder, "run.loss").select_option("focal")
    _field(builder, "run.loss.gamma").fill("1.5")
    _holds(builder, "loss: {name: focal, gamma: 1.5}")
    _field(builder, "run.data").select_option("image-folder")
    expect(builder.get_by_role("list", name="Mistakes")).to_contain_text("run.data.path: this is missing")


def test_groups_and_lists_of_parts(builder: Page) -> None:
    _field(builder, "run.training.ema").check()
    _holds(builder, "ema: {decay: 0.999}")
    _field(builder, "run.training.ema.decay").fill("0.9")
    _holds(builder, "ema: {decay: 0.9}")
    _field(builder, "run.training.ema").uncheck()
    expect(_yaml(builder)).not_to_have_value(re.compile(r"\bema:"))
    builder.get_by_role("combobox", name="run.augment").select_option("strong")
    _holds(builder, "augment: strong")
    builder.get_by_role("combobox", name="run.augment", exact=True).select_option("a list")
    builder.get_by_label("Add to run.augment").select_option("blur")
    items = builder.get_by_role("list", name="run.augment").get_by_role("listitem")
    items.filter(has_text="blur").get_by_label("run.augment.5.sigma").fill("2")
    _holds(builder, "{name: blur, sigma: 2}")
    items.filter(has_text="erasing").get_by_role("button", name="Remove erasing").click()
    expect(_yaml(builder)).not_to_have_value(re.compile("erasing"))
    builder.get_by_label("Add to run.metrics").select_option("auroc")
    _holds(builder, "metrics: [accuracy, f1_macro, auroc]")


def test_fields_are_varied_in_each_way(builder: Page) -> None:
    builder.get_by_role("button", name="Vary optimizer.weight_decay").click()
    builder.get_by_label("Values of optimizer.weight_decay").first.fill("0, 0.01, 0.1")
    _holds(builder, "optimizer.weight_decay: {choice: [0, 0.01, 0.1]}")
    expect(builder.get_by_role("button", name="Queue 18 runs")).to_be_enabled()
    builder.get_by_label("How optimizer.weight_decay varies").first.select_option("log")
    builder.get_by_label("Lowest optimizer.weight_decay").first.fill("1e-4")
    builder.get_by_label("Highest optimizer.weight_decay").first.fill("0.1")
    builder.get_by_label("Points of optimizer.weight_decay").first.fill("4")
    _holds(builder, "optimizer.weight_decay: {log: [0.0001, 0.1], points: 4}")
    expect(builder.get_by_role("button", name="Queue 24 runs")).to_be_enabled()
    builder.get_by_role("button", name="Vary optimizer.name").click()
    builder.get_by_label("Values of optimizer.name").first.fill("adamw, lion")
    expect(builder.get_by_role("button", name="Queue 48 runs")).to_be_enabled()
    for name in ("optimizer.weight_decay", "optimizer.name"):
        builder.get_by_role("button", name=f"Do not vary {name}").first.click()
    expect(builder.get_by_role("button", name="Queue 6 runs")).to_be_enabled()


def test_method_scheduler_and_budget(builder: Page) -> None:
    _field(builder, "search.method").select_option("random")
    _holds(builder, "samples: 16")
    expect(builder.get_by_role("button", name="Queue 5 runs")).to_be_enabled()  # of 16 draws, five differ
    _field(builder, "search.samples").fill("3")
    _field(builder, "search.scheduler").select_option("asha")
    _field(builder, "search.scheduler.reduction").fill("2")
    _holds(builder, "scheduler: {name: asha, reduction: 2}")
    _field(builder, "search.budget").check()
    _field(builder, "search.budget.epochs").fill("100")
    _holds(builder, "budget: {epochs: 100}")
    expect(builder.get_by_text("the search ends some early")).to_be_hidden()
    _field(builder, "search.method").select_option("grid")
    expect(_yaml(builder)).not_to_have_value(re.compile("samples: 3"))
    expect(builder.get_by_text("not measured yet")).to_be_visible()


def test_mistakes_are_at_their_fields_and_lines(builder: Page) -> None:
    _field(builder, "run.training.epochs").fill("0")
    wrong = _field(builder, "run.training.epochs")
    expect(wrong).to_have_attribute("aria-invalid", "true")
    expect(wrong).to_have_accessible_description(re.compile("greater than or equal to 1"))
    expect(builder.get_by_role("button", name=re.compile("Queue"))).to_be_disabled()
    told = builder.get_by_role("list", name="Mistakes").get_by_role("button")
    expect(told).to_contain_text(re.compile(r"sweep.yaml:\d+: run.training.epochs: "))
    told.click()
    expect(_yaml(builder)).to_be_focused()
    chosen = "e => e.value.slice(e.selectionStart, e.selectionEnd)"
    assert "epochs: 0" in _yaml(builder).evaluate(chosen)
    wrong.fill("3")
    expect(builder.get_by_role("button", name="Queue 6 runs")).to_be_enabled()
    _yaml(builder).fill("name: a\nrun: [\n")
    expect(builder.get_by_role("list", name="Mistakes")).to_contain_text("sweep.yaml:3: not valid YAML")
    expect(builder.get_by_text("The form is back once the YAML can be read.")).to_be_visible()


def test_comments_that_go_are_told(builder: Page) -> None:
    _yaml(builder).fill("name: a\nrun:\n  seed: 3   # lucky\n")
    expect(_field(builder, "run.seed")).to_have_value("3")
    _field(builder, "run.seed").fill("")
    expect(builder.get_by_text("These comments went with what they stood at: # lucky")).to_be_visible()


def test_presets_and_the_way_back(builder: Page) -> None:
    _yaml(builder).fill("name: mine\n")
    builder.get_by_label("Start from").select_option(label="ASHA over many")
    expect(builder.get_by_role("button", name="Queue 64 runs")).to_be_enabled()
    builder.get_by_role("button", name="Back to what was here").click()
    expect(_yaml(builder)).to_have_value("name: mine\n")


def test_an_experiments_sweep_is_a_start(page: Page, make: Callable[..., Experiment]) -> None:
    make()
    page.get_by_role("link", name="rates", exact=True).click()
    page.get_by_role("link", name="New from this").click()
    _holds(page, "optimizer.learning_rate: {choice: [0.01, 0.02, 0.04]}")
    expect(page).to_have_url(re.compile("/new$"))
    _yaml(page).fill("name: mine\n")
    page.get_by_label("Start from").select_option(label="rates")
    _holds(page, "name: rates")


def test_every_field_can_be_explained(builder: Page) -> None:
    meaning = builder.get_by_text("Longest time between two checkpoints", exact=False)
    expect(meaning).to_have_css("position", "absolute")  # there for screen readers alone
    builder.get_by_label("Explain every field").check()
    expect(meaning).to_have_css("position", "static")


def test_a_sweep_is_queued_once_and_its_board_opens(builder: Page, store: Store) -> None:
    _field(builder, "name").fill("twice")
    expect(builder.get_by_role("button", name="Queue 6 runs")).to_be_enabled()
    builder.get_by_role("button", name="Queue 6 runs").dblclick()
    expect(builder.get_by_role("heading", name="twice")).to_be_visible(timeout=60_000)
    assert [one.name for one in store.experiments.list()] == ["twice"]
    assert [run.spec.training.epochs for run in store.runs.list()] == [20] * 6
    builder.goto("/new")
    _holds(builder, "name: first-try")  # what was queued is no draft any more


def test_what_only_opening_the_data_shows_is_told_and_nothing_is_queued(builder: Page, store: Store) -> None:
    _field(builder, "run.training.batch_size").fill("5000")
    expect(builder.get_by_role("button", name="Queue 6 runs")).to_be_enabled()
    builder.get_by_role("button", name="Queue 6 runs").click()
    expect(builder.get_by_role("alert")).to_contain_text("batch_size: 5000 is larger than", timeout=60_000)
    assert store.experiments.list() == []
    expect(builder.get_by_role("button", name="Queue 6 runs")).to_be_enabled()


def test_what_was_typed_outlives_a_lost_server_and_a_reload(builder: Page, server: Any) -> None:
    server.end(signal.SIGKILL)
    _field(builder, "run.training.epochs").fill("7")
    expect(builder.get_by_role("alert")).to_contain_text("what you typed is kept here")
    expect(builder.get_by_role("button", name=re.compile("Queue"))).to_be_disabled()
    server.start()
    _holds(builder, "epochs: 7")
    expect(builder.get_by_role("button", name="Queue 6 runs")).to_be_enabled()
    server.end(signal.SIGKILL)
    _field(builder, "run.training.epochs").fill("8")
    server.start()
    builder.reload()
    _holds(builder, "epochs: 8")


def test_typing_on_while_an_answer_is_on_its_way_loses_nothing(builder: Page) -> None:
    builder.route("**/api/v1/drafts", lambda route: (builder.wait_for_timeout(300), route.continue_()))
    _field(builder, "run.training.epochs").fill("9")
    _yaml(builder).press_sequentially("# x", delay=50)
    _field(builder, "run.seed").fill("5")
    _holds(builder, "epochs: 9")
    _holds(builder, "seed: 5")
    _holds(builder, "# x")
