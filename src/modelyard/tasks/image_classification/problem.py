"""One run of image classification: its model, and what is done with a batch."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from modelyard.domain.config import RunSpec
from modelyard.domain.parts.models import HuggingFace
from modelyard.domain.sample_scores import pack_scores
from modelyard.tasks.augmentations import build_augmenter
from modelyard.tasks.base import Batch, Features, TaskData, call
from modelyard.tasks.frozen_part import FrozenPart, FrozenParts
from modelyard.tasks.image_classification.features import ImageFeatures, features_bytes
from modelyard.tasks.image_classification.image_task_data import ImageTaskData
from modelyard.tasks.image_classification.normalizer import Normalizer
from modelyard.tasks.losses import build_loss
from modelyard.tasks.metrics import build_metrics
from modelyard.tasks.models import build_model, model_metadata, rebuild_model
from modelyard.tasks.models.huggingface_classifier import HuggingFaceClassifier
from modelyard.tasks.preprocessing import Preprocessing
from modelyard.tasks.stacked import can_stack


class ImageProblem:
    """The model and the parts around it. Loss and normalisation follow the batch to its device.

    Raises ``ConfigError`` for parts that do not fit the data.
    """

    model: nn.Module
    metadata: Mapping[str, Any]
    """What prediction needs besides config and weights, as JSON: ``classes``, ``preprocessing``, ``model``."""
    forward = staticmethod(call)

    def __init__(
        self,
        spec: RunSpec,
        *,
        classes: Sequence[str],
        preprocessing: Preprocessing,
        class_counts: Sequence[int],
        saved: Mapping[str, Any] | None = None,
    ) -> None:
        self._config = spec.model
        self._head: tuple[str, ...] = ()
        """The modules that are left of the model once it gets features in place of pixels."""
        self.loss_function = build_loss(spec.loss, class_counts=class_counts)
        self._loss_device = torch.device("cpu")
        self._augmenter = build_augmenter(spec.augment, seed=spec.seed)
        self.augmentation = "" if self._augmenter is None else f"{spec.seed} {spec.augment!r}"
        """Equal for problems that do the same to the same batch; empty if they only normalise it."""
        self.normalizer = Normalizer(preprocessing)
        self._pixels = f"pixels {preprocessing.to_json()}"
        self._metrics = build_metrics(spec.metrics, classes=classes)
        self._classes = len(classes)
        self.keep_scores = False
        self._scores: list[Tensor] = []
        # Last, so that no other part can shift the random numbers of the initial weights.
        shape = {"image_size": preprocessing.image_size, "channels": preprocessing.channels}
        if saved is None:
            self.model = build_model(spec.model, **shape, classes=classes)
        else:
            self.model = rebuild_model(spec.model, **shape, classes=classes, metadata=saved["model"])
        self.metadata = {
            "classes": list(classes),
            "preprocessing": preprocessing.to_json(),
            "model": model_metadata(self.model),
        }

    @property
    def has_rules(self) -> bool:
        """Whether the rules of ``tasks.stacked`` hold for its model; one of Hugging Face has none."""
        return can_stack(self.model)

    @property
    def draws_in_evaluation(self) -> bool:
        """Whether its model may draw random numbers in evaluation: those with rules are known not to."""
        return not self.has_rules

    # A frozen backbone.

    def frozen_part(self, parts: FrozenParts) -> FrozenPart | None:
        """Return the backbone, if it is frozen and nothing before it is random."""
        config = self._config
        if not isinstance(config, HuggingFace) or not isinstance(self.model, HuggingFaceClassifier):
            return None
        if not config.freeze_backbone or config.unfreeze_last or not config.cache_features or self._augmenter:
            return None
        return parts.share(self.model.backbone, self.metadata["model"])

    def open_features(
        self, data: TaskData, *, device: torch.device, memory_bytes: int, folder: Callable[[int], Path | None]
    ) -> Features | None:
        """Return the features of ``data``; None if the model has no head of its own, or there is no place for them."""
        assert isinstance(data, ImageTaskData)
        assert isinstance(self.model, HuggingFaceClassifier)
        blank = self.normalizer.from_bytes(torch.zeros((1, *data.images.train.shape), dtype=torch.uint8, device=device))
        found = self.model.find_head(blank)
        if found is None:
            return None
        head, example = found
        needed = features_bytes(data, example)
        place = folder(needed)
        if place is None and needed > memory_bytes:
            return None
        return ImageFeatures(data, head=head, example=example, folder=place, memory_bytes=memory_bytes)

    def use_features(self, features: Features, models: Sequence[nn.Module], parts: FrozenParts) -> Sequence[FrozenPart]:
        """Take the ``features`` as inputs from now on; ``models`` are this problem's and copies of it."""
        assert isinstance(features, ImageFeatures)
        self._head = features.head
        found = []
        for model in models:
            assert isinstance(model, HuggingFaceClassifier)
            found.append(parts.share(model.backbone, self.metadata["model"]))
            model.take_features(features.head, found[-1])
        return found

    def features(self, batch: Batch) -> Tensor:
        """Return what the backbone makes of pixels: float [B, ...]."""
        assert isinstance(self.model, HuggingFaceClassifier)
        return self.model.features(self.normalizer.from_bytes(batch.inputs), self._head)

    def plain_inputs(self, batch: Batch) -> Tensor:
        """Return what the model gets for a batch that is not augmented: normalised pixels, or a copy of features.

        It is made once for all that share the batch. Memory of its own is aligned, whatever part of a larger batch it
        was, so that kernels round alike.
        """
        if self._head:
            return batch.once("features", batch.inputs.clone)
        return batch.once(self._pixels, lambda: self.normalizer.from_bytes(batch.inputs))

    # Training.

    def training_inputs(self, batch: Batch, *, epoch: int) -> tuple[Tensor, Tensor]:
        """Augment and normalise; return pixels [B, C, H, W] and class numbers [B] or probabilities [B, classes]."""
        targets = batch.targets
        if self._augmenter is None:
            return self.plain_inputs(batch), targets
        pixels, targets = self._augmenter(
            batch.inputs.float().mul_(1 / 255), targets, classes=self._classes, epoch=epoch, samples=batch.samples
        )
        return self.normalizer.from_unit(pixels), targets

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss (scalar, fp32) of logits [B, classes]."""
        if outputs.device != self._loss_device:
            self.loss_function.to(outputs.device)
            self._loss_device = outputs.device
        loss: Tensor = self.loss_function(outputs, targets)
        return loss

    def start_evaluation(self) -> None:
        """Forget what was measured."""
        self._metrics.reset()
        self._scores = []

    def take_scores(self) -> bytes:
        """Return the chance that the model gave the true class of each sample, packed, and forget them."""
        scores, self._scores = self._scores, []
        return pack_scores(torch.cat(scores).numpy()) if scores else b""

    def evaluate(self, model: nn.Module, batch: Batch) -> Tensor:
        """Predict without gradients, add to the metrics, and return the mean loss (scalar, fp32)."""
        with torch.no_grad():
            logits = model(self.plain_inputs(batch))
            self._metrics.update(logits, batch.targets)
            if self.keep_scores:
                chances = logits.float().softmax(dim=1)
                self._scores.append(chances.gather(1, batch.targets.unsqueeze(1)).squeeze(1).cpu())  # [B]
            return self.loss(logits, batch.targets)

    def finish_evaluation(self) -> tuple[Mapping[str, float], Mapping[str, Any]]:
        """Return the metrics by name (NaN where the data define none), and artifacts (JSON) by name."""
        return self._metrics.compute(), self._metrics.artifacts()
