"""Protocols between the layers, each with at most five methods. Contract suites run over every implementation."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple, Protocol

from modelyard.domain.checkpoint import BlobRef
from modelyard.domain.events import Event, EventPayload


@dataclass(frozen=True, slots=True)
class Point:
    """One metric value. ``time`` is seconds since 1970 (UTC); ``step`` counts optimizer steps."""

    name: str
    step: int
    time: float
    value: float


class Validation(NamedTuple):
    """What a validation after so many epochs measured."""

    epoch: int
    step: int
    metrics: Mapping[str, float | None]
    """None for one that is not finite."""
    scores: bytes = b""
    """Those of its samples, packed."""


class BlobStore(Protocol):
    """Content-addressed bytes. Writes are atomic; what was returned is on the disk."""

    def put(self, chunks: Iterable[bytes]) -> BlobRef:
        """Store a stream of bytes and return its digest and size; storing the same bytes twice keeps one copy."""
        ...

    def open(self, digest: str) -> AbstractContextManager[BinaryIO]:
        """Open a blob for reading. Raises ``NotFoundError``."""
        ...

    def verify(self, digest: str) -> None:
        """Re-hash a blob. Raises ``CorruptBlobError`` or ``NotFoundError``."""
        ...

    def unpin(self, blobs: Sequence[BlobRef]) -> None:
        """Give up blobs that were put and will not be recorded; one ``put`` each."""
        ...

    def exists(self, digest: str) -> bool:
        """Whether the blob is there (its bytes are not checked)."""
        ...


class EventSource(Protocol):
    """The feed of everything that happened, for live pages, audit and replay."""

    def read(self, *, after: int = 0, limit: int = 1000, run_id: str | None = None) -> Sequence[Event]:
        """Return events with ``seq > after`` in order."""
        ...

    def last_seq(self) -> int:
        """Return the newest sequence number, 0 for an empty feed."""
        ...


class RunWriter(Protocol):
    """What the owner of a lease may write; everything between open and close is one transaction."""

    def points(self, points: Sequence[Point]) -> None:
        """Append metric values."""
        ...

    def lines(self, lines: Sequence[str]) -> None:
        """Append log lines."""
        ...

    def event(self, payload: EventPayload) -> None:
        """Append an event about the run."""
        ...
