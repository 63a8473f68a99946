"""The feed of everything that happens: as pages, and as one live stream."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Header, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent

from modelyard.domain.errors import NotFoundError, UserError
from modelyard.server.context import Context, Here
from modelyard.server.live import News
from modelyard.server.routes.runs import After, Limit
from modelyard.server.views import EventView, Lines, LogLineView, Points, View, event_view, finite
from modelyard.store.metrics import Arrived

router = APIRouter(tags=["events"])
MOST_FOLLOWED = 500
LINES_PER_MESSAGE = 1_000


class Hello(View):
    """The first message of a stream."""

    instance: str
    """Another one than before means that the server was restarted."""
    last_seq: int


@dataclass
class _Cursors:
    """What one watcher follows besides the feed, and how far it has read."""

    lines: dict[str, int] = field(default_factory=dict)
    """By run: the number of the last line."""
    points: dict[str, dict[str, int]] = field(default_factory=dict)
    """By run and metric: how many points."""


def _cursors(
    lines: Annotated[
        list[str] | None, Query(max_length=MOST_FOLLOWED, description="RUN,NUMBER: log lines after that number")
    ] = None,
    points: Annotated[
        list[str] | None, Query(max_length=MOST_FOLLOWED, description="RUN,CURSOR,METRIC: points after that cursor")
    ] = None,
) -> _Cursors:
    """Read what is to be followed. Raises ``UserError``, before the stream begins."""
    cursors = _Cursors()
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


Followed = Annotated[_Cursors, Depends(_cursors)]


@router.get("/events")
def events(here: Here, after: After = 0, limit: Limit = 1000, experiment: str | None = None) -> list[EventView]:
    """List what happened, oldest first."""
    experiment_id = None if experiment is None else here.store.experiments.get(experiment).id
    found = here.store.events.read(after=after, limit=limit, experiment_id=experiment_id)
    return [event_view(event) for event in found]


@router.get("/stream", response_class=EventSourceResponse)
async def stream(
    here: Here,
    *,
    after: Annotated[int | None, Query(ge=0, description="the number of the last event that was seen")] = None,
    cursors: Followed,
    last_event_id: Annotated[int | None, Header(ge=0)] = None,
) -> AsyncIterator[ServerSentEvent]:
    """Follow everything live. Messages are ``hello``, ``event``, ``progress``, ``points`` and ``lines``.

    Each event comes exactly once and in order, after ``after`` (or the ``Last-Event-ID`` with which a browser
    reconnects), from now on without either. ``progress`` replaces what was known of a run. Points and lines come
    with the cursor to go on from.
    """
    newest = await run_sync(here.store.events.last_seq)
    start = last_event_id if last_event_id is not None else newest if after is None else after
    yield ServerSentEvent(
        event="hello", data=Hello(instance=here.instance, last_seq=newest), id=str(min(start, newest))
    )
    for message in await run_sync(_recorded, here, cursors):
        yield message
    async for news in here.live.follow(start):
        for message in _told(news):
            yield message
        for message in await run_sync(_recorded, here, cursors):
            yield message


def _told(news: News) -> Iterator[ServerSentEvent]:
    for event in news.events:
        yield ServerSentEvent(event="event", id=str(event.seq), data=event_view(event))
    if news.progress:
        yield ServerSentEvent(event="progress", data=list(news.progress))


def _recorded(here: Context, cursors: _Cursors) -> list[ServerSentEvent]:
    """Read what the followed runs recorded since the cursors, and move these on; a run that is gone is left out."""
    messages: list[ServerSentEvent] = []
    for run_id in list(cursors.lines):
        messages += _new_lines(here, cursors, run_id)
    for run_id, wanted in list(cursors.points.items()):
        try:
            arrived = here.store.metrics.after(run_id, wanted)
        except NotFoundError:
            del cursors.points[run_id]
            continue
        for name, one in arrived.items():
            wanted[name] = one.next
            messages.append(ServerSentEvent(event="points", data=_points(run_id, name, one)))
    return messages


def _new_lines(here: Context, cursors: _Cursors, run_id: str) -> Iterator[ServerSentEvent]:
    found = None
    while found is None or len(found) == LINES_PER_MESSAGE:
        try:
            found = here.store.logs.read(run_id, after=cursors.lines[run_id], limit=LINES_PER_MESSAGE)
        except NotFoundError:
            del cursors.lines[run_id]
            return
        if found:
            cursors.lines[run_id] = end = found[-1].number
            views = [LogLineView.of(line) for line in found]
            yield ServerSentEvent(event="lines", data=Lines(run_id=run_id, lines=views, next=end))


def _points(run_id: str, name: str, arrived: Arrived) -> Points:
    series = arrived.points
    return Points(
        run_id=run_id,
        name=name,
        next=arrived.next,
        steps=series.steps.tolist(),
        times=series.times.tolist(),
        values=[finite(value) for value in series.values.tolist()],
    )
