"""What live runs were tuned to."""

from collections.abc import Sequence

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
