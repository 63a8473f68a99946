"""Edits of a run's config: ``optimizer.learning_rate=0.01``, validated like a file, with the difference they make."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelyard.api.yamlfile import read_value
from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.errors import ConfigError, UserError
from modelyard.domain.query import Value, flatten
from modelyard.scheduler.search.edit import edit_run


@dataclass(frozen=True)
class Change:
    """One field that differs between two configs; None stands for a field that the config does not have."""

    path: str
    before: Value
    after: Value


def parse_edits(texts: Sequence[str]) -> dict[str, Any]:
    """Turn ``path=value`` texts into a mapping; values are typed as in a sweep file. Raises ``UserError``."""
    edits: dict[str, Any] = {}
    for text in texts:
        path, equals, value = text.partition("=")
        path = path.strip()
        if not equals or not path:
            raise UserError(f"{text!r} is not an edit; write FIELD=VALUE, such as optimizer.learning_rate=0.01")
        if path in edits:
            raise UserError(f"{path} is set twice")
        edits[path] = read_value(value, source=f"--set {path}")
    return edits


def apply_edits(spec: RunSpec, edits: Mapping[str, Any]) -> tuple[RunSpec, tuple[Change, ...]]:
    """Return a validated copy of ``spec`` with dotted fields replaced, and what that changed.

    Setting the kind of a part (``optimizer.name=sgd``) keeps the fields that were chosen and that the new kind has
    too; every other field gets the new kind's default. Raises ``ConfigError``.
    """
    try:
        edited = edit_run(spec, edits)
    except ConfigError as error:
        raise ConfigError("\n".join(f"--set {line}" for line in str(error).splitlines())) from error
    return edited, difference(spec, edited)


def apply_sweep_edits(sweep: SweepSpec, edits: Mapping[str, Any]) -> SweepSpec:
    """Apply edits to the base run of a sweep. Raises ``ConfigError``, also for a field that the search decides."""
    searched = {path for runs in (sweep.search.space, *sweep.search.runs) for path in runs}
    for path in edits:
        decided = next((field for field in sorted(searched) if f"{field}.".startswith(f"{path}.")), None)
        if decided is not None:
            raise ConfigError(f"--set {path}: no effect, because the search decides {decided}; edit the sweep file")
    return sweep.model_copy(update={"run": apply_edits(sweep.run, edits)[0]})


def difference(before: RunSpec, after: RunSpec) -> tuple[Change, ...]:
    """List the fields that differ, in the order of the config."""
    old, new = flatten(before.model_dump(mode="json")), flatten(after.model_dump(mode="json"))
    paths = [*new, *(path for path in old if path not in new)]
    return tuple(
        Change(path, old.get(path), new.get(path))
        for path in paths
        if old.get(path) != new.get(path) or (path in old) != (path in new)
    )
