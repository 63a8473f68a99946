"""Everything that happened, for people: newest first, with names."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AfterValidator

from modelyard.api.activity import Activity, Named, activity
from modelyard.domain.events import EVENT_TYPES
from modelyard.server.context import Here
from modelyard.server.views import EventView, View, event_view

router = APIRouter(tags=["events"])
MOST_EVENTS = 1_000


class NamedView(View):
    """A run or an experiment that events tell of."""

    name: str
    exists: bool
    """Whether it was not deleted since."""


class ActivityView(View):
    """One page of what happened, newest first."""

    events: Sequence[EventView]
    next: int | None
    """Go on before this number; null where nothing is left."""
    runs: Mapping[str, NamedView]
    """By id."""
    experiments: Mapping[str, NamedView]
    """By id."""


def _known(kind: str) -> str:
    if kind not in EVENT_TYPES:
        raise ValueError(f"there are no events of the kind {kind!r}; kinds are {', '.join(EVENT_TYPES)}")
    return kind


@router.get("/activity")
def page(
    here: Here,
    *,
    before: Annotated[int | None, Query(ge=1, description="the cursor: what happened before it")] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_EVENTS)] = 100,
    kind: Annotated[list[Annotated[str, AfterValidator(_known)]] | None, Query(description="types of events")] = None,
    actor: Annotated[str, Query(description="how the name of who did it begins")] = "",
    run: Annotated[str | None, Query(description="id or name, of a deleted one too")] = None,
    experiment: Annotated[str | None, Query(description="id or name, of a deleted one too")] = None,
) -> ActivityView:
    """Say who did what, and why, newest first: the audit trail. Nothing is ever taken out of it."""
    return _view(
        activity(here.store, before=before, limit=limit, types=kind or (), actor=actor, run=run, experiment=experiment)
    )


def _view(found: Activity) -> ActivityView:
    return ActivityView(
        events=[event_view(event) for event in found.events],
        next=found.next,
        runs=_named(found.runs),
        experiments=_named(found.experiments),
    )


def _named(found: Mapping[str, Named]) -> dict[str, NamedView]:
    return {key: NamedView.model_validate(one) for key, one in found.items()}
