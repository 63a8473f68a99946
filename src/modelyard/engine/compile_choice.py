"""Decides once for each run whether ``torch.compile`` computes its steps, and says why.

The decision is kept with the run: by its checkpoints, and until there is one by how its last attempt began. What other
processes measure meanwhile changes nothing: a run that goes on must compute as it did.
"""

from dataclasses import dataclass

from modelyard.domain.config import RunSpec
from modelyard.domain.plan import Execution
from modelyard.domain.run import Run
from modelyard.engine.compiled import Compiled
from modelyard.engine.compilers import why_not_compiled
from modelyard.engine.known_times import KnownTimes
from modelyard.engine.learner import Learner
from modelyard.store import Store


@dataclass(frozen=True)
class Chosen:
    """Why a run is compiled, or why it is not although it could be expected."""

    reason: str = ""
    gain: float | None = None
    """How many times as fast that was measured to be, the time of compiling included."""
    compiled: bool = False

    @property
    def lines(self) -> list[str]:
        """What the log says."""
        return [f"{'compiled' if self.compiled else 'not compiled'}: {self.reason}"] if self.reason else []


class CompileChoice:
    """Decides for the runs of one engine process, one of so many ``processes`` that train side by side.

    If it is not ``allowed``, only runs that ask for it in their config are compiled.
    """

    def __init__(self, store: Store, *, processes: int, allowed: bool) -> None:
        self._store = store
        self._processes = processes
        self._allowed = allowed
        self._alike: dict[tuple[str, str], list[RunSpec]] = {}

    def choose(self, run: Run, learner: Learner, *, fresh: bool) -> Chosen:
        """Set ``learner.compiled``; it is what the run's checkpoint said, unless the run is ``fresh``."""
        chosen = self._decide(run, learner, fresh=fresh)
        if chosen.compiled and (why_not := why_not_compiled(learner.device.type)):
            chosen = Chosen(why_not)
        if not chosen.compiled:
            learner.compiled = None
            return chosen
        learner.compiled = learner.compiled or Compiled()
        learner.compiled.folder = self._store.home.scratch(run.id)
        return chosen

    def _decide(self, run: Run, learner: Learner, *, fresh: bool) -> Chosen:
        mode = run.spec.training.compile
        began_compiled = run.execution == Execution.COMPILED if fresh else learner.compiled is not None
        began = run.execution != "" or not fresh
        if run.spec.trainer is not None:  # its own arguments decide that
            return Chosen()
        if mode == "never":
            return Chosen("training.compile is never" if began_compiled else "")
        if mode == "always" and (run.execution == "" or began_compiled):
            return Chosen("training.compile is always", compiled=True)
        if began:
            gain = run.stack_gain if run.execution == Execution.COMPILED else None
            return Chosen("as this run began", gain, compiled=True) if began_compiled else Chosen()
        return self._by_speed(run, learner) if self._allowed else Chosen()

    def _by_speed(self, run: Run, learner: Learner) -> Chosen:
        if not self._store.measurements.any_compiled():
            return Chosen()
        known = KnownTimes(self._store.measurements, device=learner.device, processes=self._processes)
        steps = learner.total_steps - learner.progress.step
        judged = known.compiling(self._runs_like(run), steps=steps)
        return Chosen() if judged is None else Chosen(judged.reason, judged.gain, compiled=judged.pays)

    def _runs_like(self, run: Run) -> list[RunSpec]:
        """Return the runs that ``modelyard plan`` measured as one structure: those that the experiment began with."""
        key = (run.experiment_id, run.structure)
        if key not in self._alike:
            runs = self._store.runs.list(experiment_id=run.experiment_id)
            self._alike[key] = [other.spec for other in runs if other.structure == run.structure]
        return self._alike[key]
