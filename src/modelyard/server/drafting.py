"""Sweeps that are being written: the same text for people and as values, its mistakes, and what it would cost."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from modelyard.agent.devices import DeviceInfo, accelerators
from modelyard.api.estimating import SweepEstimate, Wanted, estimate_sweep
from modelyard.api.planning import plan_sweep
from modelyard.api.sweepfile import parse_runs
from modelyard.api.training import Resources
from modelyard.api.yamledit import Edit, edit_yaml
from modelyard.api.yamlfile import read_yaml
from modelyard.domain.config import SweepSpec
from modelyard.domain.errors import ConfigError
from modelyard.server.submitting import SOURCE
from modelyard.server.views import View
from modelyard.store import Home
from modelyard.store.measurements import Measurements

MOST_CHARACTERS = 1_000_000
MOST_ESTIMATED = 2_000
"""Sweeps of more runs are not estimated as one types."""
_PLACED = re.compile(rf"(?:{re.escape(SOURCE)}(?::(\d+))?: )?(?:([A-Za-z_][\w.-]*): )?(.*)")

_INNER = re.compile(r"([a-z]\w*(?:\.\w+)*): ")


class DraftEdit(BaseModel):
    """A value that a form sets in a sweep, or takes away."""

    model_config = ConfigDict(extra="forbid")

    path: Annotated[list[str], Field(min_length=1, max_length=20)]
    """Keys from the top: ``["run", "optimizer", "learning_rate"]``."""
    value: Any = None
    remove: bool = False


class DraftRequest(BaseModel):
    """The text of a sweep file as somebody has it, and what a form changes in it."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(max_length=MOST_CHARACTERS)]
    edits: Annotated[list[DraftEdit], Field(max_length=1000)] = []


class Mistake(View):
    """Something that keeps a sweep from being queued."""

    line: int | None
    """The line of the text, from 1, where it is known."""
    field: str
    """The field (dotted), or an empty string."""
    message: str
    told: str
    """All of it, as the command line prints it."""


class Draft(View):
    """A sweep as it stands."""

    text: str
    """The text after the edits."""
    lost: Sequence[str]
    """Comments that went with what was edited."""
    document: Mapping[str, Any] | None
    """What the text holds; null while it cannot be read."""
    mistakes: Sequence[Mistake]
    name: str | None
    runs: int | None
    """How many runs it would make at first; null while there are mistakes."""
    samples: int | None
    """How many a search that learns draws in all, where that is more."""


class EstimateView(View):
    """What a sweep takes on this machine, from what was measured before; nothing is measured for it."""

    seconds: float | None
    """All of it, start-up and evaluations included; null if it was not measured yet."""
    memory_bytes: int | None
    """Of all processes at the most, besides what they take without a run."""
    processes: int
    measured: int
    """How many of its structures were measured."""
    structures: int
    stacked: int
    """How many of its structures train several runs as one model."""
    search: bool
    """Whether a search will end runs early or add some: then it is what these runs take, each to its end."""
    note: str
    """What is to be said of it."""


def draft(request: DraftRequest) -> Draft:
    """Apply edits to the text of a sweep, and check its fields as ``modelyard config show`` does; opens no data."""
    text = request.text
    lost: tuple[str, ...] = ()
    document: Mapping[str, Any] | None = None
    try:
        if request.edits:
            edits = [Edit(path=tuple(one.path), value=one.value, remove=one.remove) for one in request.edits]
            edited = edit_yaml(text, edits, SOURCE)
            text, lost = edited.text, edited.lost
        found = read_yaml(text, SOURCE).value
        document = found if isinstance(found, dict) else None
        sweep, specs = parse_runs(text, SOURCE)
    except ConfigError as error:
        mistakes = [mistake(line) for line in str(error).splitlines()]
        return Draft(text=text, lost=lost, document=document, mistakes=mistakes, name=None, runs=None, samples=None)
    samples = sweep.search.samples
    return Draft(
        text=text,
        lost=lost,
        document=document,
        mistakes=[],
        name=sweep.name,
        runs=len(specs),
        samples=samples if samples is not None and samples > len(specs) and sweep.search.decides else None,
    )


def mistake(line: str) -> Mistake:
    """Take a line of an error apart into its place and what is wrong there."""
    found = _PLACED.fullmatch(line)
    assert found is not None
    number, field, message = found.groups()
    inner = _INNER.match(message) if field else None
    if inner is not None:  # a check of a whole part begins with the field that it is about
        field, message = f"{field}.{inner[1]}", message[inner.end() :]
    return Mistake(line=None if number is None else int(number), field=field or "", message=message, told=line)


def estimate_draft(home: Home, text: str) -> EstimateView:
    """Return what is known of a sweep's time and memory. Raises ``ConfigError``."""
    sweep, specs = parse_runs(text, SOURCE)
    planned = plan_sweep(sweep, specs, Resources(), devices=_accelerators())
    processes = min(len(planned.plan.groups), len(specs))
    if len(specs) > MOST_ESTIMATED:
        note = f"more than {MOST_ESTIMATED:,} runs are not estimated here; modelyard plan does it"
        return _unknown(processes, search=sweep.search.decides, note=note)
    wanted = Wanted(plan=planned.plan, device=planned.device, measure=False)
    found = estimate_sweep(specs, [None] * len(specs), wanted, Measurements(home), say=lambda _: None)
    return _estimate_view(sweep, found, processes)


@cache
def _accelerators() -> tuple[DeviceInfo, ...]:
    return accelerators()


def _estimate_view(sweep: SweepSpec, found: SweepEstimate, processes: int) -> EstimateView:
    known = [one for one in found.structures if one.remembered]
    note = ""
    if len(known) < len(found.structures):
        which = "" if not known else f"{len(found.structures) - len(known)} of {len(found.structures)} structures "
        note = f"{which}not measured yet: modelyard plan measures it; training finds the fastest way as it goes"
    elif sweep.search.decides:
        note = "that is these runs, each to its end; the search ends some early, or adds others"
    return EstimateView(
        seconds=None if found.wall_time is None else found.wall_time.total,
        memory_bytes=found.memory_bytes,
        processes=processes,
        measured=len(known),
        structures=len(found.structures),
        stacked=sum((one.estimate.members or 1) > 1 for one in found.structures),
        search=sweep.search.decides,
        note=note,
    )


def _unknown(processes: int, *, search: bool, note: str) -> EstimateView:
    return EstimateView(
        seconds=None,
        memory_bytes=None,
        processes=processes,
        measured=0,
        structures=0,
        stacked=0,
        search=search,
        note=note,
    )
