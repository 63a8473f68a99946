"""The data sets that runs used, by what was in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from modelyard.domain.run import Run
from modelyard.server.views import View
from modelyard.store import Store


class UserView(View):
    """An experiment that used a data set."""

    id: str
    name: str
    runs: int


class VersionView(View):
    """A data set as it was once."""

    fingerprint: str | None
    """SHA-256 over classes, labels, names and contents of its splits; null for runs that have not opened it yet."""
    experiments: Sequence[UserView]
    first_used: datetime | None
    last_used: datetime | None


class DatasetView(View):
    """A place that data comes from."""

    source: str
    """``image-folder``, ``digits``, ...; ``custom`` or ``hf-trainer`` for code that opens its data by itself."""
    path: str | None
    """The folder or file; of code, its file."""
    data: Mapping[str, Any] | None
    """The newest ``data`` part that named it; null for code."""
    versions: Sequence[VersionView]
    """Those used last come first."""


@dataclass
class _Version:
    experiments: dict[str, tuple[str, int]] = field(default_factory=dict)
    used: list[datetime] = field(default_factory=list)


@dataclass
class _Place:
    data: Mapping[str, Any] | None = None
    versions: dict[str | None, _Version] = field(default_factory=dict)


def list_datasets(store: Store) -> list[DatasetView]:
    """Return every data set that a run names, and what its versions were used for."""
    places: dict[tuple[str, str | None], _Place] = {}
    for run in store.runs.list():
        source, path, data = _place(run)
        place = places.setdefault((source, path), _Place())
        place.data = data
        version = place.versions.setdefault(run.fingerprints.get("data"), _Version())
        name, count = version.experiments.get(run.experiment_id, (run.experiment, 0))
        version.experiments[run.experiment_id] = name, count + 1
        if run.started_at is not None:
            version.used.append(run.started_at)
    return [
        DatasetView(source=source, path=path, data=place.data, versions=_versions(place))
        for (source, path), place in sorted(places.items(), key=lambda one: (one[0][0], one[0][1] or ""))
    ]


def _place(run: Run) -> tuple[str, str | None, Mapping[str, Any] | None]:
    spec = run.spec
    if spec.user_code is not None:
        return spec.task, spec.user_code.file, None
    return spec.data.source, getattr(spec.data, "path", None), spec.data.model_dump(mode="json")


def _versions(place: _Place) -> list[VersionView]:
    found = [
        VersionView(
            fingerprint=fingerprint,
            experiments=[UserView(id=id_, name=name, runs=runs) for id_, (name, runs) in version.experiments.items()],
            first_used=min(version.used, default=None),
            last_used=max(version.used, default=None),
        )
        for fingerprint, version in place.versions.items()
    ]
    return sorted(found, key=lambda one: 0.0 if one.last_used is None else -one.last_used.timestamp())
