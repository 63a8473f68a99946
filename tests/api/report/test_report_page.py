"""The page: whole, safe, small, readable without colour, script or network."""

import base64
import hashlib
import html
import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from modelyard.api.report import report_html
from modelyard.domain.run import RunState

VOID = {"meta", "br"}
ATTACK = '<script>alert("x")</script><img src=x onerror=alert(1)>'


class Checker(HTMLParser):
    """Notes every element with its attributes, and that each is closed where it should be."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def seen(page):
    """Return the text of the page as a reader sees it, without style and script."""
    body = re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_a_page_is_whole_and_needs_nothing_from_elsewhere(make, made, report):
    page = report_html(report(make([made({"val_accuracy": [0.1, 0.5], "train_loss": [3.0, 0.01]}) for _ in range(3)])))
    checked = Checker(page)
    assert page.startswith("<!DOCTYPE html>")
    used = {name for _, attributes in checked.elements for name in attributes}
    assert not used & {"src", "href", "style", "srcset"}, "nothing is loaded, and the policy forbids inline styles"
    assert not [name for name in used if name.startswith("on")]
    assert "http:" not in page.replace("http-equiv", "")
    assert "https:" not in page
    assert "url(" not in page
    assert "@import" not in page


def test_the_policy_allows_this_style_and_this_script_and_nothing_else(make, made, report):
    page = report_html(report(make([made({"val_accuracy": [0.5]})])))
    policy = next(m for m in Checker(page).all("meta") if m.get("http-equiv") == "Content-Security-Policy")["content"]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    for tag, directive in (("style", "style-src"), ("script", "script-src")):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy


def test_text_from_outside_stays_text(store, make, made, report):
    confusion = {"classes": [ATTACK, "dog"], "counts": [[1, 2], [3, 4]]}
    spec = {"data": {"source": "image-folder", "path": f"/data/{ATTACK}"}}
    values = {"val_accuracy": [0.5], f"val_recall/{ATTACK}": [0.5]}
    experiment = make(
        [
            made(values, spec, end=RunState.FAILED, why=ATTACK, artifacts={f"{ATTACK}/confusion_matrix": confusion}),
            made({"val_accuracy": [0.1]}, {"data": {"source": "image-folder", "path": "/other\x00\x1b[31m"}}),
        ]
    )
    store.runs.clone(store.runs.get("sweep-2").id, store.runs.get("sweep-2").spec, actor=ATTACK)
    for metrics in ((), ("val_accuracy", f"val_recall/{ATTACK}")):
        page = report_html(report(store.experiments.get(experiment.id), metrics=metrics))
        checked = Checker(page)
        assert len(checked.all("script")) == 1
        assert checked.all("img") == []
        assert ATTACK in seen(page)
        assert "\x00" not in page
        assert "\x1b" not in page


def test_missing_figures_read_unavailable_and_live_runs_are_marked(make, made, report):
    page = report_html(report(make([made({"val_accuracy": [0.5]}, end=None), made(), made({"train_loss": [1.0]})])))
    text = seen(page)
    assert "2 of 3 runs are not over yet: their figures are not final." in text
    assert "running 100%" in text
    keys = [seen(key) for key in re.findall(r"<li .*?</li>", page)]
    assert keys == ["sweep-1 (running)", "sweep-3"], "the keys of the curves say so, too"
    assert "A confusion matrix of sweep-1 is unavailable" in text
    rows = re.findall(r"<tr data-run.*?</tr>", page, re.DOTALL)
    assert [row.count("unavailable") for row in rows] == [2, 7, 6]


def test_nan_is_shown_and_breaks_no_axis(make, made, report):
    values = [1.0, 0.5, math.nan, math.inf, -math.inf, 0.25, math.nan]
    page = report_html(
        report(make([made({"val_accuracy": values, "val_loss": [math.nan] * 3}, end=RunState.FAILED, why="nan")]))
    )
    drawn = [attributes["d"] for attributes in Checker(page).all("path")]
    assert not [data for data in drawn if "nan" in data or "inf" in data]
    text = seen(page)
    assert "No finite value to draw." in text
    assert "4 places with NaN or infinity, marked below" in text
    assert "NaN" in text
    (lost,) = [a["d"] for a in Checker(page).all("path") if a.get("class") == "lost"]
    assert lost.count("M") == 4


@pytest.mark.parametrize("values", [[5e-324, 1e-323], [1e308, -1e308, 0.5], [0.0], [1e16, 1e16 + 2], [-1e-300, 3]])
def test_extreme_values_draw(make, made, report, values):
    page = report_html(report(make([made({"val_loss": values}), made({"val_loss": values[::-1]})])))
    assert "nan" not in "".join(attributes["d"] for attributes in Checker(page).all("path"))


def test_tables_have_captions_and_heads_and_pictures_have_names(make, made, report):
    content = {"classes": ["cat", "dog"], "counts": [[8, 2], [1, 9]]}
    page = report_html(
        report(make([made({"val_accuracy": [0.1, 0.5]}, artifacts={"val/confusion_matrix": content}) for _ in "ab"]))
    )
    checked = Checker(page)
    assert len(re.findall(r"<table><caption>[^<]+</caption><thead>", page)) == len(checked.all("table")) > 4
    assert {attributes.get("scope") for attributes in checked.all("th")} == {"col", "row"}
    for picture in checked.all("svg"):
        assert picture.get("aria-label") or picture.get("aria-hidden") == "true"
    assert "dog taken for cat: 1 of 10" in seen(page)
    assert "cat 80.0% 88.9%" in seen(page)


def test_sixty_four_runs_with_five_metrics_stay_small(make, made, report):
    noisy = [1.0 + math.sin(place * 12.9898) * 0.5 for place in range(2000)]
    names = ("val_accuracy", "val_loss", "train_loss", "grad_norm", "val_f1_macro")
    runs = [
        made({name: [value + number / 64 for value in noisy] for name in names}, steps=2000) for number in range(64)
    ]
    page = report_html(report(make(runs)))
    assert len(re.findall('class="line"', page)) == 64 * 5 + 2 * 64, "curves, and keys in legend and table"
    assert len(page.encode()) < 2_000_000


def test_of_more_runs_than_curves_the_page_says_which_are_drawn(make, made, report):
    text = seen(report_html(report(make([made({"val_accuracy": [number / 100]}) for number in range(70)]))))
    assert "Curves of the 64 best runs, sweep-70 to sweep-7; 6 are left out." in text
    assert "sweep-1 completed 70 0" in text, "the table has all of them"


def test_an_empty_report_says_what_to_do(store, make, made, report):
    experiment = make([made()])
    assert "No metric has been recorded yet. Train: modelyard resume sweep" in seen(report_html(report(experiment)))
    assert "This run is not over yet: its figures are not final." in seen(report_html(report(experiment)))
    assert "Train it again" in seen(report_html(report(experiment)))
    store.runs.delete(store.runs.get("sweep-1").id, actor="ana")
    text = seen(report_html(report(store.experiments.get(experiment.id))))
    assert "There are no runs: they were deleted. Train some: modelyard train" in text
    assert "deleted" in text


def test_many_varied_fields_are_listed_apart(make, made, report):
    fields = {"learning_rate": 0.5, "momentum": 0.5, "weight_decay": 0.5, "nesterov": True, "name": "sgd"}
    training = {"epochs": 10, "batch_size": 8, "log_every": 3, "clip_norm": 1.0}
    page = report_html(
        report(make([made({"val_accuracy": [0.5]}, {"optimizer": fields, "training": training}), made()]))
    )
    text = seen(page)
    assert "Fields that differ between the runs" in text
    assert "training.batch_size 8 (1), 64 (1)" in text


def test_lines_of_a_few_runs_have_bands_and_those_of_many_go_through_all_extremes(make, made, report):
    values = [1.0] * 3000
    values[1111] = 1.5
    few = report_html(report(make([made({"train_loss": values}, steps=3000)])))
    assert 'class="band"' in few
    many = report_html(report(make([made({"train_loss": values}, steps=3000) for _ in range(13)], name="many")))
    assert 'class="band"' not in many
    assert "lowest and highest of" in seen(many)


def test_of_very_many_ways_of_training_the_most_frequent_are_shown(make, made, report):
    found = report(make([made({"val_accuracy": [0.5]})]))
    ways = tuple(replace(found.ways[0], reason=f"reason {number}") for number in range(40))
    assert "How the runs were trained (30 of 40 ways)" in seen(report_html(replace(found, ways=ways)))


def test_axes_of_whole_numbers_have_no_halves_between_them(make, made, report):
    page = report_html(report(make([made({"val_accuracy": [0.1, 0.2, seed / 3]}, steps=3) for seed in range(3)])))
    assert "best val_accuracy of each run against seed" in page
    labels = re.findall(r"<text [^>]*>([\d.]+)</text>", page)
    assert "0.5" in labels, "values of the metric have"
    assert not {"1.5", "2.5"} & set(labels)
