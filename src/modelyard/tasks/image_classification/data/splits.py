"""Draws validation and test samples from training data, and limits the samples of a class.

What is drawn depends on the seed, the labels and their order alone: PCG64's raw stream is the same on every machine and
in every numpy version. The test split is drawn first, so it stays the same when ``val_fraction`` changes, and raising
``max_per_class`` only adds samples.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from modelyard.domain.errors import ConfigError, DataError
from modelyard.tasks.image_classification.data.source import Ints, SplitKey

DRAWN: tuple[SplitKey, ...] = ("test", "val")


def draw_splits(
    labels: Ints, *, classes: Sequence[str], fractions: Mapping[SplitKey, float], stratify: bool, seed: int
) -> dict[SplitKey, Ints]:
    """Return the positions (ascending) of "train" and of each split in ``fractions`` whose share is above 0.

    At least one sample of every class stays in train. Raises ``DataError`` if a split cannot get any sample.
    """
    order = _order(len(labels), seed)
    members = [order[labels[order] == label] for label in range(len(classes))]
    wanted = {key: fractions[key] for key in DRAWN if fractions.get(key, 0) > 0}
    draw = _stratified if stratify else _anywhere
    drawn = draw(order, members, wanted)
    for key, share in wanted.items():
        if not len(drawn[key]):
            raise DataError(_nothing_left(key, share, members, classes))
    taken = np.concatenate([np.empty(0, np.int64), *drawn.values()])
    return {"train": np.setdiff1d(order, taken), **{key: np.sort(positions) for key, positions in drawn.items()}}


def limit_per_class(labels: Ints, *, classes: Sequence[str], limit: int | Sequence[int] | None, seed: int) -> Ints:
    """Return the positions (ascending) that are kept. Raises ``ConfigError`` for a list of the wrong length."""
    if limit is None:
        return np.arange(len(labels), dtype=np.int64)
    limits = [limit] * len(classes) if isinstance(limit, int) else list(limit)
    if len(limits) != len(classes):
        raise ConfigError(
            f"data.max_per_class: {len(limits)} numbers for {len(classes)} classes; give one for each class in the "
            f"order {', '.join(classes[:20])}{', ...' if len(classes) > 20 else ''}, or a single number"
        )
    order = _order(len(labels), seed)
    kept = [order[labels[order] == label][:most] for label, most in enumerate(limits)]
    return np.sort(np.concatenate(kept))


def _order(count: int, seed: int) -> Ints:
    keys = np.asarray(np.random.PCG64(seed).random_raw(count), dtype=np.uint64)
    return np.argsort(keys, kind="stable").astype(np.int64)


def _stratified(order: Ints, members: Sequence[Ints], wanted: Mapping[SplitKey, float]) -> dict[SplitKey, Ints]:
    counts = np.array([len(positions) for positions in members], dtype=np.int64)
    start = np.zeros_like(counts)
    drawn: dict[SplitKey, Ints] = {}
    for key, share in wanted.items():
        stop = start + _quotas(counts, share, np.maximum(counts - 1 - start, 0))
        pieces = [positions[a:b] for positions, a, b in zip(members, start, stop, strict=True)]
        drawn[key] = np.concatenate(pieces)
        start = stop
    return drawn


def _quotas(counts: Ints, share: float, room: Ints) -> Ints:
    """Split ``share`` of all samples over the classes by largest remainder, never above ``room``."""
    exact = counts * share
    quotas: Ints = np.minimum(np.floor(exact).astype(np.int64), room)
    missing = _size(int(counts.sum()), share) - int(quotas.sum())
    for label in np.argsort(-(exact - np.floor(exact)), kind="stable"):
        if missing > 0 and quotas[label] < room[label]:
            quotas[label] += 1
            missing -= 1
    return quotas


def _anywhere(order: Ints, members: Sequence[Ints], wanted: Mapping[SplitKey, float]) -> dict[SplitKey, Ints]:
    reserved = np.array([positions[0] for positions in members if len(positions)], dtype=np.int64)
    free = order[~np.isin(order, reserved)]
    drawn: dict[SplitKey, Ints] = {}
    for key, share in wanted.items():
        size = _size(len(order), share)
        drawn[key], free = free[:size], free[size:]
    return drawn


def _size(count: int, share: float) -> int:
    return max(1, int(count * share + 0.5))


def _nothing_left(key: SplitKey, share: float, members: Sequence[Ints], classes: Sequence[str]) -> str:
    smallest = min(range(len(classes)), key=lambda label: len(members[label]))
    total = sum(len(positions) for positions in members)
    return (
        f"data.{key}_fraction: {share:g} of {total} images leaves none for {key}, because every class keeps at "
        f"least one for training (class {classes[smallest]!r} has {len(members[smallest])}); add images or set "
        f"{key}_fraction to 0"
    )
