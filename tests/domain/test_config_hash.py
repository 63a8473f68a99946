"""Equal configs have equal hashes on every machine and in every version; different ones have not."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.base import canonical_json
from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.parts.augmentations import PRESETS

# A change of these numbers means that every stored run changes its identity: do it on purpose, or not at all.
DEFAULT_RUN_HASH = "be8016c3781488581763d0f6656829d256c1a4109e921e8f133b571ea6571c50"
DEFAULT_SWEEP_HASH = "f7c420497f663856f637343e9ac8bf341d98040a1c642bb96ba83f78418d3160"


def test_the_hashes_of_the_defaults_never_change() -> None:
    assert RunSpec().hash == DEFAULT_RUN_HASH
    assert SweepSpec().hash == DEFAULT_SWEEP_HASH


def test_order_short_forms_and_written_out_defaults_do_not_count() -> None:
    short = RunSpec.model_validate({"seed": 1, "optimizer": "sgd", "augment": "light"})
    full = RunSpec.model_validate(
        {
            "augment": [part.model_dump() for part in PRESETS["light"]],
            "optimizer": {"momentum": 0.9, "name": "sgd", "learning_rate": 0.1},
            "seed": 1,
        }
    )
    assert short.hash == full.hash


def test_every_field_counts() -> None:
    base = RunSpec()
    changes: list[dict[str, Any]] = [
        {"data": {"source": "digits", "split_seed": 1}},
        {"model": {"name": "mlp", "dropout": 0.1}},
        {"loss": "focal"},
        {"optimizer": {"name": "adamw", "eps": 1e-7}},
        {"schedule": "cosine"},
        {"augment": "digits"},
        {"metrics": ["accuracy"]},
        {"training": {"threads": 2}},
        {"seed": 1},
        {"data_seed": 1},
        {"custom": {"file": "a.py", "class_name": "A"}, "task": "custom"},
        {"trainer": {"file": "a.py", "function": "a"}, "task": "hf-trainer"},
    ]
    assert {next(iter(change)) for change in changes} == set(RunSpec.model_fields) - {"task"}
    hashes = {RunSpec.model_validate(change).hash for change in changes} | {base.hash}
    assert len(hashes) == len(changes) + 1


def test_a_spec_survives_its_own_json_with_the_same_hash() -> None:
    spec = RunSpec.model_validate(
        {"model": {"name": "vit", "dropout": 0.1}, "augment": "strong", "metrics": ["auroc", {"name": "top_k", "k": 3}]}
    )
    again = RunSpec.model_validate_json(canonical_json(spec.model_dump(mode="json")))
    assert again == spec
    assert again.hash == spec.hash


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), _JSON))
def test_canonical_json_keeps_the_value_and_forgets_the_order(value: dict[str, Any]) -> None:
    assert json.loads(canonical_json(value)) == value
    assert canonical_json(dict(reversed(value.items()))) == canonical_json(value)
