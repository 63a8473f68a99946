"""Views of a board that somebody named: the same in every browser."""

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict

from modelyard.server.context import Actor, Here
from modelyard.server.views import View
from modelyard.store.saved_views import LONGEST_NAME

router = APIRouter(tags=["views"])

Name = Annotated[str, Path(min_length=1, max_length=LONGEST_NAME)]


class SavedView(View):
    """A view of boards: what the page's address says of columns, order, filter, axes and groups."""

    project: str
    name: str
    search: Mapping[str, Any]
    saved_by: str
    saved_at: datetime


class ViewContent(BaseModel):
    """What is kept of a view."""

    model_config = ConfigDict(extra="forbid")

    search: dict[str, Any]
    """What the page's address says, by name."""


@router.get("/projects/{project}/views")
def views(here: Here, project: str) -> list[SavedView]:
    """List the views of a project, by name."""
    return [SavedView.model_validate(one) for one in here.store.saved_views.list(project)]


@router.put("/projects/{project}/views/{name}")
def save(here: Here, actor: Actor, project: str, name: Name, content: ViewContent) -> SavedView:
    """Keep a view, in place of one that had the name."""
    return SavedView.model_validate(here.store.saved_views.save(project, name, content.search, actor=actor))


@router.delete("/projects/{project}/views/{name}", status_code=HTTPStatus.NO_CONTENT)
def delete(here: Here, actor: Actor, project: str, name: str) -> None:
    """Delete a view."""
    here.store.saved_views.delete(project, name, actor=actor)
