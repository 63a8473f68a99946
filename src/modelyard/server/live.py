"""The live feed: one look at the store, a few times a second, for all who watch, and none while nobody does."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from modelyard.domain.errors import NotFoundError, StoreError
from modelyard.domain.events import Event
from modelyard.domain.run import ACTIVE, Run
from modelyard.server.views import Progress, progress_of
from modelyard.store import Store

LOOK_SECONDS = 0.2
QUIET_SECONDS = 15.0
"""A watcher hears something at least so often."""
PATIENCE_SECONDS = 2.0
"""How long to wait before the next look at a store that cannot be read now."""
KEPT_EVENTS = 5_000
"""Events in memory; who is further behind reads the store."""
KEPT_RUNS = 5_000
BATCH = 1_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class News:
    """What happened since the last look of one watcher."""

    events: Sequence[Event]
    progress: Sequence[Progress]
    """Of runs in training that changed; those that have just ended included."""


@dataclass(frozen=True)
class _Look:
    """What one look at the store found."""

    seq: int
    events: Sequence[Event]
    runs: Sequence[Run]
    """Those in training, and those that were at the look before."""
    deleted: Sequence[str]


class LiveFeed:
    """Follows the store. To be used from one event loop; ``run`` has to run beside those who ``follow``."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._events: deque[Event] = deque(maxlen=KEPT_EVENTS)
        self._seq: int | None = None
        """Of the newest event that was seen; None while nobody watches."""
        self._progress: dict[str, tuple[int, Progress]] = {}
        """By run, the one that changed last at the end: the number of that change, and how far the run is."""
        self._changes = 0
        self._watchers = 0
        self._watched = asyncio.Event()
        self._news = asyncio.Event()
        self._closed = False

    async def run(self) -> None:
        """Look until ``close``, whenever somebody watches."""
        while not self._closed:
            await self._watched.wait()
            training = [run_id for run_id, (_, one) in self._progress.items() if one.state in ACTIVE]
            try:
                self._take(await asyncio.to_thread(self._look, self._seq, training))
            except StoreError as error:
                _log.warning("the live feed waits: %s", error)
                await asyncio.sleep(PATIENCE_SECONDS)
            except Exception:  # noqa: BLE001 - all streams hang on this task: it must not end by a mistake of ours
                _log.exception("the live feed goes on")
                await asyncio.sleep(PATIENCE_SECONDS)
            await asyncio.sleep(LOOK_SECONDS)

    def close(self) -> None:
        """End every stream."""
        self._closed = True
        self._watched.set()
        self._tell()

    async def follow(self, after: int) -> AsyncIterator[News | None]:
        """Yield every event with ``seq > after``, each once and in order, and how far the runs in training are.

        None tells, from time to time, that there is nothing to tell. It ends when the feed is closed. Nothing is held
        for a watcher who is slow: it reads on where it was.
        """
        seq, change = after, 0
        with self._watching():
            while not self._closed:
                news = self._news
                events = await self._events_after(seq)
                progress = [one for number, one in self._progress.values() if number > change]
                change = self._changes
                if events or progress:
                    seq = events[-1].seq if events else seq
                    yield News(events, progress)
                else:
                    try:
                        await asyncio.wait_for(news.wait(), QUIET_SECONDS)
                    except TimeoutError:
                        yield None

    @contextmanager
    def _watching(self) -> Iterator[None]:
        self._watchers += 1
        self._watched.set()
        try:
            yield
        finally:
            self._watchers -= 1
            if not self._watchers and not self._closed:
                self._watched.clear()
                self._events.clear()
                self._progress.clear()
                self._seq = None

    async def _events_after(self, seq: int) -> Sequence[Event]:
        if self._seq is None:
            return ()
        known_from = self._events[0].seq - 1 if self._events else self._seq
        if seq >= known_from:
            return [event for event in self._events if event.seq > seq][:BATCH]
        return await asyncio.to_thread(self._store.events.read, after=seq, limit=BATCH)

    def _look(self, seq: int | None, training: Sequence[str]) -> _Look:
        """Read what is new after ``seq``, in a thread."""
        if seq is None:
            seq = self._store.events.last_seq()
        events = self._store.events.read(after=seq, limit=BATCH)
        runs = self._store.runs.list(states=ACTIVE)
        ended = {run_id: self._find(run_id) for run_id in set(training) - {run.id for run in runs}}
        runs += [run for run in ended.values() if run is not None]
        deleted = [run_id for run_id, run in ended.items() if run is None]
        return _Look(events[-1].seq if events else seq, events, runs, deleted)

    def _find(self, run_id: str) -> Run | None:
        try:
            return self._store.runs.get(run_id)
        except NotFoundError:
            return None

    def _take(self, look: _Look) -> None:
        """Keep what a look found, and wake those who wait for it."""
        if not self._watchers:
            return
        news = self._seq is None or bool(look.events)
        self._seq = look.seq
        self._events.extend(look.events)
        for run_id in look.deleted:
            self._progress.pop(run_id, None)
        for progress in map(progress_of, look.runs):
            if self._progress.get(progress.run_id, (0, None))[1] != progress:
                news = True
                self._changes += 1
                self._progress.pop(progress.run_id, None)
                self._progress[progress.run_id] = (self._changes, progress)
        while len(self._progress) > KEPT_RUNS:  # the one that changed longest ago
            del self._progress[next(iter(self._progress))]
        if news:
            self._tell()

    def _tell(self) -> None:
        told, self._news = self._news, asyncio.Event()
        told.set()
