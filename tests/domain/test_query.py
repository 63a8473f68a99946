"""The filter language of ``runs list``."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.errors import UserError
from modelyard.domain.query import (
    All,
    Compare,
    Condition,
    Either,
    In,
    Not,
    check_fields,
    fields_of,
    flatten,
)
from modelyard.domain.query_parser import parse

FIELDS = {
    "state": "completed",
    "name": "digits-1",
    "val_accuracy": 0.93,
    "recall/cat": 0.5,
    "optimizer.learning_rate": 0.001,
    "optimizer.nesterov": True,
    "model.hidden_sizes": "[64,64]",
    "training.ema": None,
    "seed": 3,
}


@pytest.mark.parametrize(
    "text",
    [
        "val_accuracy > 0.9 and state = completed",
        "state = COMPLETED or name ~ DIGITS",
        "not state = running",
        "NOT state = running AND val_accuracy >= 0.93",
        "state in (completed, failed)",
        "state not in (running, queued)",
        "optimizer.learning_rate = 1e-3",
        "optimizer.nesterov = true",
        "optimizer.nesterov != false",
        "training.ema = null",
        "`recall/cat` <= 0.5",
        "model.hidden_sizes = '[64,64]'",
        "model.hidden_sizes ~ 64",
        "seed == 3",
        "seed < 4 and (state = failed or val_accuracy != 1)",
        "name !~ cifar",
        'name = "digits-1"',
    ],
)
def test_a_filter_that_matches(text: str) -> None:
    assert parse(text).matches(FIELDS)


@pytest.mark.parametrize(
    "text",
    [
        "val_accuracy > 0.93",
        "state = failed",
        "state != completed",
        "missing > 1",
        "missing != 1",
        "missing ~ a",
        "name = 3",
        "name > 3",
        "optimizer.nesterov = 1",
        "state not in (completed)",
        "not (seed = 3)",
        "seed > 3 or seed < 3",
        "state = failed or state = completed and seed = 9",
    ],
)
def test_a_filter_that_does_not_match(text: str) -> None:
    assert not parse(text).matches(FIELDS)


def test_and_binds_tighter_than_or() -> None:
    assert parse("a = 1 or b = 1 and c = 1") == Either(
        (Compare("a", "=", 1.0), All((Compare("b", "=", 1.0), Compare("c", "=", 1.0))))
    )


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("", 1, "expected a field"),
        ("state", 6, "expected a comparison"),
        ("state = ", 8, "expected a value"),
        ("state = completed val_accuracy", 19, "expected 'and'"),
        ("(state = completed", 19, "expected ')'"),
        ("state in completed", 10, "expected '('"),
        ("state not completed", 11, "expected 'in'"),
        ("state = 'open", 9, "cannot read"),
        ("= 3", 1, "expected a field"),
        ("and = 3", 1, "expected a field"),
        ("a = 1 and ! b", 11, "cannot read"),
        ("a = (1)", 5, "expected a value"),
    ],
)
def test_a_mistake_is_pointed_at(text: str, column: int, message: str) -> None:
    with pytest.raises(UserError) as caught:
        parse(text)
    first, shown, pointer = str(caught.value).split("\n")
    assert first.startswith(f"filter, column {column}: {message}")
    assert shown == f"  {text}"
    assert pointer.index("^") == column + 1


def test_an_unknown_field_offers_the_nearest() -> None:
    text = "state = failed or val_acuracy > 1"
    with pytest.raises(UserError, match=r"column 19: no run has a field 'val_acuracy'; did you mean 'val_accuracy'\?"):
        check_fields(text, parse(text), FIELDS.keys())
    check_fields("state = failed", parse("state = failed"), FIELDS.keys())


def test_flatten_joins_paths_and_writes_lists_as_json() -> None:
    assert flatten({"a": {"b": 1, "c": [1, "x"]}, "d": None}) == {"a.b": 1, "a.c": '[1,"x"]', "d": None}


_names = st.text(st.characters(blacklist_characters="`", blacklist_categories=["Cs"]), min_size=1).filter(str.strip)
_values = st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(st.characters(blacklist_categories=["Cs"]))
_tests = st.builds(Compare, _names, st.sampled_from(["=", "!=", "<", "<=", ">", ">=", "~", "!~"]), _values) | st.builds(
    In, _names, st.lists(_values, min_size=1, max_size=4).map(tuple)
)
_conditions: st.SearchStrategy[Condition] = st.recursive(
    _tests,
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(All, st.lists(inner, min_size=2, max_size=3).map(tuple))
        | st.builds(Either, st.lists(inner, min_size=2, max_size=3).map(tuple))
    ),
    max_leaves=8,
)


@given(_conditions)
def test_every_condition_reads_back_as_written(condition: Condition) -> None:
    assert parse(str(condition)) == condition


@given(st.text(st.sampled_from("ab=<>!~()'\"`,\\ \tandornoti3.")))
def test_any_text_parses_or_is_a_user_error(text: str) -> None:
    try:
        condition = parse(text)
    except UserError as error:
        assert "column" in str(error)  # noqa: PT017
    else:
        list(fields_of(condition))
        condition.matches(FIELDS)
