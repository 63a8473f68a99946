"""Keeps decoded samples in memory, so that each is decoded once however many runs and epochs read it."""

import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from modelyard.tasks.image_classification.data.source import Ints
from modelyard.tasks.image_classification.data.split import Split
from modelyard.tasks.preprocessing import Pixels

_WORKERS = max(1, min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1))
_Place = tuple["Future[Pixels]", int]


class SampleCache:
    """Batches of one split. Samples are kept as they come until ``limit_bytes`` are used up.

    What does not fit is decoded each time, and nothing is evicted: with a fresh permutation in each epoch, what is kept
    hits as often as any other choice would.
    Safe for several threads; a sample that two of them want at the same time is decoded once.
    """

    def __init__(self, split: Split, limit_bytes: int) -> None:
        self._split = split
        self._sample_bytes = int(np.prod(split.shape))
        capacity = min(len(split), limit_bytes // self._sample_bytes)
        # Pages of an empty array take no memory until they are written.
        self._kept: Pixels = np.empty((capacity, *split.shape), dtype=np.uint8)
        self._slots: Ints = np.full(len(split), -1, dtype=np.int64)
        self._used = 0
        self._pending: dict[int, _Place] = {}
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self.decoded = 0
        """How often a sample was decoded."""

    @property
    def used_bytes(self) -> int:
        """Memory that kept samples take."""
        return self._used * self._sample_bytes

    def batch(self, indices: Ints, *, keep: bool = True) -> Pixels:
        """Return uint8 [B, C, S, S]; ``keep`` them if there is room. Raises ``DataError`` that names the image."""
        in_memory = self._split.in_memory(indices)
        if in_memory is not None:
            return in_memory
        slots = self._slots[indices]
        if len(slots) and slots.min() >= 0:
            return self._kept[slots]
        return self._batch_with_misses(indices, keep=keep)

    def missing(self, indices: Ints) -> int:
        """How many of the samples ``batch`` would have to decode."""
        if self._split.in_memory(indices[:0]) is not None:
            return 0
        return int(np.count_nonzero(self._slots[indices] < 0))

    def close(self) -> None:
        """Stop the decoding threads; the cache can still be used."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True)

    def _batch_with_misses(self, indices: Ints, *, keep: bool) -> Pixels:
        with self._lock:
            slots = self._slots[indices]
            places = self._request(np.unique(indices[slots < 0]).tolist(), keep=keep)
        out = np.empty((len(indices), *self._split.shape), dtype=np.uint8)
        hits = slots >= 0
        out[hits] = self._kept[slots[hits]]
        for row in np.flatnonzero(~hits):
            future, position = places[int(indices[row])]
            out[row] = future.result()[position]
        return out

    def _request(self, missing: list[int], *, keep: bool) -> dict[int, _Place]:
        """Return where each missing sample will appear; those that nobody decodes yet are shared out to the threads."""
        fresh = [index for index in missing if index not in self._pending]
        if fresh and self._pool is None:
            self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="decode")
        share = -(-len(fresh) // _WORKERS)
        for start in range(0, len(fresh), share or 1):
            chunk = fresh[start : start + share]
            assert self._pool is not None
            future = self._pool.submit(self._decode, chunk, keep=keep)
            self._pending.update({index: (future, position) for position, index in enumerate(chunk)})
        return {index: self._pending[index] for index in missing}

    def _decode(self, chunk: list[int], *, keep: bool) -> Pixels:
        try:
            pixels = np.stack([self._split.decode(index) for index in chunk])
            self._keep(chunk if keep else [], pixels)
            with self._lock:
                self.decoded += len(chunk)
        finally:
            with self._lock:
                for index in chunk:
                    del self._pending[index]
        return pixels

    def _keep(self, chunk: list[int], pixels: Pixels) -> None:
        with self._lock:
            fitting = chunk[: len(self._kept) - self._used]
            slots = np.arange(self._used, self._used + len(fitting))
            self._kept[slots] = pixels[: len(fitting)]
            self._slots[fitting] = slots
            self._used += len(fitting)
