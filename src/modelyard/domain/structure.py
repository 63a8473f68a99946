"""Which configurations have models and batches of one shape, so that they can train as one model."""

import hashlib
from typing import Any

from modelyard.domain.base import canonical_json
from modelyard.domain.config import RunSpec

_FREE_MODEL_FIELDS = frozenset({"dropout"})
_SHARED_TRAINING_FIELDS = ("batch_size", "accumulate", "precision", "deterministic", "threads")


def structure_key(spec: RunSpec) -> str:
    """Return a text that two configs share if and only if their models and batches have the same shapes.

    Everything that is only a number to the arithmetic may differ: learning rate and schedule, decay, betas, dropout,
    smoothing, clipping, loss, augmentation, seeds, the number of epochs, and the optimizer, which steps each member.
    """
    training = spec.training.model_dump(mode="json")
    return canonical_json(
        {
            "task": spec.task,
            **_data_and_model(spec),
            "training": {name: training[name] for name in _SHARED_TRAINING_FIELDS},
        }
    )


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
