"""Predicts one file with a checkpoint of a user's class, if the class says how."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from modelyard.domain.errors import ConfigError, DataError
from modelyard.domain.parts.usercode import Custom
from modelyard.tasks.custom.contract import SIGNATURES
from modelyard.tasks.custom.problem import build_model
from modelyard.tasks.usercode import explained, instantiate, load_entry, noted


class CustomPredictor:
    """Predicts on the CPU with the text of the file that the checkpoint keeps."""

    def __init__(self, config: Custom, metadata: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
        """Raises ``ConfigError`` for a class without ``predict``."""
        self._config = config
        entry = load_entry(config, metadata["source"])
        if not hasattr(entry, "predict"):
            raise ConfigError(
                f"{config.class_name} does not say how to predict a file; add the method {SIGNATURES['predict']} and "
                "train again"
            )
        self._owner = instantiate(config, entry)
        self._model = build_model(config, self._owner).eval()
        self._model.load_state_dict(dict(weights))

    def predict(self, file: Path) -> Mapping[str, float]:
        """Return the probability of every class. Raises ``DataError`` for whatever the user's method raises."""
        try:
            with torch.no_grad(), noted(self._config, f"{self._config.class_name}.{SIGNATURES['predict']}"):
                return {str(label): float(value) for label, value in self._owner.predict(self._model, file).items()}
        except Exception as error:
            raise DataError(f"{file}: {explained(error, self._config)}") from error
