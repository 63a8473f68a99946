"""Steering: pause, resume, stop, tune, priority, clone."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from modelyard.api.cloning import clone
from modelyard.api.operations import Outcome, Result, request
from modelyard.domain.control import ControlOp, ControlRecord
from modelyard.domain.query import Value
from modelyard.server.context import Actor, Here
from modelyard.server.views import RunView, View, run_view

router = APIRouter(tags=["steering"])
MOST_TARGETS = 10_000
LONGEST_WAIT = 30.0


class Request(BaseModel):
    """Something that is asked of runs."""

    model_config = ConfigDict(extra="forbid")

    targets: Annotated[list[str], Field(min_length=1, max_length=MOST_TARGETS)]
    """Ids or names of runs, or of experiments: their runs that the operation is meant for."""
    op: ControlOp


class OutcomeView(View):
    """What became of a request to one run."""

    run: RunView
    result: Result
    message: str
    applied_step: int | None
    op_id: int | None
    """The number that the events of this request have."""


class CloneRequest(BaseModel):
    """A new run with another one's config, and edits on top."""

    model_config = ConfigDict(extra="forbid")

    edits: dict[str, Any] = {}
    """Dotted fields of the config and their new values: ``{"optimizer.learning_rate": 0.01}``."""
    warm_start: str | None = None
    """``last``, ``best``, a step, or a checkpoint's id."""
    inherit_optimizer: bool = False
    priority: Annotated[int, Field(ge=-100, le=100)] | None = None


class ChangeView(View):
    """A field of the config that differs."""

    path: str
    before: Value
    after: Value


class ClonedView(View):
    """A new run, and how its config differs from its parent's."""

    run: RunView
    changes: Sequence[ChangeView]


@router.post("/operations")
def operate(
    here: Here,
    actor: Actor,
    asked: Request,
    wait: Annotated[float, Query(ge=0, le=LONGEST_WAIT, description="seconds to wait for the engines")] = 0.0,
) -> list[OutcomeView]:
    """Ask something of runs. It is stored at once; an event tells when an engine has carried it out.

    A run that cannot do it is told as ``refused``, and the others go on.
    """
    return [_view(one) for one in request(here.store, asked.targets, asked.op, actor=actor, timeout=wait)]


@router.get("/runs/{ref}/operations")
def operations(here: Here, ref: str) -> list[ControlRecord]:
    """List everything that was ever asked of a run, oldest first."""
    return here.store.controls.history(here.store.runs.get(ref).id)


@router.post("/runs/{ref}/clone", status_code=201)
def clone_run(here: Here, actor: Actor, ref: str, asked: CloneRequest) -> ClonedView:
    """Queue a new run with a run's config, tuned values included, and edits on top."""
    cloned = clone(
        here.store,
        here.store.runs.get(ref),
        asked.edits,
        warm_start=asked.warm_start,
        inherit_optimizer=asked.inherit_optimizer,
        priority=asked.priority,
        actor=actor,
    )
    changes = [ChangeView(path=one.path, before=one.before, after=one.after) for one in cloned.changes]
    return ClonedView(run=run_view(cloned.run), changes=changes)


def _view(outcome: Outcome) -> OutcomeView:
    return OutcomeView(
        run=run_view(outcome.run),
        result=outcome.result,
        message=outcome.message,
        applied_step=outcome.applied_step,
        op_id=outcome.op_id,
    )
