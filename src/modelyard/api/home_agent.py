"""The agent of a whole home: trains whatever is queued, whoever queued it, and moves searches on.

Started by the server as a process of its own; SIGTERM has the engines save their runs and ends it.
"""

import argparse
import signal
import sys
import threading
from collections.abc import Callable, Sequence

from modelyard.agent.device_recorder import DeviceRecorder
from modelyard.agent.supervisor import Supervisor
from modelyard.api.search import can_decide
from modelyard.api.training import Resources, Searching
from modelyard.domain.errors import ModelyardError, NotFoundError
from modelyard.domain.events import ExperimentCreated
from modelyard.store import Store, open_store

LOOK_SECONDS = 0.25
EVENTS_PER_READ = 1000


class HomeSearches:
    """The searches of a home that have something to decide, those that are made meanwhile included."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen = store.events.last_seq()
        self._searching = {one.id: Searching(store, one) for one in store.experiments.list() if can_decide(store, one)}

    def poll(self, say: Callable[[str], None]) -> None:
        """Move them on."""
        for event in self._store.events.read(after=self._seen, limit=EVENTS_PER_READ):
            self._seen = event.seq
            if isinstance(event.payload, ExperimentCreated) and event.experiment_id is not None:
                self._open(event.experiment_id)
        for experiment_id, searching in list(self._searching.items()):
            try:
                searching.poll(say)
            except NotFoundError:  # it was deleted
                del self._searching[experiment_id]
            else:
                if searching.over:
                    del self._searching[experiment_id]

    def _open(self, experiment_id: str) -> None:
        try:
            self._searching[experiment_id] = Searching(self._store, self._store.experiments.get(experiment_id))
        except NotFoundError:
            return


def work(store: Store, resources: Resources, *, ending: threading.Event, say: Callable[[str], None]) -> None:
    """Train until ``ending`` is set; then the engines save their runs and queue them again."""
    searches = HomeSearches(store)
    with (
        DeviceRecorder(store, say=say),
        Supervisor(
            store, execution=resources.execution, processes=resources.processes, slots=resources.slots
        ) as supervisor,
    ):
        supervisor.start()
        said = ""
        while not ending.wait(LOOK_SECONDS):
            searches.poll(say)
            status = supervisor.poll()
            if status.message != said:
                said = status.message
                say(said)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the process; return its exit code."""
    parser = argparse.ArgumentParser(prog="home_agent", description=__doc__)
    parser.add_argument("--home", required=True)
    options = parser.parse_args(arguments)
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    try:
        with open_store(options.home) as store:
            work(store, Resources(), ending=ending, say=_log)
    except ModelyardError as error:
        _log(f"error: {error}")
        return error.exit_code
    return 0


def _log(message: str) -> None:
    print(message, file=sys.stderr, flush=True)  # noqa: T201 - the agent's log
