"""How runs end and what they keep: best and last weights, early stop, clones, and everything that can go wrong."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file

from modelyard.domain.config import RunSpec
from modelyard.domain.control import Resume, Tune
from modelyard.domain.events import CheckpointCorrupt
from modelyard.domain.run import ReasonCode, Run, RunState
from modelyard.engine.checkpoint_files import CheckpointFiles
from modelyard.engine.executors import Sliced, Solo
from modelyard.engine.pool import SessionPool
from modelyard.engine.worker import work
from modelyard.store import Store
from modelyard.tasks.image_classification.problem import ImageProblem

Train = Callable[..., list[Run]]
MakeSpec = Callable[..., RunSpec]
Submit = Callable[..., list[Run]]
MakePool = Callable[..., SessionPool]
Outcome = Callable[[Run], dict[str, Any]]


def damage(store: Store, digest: str) -> None:
    path = store.blobs.path(digest)
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_completed_run_has_metrics_logs_and_checkpoints(store: Store, train: Train, make_spec: MakeSpec) -> None:
    (run,) = train([make_spec()])
    assert (run.state, run.reason.code, run.epoch) == (RunState.COMPLETED, ReasonCode.FINISHED, 3)
    names = set(store.metrics.names(run.id))
    assert {"train_loss", "learning_rate", "grad_norm", "samples_per_second"} <= names
    assert {"val_loss", "val_accuracy", "val_f1_macro", "test_loss", "test_accuracy"} <= names
    assert store.metrics.history(run.id, "val_loss").steps.tolist()[-1] == run.step == run.total_steps
    assert any("val_accuracy" in line.text for line in store.logs.read(run.id))
    assert set(run.fingerprints) == {"data", "code", "environment"}


def test_the_log_says_where_each_attempt_starts(
    store: Store, submit: Any, make_spec: MakeSpec, make_pool: MakePool
) -> None:
    (run,) = submit([make_spec(epochs=2)])
    pool = make_pool()
    pool.fill()
    Sliced(chunk_seconds=0.0).turn(pool, pool.ready())
    pool.release_all()
    work(make_pool(), Solo(), idle_seconds=0)
    starts = [line.text for line in store.logs.read(run.id) if line.text.startswith("attempt")]
    assert starts == ["attempt 1 starts on cpu", "attempt 2 goes on from step 1 on cpu"]


def test_the_best_weights_are_kept_and_tested(store: Store, train: Train, make_spec: MakeSpec) -> None:
    (run,) = train([make_spec(epochs=6, checkpoint={"metric": "val_loss", "keep": 1})])
    losses = store.metrics.history(run.id, "val_loss")
    best = store.checkpoints.find(run.id, "best")
    assert best.step == losses.steps[int(np.argmin(losses.values))]
    assert best.metrics["val_loss"] == losses.values.min()
    kept = store.checkpoints.list(run.id)
    assert len([checkpoint for checkpoint in kept if checkpoint.resumable]) == 1


def test_keep_is_how_many_of_the_newest_stay(store: Store, train: Train, make_spec: MakeSpec) -> None:
    (run,) = train([make_spec(checkpoint={"every_steps": 1, "keep": 3})])
    kept = store.checkpoints.list(run.id)
    # The last step was saved twice: after it, and after the evaluation that followed. The best may be an older one.
    assert [one.step for one in kept if one.resumable][:3] == [run.step, run.step, run.step - 1]
    best = store.checkpoints.find(run.id, "best").id
    assert len([one for one in kept if one.id != best]) <= 3


def test_early_stopping_ends_the_run_with_its_reason(store: Store, train: Train, make_spec: MakeSpec) -> None:
    early = {"metric": "val_accuracy", "patience": 2, "min_delta": 0.9}
    (run,) = train([make_spec(epochs=20, early_stopping=early)])
    assert (run.state, run.reason.code) == (RunState.COMPLETED, ReasonCode.EARLY_STOPPED)
    assert run.epoch <= 4
    assert "test_loss" in run.summary


def test_labels_and_preprocessing_are_in_the_checkpoint(store: Store, train: Train, make_spec: MakeSpec) -> None:
    (run,) = train([make_spec(epochs=1)])
    index = CheckpointFiles(store.blobs).load(store.checkpoints.find(run.id, "last")).index
    assert index["metadata"]["classes"] == [str(digit) for digit in range(10)]
    assert index["metadata"]["preprocessing"]["image_size"] == 8
    assert index["spec"] == run.spec.model_dump(mode="json")


def test_nan_fails_the_run_at_its_step_and_keeps_the_last_good_checkpoint(
    store: Store, train: Train, make_spec: MakeSpec, make_pool: MakePool
) -> None:
    (run,) = train([make_spec(optimizer="sgd", epochs=1, precision="fp32")])
    good = store.checkpoints.find(run.id, "last")
    store.runs.request(run.id, Tune(epochs=3, learning_rate=1e38), actor="test")
    store.runs.request(run.id, Resume(), actor="test")
    work(make_pool(), Solo(), idle_seconds=0)
    failed = store.runs.get(run.id)
    assert (failed.state, failed.reason.code) == (RunState.FAILED, ReasonCode.NON_FINITE_LOSS)
    assert "step" in failed.reason.message
    assert "learning_rate" in failed.reason.message
    last = store.checkpoints.find(run.id, "last")
    assert last.step >= good.step
    weights = CheckpointFiles(store.blobs).load(last).training_weights
    assert all(torch.isfinite(tensor).all() for tensor in weights.values() if tensor.is_floating_point())


@pytest.mark.parametrize("file", ["model.safetensors", "state.safetensors", "checkpoint.json"])
def test_a_corrupt_checkpoint_is_named_and_the_one_before_it_used(
    file: str,
    store: Store,
    train: Train,
    make_spec: MakeSpec,
    make_pool: MakePool,
    interrupt: Callable[[int], None],
    submit: Submit,
    outcome: Outcome,
) -> None:
    spec = make_spec(ema=None)
    (undisturbed,) = train([spec])
    (run,) = submit([spec])
    interrupt(8)
    newest = store.checkpoints.find(run.id, "last")
    damage(store, newest.files[file].digest)
    work(make_pool(), Solo(), idle_seconds=0)
    ended = store.runs.get(run.id)
    assert outcome(ended) == outcome(undisturbed)
    (event,) = [e for e in store.events.read(run_id=run.id) if isinstance(e.payload, CheckpointCorrupt)]
    assert event.payload.checkpoint_id == newest.id
    assert file in event.payload.message


def test_a_clone_starts_from_the_parents_weights_with_its_own_learning_rate(
    store: Store, train: Train, make_spec: MakeSpec, make_pool: MakePool
) -> None:
    (parent,) = train([make_spec(epochs=2)])
    warm = store.checkpoints.find(parent.id, "last")
    spec = make_spec(epochs=1)
    spec = spec.model_copy(update={"optimizer": spec.optimizer.model_copy(update={"learning_rate": 1e-12})})
    for inherit in (False, True):
        clone = store.runs.clone(parent.id, spec, warm_start=warm.id, inherit_optimizer=inherit, actor="ada")
        pool = make_pool()
        pool.fill()
        (session,) = pool.sessions
        weights = load_file(store.blobs.path(warm.files["model.safetensors"].digest))
        own = session.learner.weights(session.learner.model)
        assert all(torch.equal(own[name], tensor) for name, tensor in weights.items())
        assert bool(session.learner.optimizer.state) is inherit
        assert session.learner.current_learning_rate() <= 1e-12
        assert session.learner.progress.step == 0
        store.leases.unregister(session.lease.worker_id)
        work(make_pool(), Solo(), idle_seconds=0)
        ended = store.runs.get(clone.id)
        assert ended.state is RunState.COMPLETED, ended.reason
        assert set(store.metrics.history(clone.id, "learning_rate").values <= 1e-12) == {True}


@pytest.mark.parametrize(
    ("change", "said"),
    [({"name": "adam"}, "trained with adamw, this run with adam"), ({"decay_norm_and_bias": True}, "decayed others")],
)
def test_optimizer_state_that_does_not_fit_is_a_clear_error(
    change: dict[str, Any], said: str, store: Store, train: Train, make_spec: MakeSpec, make_pool: MakePool
) -> None:
    (parent,) = train([make_spec(epochs=1)])
    warm = store.checkpoints.find(parent.id, "last")
    values = make_spec().model_dump(mode="json")
    values["optimizer"] = {"name": "adamw"} | change
    clone = store.runs.clone(
        parent.id, RunSpec.model_validate(values), warm_start=warm.id, inherit_optimizer=True, actor="ada"
    )
    work(make_pool(), Solo(), idle_seconds=0)
    failed = store.runs.get(clone.id)
    assert (failed.state, failed.reason.code) == (RunState.FAILED, ReasonCode.BAD_INPUT)
    assert said in failed.reason.message


def test_a_clone_survives_its_parent(store: Store, train: Train, make_spec: MakeSpec, make_pool: MakePool) -> None:
    (parent,) = train([make_spec(epochs=1)])
    warm = store.checkpoints.find(parent.id, "last")
    clone = store.runs.clone(parent.id, make_spec(epochs=1), warm_start=warm.id, actor="ada")
    store.runs.delete(parent.id, actor="ada")
    store.gc.collect()
    work(make_pool(), Solo(), idle_seconds=0)
    assert store.runs.get(clone.id).state is RunState.COMPLETED


def test_weights_that_do_not_fit_are_a_clear_error(
    store: Store, train: Train, make_spec: MakeSpec, make_pool: MakePool
) -> None:
    (parent,) = train([make_spec(epochs=1)])
    warm = store.checkpoints.find(parent.id, "last")
    clone = store.runs.clone(parent.id, make_spec("cnn"), warm_start=warm.id, actor="ada")
    work(make_pool(), Solo(), idle_seconds=0)
    failed = store.runs.get(clone.id)
    assert (failed.state, failed.reason.code) == (RunState.FAILED, ReasonCode.BAD_INPUT)
    assert "weights do not fit" in failed.reason.message


def test_a_metric_that_the_data_do_not_define_harms_nothing(
    store: Store, train: Train, make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageProblem, "finish_evaluation", lambda _: ({"accuracy": float("nan")}, {}))
    (run,) = train([make_spec(checkpoint={"every_steps": 1})])
    assert run.state is RunState.COMPLETED, run.reason
    assert np.isnan(store.metrics.history(run.id, "val_accuracy").values).all()
    assert "val_accuracy" not in store.checkpoints.find(run.id, "last").metrics


def test_bad_input_fails_one_run_and_the_others_go_on(store: Store, train: Train, make_spec: MakeSpec) -> None:
    bad = make_spec(batch_size=5000)
    failed, good = train([bad, make_spec(epochs=1)])
    assert (failed.state, failed.reason.code) == (RunState.FAILED, ReasonCode.BAD_INPUT)
    assert "training.batch_size: 5000 is larger than" in failed.reason.message
    assert good.state is RunState.COMPLETED


def test_a_changed_data_set_is_refused_on_resume(
    store: Store, make_spec: MakeSpec, submit: Submit, make_pool: MakePool
) -> None:
    (run,) = submit([make_spec()])
    pool = make_pool()
    pool.fill()
    with store.write(pool.sessions[0].lease) as write:
        assert write.fingerprints({"data": "other"})["data"] != "other"
    pool.release_all()
    with store.database.write() as connection:
        connection.exec_driver_sql("""UPDATE runs SET fingerprints = '{"data": "other"}'""")
    work(make_pool(), Solo(), idle_seconds=0)
    failed = store.runs.get(run.id)
    assert failed.reason.code is ReasonCode.BAD_INPUT
    assert "data set is not the one" in failed.reason.message


def test_a_surprise_leaves_its_traceback_in_the_log(
    store: Store, submit: Submit, make_spec: MakeSpec, make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run,) = submit([make_spec()])
    pool = make_pool()
    pool.fill()
    monkeypatch.setattr(pool.sessions[0].learner, "train_step", lambda: 1 // 0)
    work(pool, Solo(), idle_seconds=0)
    failed = store.runs.get(run.id)
    assert (failed.state, failed.reason.code) == (RunState.FAILED, ReasonCode.ERROR)
    assert any("ZeroDivisionError" in line.text for line in store.logs.read(run.id))


def test_two_workers_one_run_one_owner(
    store: Store, submit: Submit, make_spec: MakeSpec, make_pool: MakePool, outcome: Outcome, train: Train
) -> None:
    (undisturbed,) = train([make_spec()])
    (run,) = submit([make_spec()])
    first, second = make_pool(), make_pool()
    first.fill()
    second.fill()
    assert (len(first.sessions), len(second.sessions)) == (1, 0)
    (session,) = first.sessions
    session.activate()
    for _ in range(5):
        session.advance()
    store.leases.unregister(session.lease.worker_id)  # taken for dead
    second.fill()
    first.attempt(session, session.save)  # the old owner wakes up
    assert first.sessions == []
    session.deactivate()
    work(second, Solo(), idle_seconds=0)
    assert outcome(store.runs.get(run.id)) == outcome(undisturbed)


def test_a_pretrained_run_goes_on_without_the_folder_it_started_from(
    store: Store,
    submit: Submit,
    make_spec: MakeSpec,
    make_pool: MakePool,
    interrupt: Callable[[int], None],
    outcome: Outcome,
    train: Train,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "tiny"
    config = transformers.ViTConfig(
        image_size=8, patch_size=4, num_channels=1, hidden_size=8, num_hidden_layers=1, num_attention_heads=2
    )
    transformers.ViTForImageClassification(config).save_pretrained(folder)
    values = make_spec(precision="fp32").model_dump(mode="json")
    values["model"] = {"name": "huggingface", "model": str(folder), "freeze_backbone": True, "unfreeze_last": 1}
    values["augment"] = []
    spec = RunSpec.model_validate(values)
    (undisturbed,) = train([spec])
    assert undisturbed.state is RunState.COMPLETED, undisturbed.reason
    (run,) = submit([spec])
    interrupt(5)
    shutil.rmtree(folder)
    work(make_pool(), Solo(), idle_seconds=0)
    ended = store.runs.get(run.id)
    assert ended.state is RunState.COMPLETED, ended.reason
    assert outcome(ended) == outcome(undisturbed)
