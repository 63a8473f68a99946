"""What a stream says: events, progress, points and lines, as server-sent events."""

import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field

from anyio.to_thread import run_sync
from pydantic import BaseModel
from starlette.responses import StreamingResponse

from modelyard.domain.errors import NotFoundError
from modelyard.server.context import Context
from modelyard.server.live import News
from modelyard.server.views import EventView, Lines, LogLineView, Points, Progress, View, event_view, finite
from modelyard.store.metrics import Arrived

LINES_PER_MESSAGE = 1_000
VALID_SECONDS = 10.0
"""How long a login or token is trusted before it is looked at again."""
KEEPALIVE = b": \n\n"
"""A comment: it keeps proxies from giving up, and finds out who is gone."""


class EventStream(StreamingResponse):
    """A response that goes on."""

    media_type = "text/event-stream"


class Hello(View):
    """The first message of a stream."""

    instance: str
    """Another one than before means that the server was restarted."""
    last_seq: int


KINDS: Mapping[str, type[View]] = {
    "hello": Hello,
    "event": EventView,
    "progress": Progress,
    "points": Points,
    "lines": Lines,
}
"""The kinds of messages; ``progress`` is a list of its type."""


@dataclass
class Cursors:
    """What one watcher follows besides the feed, and how far it has read."""

    lines: dict[str, int] = field(default_factory=dict)
    """By run: the number of the last line."""
    points: dict[str, dict[str, int]] = field(default_factory=dict)
    """By run and metric: how many points."""


async def messages(
    here: Context, cursors: Cursors, after: int | None, is_valid: Callable[[], bool]
) -> AsyncIterator[bytes]:
    """Yield everything that happens after the event with this number, or from now on, while ``is_valid``."""
    newest = await run_sync(here.store.events.last_seq)
    start = newest if after is None else after
    yield _encode("hello", Hello(instance=here.instance, last_seq=newest), seq=min(start, newest))
    for message in await run_sync(_recorded, here, cursors):
        yield message
    checked = time.monotonic()
    async for news in here.live.follow(start):
        if time.monotonic() - checked > VALID_SECONDS:
            if not await run_sync(is_valid):
                return
            checked = time.monotonic()
        if news is None:
            yield KEEPALIVE
            continue
        for message in _told(news):
            yield message
        for message in await run_sync(_recorded, here, cursors):
            yield message


def _encode(kind: str, data: BaseModel | str, *, seq: int | None = None) -> bytes:
    text = data if isinstance(data, str) else data.model_dump_json()
    number = "" if seq is None else f"id: {seq}\n"
    return f"event: {kind}\n{number}data: {text}\n\n".encode()  # JSON has no line breaks


def _told(news: News) -> Iterator[bytes]:
    for event in news.events:
        yield _encode("event", event_view(event), seq=event.seq)
    if news.progress:
        yield _encode("progress", f"[{','.join(one.model_dump_json() for one in news.progress)}]")


def _recorded(here: Context, cursors: Cursors) -> list[bytes]:
    """Read what the followed runs recorded since the cursors, and move these on; a run that is gone is left out."""
    found: list[bytes] = []
    for run_id in list(cursors.lines):
        found += _new_lines(here, cursors, run_id)
    for run_id, wanted in list(cursors.points.items()):
        try:
            arrived = here.store.metrics.after(run_id, wanted)
        except NotFoundError:
            del cursors.points[run_id]
            continue
        for name, one in arrived.items():
            wanted[name] = one.next
            found.append(_encode("points", _points(run_id, name, one)))
    return found


def _new_lines(here: Context, cursors: Cursors, run_id: str) -> Iterator[bytes]:
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
            yield _encode("lines", Lines(run_id=run_id, lines=views, next=end))


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
