"""Models that are kept warm: predictions of images as bytes and as files, saliency, samples of a run."""

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from modelyard.domain.parts.metrics import ConfusionMatrix
from modelyard.domain.run import Run
from modelyard.engine.model_service import Service
from modelyard.engine.predict import load_predictor
from modelyard.store import Store
from modelyard.tasks.image_classification.saliency import smooth_gradient


@pytest.fixture
def run(train: Callable[..., list[Run]], make_spec: Callable[..., Any]) -> Run:
    spec = make_spec("mlp", precision="fp32")  # as predictions are
    (found,) = train([spec.model_copy(update={"augment": ()})])
    return found


@pytest.fixture
def checkpoint(store: Store, run: Run) -> str:
    return store.checkpoints.find(run.id, "last").id


@pytest.fixture
def service(store: Store) -> Service:
    return Service(str(store.home.path), 2)


def picture(size: int = 20) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.arange(size * size, dtype=np.uint8).reshape(size, size)).save(file, "PNG")
    return file.getvalue()


def pixels(text: str) -> Any:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))


def ask(service: Service, checkpoint: str, **more: Any) -> dict[str, Any]:
    return service.answer({"do": "predict", "checkpoint": checkpoint, "name": "it.png", "pictures": True, **more})


def test_an_image_as_bytes_and_as_a_file_give_the_same(service: Service, checkpoint: str, tmp_path: Path) -> None:
    path = tmp_path / "it.png"
    path.write_bytes(picture())
    answer = ask(service, checkpoint, image=base64.b64encode(picture()).decode())
    assert sum(answer["probabilities"].values()) == pytest.approx(1)
    assert list(answer["probabilities"]) == [str(digit) for digit in range(10)]
    assert pixels(answer["input"]).shape == pixels(answer["saliency"]).shape == (8, 8)
    assert pixels(answer["saliency"]).max() == 255
    assert ask(service, checkpoint, file=str(path)) == answer
    assert "input" not in ask(service, checkpoint, file=str(path), pictures=False)


def test_a_corrupt_image_is_named_and_harms_nothing(service: Service, checkpoint: str) -> None:
    cut = base64.b64encode(picture()[:60]).decode()
    failed = ask(service, checkpoint, image=cut)["failed"]
    assert failed["kind"] == "DataError"
    assert failed["message"].startswith("it.png: cannot read the image")
    assert "probabilities" in ask(service, checkpoint, image=base64.b64encode(picture()).decode())


def test_an_unknown_checkpoint_is_said(service: Service) -> None:
    assert ask(service, "nothing!", image="")["failed"]["kind"] == "NotFoundError"


def test_only_so_many_models_are_in_memory(
    store: Store, run: Run, checkpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = []

    def load(home: str, checkpoint_id: str) -> Any:
        loaded.append(checkpoint_id)
        return load_predictor(home, checkpoint)

    monkeypatch.setattr("modelyard.engine.model_service.load_predictor", load)
    service = Service(str(store.home.path), 2)
    image = base64.b64encode(picture()).decode()
    for name in ("a", "b", "a", "c", "a", "b"):
        ask(service, name, image=image, pictures=False)
    assert loaded == ["a", "b", "c", "b"]


def test_samples_come_worst_first_and_by_class(service: Service, store: Store, run: Run, checkpoint: str) -> None:
    request = {"do": "samples", "run": run.id, "checkpoint": checkpoint, "target": None, "predicted": None}
    found = service.answer({**request, "offset": 0, "limit": 200})
    samples = found["samples"]
    assert found["total"] == found["predicted"] == found["size"] == len(samples) > 0
    assert found["same_data"]
    losses = [one["loss"] for one in samples]
    assert losses == sorted(losses, reverse=True)
    accuracy = sum(one["target"] == one["predicted"] for one in samples) / len(samples)
    assert accuracy == pytest.approx(store.runs.get(run.id).summary["val_accuracy"])
    assert sum(losses) / len(losses) == pytest.approx(store.runs.get(run.id).summary["val_loss"], rel=1e-2)
    wrong = next(one for one in samples if one["target"] != one["predicted"])
    pair = {"target": int(wrong["target"]), "predicted": int(wrong["predicted"])}
    some = service.answer({**request, **pair, "offset": 0, "limit": 200})
    assert some["samples"] == [
        one for one in samples if (one["target"], one["predicted"]) == (wrong["target"], wrong["predicted"])
    ]
    assert service.answer({**request, "offset": 1, "limit": 2})["samples"] == samples[1:3]
    assert pixels(wrong["image"]).shape == (8, 8)


def test_every_validation_leaves_its_matrix(
    store: Store, train: Callable[..., list[Run]], make_spec: Callable[..., Any]
) -> None:
    (found,) = train([make_spec("mlp").model_copy(update={"metrics": (ConfusionMatrix(),)})])
    steps = [step for _, step in store.artifacts.history(found.id)["val/confusion_matrix"]]
    assert len(steps) == 3
    assert steps[-1] == found.step


def test_saliency_finds_the_pixel_that_counts() -> None:
    class Corner(nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return torch.stack([inputs[:, 0, 2, 3] * 4, -inputs[:, 0, 2, 3]], dim=1)

    found = smooth_gradient(Corner(), torch.rand(1, 1, 5, 5), 0)
    assert found[2, 3] == 1
    assert found.sum() == 1
    assert torch.equal(found, smooth_gradient(Corner(), torch.rand(1, 1, 5, 5), 0))
