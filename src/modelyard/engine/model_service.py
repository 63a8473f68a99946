"""The process that keeps models warm: requests as JSON lines on standard input, an answer to each on standard output.

It gets images as bytes and keeps none of them; what it reads of the disk are checkpoints, data sets of runs, and the
files that it is asked for.
"""

import base64
import io
import json
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from modelyard.domain.errors import ConfigError, ModelyardError
from modelyard.engine.predict import load_predictor
from modelyard.engine.sample_service import Samples
from modelyard.tasks.base import Predictor
from modelyard.tasks.image_classification.predictor import ImagePredictor

MOST_PIXELS = 40_000_000
"""An image of more than twice as many is refused: a small file may hold one that fills the memory."""
Json = dict[str, Any]


class Models:
    """The models that are in memory, the one that was used last at the end."""

    def __init__(self, home: str, most: int) -> None:
        self._home = home
        self._most = most
        self._warm: OrderedDict[str, Predictor] = OrderedDict()

    def get(self, checkpoint_id: str) -> ImagePredictor:
        """Return a model, loaded if need be in place of the one that was not used for longest."""
        if checkpoint_id not in self._warm:
            while len(self._warm) >= self._most:
                self._warm.popitem(last=False)
            self._warm[checkpoint_id] = load_predictor(self._home, checkpoint_id)
        self._warm.move_to_end(checkpoint_id)
        found = self._warm[checkpoint_id]
        if not isinstance(found, ImagePredictor):
            raise ConfigError("only models of image classification are tested here; use modelyard predict")
        return found


def png(pixels: Tensor) -> str:
    """Return uint8 [C, H, W] or [H, W] as a PNG file in base64."""
    array = pixels.numpy()
    if array.ndim == 3:
        array = array[0] if len(array) == 1 else array.transpose(1, 2, 0)
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


class Service:
    """Answers requests."""

    def __init__(self, home: str, most: int) -> None:
        self._models = Models(home, most)
        self._samples = Samples(home, self._models.get, png)
        self._answers: dict[str, Callable[[Json], Json]] = {
            "predict": self._predict,
            "samples": self._samples.answer,
        }

    def answer(self, request: Json) -> Json:
        """Return the answer to one request, or why there is none."""
        try:
            return self._answers[request["do"]](request)
        except ModelyardError as error:
            return {"failed": {"kind": type(error).__name__, "message": str(error)}}

    def _predict(self, request: Json) -> Json:
        model = self._models.get(request["checkpoint"])
        pixels = _read(model, request)
        probabilities = model.log_probabilities(pixels[None])[0].exp()
        answer: Json = {"probabilities": dict(zip(model.classes, probabilities.tolist(), strict=True))}
        if request["pictures"]:
            salient = model.saliency(pixels, int(probabilities.argmax()))
            answer |= {"input": png(pixels), "saliency": png((salient * 255).to(torch.uint8))}
        return answer


def _read(model: ImagePredictor, request: Json) -> Tensor:
    if "file" in request:
        return model.read(Path(request["file"]), name=request["name"])
    return model.read(io.BytesIO(base64.b64decode(request["image"])), name=request["name"])


def serve(home: str, most: int, lines: Iterable[str]) -> None:
    """Answer requests until there are no more."""
    service = Service(home, most)
    for line in lines:
        sys.stdout.write(json.dumps(service.answer(json.loads(line))) + "\n")
        sys.stdout.flush()


def main() -> int:
    """Serve; the first line says for which home, and how many models may be in memory."""
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    first = json.loads(sys.stdin.readline())
    serve(first["home"], first["most"], sys.stdin)
    return 0


if __name__ == "__main__":
    sys.exit(main())
