"""Which fields runs have: what can be a column, an axis, or what charts are grouped by."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from modelyard.api.comparison import all_lines, configs
from modelyard.api.results import lower_is_better, metric_names, search_goals
from modelyard.api.selection import SHOWN_FIELDS
from modelyard.domain.query import RUN_FIELDS
from modelyard.domain.run import Run
from modelyard.store import Store


class FieldKind(StrEnum):
    """Where a field comes from."""

    RUN = "run"
    CONFIG = "config"
    METRIC = "metric"


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field of some runs."""

    name: str
    kind: FieldKind
    differs: bool
    """Whether a field of the config is not the same in all of them."""
    lower_is_better: bool = False
    """Of a metric; where nothing says so, more is better."""


def list_fields(store: Store, runs: Sequence[Run]) -> list[Field]:
    """Return the fields of the runs themselves, of their configs, and their metrics. At most three queries."""
    goals = search_goals(store, runs)
    return [
        *(Field(name=name, kind=FieldKind.RUN, differs=True) for name in (*RUN_FIELDS, *SHOWN_FIELDS)),
        *(
            Field(name=line.name, kind=FieldKind.CONFIG, differs=line.differs)
            for line in all_lines(configs(store, runs))
            if line.name not in RUN_FIELDS
        ),
        *(
            Field(
                name=name,
                kind=FieldKind.METRIC,
                differs=True,
                lower_is_better=lower_is_better(name, runs, goals),
            )
            for name in metric_names(runs)
        ),
    ]
