"""Predictions of single samples of a run's validation data."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from modelyard.domain.errors import ConfigError, DataError
from modelyard.engine.checkpoint_files import CheckpointFiles
from modelyard.store import open_store
from modelyard.tasks.base import SplitName
from modelyard.tasks.catalogue import task_for
from modelyard.tasks.image_classification.image_task_data import ImageTaskData
from modelyard.tasks.image_classification.predictor import ImagePredictor
from modelyard.tasks.image_classification.samples import ScoredSamples, score_samples

_KEPT = 2
Json = dict[str, Any]


@dataclass(frozen=True)
class _Scored:
    """The validation data of a run, and what a checkpoint says of them."""

    data: ImageTaskData
    scores: ScoredSamples
    same_data: bool
    """Whether the data are those that the run was trained on."""


class Samples:
    """Answers what a checkpoint predicts for samples; the last few checkpoints' predictions are kept."""

    def __init__(self, home: str, model: Callable[[str], ImagePredictor], picture: Callable[[Tensor], str]) -> None:
        self._home = home
        self._model = model
        self._picture = picture
        self._kept: OrderedDict[tuple[str, str], _Scored] = OrderedDict()

    def answer(self, request: Json) -> Json:
        """Return samples of one class that were taken for another (numbers; None is any), the worst first."""
        found = self._scored(request["run"], request["checkpoint"])
        classes, scores = found.data.images.classes, found.scores
        fitting = scores.of(request["target"], request["predicted"])
        shown = fitting[request["offset"] : request["offset"] + request["limit"]]
        batch = found.data.read_once(SplitName.VAL, scores.samples[shown].numpy().astype(np.int64))
        return {
            "classes": list(classes),
            "same_data": found.same_data,
            "size": found.data.size(SplitName.VAL),
            "predicted": len(scores.samples),
            "total": len(fitting),
            "samples": [
                {
                    "name": found.data.images.val.name(int(scores.samples[place])),
                    "target": classes[scores.targets[place]],
                    "predicted": classes[scores.predicted[place]],
                    "probability": scores.probability[place].item(),
                    "loss": scores.loss[place].item(),
                    "image": self._picture(pixels),
                }
                for place, pixels in zip(shown.tolist(), batch.inputs, strict=True)
            ],
        }

    def _scored(self, run_id: str, checkpoint_id: str) -> _Scored:
        key = run_id, checkpoint_id
        if key not in self._kept:
            while len(self._kept) >= _KEPT:
                self._kept.popitem(last=False)
            self._kept[key] = self._score(run_id, checkpoint_id)
        self._kept.move_to_end(key)
        return self._kept[key]

    def _score(self, run_id: str, checkpoint_id: str) -> _Scored:
        model = self._model(checkpoint_id)
        with open_store(self._home) as store:
            run = store.runs.get(run_id)
            saved = CheckpointFiles(store.blobs).load(store.checkpoints.get(checkpoint_id)).index["metadata"]
            data = task_for(run.spec, store.blobs).open_data(run.spec, saved)
        if not isinstance(data, ImageTaskData):
            raise ConfigError("only samples of image classification are shown")
        if list(data.images.classes) != model.classes:
            raise DataError("the data set has other classes now than when the run was trained")
        if not data.size(SplitName.VAL):
            raise DataError("the run has no validation data; set data.val_fraction above 0 or add a val folder")
        same = run.fingerprints.get("data") == data.fingerprint
        return _Scored(data, score_samples(model, data, SplitName.VAL), same)
