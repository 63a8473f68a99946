"""The devices page and a run's devices: figures with their age, reasons, histories, and who trains there."""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from modelyard.domain.device import Device, Reading, all_unavailable
from modelyard.domain.run import Experiment
from modelyard.store import Store
from modelyard.store.devices import DeviceRecord

Make = Callable[..., Experiment]
CPU = Device(name="cpu", platform="cpu", model="a processor", unavailable={})
GPU = Device(name="cuda:0", platform="cuda", model="a GPU", unavailable={})


def _reading(utilisation: float) -> Reading:
    figures = {"utilisation": utilisation, "memory_used": 2e9, "memory_total": 8e9}
    return Reading(figures=figures, unavailable={"temperature": "no sensor", "power": "not counted"})


@pytest.fixture
def record(store: Store) -> Iterator[DeviceRecord]:
    with store.devices.record() as opened:
        yield opened


def test_nothing_read_says_who_would(page: Page) -> None:
    page.get_by_role("link", name="Devices").click()
    expect(page.get_by_text("Nothing was read yet")).to_be_visible()


def test_figures_follow_and_what_cannot_be_read_says_why(page: Page, record: DeviceRecord) -> None:
    record.add([CPU, GPU], {"cpu": _reading(0.25), "cuda:0": all_unavailable("nvidia-smi did not answer within 5 s")})
    page.goto("/devices")
    cpu = page.get_by_role("region", name="cpu on")
    expect(cpu).to_contain_text("a processor")
    expect(cpu).to_contain_text("25 %")
    expect(cpu).to_contain_text("2.00 GB of 8.00 GB")
    expect(cpu).to_contain_text("unavailable: no sensor")
    expect(cpu).to_contain_text("No run trains here now.")
    gpu = page.get_by_role("region", name="cuda:0 on")
    expect(gpu.get_by_text("unavailable: nvidia-smi did not answer within 5 s")).to_have_count(4)
    expect(gpu).to_contain_text("Nothing was read in this time.")
    record.add([CPU, GPU], {"cpu": _reading(0.75), "cuda:0": _reading(0.5)}, trouble="torch broke")
    expect(cpu).to_contain_text("75 %")
    expect(gpu).to_contain_text("50 %")
    expect(page.get_by_role("alert")).to_contain_text("torch broke")
    expect(cpu.get_by_role("img", name="Utilisation of cpu over time")).to_be_visible()
    expect(cpu.get_by_role("img", name="Power of cpu over time")).to_be_hidden()


def test_figures_of_an_agent_that_was_killed_are_of_the_past(
    page: Page, record: DeviceRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    record.add([CPU], {"cpu": _reading(0.25)})
    page.goto("/devices")
    cpu = page.get_by_role("region", name="cpu on")
    expect(cpu).to_contain_text(re.compile(r"read \d+ s ago"))
    with monkeypatch.context() as patched:
        earlier = time.monotonic() - 600
        patched.setattr(time, "monotonic", lambda: earlier)
        record.add([CPU], {"cpu": _reading(0.5)})
    expect(cpu).to_contain_text("these figures are 10 min old: no agent reads this device now")
    expect(cpu).to_contain_text("50 %")


def test_the_span_is_chosen_and_in_the_address(page: Page, record: DeviceRecord) -> None:
    record.add([CPU], {"cpu": _reading(0.25)})
    page.goto("/devices")
    with page.expect_response(re.compile("devices/history")) as answered:
        page.get_by_label("Last").select_option("7 days")
    assert answered.value.ok
    expect(page).to_have_url(re.compile("span=7d"))
    page.reload()
    expect(page.get_by_label("Last")).to_have_value("7d")


def test_who_trains_where(page: Page, record: DeviceRecord, make: Make, engine: Any) -> None:
    make()
    record.add([CPU], {"cpu": _reading(0.25)})
    page.goto("/devices")
    cpu = page.get_by_role("region", name="cpu on")
    expect(cpu).to_contain_text("No run trains here now.")
    engine.poll()
    expect(cpu.get_by_role("link")).to_have_count(3)
    expect(cpu).to_contain_text(re.compile(r"process \d+, [\d.]+ MB of main memory"))
    cpu.get_by_role("link", name="rates-2").click()
    expect(page.get_by_role("heading", name="rates-2")).to_be_visible()


def test_a_run_shows_its_devices_while_it_trained(page: Page, record: DeviceRecord, make: Make, engine: Any) -> None:
    make(epochs=1)
    page.goto("/runs/rates-1")
    page.get_by_role("tab", name="devices").click()
    expect(page.get_by_text("It did not train yet.")).to_be_visible()
    engine.poll()
    expect(page.get_by_role("list", name="When it trained")).to_contain_text("attempt 1 on cpu")
    expect(page.get_by_text("Nothing is recorded of its devices")).to_be_visible()
    record.add([CPU, GPU], {"cpu": _reading(0.5), "cuda:0": _reading(0.5)})
    record.add([CPU, GPU], {"cpu": _reading(0.6), "cuda:0": _reading(0.5)})
    engine.poll()
    expect(page.get_by_role("list", name="When it trained")).not_to_contain_text("now")
    expect(page.get_by_role("img", name="Utilisation of cpu over time")).to_be_visible()
    expect(page.get_by_role("img", name="Utilisation of cuda:0 over time")).to_be_hidden()
