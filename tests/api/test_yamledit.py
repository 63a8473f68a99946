"""Edits of YAML: the file holds what was wanted, and what was not edited is as it was written."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.api.presets import PRESETS
from modelyard.api.yamledit import Edit, edit_yaml
from modelyard.api.yamlfile import read_yaml
from modelyard.api.yamlprint import document
from modelyard.domain.errors import ConfigError


def put(text: str, path: str, value: Any) -> str:
    return edit_yaml(text, [Edit(path=tuple(path.split("/")), value=value)], "s.yaml").text


def take(text: str, path: str) -> str:
    return edit_yaml(text, [Edit(path=tuple(path.split("/")), remove=True)], "s.yaml").text


@pytest.mark.parametrize(
    ("text", "path", "value", "expected"),
    [
        ("a: 1   # one\nb: 2\n", "a", 3, "a: 3   # one\nb: 2\n"),
        ("a:\n  b: 1  # one\n\n# c\nc: 2\n", "a/d", "x", "a:\n  b: 1  # one\n  d: x\n\n# c\nc: 2\n"),
        ("a: {b: 1}  # one\n", "a/c", 2.5, "a: {b: 1, c: 2.5}  # one\n"),
        ("a:\n  - 1\n  - 2\nb: 1\n", "a", [3], "a: [3]\nb: 1\n"),
        ("a:   # empty\nb: 1\n", "a/c", True, "a: {c: true}   # empty\nb: 1\n"),
        ("a: b", "c/d/e", {"f": {"g": 1}}, "a: b\nc:\n  d:\n    e:\n      f: {g: 1}\n"),
        ("a: |\n  text\n\n# c\nb: 1\n", "a", "x", "a: x\n\n# c\nb: 1\n"),
        ("a: 'it''s'\n", "a", "it's", "a: 'it''s'\n"),
        ("a: 1\n", "a", "no", 'a: "no"\n'),
        ("a: 1\n", "a", "1e-3", 'a: "1e-3"\n'),
        ("a: 1\n", "a", None, "a: null\n"),
        ("a: adamw\n", "a", {"name": "sgd", "lr": 0.1}, "a: {name: sgd, lr: 0.1}\n"),
        ("a:\n  name: adamw # kind\n  lr: 1e-3 # rate\n", "a", {"name": "sgd", "lr": 1e-3},
         "a:\n  name: sgd # kind\n  lr: 1e-3 # rate\n"),
    ],
)  # fmt: skip
def test_a_value_is_changed_where_it_stands(text: str, path: str, value: Any, expected: str) -> None:
    assert put(text, path, value) == expected


def test_what_is_taken_away_takes_its_line_and_what_is_empty_then() -> None:
    text = "a:\n  b: 1  # one\n  c: 2\n# d\nd: {e: 1}\n"
    assert take(text, "a/b") == "a:\n  c: 2\n# d\nd: {e: 1}\n"
    assert take(text, "d/e") == "a:\n  b: 1  # one\n  c: 2\n# d\n"
    assert take(text, "x/y") == text
    assert take("a: 1\n", "a") == "{}\n"


def test_comments_that_go_are_told() -> None:
    edited = edit_yaml("a: 1  # one\nb: 2  # two\n", [Edit(path=("a",), remove=True)], "s.yaml")
    assert edited.lost == ("# one",)
    assert edit_yaml("a: 1  # one\n", [Edit(path=("a",), value=2)], "s.yaml").lost == ()


@pytest.mark.parametrize("text", ["a: &x {b: 1}\nc: *x\n", "d: &x {b: 1}\na:\n  <<: *x\n", "{a: {b: 1}}\n"])
def test_what_cannot_be_edited_in_place_is_written_anew(text: str) -> None:
    before = read_yaml(text, "s").value
    after = read_yaml(put(text, "a/b", 2), "s").value
    assert after == before | {"a": {"b": 2}}


@pytest.mark.parametrize("text", ["- a\n", "a: [\n", ""])
def test_only_files_with_keys_can_be_edited(text: str) -> None:
    with pytest.raises(ConfigError, match=r"s\.yaml"):
        put(text, "a", 1)


def test_a_preset_keeps_all_that_was_not_edited() -> None:
    text = PRESETS["first-try"].text(file=Path("sweep.yaml"))
    edits = [
        Edit(path=("run", "optimizer", "learning_rate"), value=0.5),
        Edit(path=("run", "training", "ema"), value={"decay": 0.99}),
        Edit(path=("search", "space", "seed"), value={"choice": [1, 2]}),
        Edit(path=("search", "scheduler"), value="asha"),
    ]
    before, after = text.splitlines(), edit_yaml(text, edits, "s.yaml").text.splitlines()
    added = [line for line in after if line not in before]
    assert added == [
        "    learning_rate: 0.5           # varied below",
        "    ema: {decay: 0.99}",
        "    seed: {choice: [1, 2]}",
        "  scheduler: asha",
    ]
    assert [line for line in before if line not in after] == ["    learning_rate: 1e-3           # varied below"]


_KEYS = st.sampled_from(["a", "b", "c d", "e.f", "null", "1", "#", "x: y", "é"])
_SCALARS = st.none() | st.booleans() | st.integers(-1000, 1000) | st.floats(allow_nan=False) | st.text(max_size=8)
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3), max_leaves=8
)


@given(
    before=st.dictionaries(_KEYS, _VALUES, min_size=1, max_size=4),
    path=st.lists(_KEYS, min_size=1, max_size=3),
    value=_VALUES,
    remove=st.booleans(),
)
def test_any_edit_gives_what_was_wanted(before: dict[str, Any], path: list[str], value: Any, remove: bool) -> None:
    text = document(before)
    assert read_yaml(text, "s").value == before
    edited = edit_yaml(text, [Edit(path=tuple(path), value=value, remove=remove)], "s").text
    found: Any = read_yaml(edited, "s").value
    for key in path:
        found = found.get(key, _NOTHING) if isinstance(found, dict) else _NOTHING
    assert found == (_NOTHING if remove else value)


_NOTHING = object()
