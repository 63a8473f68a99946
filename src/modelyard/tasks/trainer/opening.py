"""Calls the user's function and makes its trainer one that can be run in slices: checked, and without side effects."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from modelyard.domain.base import canonical_json
from modelyard.domain.errors import ConfigError
from modelyard.domain.parts.usercode import TrainerFunction
from modelyard.tasks.lazy import LazyModule
from modelyard.tasks.usercode import instantiate, load_entry

transformers = LazyModule("transformers")

MOST_HASHED = 4096
"""Samples of a data set, evenly spread, that its fingerprint reads."""

_REFUSED: Mapping[str, str] = {
    "load_best_model_at_end": "the best weights are kept as the best checkpoint (training.checkpoint.metric)",
    "push_to_hub": "export the checkpoint and push that",
    "auto_find_batch_size": "set per_device_train_batch_size",
    "ignore_data_skip": "a resumed run must see the samples that it would have seen",
    "use_liger_kernel": "it changes the model when training starts",
}
"""Arguments that must be off, and what to do instead."""


def open_trainer(config: TrainerFunction, source: str) -> Any:
    """Return the user's trainer; its weights come from the global generators. Raises ``ConfigError``."""
    trainer = instantiate(config, load_entry(config, source))
    if not isinstance(trainer, transformers.Trainer):
        raise ConfigError(
            f"{config.file}: {config.function}() returned a {type(trainer).__name__}, not a transformers.Trainer"
        )
    _check(config, trainer)
    _silence(trainer)
    return trainer


def _check(config: TrainerFunction, trainer: Any) -> None:
    arguments = trainer.args
    where = f"{config.file}: {config.function}"
    for name, instead in _REFUSED.items():
        if getattr(arguments, name, False):
            raise ConfigError(f"{where}: TrainingArguments.{name} must be off; {instead}")
    if arguments.world_size > 1 or arguments.n_gpu > 1:
        raise ConfigError(f"{where}: a run trains on one device; show it one with CUDA_VISIBLE_DEVICES")
    if arguments.dataloader_num_workers:
        raise ConfigError(
            f"{where}: TrainingArguments.dataloader_num_workers must be 0: what workers draw cannot be resumed exactly"
        )
    if trainer.model_init is not None:
        raise ConfigError(f"{where}: pass the model itself, not model_init; the run seeds before it calls")
    if not hasattr(trainer.train_dataset, "__len__") or isinstance(
        trainer.train_dataset, torch.utils.data.IterableDataset
    ):
        raise ConfigError(f"{where}: the trainer needs a train_dataset with a length (len())")
    if len(trainer.train_dataset) == 0:
        raise ConfigError(f"{where}: the train_dataset has no samples")


def _silence(trainer: Any) -> None:
    """Take away what writes files, draws progress bars or reports to services; user callbacks stay."""
    trainer.args.save_strategy = transformers.trainer_utils.SaveStrategy.NO
    trainer.args.push_to_hub = False
    for callback in list(trainer.callback_handler.callbacks):
        reports = type(callback).__module__.startswith("transformers.integrations")
        if reports or isinstance(callback, transformers.ProgressCallback | transformers.PrinterCallback):
            trainer.remove_callback(callback)


def fingerprint(trainer: Any) -> str:
    """Return the SHA-256 (hex) over the lengths of the data sets and samples of them, evenly spread."""
    digest = hashlib.sha256()
    evaluated = trainer.eval_dataset
    named = dict(evaluated) if isinstance(evaluated, dict) else {"eval": evaluated}
    for name, dataset in {"train": trainer.train_dataset, **named}.items():
        size = len(dataset) if hasattr(dataset, "__len__") else 0
        digest.update(f"{name} {size}".encode())
        for index in range(0, size, max(1, size // MOST_HASHED)):
            digest.update(canonical_json(_plain(dataset[index])).encode())
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Tensor | np.ndarray):
        array = np.asarray(value.cpu() if isinstance(value, Tensor) else value)
        return [str(array.dtype), list(array.shape), hashlib.sha256(array.tobytes()).hexdigest()]
    return value if isinstance(value, bool | int | str | None) else repr(value)
