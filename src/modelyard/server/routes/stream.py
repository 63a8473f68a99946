"""The feed of everything that happens: as pages, and as one live stream."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query

from modelyard.domain.errors import UserError
from modelyard.server.access import StillValid
from modelyard.server.context import Here
from modelyard.server.messages import Cursors, EventStream, messages
from modelyard.server.routes.runs import After, Limit
from modelyard.server.views import EventView, event_view

router = APIRouter(tags=["events"])
MOST_FOLLOWED = 500


def _cursors(
    lines: Annotated[
        list[str] | None, Query(max_length=MOST_FOLLOWED, description="RUN,NUMBER: log lines after that number")
    ] = None,
    points: Annotated[
        list[str] | None, Query(max_length=MOST_FOLLOWED, description="RUN,CURSOR,METRIC: points after that cursor")
    ] = None,
) -> Cursors:
    """Read what is to be followed. Raises ``UserError``, before the stream begins."""
    cursors = Cursors()
    for text in lines or ():
        run_id, number = _split(text, "lines: RUN,NUMBER", 2)
        cursors.lines[run_id] = _count(number, text)
    for text in points or ():
        run_id, cursor, name = _split(text, "points: RUN,CURSOR,METRIC", 3)
        cursors.points.setdefault(run_id, {})[name] = _count(cursor, text)
    return cursors


def _split(text: str, form: str, parts: int) -> list[str]:
    found = text.split(",", parts - 1)
    if len(found) < parts:
        raise UserError(f"{text!r} is not of the form {form}")
    return found


def _count(text: str, whole: str) -> int:
    if not text.isdecimal():
        raise UserError(f"{whole!r}: {text!r} is not a whole number")
    return int(text)


@router.get("/events")
def events(here: Here, after: After = 0, limit: Limit = 1000, experiment: str | None = None) -> list[EventView]:
    """List what happened, oldest first."""
    experiment_id = None if experiment is None else here.store.experiments.get(experiment).id
    found = here.store.events.read(after=after, limit=limit, experiment_id=experiment_id)
    return [event_view(event) for event in found]


@router.get("/stream", response_class=EventStream)
def stream(
    here: Here,
    cursors: Annotated[Cursors, Depends(_cursors)],
    is_valid: StillValid,
    after: Annotated[int | None, Query(ge=0, description="the number of the last event that was seen")] = None,
    last_event_id: Annotated[int | None, Header(ge=0)] = None,
) -> EventStream:
    """Follow everything live. Messages are ``hello``, ``event``, ``progress``, ``points`` and ``lines``.

    Each event comes exactly once and in order, after ``after`` (or the ``Last-Event-ID`` with which a browser
    reconnects), from now on without either. ``progress`` replaces what was known of a run. Points and lines come
    with the cursor to go on from. It ends when who began it may no longer read.
    """
    start = after if last_event_id is None else last_event_id
    return EventStream(messages(here, cursors, start, is_valid), headers={"cache-control": "no-cache"})
