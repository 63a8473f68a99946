"""The queue: which runs train next, in which order, and what each waits for."""

from collections.abc import Sequence
from dataclasses import dataclass

from modelyard.agent.presence import agent_kind, is_agent
from modelyard.domain.run import ACTIVE, Run, RunState
from modelyard.store import Store


@dataclass(frozen=True, kw_only=True)
class QueuedRun:
    """A run that waits for its turn."""

    run: Run
    created: int
    """Its place in the order of creation, which decides among runs of the same priority."""
    waits_for: str


@dataclass(frozen=True, kw_only=True)
class Queue:
    """What is queued, and what trains meanwhile."""

    runs: Sequence[QueuedRun]
    """Those that train first come first: the highest priority, then the oldest."""
    training: int
    """How many runs train now."""


def queue(store: Store) -> Queue:
    """Return the queue of a home, as engines take runs from it."""
    queued = store.runs.list(states={RunState.QUEUED})
    created = {run.id: number for number, run in enumerate(queued)}
    agents = {worker.kind for worker in store.leases.workers() if is_agent(worker) and worker.alive is not False}
    ordered = sorted(queued, key=lambda run: -run.priority)  # stable: the oldest first
    found, before = [], 0
    for run in ordered:
        waits_for = run.notice or _nobody(run, agents) or _turn(before)
        before += not run.notice
        found.append(QueuedRun(run=run, created=created[run.id], waits_for=waits_for))
    training = sum(counts.get(state, 0) for counts in store.runs.count_states().values() for state in ACTIVE)
    return Queue(runs=found, training=training)


def _nobody(run: Run, agents: set[str]) -> str:
    """Return what to do where no agent takes a run's experiment, or an empty string."""
    if agents & {agent_kind(None), agent_kind(run.experiment_id)}:
        return ""
    return f"nobody trains: modelyard up, or modelyard resume {run.experiment}"


def _turn(before: int) -> str:
    if before == 0:
        return "waits for a free place on a device"
    return f"waits for a free place on a device; {before} {'run is' if before == 1 else 'runs are'} before it"
