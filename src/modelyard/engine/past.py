"""Runs with an identical past: which of them follow the one that is opened, and how they take over what it did."""

from modelyard.domain.run import Run
from modelyard.engine.checkpoint_files import LoadedCheckpoint
from modelyard.engine.early_stopping import Judge
from modelyard.engine.forks import Awaited, Forks
from modelyard.engine.keeper import Keeper
from modelyard.engine.session import Session
from modelyard.store import Follower, Store
from modelyard.tasks.shared_past import fork_step


def find_forks(store: Store, run: Run, session: Session) -> Forks:
    """Return the runs that may go on from what ``run`` will have done, and are not ahead of it now.

    It must save them as much as is worth a fork.
    """
    learner, others = session.learner, store.runs.may_follow(run)
    if not others or learner.progress.trained:
        return Forks()
    steps_per_epoch = learner.plan.steps_per_epoch
    found = []
    for other in others:
        steps = fork_step(run.spec, other.spec, steps_per_epoch=steps_per_epoch)
        if not other.step <= learner.progress.step < steps or steps - other.step < steps_per_epoch - 1:
            continue
        judge = Judge(other.spec.training)
        if not _review(store, run, session, judge):  # else it ended before
            total_steps = other.spec.training.epochs * steps_per_epoch
            found.append(Awaited(Follower(run_id=other.id, fork_step=steps, total_steps=total_steps), judge))
    return Forks(found)


def take_over(store: Store, run: Run, session: Session, keeper: Keeper, handed_over: LoadedCheckpoint) -> None:
    """Go on from another run's checkpoint, by this run's own config."""
    session.load_state(keeper.fork(handed_over))
    if why := _review(store, run, session, session.judge):
        session.end_early(why)


def _review(store: Store, run: Run, session: Session, judge: Judge) -> str:
    """Show ``judge`` all validations so far; return why the run has to end early, or nothing."""
    progress = session.learner.progress
    if judge.watched is None or judge.watched not in store.metrics.names(run.id):
        return ""
    history = store.metrics.history(run.id, judge.watched)
    # What was measured after the checkpoint is measured again.
    validated = progress.step if progress.validated_epochs == progress.epoch else progress.step - 1
    return judge.review(history.values[history.steps <= validated].tolist())
