"""Models that were really trained, tried out in the page."""

import csv
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from modelyard.store import Store

SWEEP = """
name: digits
run:
  data: {source: digits, max_per_class: 30}
  metrics: [accuracy, confusion_matrix]
  training: {epochs: 2}
search: {method: grid, space: {optimizer.learning_rate: {choice: [0.01, 0.001]}}}
"""


@pytest.fixture
def trained(store: Store, home: Path, tmp_path: Path) -> None:
    """Two runs of digits, by the real engine."""
    del store
    file = tmp_path / "sweep.yaml"
    file.write_text(SWEEP)
    command = [
        sys.executable,
        "-m",
        "modelyard.cli.main",
        "--home",
        str(home),
        "train",
        str(file),
        "--execution",
        "solo",
    ]
    subprocess.run([*command, "--processes", "1"], check=True, capture_output=True)


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder below the user's home, as the server sees it."""
    folder = tmp_path / "user" / "pictures"
    (folder / "more").mkdir(parents=True)
    random = np.random.default_rng(0)
    for name in ("one.png", "more/two.png"):
        Image.fromarray(random.integers(0, 255, (12, 12), np.uint8)).save(folder / name)
    (folder / "broken.png").write_bytes((folder / "one.png").read_bytes()[:50])
    (tmp_path / "secret.png").write_bytes((folder / "one.png").read_bytes())
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    yield folder
    shutil.rmtree(folder)


def _worker_of(server: Any) -> int:
    """Return the process id of the server's process with models."""
    listed = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(server.pid)], capture_output=True, text=True, check=True
    ).stdout
    (line,) = [line for line in listed.splitlines() if "model_service" in line]
    return int(line.split()[0])


@pytest.mark.usefixtures("trained")
def test_models_are_tried_on_images_and_on_a_folder(pictures: Path, page: Page, server: Any, tmp_path: Path) -> None:
    page.goto("/runs/digits-1")
    page.get_by_role("link", name="Test", exact=True).click()
    expect(page.get_by_role("heading", name="Testing")).to_be_visible()
    models = page.get_by_role("list", name="Models")
    expect(models).to_contain_text("digits-1")
    page.get_by_role("combobox", name="Model").fill("digits-2:last")
    page.get_by_role("button", name="Add").click()
    expect(models).to_contain_text("digits-2:last")
    page.locator("input[type=file]").set_input_files([pictures / "one.png", pictures / "broken.png"])
    good = page.get_by_role("listitem").filter(has=page.get_by_role("img", name="one.png"))
    for run in ("digits-1", "digits-2"):
        said = good.get_by_role("region", name=re.compile(f"{run} at step"))
        expect(said.get_by_role("list", name="Classes").get_by_role("listitem")).to_have_count(5)
        texts = said.get_by_role("list", name="Classes").get_by_role("listitem").all_inner_texts()
        shares = [float(text.removesuffix("%").split()[-1]) for text in texts]
        assert shares == sorted(shares, reverse=True)
        expect(said.get_by_role("img", name="As the model sees it")).to_be_visible()
        expect(said.get_by_role("img", name=re.compile("Pixels that move"))).to_be_visible()
    bad = page.get_by_role("listitem").filter(has=page.get_by_role("img", name="broken.png"))
    expect(bad.get_by_role("alert").first).to_contain_text("broken.png: cannot read the image")
    os.kill(_worker_of(server), signal.SIGKILL)
    page.get_by_role("button", name="Remove digits-2:last").click()
    expect(page.get_by_text("another one was started").first).to_be_visible()
    expect(good.get_by_role("region")).to_have_count(1)
    page.get_by_role("button", name="Remove broken.png").click()
    expect(bad).to_be_hidden()

    box = page.get_by_role("textbox", name="Folder")
    box.fill("/etc")
    page.get_by_role("button", name="Find images").click()
    expect(page.get_by_role("alert")).to_contain_text("/etc is outside of")
    box.fill("~/pictures")
    page.get_by_role("button", name="Find images").click()
    page.get_by_role("button", name="Predict 4 images").click()
    table = page.get_by_role("region", name="Predictions of the folder")
    expect(table.get_by_role("row")).to_have_count(5)
    expect(table.get_by_role("row").filter(has_text="link.png")).to_contain_text("is outside of")
    expect(table.get_by_role("row").filter(has_text="two.png")).to_contain_text("%")
    with page.expect_download() as found:
        page.get_by_role("button", name="Save as CSV").click()
    found.value.save_as(tmp_path / "it.csv")
    rows = list(csv.DictReader((tmp_path / "it.csv").read_text().splitlines()))
    assert [row["file"] for row in rows] == ["broken.png", "link.png", "one.png", "more/two.png"]
    assert [bool(row["class"]) for row in rows] == [False, False, True, True]


@pytest.mark.usefixtures("trained")
def test_samples_worst_first_by_pair_of_classes(page: Page) -> None:
    page.goto("/runs/digits-2?tab=classes")
    pairs = page.get_by_role("region", name="Confusion matrix").get_by_role("link", name=re.compile(r"predicted as"))
    expect(pairs.first).to_be_visible()
    labels = [one.get_attribute("aria-label") or "" for one in pairs.all()]
    label = next(one for one in labels if not re.search(r"(\d) predicted as \1", one))
    count, target, predicted = re.findall(r"\d+", label)
    page.get_by_role("link", name=label, exact=True).click()
    samples = page.get_by_role("list", name="Samples").get_by_role("listitem")
    expect(samples).to_have_count(int(count))
    expect(samples.first).to_contain_text(f"truly {target}")
    expect(page.get_by_label("True class")).to_have_value(target)
    expect(page.get_by_label("Predicted class")).to_have_value(predicted)
    page.get_by_label("True class").select_option("any")
    page.get_by_label("Predicted class").select_option("any")
    expect(samples).to_have_count(48)
    losses = [float(text) for text in re.findall(r"loss ([\d.e-]+)", " ".join(samples.all_inner_texts()))]
    assert losses == sorted(losses, reverse=True)
    page.get_by_role("button", name="Better").click()
    expect(page.get_by_text(re.compile("^49 to"))).to_be_visible()
    page.get_by_role("button", name="Worse").click()
    expect(page.get_by_text("1 to 48")).to_be_visible()
    page.get_by_role("button", name="Predict again").click()
    expect(samples).to_have_count(48)
