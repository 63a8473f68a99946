"""Data sets: those that runs used, and a look at what is on this machine."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from modelyard.api.inspection import describe_data
from modelyard.api.inspections import Inspection, InspectionState
from modelyard.domain.config import RunSpec
from modelyard.domain.validation import validate
from modelyard.server.context import Here
from modelyard.server.datasets import DatasetView, list_datasets
from modelyard.server.views import View

router = APIRouter(tags=["data"])


class FolderView(View):
    """A folder that may be looked at; hidden entries are left out."""

    path: str
    parent: str | None
    """Null for a root."""
    folders: Sequence[str]
    files: int
    truncated: bool
    """Whether it has more folders than are listed."""
    roots: Sequence[str]


class InspectionView(View):
    """A look at a data set."""

    id: str
    data: Mapping[str, Any]
    """What is looked at: the ``data`` part of a run."""
    state: InspectionState
    message: str
    done: int
    """Images that were decoded."""
    total: int | None
    created_at: datetime
    ended_at: datetime | None


class InspectionDetail(InspectionView):
    """A look at a data set, and what was found."""

    report: Mapping[str, Any] | None
    """What ``modelyard datasets inspect --json`` prints, and ``samples``: for each class, PNG pictures in base64."""


class InspectionRequest(BaseModel):
    """What to look at."""

    model_config = ConfigDict(extra="forbid")

    path: Annotated[str, Field(min_length=1, max_length=4096)]
    """A folder or file below the data roots, or ``digits``."""
    source: Literal["digits", "image-folder", "parquet", "huggingface", "idx"] | None = None
    """Null finds it by looking."""
    val_fraction: float | None = None
    test_fraction: float | None = None


@router.get("/datasets")
def datasets(here: Here) -> list[DatasetView]:
    """List the data sets that runs used, their versions by fingerprint, and which experiments used them."""
    return list_datasets(here.store)


@router.get("/data/folder")
def folder(here: Here, path: str = "") -> FolderView:
    """List a folder below the data roots; without ``path``, the first root."""
    found = here.data_roots.list(path)
    return FolderView(
        path=str(found.path),
        parent=None if found.parent is None else str(found.parent),
        folders=found.folders,
        files=found.files,
        truncated=found.truncated,
        roots=[str(root) for root in here.data_roots.roots],
    )


@router.get("/inspections")
def inspections(here: Here) -> list[InspectionView]:
    """List looks at data sets, newest first."""
    return [InspectionView.model_validate(one) for one in here.inspections.list()]


@router.post("/inspections", status_code=HTTPStatus.ACCEPTED)
def inspect(here: Here, request: InspectionRequest) -> InspectionView:
    """Look at every image of a data set: splits, classes, sizes, duplicates, damage, some pictures."""
    path = request.path
    digits = path == "digits" and request.source in (None, "digits")
    data = describe_data(path if digits else str(here.data_roots.resolve(path)), request.source)
    fractions = {"val_fraction": request.val_fraction, "test_fraction": request.test_fraction}
    data |= {name: value for name, value in fractions.items() if value is not None}
    config = validate(RunSpec, {"data": data}).data
    return InspectionView.model_validate(here.inspections.start(config.model_dump(mode="json")))


@router.get("/inspections/{inspection_id}")
def inspection(here: Here, inspection_id: str) -> InspectionDetail:
    """Return a look at a data set and, once it is done, what was found."""
    return _detail(here.inspections.get(inspection_id), here.inspections.report(inspection_id))


@router.post("/inspections/{inspection_id}/cancel")
def cancel(here: Here, inspection_id: str) -> InspectionView:
    """End a look at a data set that is not over."""
    return InspectionView.model_validate(here.inspections.cancel(inspection_id))


@router.delete("/inspections/{inspection_id}", status_code=HTTPStatus.NO_CONTENT)
def delete(here: Here, inspection_id: str) -> None:
    """Forget a look at a data set that is over."""
    here.inspections.delete(inspection_id)


def _detail(found: Inspection, report: Mapping[str, Any] | None) -> InspectionDetail:
    return InspectionDetail(**found.model_dump(), report=report)
