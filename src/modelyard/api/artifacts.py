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


def read_artifact(store: Store, run_id: str, name: str, *, step: int | None = None) -> Artifact:
    """Return the artifact of this name, the newest unless a step is named. Raises ``NotFoundError``."""
    blob, found = store.artifacts.get(run_id, name, step=step)
    with store.blobs.open(blob.digest) as file:
        return Artifact(name, found, json.load(file))
