"""Any image-classification model that transformers can load: by hub id or from a local folder, safetensors only.

Code that comes with a model is never run, and pickled weights are never read.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from modelyard.domain.errors import ConfigError
from modelyard.domain.parts.models import HuggingFace
from modelyard.tasks.lazy import LazyModule
from modelyard.tasks.models.huggingface_classifier import HuggingFaceClassifier
from modelyard.tasks.models.huggingface_files import explained, image_side, own_config, quiet, revision
from modelyard.tasks.models.registry import MODELS

transformers = LazyModule("transformers")


@MODELS.register(HuggingFace)
def build(config: HuggingFace, *, image_size: int, channels: int, classes: Sequence[str]) -> nn.Module:
    """Load the model, with a new head if the number of classes differs. Raises ``ConfigError`` if it does not fit."""
    own = own_config(config)
    _fit_images(config, own, image_size=image_size, channels=channels)
    own.id2label = dict(enumerate(classes))
    own.label2id = {name: label for label, name in enumerate(classes)}
    with quiet(), explained(config):
        loaded = (
            _pretrained(config, own)
            if config.pretrained
            else transformers.AutoModelForImageClassification.from_config(own)
        )
    return _classifier(config, loaded)


def rebuild(config: HuggingFace, own: Mapping[str, Any]) -> HuggingFaceClassifier:
    """Build a model with random weights from what ``config_json`` returned; reads no file."""
    with quiet():
        return _classifier(
            config,
            transformers.AutoModelForImageClassification.from_config(transformers.AutoConfig.for_model(**own)),
        )


def _classifier(config: HuggingFace, loaded: Any) -> HuggingFaceClassifier:
    model = HuggingFaceClassifier(loaded.float())
    if config.freeze_backbone:
        model.freeze_backbone(unfreeze_last=config.unfreeze_last)
    return model.train()  # transformers loads models in evaluation mode, which would leave the first epoch no dropout


def _fit_images(config: HuggingFace, own: Any, *, image_size: int, channels: int) -> None:
    """Make a model from scratch fit the images; for a pretrained one the images must fit it."""
    for field, key, value in (("image_size", "image_size", image_size), ("channels", "num_channels", channels)):
        wanted = image_side(getattr(own, key, None))
        if wanted is None or wanted == value:
            continue
        if config.pretrained:
            raise ConfigError(
                f"data.{field}: the images have {value}, but {config.model} was trained with {wanted}; "
                f"set data.{field}: {wanted} or leave it out, or set model.pretrained: false"
            )
        setattr(own, key, value)


def _pretrained(config: HuggingFace, own: Any) -> Any:
    folder = Path(config.model)
    if folder.is_dir() and not any(folder.glob("*.safetensors")):
        raise ConfigError(
            f"model.model: {config.model} has no safetensors file, and pickled weights (pytorch_model.bin) are never "
            "loaded; save it again with save_pretrained(..., safe_serialization=True)"
        )
    model, report = transformers.AutoModelForImageClassification.from_pretrained(
        config.model,
        config=own,
        revision=revision(config),
        use_safetensors=True,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
        trust_remote_code=False,
    )
    _check_only_head_is_new(config, model, report)
    return model


def _check_only_head_is_new(config: HuggingFace, model: Any, report: Mapping[str, Any]) -> None:
    prefix = f"{model.base_model_prefix}."
    new = {*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])}
    backbone = sorted(name for name in new if name.startswith(prefix))
    if backbone:
        changed = ", ".join(config.config) or "the folder's config.json"
        raise ConfigError(
            f"model.config: with {changed}, {len(backbone)} pretrained weights do not fit ({backbone[0]}); "
            "remove the override, or set model.pretrained: false"
        )
