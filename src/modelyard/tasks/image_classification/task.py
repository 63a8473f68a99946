"""Image classification as the engine sees it: opens the data, builds the problem."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from modelyard.domain.base import canonical_json
from modelyard.domain.config import RunSpec
from modelyard.domain.errors import ConfigError
from modelyard.domain.parts.metrics import RECALL_PREFIX
from modelyard.domain.parts.models import HuggingFace
from modelyard.domain.validation import nearest
from modelyard.tasks.base import Predictor, Problem, ProblemStack, Saved, TaskData
from modelyard.tasks.image_classification.data import ImageData, open_data
from modelyard.tasks.image_classification.image_task_data import ImageTaskData
from modelyard.tasks.image_classification.predictor import ImagePredictor
from modelyard.tasks.image_classification.problem import ImageProblem
from modelyard.tasks.image_classification.stack import ImageProblemStack
from modelyard.tasks.models import model_preprocessing
from modelyard.tasks.preprocessing import Preprocessing

_MEBIBYTE = 2**20
_VAL_RECALL = f"val_{RECALL_PREFIX}"


class ImageClassification:
    """The task ``image-classification``."""

    def data_key(self, spec: RunSpec, saved: Saved = None) -> str:
        """Canonical JSON of what decides the opened data: its config, and what a pretrained model wants of it."""
        wanted = _defaults(spec, saved)
        return canonical_json(
            {"data": spec.data.model_dump(mode="json"), "defaults": None if wanted is None else wanted.to_json()}
        )

    def open_data(self, spec: RunSpec, saved: Saved = None) -> TaskData:
        """Open the data. Raises ``DataError`` or ``ConfigError``."""
        images = open_data(spec.data, defaults=_defaults(spec, saved))
        return ImageTaskData(images, cache_bytes=spec.data.cache_mebibytes * _MEBIBYTE)

    def build(self, spec: RunSpec, data: TaskData, saved: Saved = None) -> Problem:
        """Build the model (initial weights from the global random state) and the parts around it.

        Raises ``ConfigError`` for parts that do not fit the data.
        """
        assert isinstance(data, ImageTaskData)
        images = data.images
        _check_validation(spec, images)
        problem = ImageProblem(
            spec,
            classes=images.classes,
            preprocessing=images.preprocessing,
            class_counts=images.train.class_counts,
            saved=saved,
        )
        if spec.training.batch_size == 1 and any(isinstance(part, nn.BatchNorm1d) for part in problem.model.modules()):
            raise ConfigError("training.batch_size: batch norm needs at least 2 samples; use 2, or another model.norm")
        return problem

    def stack(self, problems: Sequence[Problem]) -> ProblemStack:
        """Return what does the problems' work together."""
        return ImageProblemStack([problem for problem in problems if isinstance(problem, ImageProblem)])

    def predictor(self, spec: RunSpec, metadata: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Predictor:
        """Build a predictor from what a checkpoint holds, and nothing else."""
        return ImagePredictor(spec, metadata, weights)


def _defaults(spec: RunSpec, saved: Saved) -> Preprocessing | None:
    """Return how a pretrained model wants its images: as the checkpoint says, or else the model's own folder or hub."""
    if saved is not None and isinstance(spec.model, HuggingFace):
        return Preprocessing.from_json(saved["preprocessing"])
    return model_preprocessing(spec.model)


def _check_validation(spec: RunSpec, images: ImageData) -> None:
    """Check what only the data know: that the metrics which a run watches will have a value."""
    early = spec.training.early_stopping
    if early is not None and not len(images.val):
        raise ConfigError(
            "training.early_stopping: there is no validation data; set data.val_fraction above 0 or add a val folder"
        )
    watched = {"checkpoint": spec.training.checkpoint.metric, "early_stopping": early.metric if early else ""}
    for field, metric in watched.items():
        if metric.startswith(_VAL_RECALL):
            _check_recall(f"training.{field}.metric", metric.removeprefix(_VAL_RECALL), images)


def _check_recall(field: str, name: str, images: ImageData) -> None:
    if name not in images.classes:
        raise ConfigError(f"{field}: the data have no class {name!r}{nearest(name, images.classes)}")
    if not images.val.class_counts[images.classes.index(name)]:
        raise ConfigError(
            f"{field}: class {name!r} has no validation sample, so it has no recall; raise data.val_fraction, "
            "add images of it to the val folder, or watch another metric"
        )
