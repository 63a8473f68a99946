"""Reads the artifacts of a run: JSON documents such as a confusion matrix."""

import json
from dataclasses import dataclass
from typing import Any

from modelyard.store import Store


@dataclass(frozen=True)
class Artifact:
    """One artifact; ``content`` is plain JSON."""

    name: str
    step: int
    """Optimizer steps done when it was made."""
    content: Any


def read_artifact(store: Store, run_id: str, name: str) -> Artifact:
    """Return the newest artifact of this name. Raises ``NotFoundError`` with the nearest name."""
    blob, step = store.artifacts.get(run_id, name)
    with store.blobs.open(blob.digest) as file:
        return Artifact(name, step, json.load(file))
