"""What live runs were tuned to, and how long they train by that."""

import json
from collections.abc import Mapping, Sequence

from modelyard.domain.control import Tune
from modelyard.domain.query import Value
from modelyard.domain.run import Run
from modelyard.store import Store


def tuned_fields(store: Store, runs: Sequence[Run]) -> dict[str, dict[str, Value]]:
    """Return by run id the config fields that a ``tune`` changed, with their newest values. One query."""
    fields: dict[str, dict[str, Value]] = {}
    for record in store.controls.tunes([run.id for run in runs]):
        assert isinstance(record.op, Tune)
        values: dict[str, Value] = {
            "optimizer.learning_rate": record.op.learning_rate,
            "optimizer.weight_decay": record.op.weight_decay,
            "training.epochs": record.op.epochs,
        }
        known = fields.setdefault(record.run_id, {})
        known |= {path: value for path, value in values.items() if value is not None}
    return fields


def total_epochs(run: Run, tuned: Mapping[str, Value]) -> int | None:
    """Return how many epochs a run trains in all, by its config and ``tuned`` fields.

    A trainer of the user's own decides that itself: None until it has been made.
    """
    if epochs := tuned.get("training.epochs") or run.total_epochs:
        return int(epochs)
    spec = json.loads(run.spec_json)
    return None if spec.get("trainer") else int(spec["training"]["epochs"])
