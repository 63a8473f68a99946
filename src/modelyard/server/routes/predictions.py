"""Trying models out: on images that are sent, on those of a folder, and on a run's validation data."""

from base64 import b64encode
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from modelyard.api.checkpoints import best_or_last, find_checkpoint
from modelyard.api.dataroots import DataRoots
from modelyard.domain.checkpoint import Checkpoint
from modelyard.domain.errors import UserError
from modelyard.server.context import Context, Here
from modelyard.server.folders import images_in
from modelyard.server.views import View

router = APIRouter(tags=["predictions"])
MOST_MODELS = 8
MOST_FILES = 64
MOST_SAMPLES = 200
TOP_CLASSES = 5
_IMAGE: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"image/*": {"schema": {"type": "string", "format": "binary"}}}}
}

Models = Annotated[
    list[str],
    Query(alias="model", min_length=1, max_length=MOST_MODELS, description="RUN, RUN:last, RUN:best or RUN:STEP"),
]


class PredictionView(View):
    """What one model says of one image."""

    model: str
    """As it was asked for."""
    run: str
    """The run's name."""
    checkpoint_id: str
    step: int
    label: str | None
    """The most likely class; null for an image that could not be read."""
    probabilities: dict[str, float]
    """By class, the highest first."""
    input: str | None = None
    """A PNG file in base64: the image as the model gets it, but for the normalisation."""
    saliency: str | None = None
    """A PNG file in base64: the brighter a pixel is, the more it moves the score of the most likely class."""
    error: str | None = None


class PredictionsView(View):
    """What models say of one image."""

    predictions: Sequence[PredictionView]
    restarted: bool
    """Whether the process that predicts had died, so that another one was started."""


class FolderView(View):
    """The images of a folder."""

    folder: str
    """Where it really is."""
    files: Sequence[str]


class FilesRequest(BaseModel):
    """Images of a folder that are to be predicted."""

    model_config = ConfigDict(extra="forbid")

    folder: str
    files: Annotated[list[str], Field(min_length=1, max_length=MOST_FILES)]
    models: Annotated[list[str], Field(min_length=1, max_length=MOST_MODELS)]


class FileView(PredictionsView):
    """What models say of one file."""

    file: str


class SampleView(View):
    """A sample of the validation data, and what a model says of it."""

    name: str
    target: str
    """The true class."""
    predicted: str
    probability: float
    """Of the predicted class."""
    loss: float
    """Minus the logarithm of the probability of the true class."""
    image: str
    """A PNG file in base64."""


class SamplesView(View):
    """Samples, the worst first."""

    checkpoint_id: str
    step: int
    classes: Sequence[str]
    same_data: bool
    """Whether the data are those that the run was trained on."""
    size: int
    """Samples of validation."""
    predicted: int
    """How many of them were predicted."""
    total: int
    """How many of these are of the classes that were asked for."""
    samples: Sequence[SampleView]
    restarted: bool


@router.post("/predictions", openapi_extra=_IMAGE)
async def predict(
    here: Here,
    request: Request,
    models: Models,
    name: Annotated[str, Query(max_length=500, description="what errors call the image")] = "the image",
) -> PredictionsView:
    """Say what models see in an image, which is the body of the request; it is kept nowhere."""
    image = await request.body()
    if not image:
        raise UserError("body: there is no image; send the bytes of one as the body")
    return await run_sync(_predict_image, here, models, image, name)


@router.get("/folders")
def folder(here: Here, path: Annotated[str, Query(max_length=4096)]) -> FolderView:
    """List the images in a folder of the server's machine, and in those below it."""
    return FolderView(folder=str(here.data_roots.resolve(path)), files=images_in(here.data_roots, path))


@router.post("/predictions/files")
def predict_files(here: Here, asked: FilesRequest) -> list[FileView]:
    """Say what models see in some images of a folder; one that cannot be read has an ``error``."""
    found = [(model, _checkpoint(here, model)) for model in asked.models]
    answers = []
    for file in asked.files:
        predicted = _predict(here, found, partial(_of_file, here.data_roots, asked.folder, file))
        answers.append(FileView(file=file, **dict(predicted)))
    return answers


@router.get("/runs/{ref}/samples")
def samples(
    here: Here,
    ref: str,
    *,
    checkpoint: Annotated[
        str | None, Query(description="last, best, a step or an id; by default best, or last")
    ] = None,
    target: Annotated[int | None, Query(ge=0, description="only of this class, by its number")] = None,
    predicted: Annotated[int | None, Query(ge=0, description="only those taken for this class")] = None,
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=MOST_SAMPLES)] = 48,
) -> SamplesView:
    """List validation samples with what a checkpoint predicts for them, the worst errors first.

    The first time, the whole validation data are predicted.
    """
    run = here.store.runs.get(ref)
    found = best_or_last(here.store, run.id) if checkpoint is None else find_checkpoint(here.store, run.id, checkpoint)
    page = {"target": target, "predicted": predicted, "offset": offset, "limit": limit}
    restarts = here.models.restarts
    answer = here.models.ask({"do": "samples", "run": run.id, "checkpoint": found.id, **page})
    restarted = here.models.restarts > restarts
    return SamplesView(checkpoint_id=found.id, step=found.step, restarted=restarted, **answer)


def _checkpoint(here: Context, model: str) -> Checkpoint:
    """Return the checkpoint that a model is named by."""
    ref, _, which = model.partition(":")
    run = here.store.runs.get(ref)
    return find_checkpoint(here.store, run.id, which) if which else best_or_last(here.store, run.id)


def _predict_image(here: Context, models: Sequence[str], image: bytes, name: str) -> PredictionsView:
    found = [(model, _checkpoint(here, model)) for model in models]
    asked = {"image": b64encode(image).decode(), "name": name, "pictures": True}
    return _predict(here, found, lambda: asked)


def _of_file(roots: DataRoots, folder: str, file: str) -> dict[str, Any]:
    """Return what to ask about a file. Raises ``UserError`` for one that leads out of where images may be."""
    path = roots.resolve(str(roots.resolve(folder) / file))
    return {"file": str(path), "name": file, "pictures": False}


def _predict(
    here: Context, models: Sequence[tuple[str, Checkpoint]], asked: Callable[[], dict[str, Any]]
) -> PredictionsView:
    names = here.store.runs.names([checkpoint.run_id for _, checkpoint in models])
    predictions = []
    restarts = here.models.restarts
    for model, checkpoint in models:
        about = {
            "model": model,
            "run": names.get(checkpoint.run_id, ""),
            "checkpoint_id": checkpoint.id,
            "step": checkpoint.step,
        }
        try:
            answer = here.models.ask({"do": "predict", "checkpoint": checkpoint.id, **asked()})
        except UserError as error:
            predictions.append(PredictionView(**about, label=None, probabilities={}, error=str(error)))
            continue
        ranked = sorted(answer.pop("probabilities").items(), key=lambda item: -item[1])
        predictions.append(
            PredictionView(**about, label=ranked[0][0], probabilities=dict(ranked[:TOP_CLASSES]), **answer)
        )
    return PredictionsView(predictions=predictions, restarted=here.models.restarts > restarts)
