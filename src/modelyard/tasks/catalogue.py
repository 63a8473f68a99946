"""The tasks by their names in a run's config."""

from modelyard.domain.config import RunSpec
from modelyard.tasks.base import Task
from modelyard.tasks.image_classification.task import ImageClassification

_TASKS: dict[str, Task] = {"image-classification": ImageClassification()}


def task_for(spec: RunSpec) -> Task:
    """Return the task that ``spec.task`` names."""
    return _TASKS[spec.task]
