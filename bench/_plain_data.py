"""Data for the sides that know nothing of Modelyard: what it sees itself, as arrays in a file."""

from pathlib import Path
from typing import Any

import numpy as np

from modelyard.domain.config import RunSpec
from modelyard.tasks.base import SplitName
from modelyard.tasks.catalogue import task_for


def write_plain_data(run: dict[str, Any], file: Path) -> int:
    """Write the normalised pixels and labels of a run's data; return the number of training samples."""
    spec = RunSpec.model_validate(run)
    task = task_for(spec)
    data = task.open_data(spec)
    problem = task.build(spec, data)
    arrays = {}
    for split, name in ((SplitName.TRAIN, "train"), (SplitName.VAL, "val")):
        batch = data.batch(split, np.arange(data.size(split)))
        arrays[f"{name}_x"] = problem.training_inputs(batch, epoch=0)[0].numpy()
        arrays[f"{name}_y"] = batch.targets.numpy()
    np.savez(file, **arrays)
    return len(arrays["train_y"])
