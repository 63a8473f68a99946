"""Who works on a home right now."""

import time
from collections.abc import Callable, Collection, Sequence

from modelyard.domain.run import ACTIVE, Run
from modelyard.store import AGENT_OF, HEARTBEAT_SECONDS, Store, WorkerInfo

AGENT = "agent"
"""The kind under which a supervisor registers in the store."""
WATCH_SECONDS = HEARTBEAT_SECONDS + 1.0
"""How long a process that cannot be known from here is watched for a beat."""
_LOOK_SECONDS = 0.1


def is_agent(worker: WorkerInfo) -> bool:
    """Whether a worker is an agent (the others are engines)."""
    return worker.kind.startswith(AGENT)


def takes_runs_of(worker: WorkerInfo, experiment_id: str) -> bool:
    """Whether an agent trains the runs of this experiment: it works on it, or on the whole home."""
    return worker.kind in (AGENT, agent_kind(experiment_id))


def agent_kind(experiment_id: str | None) -> str:
    """Return the kind that an agent registers under: it names the one experiment it works on, if there is one."""
    return AGENT if experiment_id is None else f"{AGENT_OF}{experiment_id}"


def home_agent(store: Store) -> WorkerInfo | None:
    """Return the agent that trains whatever is queued in the home, if one is known to be alive."""
    return next((agent for agent in live_agents(store) if agent.kind == AGENT), None)


def has_agent_of_its_own(store: Store) -> set[str]:
    """Return the ids of the experiments that an agent works on alone: all others leave them to it."""
    kinds = [worker.kind for worker in store.leases.workers()]
    return {kind.removeprefix(AGENT_OF) for kind in kinds if kind.startswith(AGENT_OF)}


def live_agents(store: Store) -> list[WorkerInfo]:
    """Return the agents that are known to be alive: processes of this machine."""
    return [worker for worker in store.leases.workers() if is_agent(worker) and worker.alive is True]


def find_agent(store: Store, experiment_id: str, *, say: Callable[[str], None]) -> WorkerInfo | None:
    """Return an agent that trains the runs of this experiment, or None.

    An agent on another host, or from before a restart, counts if its beat changes within ``WATCH_SECONDS``; only if
    there is such a one does this wait, and it says so.
    """
    agents = [worker for worker in store.leases.workers() if is_agent(worker) and takes_runs_of(worker, experiment_id)]
    alive = next((agent for agent in agents if agent.alive is True), None)
    unknown = [agent for agent in agents if agent.alive is None]
    if alive is not None or not unknown:
        return alive
    say(f"looking whether {' and '.join(describe(agent) for agent in unknown)} is alive")
    return _first_to_beat(store, unknown)


def unknown_holders(store: Store, runs: Collection[Run]) -> list[WorkerInfo]:
    """Return the workers that hold some of ``runs`` and of which it cannot be known from here whether they live."""
    held = {run.worker_id for run in runs if run.state in ACTIVE}
    if not held:
        return []
    return [worker for worker in store.leases.workers() if worker.id in held and worker.alive is None]


def describe(worker: WorkerInfo) -> str:
    """Name a worker's process for people."""
    return f"process {worker.pid} on {worker.host}"


def _first_to_beat(store: Store, workers: Sequence[WorkerInfo]) -> WorkerInfo | None:
    before = {worker.id: worker.beat for worker in workers}
    deadline = time.monotonic() + WATCH_SECONDS
    while time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
        left = [worker for worker in store.leases.workers() if worker.id in before]
        beating = next((worker for worker in left if worker.beat != before[worker.id]), None)
        if beating is not None or not left:
            return beating
    return None
