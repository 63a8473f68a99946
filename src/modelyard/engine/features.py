"""The features of frozen backbones: computed once per sample, for all learners of which they are inputs.

The learners share the backbone, too.
"""

import hashlib
import os
from collections.abc import Callable
from weakref import WeakValueDictionary

import torch

from modelyard.domain.base import canonical_json
from modelyard.engine.environment import code_fingerprint, environment_fingerprint
from modelyard.engine.feed import Feed
from modelyard.engine.learner import Learner
from modelyard.store.feature_folder import FeatureFolder
from modelyard.store.home import Home
from modelyard.tasks.base import Features, FrozenProblem, SplitName, TaskData
from modelyard.tasks.frozen_part import FrozenPart, FrozenParts

MOST_BYTES = 10 << 30
"""How much the features in a home may take on the disk, unless ``MODELYARD_FEATURE_BYTES`` says otherwise."""
_MEBIBYTE = 2**20


class SharedFeatures:
    """The features that the learners of one process use; they last while a learner is there."""

    def __init__(self, home: Home) -> None:
        self._folder = FeatureFolder(home.features, limit=int(os.environ.get("MODELYARD_FEATURE_BYTES", MOST_BYTES)))
        self._opened: WeakValueDictionary[str, Features] = WeakValueDictionary()
        self._parts = FrozenParts()

    def give(self, learner: Learner, feed: Callable[[str, TaskData], Feed]) -> list[str]:
        """Let ``learner`` train on the features of its model's frozen part, as it is now; return notes for the log.

        ``feed`` returns the feed of a data set, given a key that equal ones share. Does nothing if no part is frozen.
        """
        problem = learner.problem
        part = problem.frozen_part(self._parts) if isinstance(problem, FrozenProblem) else None
        if part is None:
            return []
        key = _key(learner, part)
        features = self._opened.get(key) or self._open(learner, key)
        if features is None:
            return [
                "the frozen backbone is computed in every step: its model has no head that stands alone, or its "
                "features are more than data.cache_mebibytes and more than MODELYARD_FEATURE_BYTES"
            ]
        self._opened[key] = features
        learner.use_features(features, feed(key, features), self._parts)
        samples = sum(features.size(split) for split in SplitName)
        return [
            f"the backbone is frozen: what it makes of {samples} samples is computed once, and the head trains on it"
        ]

    def _open(self, learner: Learner, key: str) -> Features | None:
        assert isinstance(learner.problem, FrozenProblem)
        learner.prepare_process()
        with torch.no_grad(), learner.autocast():
            return learner.problem.open_features(
                learner.data,
                device=learner.device,
                memory_bytes=learner.spec.data.cache_mebibytes * _MEBIBYTE,
                folder=lambda size: self._folder.open(key, size),
            )


def _key(learner: Learner, part: FrozenPart) -> str:
    """Return what decides every bit of the features, as 64 hexadecimal digits."""
    training = learner.spec.training
    parts = {
        "frozen": [part.digest, part.config],
        "problem": learner.problem.metadata,
        "data": learner.data.fingerprint,
        "arithmetic": [training.precision, training.threads, training.deterministic],
        "code": code_fingerprint(),
        "environment": environment_fingerprint(learner.device),
    }
    return hashlib.sha256(canonical_json(parts).encode()).hexdigest()
