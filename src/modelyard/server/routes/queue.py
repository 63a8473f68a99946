"""The queue: what trains next."""

from collections.abc import Sequence

from fastapi import APIRouter

from modelyard.api.queue import queue
from modelyard.server.context import Here
from modelyard.server.views import RunView, View, run_view

router = APIRouter(tags=["queue"])


class QueuedView(View):
    """A run that waits for its turn."""

    run: RunView
    created: int
    """Its place in the order of creation: among runs of the same priority the oldest trains first."""
    waits_for: str


class QueueView(View):
    """What is queued, first that which trains first."""

    runs: Sequence[QueuedView]
    training: int
    """How many runs train now."""


@router.get("/queue")
def queued(here: Here) -> QueueView:
    """List the queued runs of all experiments in the order in which they train.

    Where several can train as one model, a process prefers those that are like the ones it has, among runs of the
    same priority. To change the order, set priorities: ``POST /operations``.
    """
    found = queue(here.store)
    return QueueView(
        runs=[QueuedView(run=run_view(one.run), created=one.created, waits_for=one.waits_for) for one in found.runs],
        training=found.training,
    )
