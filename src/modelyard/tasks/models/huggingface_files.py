"""What lies beside a Hugging Face model's weights: its config and how its images were prepared."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from modelyard.domain.errors import ConfigError
from modelyard.domain.parts.models import HuggingFace
from modelyard.domain.validation import nearest
from modelyard.tasks.lazy import LazyModule
from modelyard.tasks.preprocessing import Preprocessing

transformers = LazyModule("transformers")


def own_config(config: HuggingFace) -> Any:
    """Return the model's own config with the user's overrides. Raises ``ConfigError`` if there is none."""
    with quiet(), explained(config):
        own = transformers.AutoConfig.from_pretrained(config.model, revision=revision(config), trust_remote_code=False)
    _override(own, config.config)
    return own


def revision(config: HuggingFace) -> str:
    """Return the branch, tag or commit to load."""
    return config.revision or "main"


def preprocessing(config: HuggingFace) -> Preprocessing:
    """Return the image size, channels, mean and std that the model was trained on.

    They come from ``preprocessor_config.json``; where it is silent, from the model's config, and 0.5 for mean and std.
    """
    own = own_config(config)
    channels = getattr(own, "num_channels", 3)
    wanted = _processor(config)
    size = getattr(own, "image_size", None)
    size = image_side(size) or image_side(wanted.get("crop_size")) or image_side(wanted.get("size")) or 224
    normalised = wanted.get("do_normalize", True)
    mean, std = (_per_channel(wanted.get(key, 0.5), channels) for key in ("image_mean", "image_std"))
    return Preprocessing(
        image_size=size,
        channels=channels,
        mean=mean if normalised else (0.0,) * channels,
        std=std if normalised else (1.0,) * channels,
    )


def image_side(size: Any) -> int | None:
    """Read an image's side from the several ways that transformers writes it."""
    if isinstance(size, Mapping):
        size = size.get("height", size.get("shortest_edge"))
    if isinstance(size, list | tuple):
        size = size[0] if size else None
    return int(size) if size else None


def _per_channel(value: Any, channels: int) -> tuple[float, ...]:
    values = tuple(value) if isinstance(value, list | tuple) else (value,)
    return tuple(float(number) for number in (values if len(values) == channels else (values[0],) * channels))


def _processor(config: HuggingFace) -> dict[str, Any]:
    try:
        found, _ = transformers.ImageProcessingMixin.get_image_processor_dict(config.model, revision=revision(config))
    except OSError:
        return {}  # many small models have none
    return dict(found)


def _override(own: Any, changes: Mapping[str, Any]) -> None:
    known = sorted(own.to_dict())
    for name, value in changes.items():
        if name not in known:
            raise ConfigError(f"model.config.{name}: {own.model_type} has no such field{nearest(name, known)}")
        setattr(own, name, value)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers from printing progress bars and load reports; what matters is raised as an error."""
    logging = transformers.logging
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
def explained(config: HuggingFace) -> Iterator[None]:
    """Turn what transformers raises for a model that it cannot load into a ``ConfigError``."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ConfigError(f"model.model: cannot load {config.model!r}: {error}") from error
