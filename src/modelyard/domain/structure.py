"""Which configurations are alike: can train as one model, are built in the same way, or cost the same."""

import hashlib
from collections.abc import Sequence
from typing import Any

from modelyard.domain.base import canonical_json
from modelyard.domain.config import RunSpec
from modelyard.domain.query import flatten

_FREE_MODEL_FIELDS = frozenset({"dropout"})
_SHARED_TRAINING_FIELDS = ("batch_size", "accumulate", "precision", "deterministic", "threads")
_NOT_BUILT = frozenset({"optimizer", "schedule", "training", "seed", "data_seed"})
"""Parts of a run that cannot keep its data and model from being opened and built."""


def structure_key(spec: RunSpec) -> str:
    """Return a text that two configs share if and only if their models and batches have the same shapes.

    Everything that is only a number to the arithmetic may differ: learning rate and schedule, decay, betas, dropout,
    smoothing, clipping, loss, augmentation, seeds, the number of epochs, and the optimizer, which steps each member.
    """
    return canonical_json(_structure(spec))


def structure_differences(one: RunSpec, other: RunSpec) -> tuple[str, ...]:
    """Return the fields that keep two runs from sharing a stack, each with both values; empty if nothing does."""
    first, second = flatten(_structure(one)), flatten(_structure(other))
    if first.get("model.name") != second.get("model.name"):  # what else a model has follows from its kind
        first, second = (
            {field: value for field, value in fields.items() if field == "model.name" or not field.startswith("model.")}
            for fields in (first, second)
        )
    fields = [field for field in {**first, **second} if first.get(field) != second.get(field)]
    return tuple(f"{field}: {_shown(first.get(field))} -> {_shown(second.get(field))}" for field in fields)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else canonical_json(value)


def _structure(spec: RunSpec) -> dict[str, Any]:
    training = spec.training.model_dump(mode="json")
    return {
        "task": spec.task,
        **_data_and_model(spec),
        "training": {name: training[name] for name in _SHARED_TRAINING_FIELDS},
    }


def _data_and_model(spec: RunSpec) -> dict[str, Any]:
    if spec.user_code is not None:  # what a parameter does, only the code knows
        return {"code": spec.user_code.model_dump(mode="json")}
    return {
        "data": spec.data.model_dump(mode="json"),
        "model": spec.model.model_dump(mode="json", exclude=set(_FREE_MODEL_FIELDS)),
    }


def structure_hash(spec: RunSpec) -> str:
    """Return ``structure_key`` as 16 hexadecimal digits."""
    return hashlib.sha256(structure_key(spec).encode()).hexdigest()[:16]


def build_key(spec: RunSpec) -> str:
    """Return a text that two configs share only if both can be built for their data, or neither can.

    Runs of one structure with other learning rates, seeds, schedules or strengths of augmentation share it.
    """
    training = spec.training
    early = training.early_stopping
    parts = spec.model_dump(mode="json", exclude=set(_NOT_BUILT))
    return canonical_json(
        {
            **parts,
            "model": spec.model.model_dump(mode="json", exclude=set(_FREE_MODEL_FIELDS)),
            "loss": _without_sizes(parts["loss"]),
            "augment": _without_sizes(parts["augment"]),
            "batch_size": training.batch_size,
            "device": training.device,
            "watched": [training.checkpoint.metric, None if early is None else early.metric],
        }
    )


def workload_hash(specs: Sequence[RunSpec]) -> str:
    """Return 16 hexadecimal digits that groups of runs of one structure share if their steps cost the same.

    Optimizer, loss and augmentation may differ within a structure but are not free, and batches that all members share
    are gathered and augmented once.
    """
    shared = {
        "structure": structure_key(specs[0]),
        "forms": sorted({canonical_json(_cost_form(spec)) for spec in specs}),
        "same_batches": len({spec.data_seed for spec in specs}) == 1,
        "same_pixels": len({(spec.seed if spec.augment else 0, repr(spec.augment)) for spec in specs}) == 1,
    }
    return hashlib.sha256(canonical_json(shared).encode()).hexdigest()[:16]


def _cost_form(spec: RunSpec) -> Any:
    parts = spec.model_dump(mode="json", include={"augment", "loss", "optimizer"})
    return [
        _without_sizes(parts.get("augment")),
        parts.get("loss", {}).get("name"),
        parts.get("optimizer", {}).get("name"),
        spec.training.ema is not None,
        spec.training.clip_norm is not None,
        getattr(spec.model, "dropout", 0) > 0,
    ]


def _without_sizes(value: Any) -> Any:
    """Replace every float by its sign: how large it is decides nothing, but a list of zeros may be a mistake."""
    if isinstance(value, float):
        return (value > 0) - (value < 0)
    if isinstance(value, dict):
        return {key: _without_sizes(item) for key, item in value.items()}
    return [_without_sizes(item) for item in value] if isinstance(value, list) else value
