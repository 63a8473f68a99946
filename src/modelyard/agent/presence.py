"""Who works on a home right now."""

from modelyard.store import Store, WorkerInfo

AGENT = "agent"
"""The kind under which a supervisor registers in the store."""


def live_agents(store: Store) -> list[WorkerInfo]:
    """Return the agents that are alive, or on another machine and not known to be dead."""
    return [worker for worker in store.leases.workers() if worker.kind.startswith(AGENT) and worker.alive is not False]


def takes_runs_of(worker: WorkerInfo, experiment_id: str) -> bool:
    """Whether an agent trains the runs of this experiment: it works on it, or on the whole home."""
    return worker.kind in (AGENT, agent_kind(experiment_id))


def agent_kind(experiment_id: str | None) -> str:
    """Return the kind that an agent registers under: it names the one experiment it works on, if there is one."""
    return AGENT if experiment_id is None else f"{AGENT}:{experiment_id}"
