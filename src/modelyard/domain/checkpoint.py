"""What a checkpoint is, as the store keeps it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class CheckpointTag(StrEnum):
    """Why a checkpoint is kept. One without a tag goes when ``keep`` newer ones exist."""

    LAST = "last"
    BEST = "best"


@dataclass(frozen=True, kw_only=True)
class BlobRef:
    """Bytes in the blob store: ``digest`` is ``sha256:<64 hex>``, ``size`` is in bytes."""

    digest: str
    size: int


@dataclass(frozen=True, kw_only=True)
class CheckpointDraft:
    """A checkpoint whose files are in the blob store but which is not recorded yet."""

    step: int
    epoch: int
    files: Mapping[str, BlobRef]
    """File name (``model.safetensors``, ``state.safetensors``, ``checkpoint.json``) to blob."""
    metrics: Mapping[str, float]
    best: bool = False
    """Whether this is the best one so far; the tag moves here from the one before."""
    resumable: bool = True
    """Whether it has the training state. One that has only weights is kept for as long as it is the best."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A recorded checkpoint. ``last`` and ``best`` are tags that move; the files never change."""

    id: str
    run_id: str
    attempt: int
    """0 for what was taken over from a run with the same past."""
    step: int
    epoch: int
    files: Mapping[str, BlobRef]
    metrics: Mapping[str, float]
    tags: frozenset[CheckpointTag]
    resumable: bool
    """Whether training can go on from it; the tag ``last`` is only on one that is."""
    corrupt: bool
    """True once a file was found not to match its digest."""
    created_at: datetime

    @property
    def size(self) -> int:
        """Bytes of all files together (a file shared with another checkpoint counts here too)."""
        return sum(blob.size for blob in self.files.values())
