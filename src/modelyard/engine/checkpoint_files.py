"""Writes a checkpoint's files into the blob store and reads them back: safetensors and JSON, nothing else."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from modelyard.domain.base import canonical_json
from modelyard.domain.checkpoint import BlobRef, Checkpoint
from modelyard.domain.errors import CorruptBlobError, StoreError
from modelyard.domain.ports import BlobStore
from modelyard.engine.state_codec import flatten, unflatten

MODEL = "model.safetensors"
"""The weights that prediction uses (the moving average where there is one)."""
TRAINING = "training.safetensors"
"""The weights that training goes on from, where they differ from ``MODEL``."""
STATE = "state.safetensors"
"""Optimizer, scaler, average and random state."""
BEST = "best.safetensors"
"""The best weights so far; the same blob as the best checkpoint's ``MODEL``."""
INDEX = "checkpoint.json"
"""Config, labels, preprocessing, and everything of the state that is not a tensor."""

FORMAT_VERSION = 1


@dataclass(frozen=True)
class LoadedCheckpoint:
    """A checkpoint's files in memory."""

    weights: Mapping[str, Tensor]
    training_weights: Mapping[str, Tensor]
    best_weights: Mapping[str, Tensor] | None
    state: dict[str, Any] | None
    index: dict[str, Any]


class CheckpointFiles:
    """Reads and writes the files of checkpoints in one blob store."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._unrecorded: list[BlobRef] = []

    def write_weights(self, weights: Mapping[str, Tensor]) -> BlobRef:
        """Store weights by name. Tied weights are stored once."""
        tensors, names = flatten(dict(weights))
        return self._put(save_tensors(tensors, metadata={"names": canonical_json(names)}))

    def write_state(self, state: Any) -> tuple[BlobRef, Any]:
        """Store the tensors of a nested state; return them and the JSON rest, which belongs into the index."""
        tensors, rest = flatten(state)
        return self._put(save_tensors(tensors)), rest

    def write_index(self, index: dict[str, Any]) -> BlobRef:
        """Store the JSON part."""
        return self._put(canonical_json({"format": FORMAT_VERSION, **index}).encode())

    def recorded(self) -> None:
        """Note that everything written so far is in the store's records."""
        self._unrecorded.clear()

    def discard(self) -> None:
        """Give up what was written and not recorded, so that it can be collected; at the next time if not now."""
        with suppress(StoreError):
            self._blobs.unpin(self._unrecorded)
            self._unrecorded.clear()

    def load(self, checkpoint: Checkpoint) -> LoadedCheckpoint:
        """Read and verify every file. Raises ``CorruptBlobError`` that names the checkpoint and the file."""
        data = {name: self._read(checkpoint, name, blob) for name, blob in checkpoint.files.items()}
        index = json.loads(data[INDEX])
        weights = _named_weights(data[MODEL])
        return LoadedCheckpoint(
            weights=weights,
            training_weights=_named_weights(data[TRAINING]) if TRAINING in data else weights,
            best_weights=_named_weights(data[BEST]) if BEST in data else None,
            state=unflatten(_clone(load_tensors(data[STATE])), index["state"]) if STATE in data else None,
            index=index,
        )

    def _put(self, data: bytes) -> BlobRef:
        blob = self._blobs.put([data])
        self._unrecorded.append(blob)
        return blob

    def _read(self, checkpoint: Checkpoint, name: str, blob: BlobRef) -> bytes:
        try:
            self._blobs.verify(blob.digest)
        except CorruptBlobError as error:
            raise CorruptBlobError(
                blob.digest, f"checkpoint {checkpoint.id} (step {checkpoint.step}): {name} is damaged: {error}"
            ) from error
        with self._blobs.open(blob.digest) as file:
            return file.read()


def _named_weights(data: bytes) -> dict[str, Tensor]:
    tensors = _clone(load_tensors(data))
    names = json.loads(_metadata(data)["names"])
    result: dict[str, Tensor] = unflatten(tensors, names)
    return result


def _clone(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copy into memory that torch aligned itself: kernels may round differently on other alignments."""
    return {name: tensor.clone() for name, tensor in tensors.items()}


def _metadata(data: bytes) -> dict[str, str]:
    """Return the ``__metadata__`` of a safetensors file: an 8-byte little-endian length, then a JSON header."""
    length = int.from_bytes(data[:8], "little")
    metadata: dict[str, str] = json.loads(data[8 : 8 + length])["__metadata__"]
    return metadata
