"""The prediction process: a request as JSON on standard input, one JSON line per file on standard output."""

import json
import sys
from pathlib import Path
from typing import Any

from modelyard.domain.config import RunSpec
from modelyard.domain.errors import ConfigError, DataError, ModelyardError
from modelyard.engine.checkpoint_files import CheckpointFiles
from modelyard.store import open_store
from modelyard.tasks.base import Predictor
from modelyard.tasks.catalogue import task_for


def load_predictor(home: str, checkpoint_id: str) -> Predictor:
    """Return a predictor with a checkpoint's weights. Everything it needs is in the checkpoint."""
    with open_store(home) as store:
        loaded = CheckpointFiles(store.blobs).load(store.checkpoints.get(checkpoint_id))
        spec = RunSpec.model_validate(loaded.index["spec"])
        if spec.trainer is not None:
            raise ConfigError(
                "a trainer's model is not predicted here; export the checkpoint (modelyard checkpoints export) and "
                "load its model.safetensors with transformers"
            )
        return task_for(spec, store.blobs).predictor(spec, loaded.index["metadata"], loaded.weights)


def main() -> int:
    """Answer the request; return the exit code."""
    request = json.load(sys.stdin)
    try:
        predictor = load_predictor(request["home"], request["checkpoint"])
    except ModelyardError as error:
        _say({"failed": {"kind": type(error).__name__, "message": str(error)}})
        return error.exit_code
    for file in request["files"]:
        _say(_predict(predictor, file, request["top"]))
    return 0


def _predict(predictor: Predictor, file: str, top: int) -> dict[str, Any]:
    try:
        probabilities = predictor.predict(Path(file))
    except DataError as error:
        return {"file": file, "label": None, "probabilities": {}, "error": str(error)}
    best = sorted(probabilities.items(), key=lambda item: -item[1])[:top]
    return {"file": file, "label": best[0][0], "probabilities": dict(best), "error": None}


def _say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
