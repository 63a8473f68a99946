"""Runs, and what they recorded."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query

from modelyard.api.axes import Axis, positions
from modelyard.domain.checkpoint import CheckpointTag
from modelyard.server.context import Actor, Here
from modelyard.server.listing import run_page
from modelyard.server.storage import CollectedView, collected_view
from modelyard.server.views import (
    EventView,
    Lines,
    LogLineView,
    RunDetail,
    RunPage,
    View,
    event_view,
    finite,
    run_detail,
)

router = APIRouter(tags=["runs"])
MOST_ROWS = 10_000
MOST_RUNS_IN_A_CHART = 500
_MADE = frozenset({"files", "metrics", "tags"})
"""Fields of the view of a checkpoint that are not the record's own."""

Limit = Annotated[int, Query(ge=1, le=MOST_ROWS)]
After = Annotated[int, Query(ge=0, description="the cursor: what comes after it is returned")]


class SeriesView(View):
    """A metric of one run in few buckets, for drawing: one number of each list for each bucket."""

    width: int
    """Steps per bucket."""
    steps: Sequence[int]
    """The last step of each bucket."""
    x: Sequence[float] | None
    """Where that step lies on the axis that was asked for; null if that is not known of this run."""
    minimum: Sequence[float | None]
    maximum: Sequence[float | None]
    mean: Sequence[float | None]
    last: Sequence[float | None]


class CheckpointView(View):
    """A checkpoint."""

    id: str
    run_id: str
    attempt: int
    step: int
    epoch: int
    size: int
    """Bytes."""
    files: Mapping[str, int]
    """Bytes by name."""
    metrics: Mapping[str, float | None]
    tags: list[CheckpointTag]
    resumable: bool
    corrupt: bool
    created_at: datetime


@router.get("/runs")
def runs(
    here: Here,
    *,
    experiment: Annotated[str | None, Query(description="id or name")] = None,
    project: str | None = None,
    where: Annotated[str | None, Query(alias="filter", description="state = running and val_accuracy > 0.9")] = None,
    sort: Annotated[str | None, Query(description="a field; with a minus, the highest first")] = None,
    column: Annotated[list[str] | None, Query(description="fields of config, metrics or run to return")] = None,
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Limit = 100,
) -> RunPage:
    """List runs in order of creation, or sorted by a field."""
    return run_page(
        here.store,
        experiment=experiment,
        project=project,
        where=where,
        sort=sort,
        columns=column or [],
        offset=offset,
        limit=limit,
    )


@router.get("/runs/{ref}")
def run(here: Here, ref: str) -> RunDetail:
    """Return a run by id, name, or the start of an id."""
    return run_detail(here.store.runs.get(ref))


@router.delete("/runs/{ref}")
def delete(here: Here, actor: Actor, ref: str) -> CollectedView:
    """Delete a run with everything that it owns, and say what that freed; not while it is in training."""
    return collected_view(here.store.runs.delete(here.store.runs.get(ref).id, actor=actor))


@router.get("/runs/{ref}/events")
def events(here: Here, ref: str, after: After = 0, limit: Limit = 1000) -> list[EventView]:
    """List what happened to a run, oldest first."""
    found = here.store.events.read(after=after, limit=limit, run_id=here.store.runs.get(ref).id)
    return [event_view(event) for event in found]


@router.get("/runs/{ref}/logs")
def logs(
    here: Here,
    ref: str,
    *,
    after: After = 0,
    limit: Limit = 1000,
    tail: Annotated[int | None, Query(ge=1, le=MOST_ROWS, description="the newest so many instead")] = None,
    trouble: Annotated[bool, Query(description="only warnings and errors")] = False,
) -> Lines:
    """Return lines of a run's log, in order. They are numbered from 1 without gaps."""
    run_id = here.store.runs.get(ref).id
    newest = here.store.logs.tail(run_id, 1 if tail is None else tail)
    found = newest if tail is not None else here.store.logs.read(run_id, after=after, limit=limit, trouble=trouble)
    read = newest if trouble and len(found) < limit else found  # those that are no trouble were read, too
    end = max(after, read[-1].number) if read else after
    return Lines(run_id=run_id, lines=[LogLineView.of(one) for one in found], next=end)


@router.get("/runs/{ref}/logs/matches")
def log_matches(
    here: Here,
    ref: str,
    text: Annotated[str, Query(min_length=1, max_length=1000)],
    after: After = 0,
    limit: Limit = MOST_ROWS,
) -> list[int]:
    """Return the numbers of the lines of a run's log that have a text, whatever the case, in order."""
    return here.store.logs.find(here.store.runs.get(ref).id, text, after=after, limit=limit)


@router.get("/runs/{ref}/metrics")
def metrics(here: Here, ref: str) -> list[str]:
    """List the metrics that a run has, in the order of their first point."""
    return here.store.metrics.names(here.store.runs.get(ref).id)


@router.get("/runs/{ref}/checkpoints")
def checkpoints(here: Here, ref: str) -> list[CheckpointView]:
    """List the checkpoints of a run, newest first."""
    found = here.store.checkpoints.list(here.store.runs.get(ref).id)
    return [
        CheckpointView(
            **{name: getattr(one, name) for name in CheckpointView.model_fields if name not in _MADE},
            files={name: blob.size for name, blob in one.files.items()},
            metrics={name: finite(value) for name, value in one.metrics.items()},
            tags=sorted(one.tags),
        )
        for one in found
    ]


@router.get("/charts/{name:path}")
def chart(
    here: Here,
    name: str,
    *,
    run: Annotated[list[str], Query(min_length=1, max_length=MOST_RUNS_IN_A_CHART, description="ids of runs")],
    buckets: Annotated[int, Query(ge=1, le=5_000)] = 500,
    first_step: Annotated[int | None, Query(ge=0)] = None,
    last_step: Annotated[int | None, Query(ge=0)] = None,
    x: Annotated[Axis, Query(description="time: seconds since the run began to train; samples: of whole batches")] = (
        Axis.STEP
    ),
) -> dict[str, SeriesView]:
    """Return one metric of many runs for drawing, by run; runs that never logged it are left out.

    What it costs depends on the buckets, not on the length of the histories.
    """
    found = here.store.metrics.chart(run, name, buckets=buckets, first_step=first_step, last_step=last_step)
    placed = positions(here.store, x, name, found)
    return {
        run_id: SeriesView(
            width=series.width,
            steps=series.steps.tolist(),
            x=placed[run_id].round(6).tolist() if run_id in placed else None,
            minimum=[finite(value) for value in series.minimum.tolist()],
            maximum=[finite(value) for value in series.maximum.tolist()],
            mean=[finite(value) for value in series.mean.tolist()],
            last=[finite(value) for value in series.last.tolist()],
        )
        for run_id, series in found.items()
    }
