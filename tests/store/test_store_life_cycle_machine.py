"""Whatever users and engines do, in any order: every run is in a state that somebody owns, and the feed agrees."""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.control import OpStatus, Pause, Resume, Save, SetPriority, Stop, Tune
from modelyard.domain.errors import ConflictError, FencedError, NotFoundError
from modelyard.domain.ports import Point
from modelyard.domain.run import ACTIVE, FINAL, TRANSITIONS, Reason, ReasonCode, RunState
from modelyard.store import LeaseObserver, open_store, schema

S = RunState
OPS = [Pause(), Resume(), Stop(), Save(), Tune(epochs=9), Tune(learning_rate=0.1), SetPriority(priority=3)]
REASON = Reason(code=ReasonCode.USER_REQUEST, message="a test")
SERVED_IN = {
    "pause": {S.PAUSING},
    "stop": {S.STOPPING},
    "save": {S.RUNNING, S.PAUSING, S.STOPPING, S.QUEUED},
    "resume": set(),
    "priority": set(),
}


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Make an empty home once; each example starts from a copy."""
    path = tmp_path_factory.mktemp("template") / "home"
    open_store(path).close()
    return path


class LifeCycle(RuleBasedStateMachine):
    template: Path
    leases = Bundle("leases")

    @initialize()
    def open(self):
        self.folder = Path(tempfile.mkdtemp())
        shutil.copytree(self.template, self.folder / "home")
        self.store = open_store(self.folder / "home")
        self.store.experiments.create(SweepSpec(name="m"), [RunSpec(seed=i) for i in range(2)], actor="tester")
        self.points: dict[str, int] = {}
        self.newest_token = 0

    def teardown(self):
        if hasattr(self, "store"):
            self.store.close()
            shutil.rmtree(self.folder)

    def pick(self, number):
        runs = self.store.runs.list()
        return runs[number % len(runs)] if runs else None

    def owns(self, lease):
        try:
            run = self.store.runs.get(lease.run_id)
        except NotFoundError:
            return False
        return run.state in ACTIVE and run.worker_id == lease.worker_id and run.attempt == lease.attempt

    @rule(target=leases, isolated=st.booleans())
    def claim(self, isolated):
        queued = self.store.runs.list(states={S.QUEUED})
        worker = self.store.leases.register()
        claimed = self.store.leases.claim(worker, limit=1, isolated=isolated)
        if not claimed:
            self.store.leases.unregister(worker)
            return None
        run, lease = claimed[0]
        assert run.id in {one.id for one in queued}
        assert lease.token > self.newest_token, "fencing tokens only grow"
        self.newest_token = lease.token
        with self.store.write(lease) as write:
            step = run.step
            write.begin(start_step=step, checkpoint_id=None, total_steps=99, execution="solo", device="cpu", reason="r")
        return lease

    @rule(lease=leases, finish=st.sampled_from([None, *S]))
    def train(self, lease, finish):
        """Write two points, and perhaps change the state: it works only with a good lease and an allowed change."""
        if lease is None:
            return
        good = self.owns(lease)
        before = self.store.runs.get(lease.run_id) if good else None
        allowed = good and (finish is None or finish in TRANSITIONS[before.state])
        try:
            with self.store.write(lease) as write:
                step = before.step if before else 0
                write.points([Point("loss", step + 1, 0.0, 1.0), Point("loss", step + 2, 0.0, 1.0)])
                write.progress(step=step + 2, epoch=0, total_steps=99)
                if finish is not None:
                    write.transition(finish, REASON)
        except FencedError:
            assert not good
        except ConflictError:
            assert good
            assert not allowed
        else:
            assert allowed
            self.points[lease.run_id] = self.points.get(lease.run_id, 0) + 2
            assert self.store.runs.get(lease.run_id).state is (finish or before.state)

    @rule(number=st.integers(0, 5), op=st.sampled_from(OPS))
    def request(self, number, op):
        run = self.pick(number)
        if run is None:
            return
        try:
            self.store.runs.request(run.id, op, actor="user")
        except ConflictError:
            assert self.store.runs.get(run.id) == run, "a refused request changes nothing"

    @rule(lease=consumes(leases))
    def lose_the_process(self, lease):
        if lease is None:
            return
        workers = schema.workers
        with self.store.database.write() as connection:
            connection.execute(workers.update().where(workers.c.id == lease.worker_id).values(process_start="-"))
        owned = self.owns(lease)
        taken = self.store.leases.reap(LeaseObserver())
        assert [run.id for run in taken] == ([lease.run_id] if owned else [])
        assert all(run.state not in ACTIVE for run in taken)

    @rule(number=st.integers(0, 5))
    def clone(self, number):
        run = self.pick(number)
        if run is not None and len(self.store.runs.list()) < 4:
            self.store.runs.clone(run.id, run.spec, actor="user")

    @rule(number=st.integers(0, 5))
    def delete(self, number):
        run = self.pick(number)
        if run is None:
            return
        try:
            self.store.runs.delete(run.id, actor="user")
            assert run.state not in ACTIVE
            self.points.pop(run.id, None)
        except ConflictError:
            assert run.state in ACTIVE

    @rule()
    def open_again(self):
        before = self.store.runs.list()
        self.store.close()
        self.store = open_store(self.folder / "home")
        assert self.store.runs.list() == before

    @invariant()
    def every_active_run_has_one_living_owner(self):
        workers = {worker.id for worker in self.store.leases.workers()}
        for run in self.store.runs.list():
            assert (run.worker_id in workers) is (run.state in ACTIVE)
            assert (run.ended_at is not None) is (run.state in FINAL)

    @invariant()
    def nothing_waits_for_ever(self):
        for run in self.store.runs.list():
            for record in self.store.controls.pending([run.id]):
                assert run.state in SERVED_IN.get(record.op.kind, set(S)), record

    @invariant()
    def the_feed_tells_the_same_story(self):
        for run in self.store.runs.list():
            state = S.QUEUED
            for event in self.store.events.read(run_id=run.id, limit=10_000):
                if event.payload.type == "run.state_changed":
                    assert event.payload.before is state
                    state = event.payload.after
            assert state is run.state
            closed = [record for record in self.store.controls.history(run.id) if record.status is not OpStatus.PENDING]
            types = [event.payload.type for event in self.store.events.read(run_id=run.id, limit=10_000)]
            assert types.count("control.acknowledged") + types.count("control.rejected") == len(closed)

    @invariant()
    def no_acknowledged_point_is_lost(self):
        for run_id, count in self.points.items():
            assert len(self.store.metrics.raw(run_id, "loss").steps) == count

    @invariant()
    def rows_belong_to_runs(self):
        with self.store.database.read() as connection:
            keys = set(connection.execute(select(schema.runs.c.key)).scalars())
            assert set(connection.execute(select(schema.attempts.c.run_key)).scalars()) <= keys


def test_life_cycle(template):
    LifeCycle.template = template
    profile = settings(max_examples=15, stateful_step_count=25, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(LifeCycle, settings=profile)


@pytest.mark.long
def test_life_cycle_at_length(template):
    LifeCycle.template = template
    profile = settings(max_examples=300, stateful_step_count=50, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(LifeCycle, settings=profile)
