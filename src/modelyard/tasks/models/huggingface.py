"""Any image-classification model that transformers can load: by hub id or from a local folder, safetensors only.

Code that comes with a model is never run, and pickled weights are never read.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForImageClassification, ImageProcessingMixin
from transformers.utils import logging

from modelyard.domain.errors import ConfigError
from modelyard.domain.parts.models import HuggingFace
from modelyard.domain.validation import nearest
from modelyard.tasks.models.registry import MODELS
from modelyard.tasks.preprocessing import Preprocessing

_ORIGIN = {"trust_remote_code": False}


class HuggingFaceClassifier(nn.Module):
    """Makes a transformers model take pixels and give logits; frozen parts stay in evaluation mode."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self._frozen: tuple[nn.Module, ...] = ()

    def forward(self, pixels: Tensor) -> Tensor:
        """Return logits [B, C] for pixels [B, channels, S, S]."""
        logits: Tensor = self.model(pixel_values=pixels).logits
        return logits

    def freeze_backbone(self, *, unfreeze_last: int) -> None:
        """Leave only the head, and the last blocks of the backbone, to be trained.

        Raises ``ConfigError`` for more blocks than there are.
        """
        backbone: nn.Module = self.model.base_model
        backbone.requires_grad_(requires_grad=False)
        blocks = _blocks(backbone)
        if unfreeze_last > len(blocks):
            raise ConfigError(
                f"model.unfreeze_last: {unfreeze_last} blocks, but the backbone has {len(blocks)}; "
                f"use at most {len(blocks)}"
            )
        live = blocks[len(blocks) - unfreeze_last :]
        for block in live:
            block.requires_grad_(requires_grad=True)
        training = {id(module) for block in live for module in block.modules()}
        self._frozen = tuple(module for module in backbone.modules() if id(module) not in training)

    def train(self, mode: bool = True) -> Self:
        """Set the mode. Frozen parts keep theirs: no dropout, and the statistics of their batch norms stay."""
        super().train(mode)
        for module in self._frozen:
            module.training = False
        return self

    def config_json(self) -> dict[str, Any]:
        """Return the model's own config, from which ``rebuild`` makes an equal one."""
        value: dict[str, Any] = {"model_type": self.model.config.model_type, **self.model.config.to_diff_dict()}
        return {key: item for key, item in value.items() if not key.startswith("_")}


@MODELS.register(HuggingFace)
def build(config: HuggingFace, *, image_size: int, channels: int, classes: Sequence[str]) -> nn.Module:
    """Load the model, with a new head where the classes differ. Raises ``ConfigError`` if it does not fit."""
    own = _own_config(config)
    _override(own, config.config)
    _fit_images(config, own, image_size=image_size, channels=channels)
    own.id2label = dict(enumerate(classes))
    own.label2id = {name: label for label, name in enumerate(classes)}
    with _quiet(), _explained(config):
        loaded = _pretrained(config, own) if config.pretrained else AutoModelForImageClassification.from_config(own)
    model = HuggingFaceClassifier(loaded.float())
    if config.freeze_backbone:
        model.freeze_backbone(unfreeze_last=config.unfreeze_last)
    return model


def rebuild(config: Mapping[str, Any]) -> HuggingFaceClassifier:
    """Build a model with random weights from what ``config_json`` returned."""
    own = AutoConfig.for_model(**config)
    with _quiet():
        return HuggingFaceClassifier(AutoModelForImageClassification.from_config(own).float())


def preprocessing(config: HuggingFace) -> Preprocessing:
    """Return the image size, channels, mean and std that the model was trained on.

    They come from ``preprocessor_config.json``; where it is silent, from the model's config, and 0.5 for mean and std.
    """
    own = _own_config(config)
    _override(own, config.config)
    channels = getattr(own, "num_channels", 3)
    wanted = _processor(config)
    size = getattr(own, "image_size", None)
    size = _side(size) or _side(wanted.get("crop_size")) or _side(wanted.get("size")) or 224
    normalised = wanted.get("do_normalize", True)
    mean, std = (_per_channel(wanted.get(key, 0.5), channels) for key in ("image_mean", "image_std"))
    return Preprocessing(
        image_size=size,
        channels=channels,
        mean=mean if normalised else (0.0,) * channels,
        std=std if normalised else (1.0,) * channels,
    )


def _own_config(config: HuggingFace) -> Any:
    with _quiet(), _explained(config):
        return AutoConfig.from_pretrained(config.model, revision=config.revision or "main", **_ORIGIN)


def _processor(config: HuggingFace) -> dict[str, Any]:
    try:
        found, _ = ImageProcessingMixin.get_image_processor_dict(config.model, revision=config.revision or "main")
    except OSError:
        return {}  # many small models have none
    return dict(found)


def _override(own: Any, changes: Mapping[str, Any]) -> None:
    known = sorted(own.to_dict())
    for name, value in changes.items():
        if name not in known:
            raise ConfigError(f"model.config.{name}: {own.model_type} has no such field{nearest(name, known)}")
        setattr(own, name, value)


def _fit_images(config: HuggingFace, own: Any, *, image_size: int, channels: int) -> None:
    """Make a model from scratch fit the images; for a pretrained one the images must fit it."""
    for field, key, value in (("image_size", "image_size", image_size), ("channels", "num_channels", channels)):
        wanted = _side(getattr(own, key, None))
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
    model, report = AutoModelForImageClassification.from_pretrained(
        config.model,
        config=own,
        revision=config.revision or "main",
        use_safetensors=True,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
        **_ORIGIN,
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


def _blocks(backbone: nn.Module) -> list[nn.Module]:
    """Return the blocks in order: the items of the outermost module list with the most parameters."""
    lists: list[nn.ModuleList] = []
    for module in backbone.modules():
        inside = any(module is inner for outer in lists for inner in outer.modules())
        if isinstance(module, nn.ModuleList) and not inside:
            lists.append(module)
    sizes = [sum(parameter.numel() for parameter in found.parameters()) for found in lists]
    return list(lists[sizes.index(max(sizes))]) if lists else []


def _side(size: Any) -> int | None:
    """Read an image's side from the several ways that transformers writes it."""
    if isinstance(size, Mapping):
        size = size.get("height", size.get("shortest_edge"))
    if isinstance(size, list | tuple):
        size = size[0] if size else None
    return int(size) if size else None


def _per_channel(value: Any, channels: int) -> tuple[float, ...]:
    values = tuple(value) if isinstance(value, list | tuple) else (value,)
    return tuple(float(number) for number in (values if len(values) == channels else (values[0],) * channels))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from printing progress bars and load reports; what matters is raised as an error."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


@contextmanager
def _explained(config: HuggingFace) -> Iterator[None]:
    """Turn what transformers raises for a model that it cannot load into a ``ConfigError``."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ConfigError(f"model.model: cannot load {config.model!r}: {error}") from error
