"""The rule for transformers models with a frozen backbone: only their heads are trained, on features."""

from collections.abc import Sequence

from modelyard.tasks.models.huggingface_classifier import HuggingFaceClassifier
from modelyard.tasks.stacked.rules import Layer, Stacking, rule


@rule(HuggingFaceClassifier)
def _heads(models: Sequence[HuggingFaceClassifier], stacking: Stacking) -> Layer:
    return stacking.layers([model.head for model in models])  # features [K, B, ...] -> logits [K, B, C]
