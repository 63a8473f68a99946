"""Predicts with a checkpoint, in a child process: nothing that imports torch runs here."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modelyard.agent.child_environment import child_environment
from modelyard.agent.devices import missing_module_error
from modelyard.domain import errors
from modelyard.domain.checkpoint import Checkpoint
from modelyard.domain.errors import ModelyardError, UserError
from modelyard.store import Store


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a checkpoint says about one file."""

    file: str
    label: str | None
    """The most likely class; None for a file that could not be read."""
    probabilities: dict[str, float]
    """The most likely classes and their probabilities, in falling order."""
    error: str | None = None


def predict(store: Store, checkpoint: Checkpoint, files: Sequence[Path], *, top: int = 5) -> list[Prediction]:
    """Return one prediction per file, in order. Raises ``CorruptBlobError`` for a damaged checkpoint.

    A file that cannot be read gives a prediction with an ``error``; the others are predicted all the same.
    """
    if top < 1:
        raise UserError(f"top must be at least 1, not {top}")
    request = {
        "home": str(store.home.path),
        "checkpoint": checkpoint.id,
        "files": [str(file) for file in files],
        "top": top,
    }
    done = subprocess.run(
        [sys.executable, "-m", "modelyard.engine.predict"],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        env=child_environment(store.child_variables()),
        check=False,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    for answer in answers:
        if "failed" in answer:
            raise errors.rebuild(answer["failed"]["kind"], answer["failed"]["message"])
    if done.returncode or len(answers) != len(files):
        last = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "no message"
        raise missing_module_error(done.stderr) or ModelyardError(f"prediction ended unexpectedly: {last}")
    return [Prediction(**answer) for answer in answers]
