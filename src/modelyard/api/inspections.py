"""Inspections of data sets that a server does for whoever asks: one after the other, each in a child process.

What was found out stays in the home. An inspection that was under way when its server ended is told as such.
"""

import json
import secrets
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from modelyard.api.inspection import InspectionCancelledError, Watch, inspect_data
from modelyard.domain.base import Config
from modelyard.domain.errors import ConflictError, ModelyardError, NotFoundError
from modelyard.store.home import Home, translated_os_errors

PICTURES = 8
"""Of each class."""
MOST_KEPT = 50
"""Older ones that are over are deleted."""


class InspectionState(StrEnum):
    """What has become of an inspection."""

    WAITING = "waiting"
    READING = "reading"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    """Its server ended before it was over."""


OPEN = frozenset({InspectionState.WAITING, InspectionState.READING})


class Inspection(Config):
    """One look at a data set."""

    id: str
    """Eight hexadecimal digits."""
    data: dict[str, Any]
    """What is looked at: the ``data`` part of a run."""
    state: InspectionState
    """How far it is."""
    message: str = ""
    """Why it is failed."""
    done: int = 0
    """Images that were decoded."""
    total: int | None = None
    """Images in all, once that is known."""
    created_at: datetime
    """When it was asked for."""
    ended_at: datetime | None = None
    """When it was over."""


@dataclass
class _Job:
    """An inspection that is not over."""

    inspection: Inspection
    cancelled: threading.Event = field(default_factory=threading.Event)


class Inspections:
    """The inspections of one home. Threads may share it; close it when the server ends."""

    def __init__(self, home: Home, environment: Mapping[str, str]) -> None:
        """``environment`` holds the folders that a child process must keep to."""
        self._home = home
        self._environment = environment
        self._lock = threading.Lock()
        self._jobs: dict[str, _Job] = {}
        self._closing = False
        self._worker = ThreadPoolExecutor(1, "inspect data")

    def start(self, data: dict[str, Any]) -> Inspection:
        """Look at a data set as soon as those asked for before are over. Raises ``StoreError``."""
        inspection = Inspection(
            id=secrets.token_hex(4), data=data, state=InspectionState.WAITING, created_at=datetime.now(UTC)
        )
        self._write(inspection)
        self._forget_old()
        job = _Job(inspection)
        with self._lock:
            self._jobs[inspection.id] = job
        self._worker.submit(self._work, job)
        return inspection

    def list(self) -> list[Inspection]:
        """Return all inspections, newest first."""
        found = [self._read(path) for path in self._home.inspections.glob("????????.json")]
        return sorted((one for one in found if one is not None), key=lambda one: one.created_at, reverse=True)

    def get(self, inspection_id: str) -> Inspection:
        """Return one. Raises ``NotFoundError``."""
        found = next((one for one in self.list() if one.id == inspection_id), None)
        if found is None:
            raise NotFoundError(f"there is no inspection {inspection_id!r}")
        return found

    def report(self, inspection_id: str) -> dict[str, Any] | None:
        """Return what was found; None while it is not over, or if it failed. Raises ``NotFoundError``."""
        if self.get(inspection_id).state is not InspectionState.DONE:
            return None
        path = self._report(inspection_id)
        with translated_os_errors(path):
            found: dict[str, Any] = json.loads(path.read_bytes())
        return found

    def cancel(self, inspection_id: str) -> Inspection:
        """End one that is not over. Raises ``NotFoundError``, ``ConflictError`` if it is over."""
        found = self.get(inspection_id)
        with self._lock:
            job = self._jobs.get(inspection_id)
        if job is None:
            raise ConflictError(f"the inspection {inspection_id} is over already: {found.state}")
        job.cancelled.set()
        return found

    def delete(self, inspection_id: str) -> None:
        """Forget one that is over. Raises ``NotFoundError``, ``ConflictError``."""
        if self.get(inspection_id).state in OPEN:
            raise ConflictError(f"the inspection {inspection_id} is under way; cancel it first")
        for path in (self._report(inspection_id), self._file(inspection_id)):
            with translated_os_errors(path):
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """End those that are not over; they are told as interrupted afterwards."""
        with self._lock:
            self._closing = True
            for job in self._jobs.values():
                job.cancelled.set()
        self._worker.shutdown(cancel_futures=True)

    def _work(self, job: _Job) -> None:
        inspection = job.inspection
        report: dict[str, Any] | None = None
        try:
            report = self._look(job)
            state, message = InspectionState.DONE, ""
        except InspectionCancelledError:
            state, message = (InspectionState.INTERRUPTED if self._closing else InspectionState.CANCELLED), ""
        except ModelyardError as error:
            state, message = InspectionState.FAILED, str(error)
        over = {"state": state, "message": message, "ended_at": datetime.now(UTC)}
        try:
            if report is not None:
                self._put(self._report(inspection.id), json.dumps(report))
            self._write(job.inspection.model_copy(update=over))
        finally:
            with self._lock:
                del self._jobs[inspection.id]

    def _look(self, job: _Job) -> dict[str, Any]:
        def progress(done: int, total: int) -> None:
            job.inspection = job.inspection.model_copy(update={"done": done, "total": total})

        if job.cancelled.is_set():
            raise InspectionCancelledError("it was cancelled")
        job.inspection = job.inspection.model_copy(update={"state": InspectionState.READING})
        watch = Watch(samples=PICTURES, environment=self._environment, is_cancelled=job.cancelled.is_set)
        return inspect_data(job.inspection.data, progress=progress, watch=watch)

    def _read(self, path: Path) -> Inspection | None:
        with self._lock:
            job = self._jobs.get(path.stem)
        if job is not None:
            return job.inspection
        try:
            found = Inspection.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):  # damaged, or just deleted
            return None
        return found.model_copy(update={"state": InspectionState.INTERRUPTED}) if found.state in OPEN else found

    def _forget_old(self) -> None:
        over = [one for one in self.list() if one.state not in OPEN]
        for one in over[MOST_KEPT:]:
            self.delete(one.id)

    def _write(self, inspection: Inspection) -> None:
        self._put(self._file(inspection.id), inspection.model_dump_json())

    def _put(self, path: Path, text: str) -> None:
        self._home.prepare()
        with translated_os_errors(path):
            path.parent.mkdir(mode=0o700, exist_ok=True)
            temporary = path.with_suffix(".tmp")
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(path)

    def _file(self, inspection_id: str) -> Path:
        return self._home.inspections / f"{inspection_id}.json"

    def _report(self, inspection_id: str) -> Path:
        return self._home.inspections / f"{inspection_id}.report.json"
