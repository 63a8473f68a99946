"""The tasks by their names in a run's config."""

from collections.abc import Callable, Mapping

from modelyard.domain.config import RunSpec
from modelyard.domain.ports import BlobStore
from modelyard.tasks.base import Task
from modelyard.tasks.custom.task import CustomTask
from modelyard.tasks.image_classification.task import ImageClassification

_IMAGES = ImageClassification()
_USER_CODE: Mapping[str, Callable[[BlobStore], Task]] = {"custom": CustomTask}


def task_for(spec: RunSpec, blobs: BlobStore | None = None) -> Task:
    """Return the task that ``spec.task`` names; tasks that are code of a user's own find it in ``blobs``."""
    if spec.user_code is None:
        return _IMAGES
    assert blobs is not None, "the code of a run is among the blobs"
    return _USER_CODE[spec.task](blobs)
