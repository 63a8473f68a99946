"""Devices: what they do, what they did, and what trains on them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from modelyard.api.devices import Curve, DeviceState, Span, curve, device_states, spans_of, troubles
from modelyard.domain.errors import UserError
from modelyard.domain.run import RunState
from modelyard.server.context import Here
from modelyard.server.views import View
from modelyard.store import clock

router = APIRouter(tags=["devices"])


class TrainsView(View):
    """A run that trains on a device."""

    id: str
    name: str
    state: RunState


class ProcessView(View):
    """An engine process at work on a device."""

    pid: int
    memory: int | None
    """Resident bytes; null where that cannot be read from here."""
    runs: Sequence[TrainsView]


class DeviceView(View):
    """A device, and what was read of it last."""

    host: str
    name: str
    platform: str
    """``cpu``, ``cuda``, ``rocm`` or ``mps``."""
    model: str
    seen_at: datetime | None
    age_seconds: float | None
    """How old the figures are."""
    stale: bool
    """Whether they are of the past: nobody reads the device any more."""
    figures: Mapping[str, float]
    """``utilisation`` from 0 to 1, ``memory_used`` and ``memory_total`` in bytes, ``temperature`` in degrees Celsius,
    ``power`` in watts; those that could be read."""
    unavailable: Mapping[str, str]
    """Why the others could not."""
    processes: Sequence[ProcessView]


class DevicesView(View):
    """All devices of the machines that agents of this home work on."""

    devices: Sequence[DeviceView]
    trouble: Mapping[str, str]
    """Why accelerators of a machine could not be looked for, by host."""


class CurveView(View):
    """What a device did, for drawing: one number of each list for each moment."""

    host: str
    device: str
    times: Sequence[float]
    """Seconds since 1970."""
    figures: Mapping[str, Sequence[float | None]]
    """Null for a gap, and for what could not be read."""


class SpanView(View):
    """A time in which a run trained on a device; null while it still does."""

    device: str
    attempt: int
    start: datetime
    end: datetime | None


class RunDevicesView(View):
    """Where a run trained, and what those devices did meanwhile."""

    spans: Sequence[SpanView]
    curves: Sequence[CurveView]
    """From the first of the spans to the last, of each device of that name: a home may have several machines."""


Buckets = Annotated[int, Query(ge=1, le=5_000, description="at most so many moments")]


@router.get("/devices")
def devices(here: Here) -> DevicesView:
    """List the devices with what they do now."""
    return DevicesView(devices=[_view(one) for one in device_states(here.store)], trouble=troubles(here.store))


@router.get("/devices/history")
def history(
    here: Here,
    *,
    host: str,
    device: Annotated[str, Query(description="cpu, cuda:0, mps")],
    start: AwareDatetime,
    end: AwareDatetime | None = None,
    buckets: Buckets = 300,
) -> CurveView:
    """Return what a device did between two moments, or until now."""
    until = clock.now() if end is None else end
    if until <= start:
        raise UserError("query.end: it must be after start")
    found = curve(here.store, host, device, start=start.timestamp(), end=until.timestamp(), buckets=buckets)
    return _curve_view(host, device, found)


@router.get("/runs/{ref}/devices")
def of_run(here: Here, ref: str, *, buckets: Buckets = 300) -> RunDevicesView:
    """Return where a run trained, and what those devices did meanwhile, as far as that is kept: a week."""
    spans = spans_of(here.store, here.store.runs.get(ref))
    wanted = [
        (machine.host, device.name, _times([span for span in spans if span.device == device.name]))
        for machine in here.store.devices.machines()
        for device in machine.devices
        if any(span.device == device.name for span in spans)
    ]
    return RunDevicesView(
        spans=[SpanView.model_validate(span) for span in spans],
        curves=[
            _curve_view(host, name, curve(here.store, host, name, start=start, end=end, buckets=buckets))
            for host, name, (start, end) in wanted
        ],
    )


def _times(spans: Sequence[Span]) -> tuple[float, float]:
    end = spans[-1].end or clock.now()
    return spans[0].start.timestamp(), end.timestamp()


def _view(state: DeviceState) -> DeviceView:
    return DeviceView(
        host=state.host,
        name=state.device.name,
        platform=state.device.platform,
        model=state.device.model,
        seen_at=state.seen_at,
        age_seconds=state.age_seconds,
        stale=state.is_stale,
        figures=state.figures,
        unavailable=state.device.unavailable,
        processes=[
            ProcessView(pid=one.pid, memory=one.memory, runs=[TrainsView.model_validate(run) for run in one.runs])
            for one in state.processes
        ],
    )


def _curve_view(host: str, device: str, found: Curve) -> CurveView:
    return CurveView(host=host, device=device, times=found.times, figures=found.figures)
