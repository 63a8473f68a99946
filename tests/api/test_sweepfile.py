"""Sweep files: what they hold, and that every mistake is shown with its line."""

import json
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.api.jsonfile import read_json
from modelyard.api.sweepfile import parse_sweep, read_sweep
from modelyard.api.yamlfile import read_yaml
from modelyard.domain.config import SweepSpec
from modelyard.domain.errors import ConfigError, UserError

SWEEP = """\
name: digits
run:
  model: {name: mlp, hidden_sizes: [32]}
  optimizer:
    name: adamw
    learning_rate: 1e-3
  training:
    epochs: 3
search:
  method: grid
  space:
    optimizer.learning_rate:
      choice: [1e-3, 1e-2]
    model.dropout: {float: [0, 0.5], points: 2}
"""


def problem(text: str, name: str = "sweep.yaml") -> str:
    with pytest.raises(ConfigError) as caught:
        parse_sweep(dedent(text), name)
    return str(caught.value)


def test_a_whole_sweep_is_read() -> None:
    sweep = parse_sweep(SWEEP, "sweep.yaml")
    assert sweep.name == "digits"
    assert sweep.run.optimizer.learning_rate == 0.001
    assert sweep.search.space["optimizer.learning_rate"].choice == (0.001, 0.01)


def test_json_is_read_too_and_means_the_same(tmp_path: Path) -> None:
    sweep = parse_sweep(SWEEP, "sweep.yaml")
    file = tmp_path / "sweep.json"
    file.write_text(json.dumps(sweep.model_dump(mode="json"), indent="\t"))
    assert read_sweep(file) == sweep


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: digits\nrnu: {}\n", "sweep.yaml:2: rnu: unknown key; did you mean 'run'?"),
        (
            "run:\n  optimizer:\n    name: adamw\n    learning_rat: 0.1\n",
            "sweep.yaml:4: run.optimizer.learning_rat: unknown key; did you mean 'learning_rate'?",
        ),
        ("run:\n  training:\n\n    epochs: 0\n", "sweep.yaml:4: run.training.epochs: "),
        ("run:\n  optimizer:\n    name: sdg\n", "sweep.yaml:2: run.optimizer: unknown name 'sdg'; did you mean 'sgd'?"),
        ("run:\n  optimizer: sdg\n", "sweep.yaml:2: run.optimizer: unknown name 'sdg'"),
        ("run:\n  metrics:\n    - accuracy\n    - acuracy\n", "sweep.yaml:4: run.metrics.1: unknown name 'acuracy'"),
        ("name: Big Name\n", "sweep.yaml:1: name: 'Big Name' is not a valid name"),
        (
            "name: a\nrun:\n  seed: 1\n  seed: 2\n",
            "sweep.yaml:4: the key 'seed' is given twice; the first is in line 3",
        ),
        ("name: a\nrun: {seed: 1\n", "sweep.yaml:3: not valid YAML"),
        ("- a\n- b\n", "sweep.yaml:1: a sweep file holds keys"),
        ("", "sweep.yaml: the file is empty"),
        ("name: !!python/name:os.system a\n", "sweep.yaml:1: the tag tag:yaml.org,2002:python/name:os.system is not"),
        ("run: !custom {}\n", "sweep.yaml:1: the tag !custom is not supported"),
        ("run: &a\n  data: *a\n", "sweep.yaml:1: an alias that contains itself"),
        ("? [a]\n: 1\n", "sweep.yaml:1: a key must be a word"),
        ("search:\n  method: random\n  samples: 3\n", "sweep.yaml:1: search: method 'random' needs 'space'"),
        (
            "search:\n  method: grid\n  space:\n    seed: {choice: [1]}\n    optimizer.lerning_rate: {choice: [1]}\n",
            "sweep.yaml:5: search.space.optimizer.lerning_rate: ",
        ),
        (
            "search:\n  method: grid\n  space:\n    optimizer.learning_rate:\n      choice: [0.1, -1]\n",
            "sweep.yaml:4: search.space.optimizer.learning_rate: ",
        ),
        (
            "search:\n  method: list\n  runs:\n    - {seed: 1}\n    - {sed: 2}\n",
            "sweep.yaml:5: search.runs.1: ",
        ),
    ],
)
def test_every_problem_names_its_line(text: str, expected: str) -> None:
    assert problem(text).startswith(expected)


def test_all_problems_are_told_at_once() -> None:
    lines = problem("name: a\nrun:\n  seeed: 1\n  training:\n    epochs: -1\n    batch_size: x\n").splitlines()
    assert [line.split(":")[1] for line in lines] == ["5", "6", "3"] or sorted(
        line.split(":")[1] for line in lines
    ) == ["3", "5", "6"]


def test_json_problems_have_lines_too() -> None:
    assert problem('{\n\t"name": "a",\n\t"run": {\n\t\t"seed": -1}\n}', "s.json").startswith("s.json:4: run.seed: ")
    assert problem('{\n"name": "a",\n}', "s.json").startswith("s.json:3: not valid JSON")
    assert "given twice" in problem('{"name": "a", "name": "b"}', "s.json")


def test_relative_data_paths_start_at_the_file(tmp_path: Path) -> None:
    file = tmp_path / "inner" / "sweep.yaml"
    file.parent.mkdir()
    file.write_text(
        "run:\n  data: {source: image-folder, path: ../pictures}\n"
        "search:\n  method: list\n  runs:\n    - {data.path: more}\n    - {data.path: /abs}\n"
        "    - {data: {source: image-folder, path: x}}\n"
    )
    sweep = read_sweep(file)
    assert sweep.run.data.model_dump()["path"] == str(tmp_path / "pictures")
    assert sweep.search.runs[0]["data.path"] == str(tmp_path / "inner/more")
    assert sweep.search.runs[1]["data.path"] == "/abs"
    assert sweep.search.runs[2]["data"]["path"] == str(tmp_path / "inner/x")


def test_a_choice_of_data_paths_starts_at_the_file(tmp_path: Path) -> None:
    text = (
        "run:\n  data: {source: image-folder, path: a}\n"
        "search:\n  method: grid\n  space:\n    data.path: {choice: [a, b]}\n"
    )
    sweep = parse_sweep(text, str(tmp_path / "sweep.yaml"))
    assert sweep.search.space["data.path"].choice == (str(tmp_path / "a"), str(tmp_path / "b"))


def test_a_missing_file_and_a_binary_file_are_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file; 'modelyard init'"):
        read_sweep(tmp_path / "none.yaml")
    (tmp_path / "image.yaml").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(ConfigError, match="not a text file in UTF-8"):
        read_sweep(tmp_path / "image.yaml")
    with pytest.raises(UserError, match="directory"):
        read_sweep(tmp_path)


def test_scalars_are_those_of_yaml_1_2() -> None:
    text = "[no, on, 1e-3, 010, 1_000, 12:30, 2026-01-01, null, ~, TRUE, .5, '1', 0x1F, .inf]"
    values = read_yaml(text, "x").value
    assert values == [
        "no", "on", 0.001, 10, "1_000", "12:30", "2026-01-01", None, None, True, 0.5, "1", "0x1F", float("inf")
    ]  # fmt: skip


def test_merged_keys_and_aliases() -> None:
    document = read_yaml("base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\nagain:\n  <<: [*b]\n", "x")
    assert document.value["use"] == {"y": 3, "x": 1}
    assert document.value["again"] == {"x": 1, "y": 2}
    assert document.lines[("use", "y")] == 4


def test_aliases_cannot_grow_without_end() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n" for level in range(1, 9)
    )
    with pytest.raises(ConfigError, match="more than 200,000 values"):
        read_yaml(bomb, "x")


def test_deep_nesting_is_an_error_not_a_crash() -> None:
    with pytest.raises(ConfigError, match="nested"):
        read_yaml("[" * 5000 + "]" * 5000, "x")


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def _paths(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if path:
        yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from _paths(item, (*path, key))


@given(_json)
def test_json_files_read_as_json(value: object) -> None:
    text = json.dumps(value)
    document = read_json(text, "x.json")
    assert document.value == json.loads(text)
    assert set(document.lines) == set(_paths(document.value))
    assert set(document.lines.values()) <= {1}


@given(_json)
def test_the_lines_of_json_are_where_the_keys_are(value: object) -> None:
    text = json.dumps(value, indent=1)
    rows = text.splitlines()
    for path, line in read_json(text, "x.json").lines.items():
        if isinstance(path[-1], str):
            assert rows[line - 1].strip().startswith(f"{json.dumps(path[-1])}: ")


@given(st.text(max_size=60))
def test_any_text_is_a_sweep_or_a_config_error(text: str) -> None:
    try:
        assert isinstance(parse_sweep(text, "x.yaml"), SweepSpec)
    except ConfigError as error:
        assert str(error).startswith("x.yaml")  # noqa: PT017
