"""An image is decoded once for all runs that are in step, ahead of the step that needs it, and never otherwise."""

import gc
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from modelyard.domain.config import RunSpec
from modelyard.domain.control import Pause, Stop
from modelyard.domain.run import ReasonCode, Run, RunState
from modelyard.engine import gathering
from modelyard.engine.data_plan import DataPlan
from modelyard.engine.executors import Executor, Sliced, Stacked, _base
from modelyard.engine.executors.trials import Trials
from modelyard.engine.feed import Feed
from modelyard.engine.gathering import AHEAD, Gatherer, ReadAhead
from modelyard.engine.pool import SessionPool
from modelyard.engine.progress import Progress
from modelyard.store import Store
from modelyard.tasks.base import Batch, SplitName
from modelyard.tasks.catalogue import task_for
from modelyard.tasks.image_classification.data.split import Split
from modelyard.tasks.image_classification.task import ImageTaskData

IMAGES, VAL_IMAGES = 42, 12
EPOCHS = 3

Train = Callable[..., list[Run]]
Outcome = Callable[[Run], dict[str, Any]]
Decoded = Counter[str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Noise in two classes, as JPEG files."""
    random = np.random.default_rng(0)
    for split, count in (("train", IMAGES), ("val", VAL_IMAGES)):
        for number in range(count):
            path = tmp_path / "images" / split / "ab"[number % 2] / f"{number:03}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, 256, (20, 20, 3), dtype=np.uint8)).save(path)
    return tmp_path / "images"


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Decoded:
    """Count how often each image is decoded, by its path within the data set."""
    counts: Decoded = Counter()
    decode, lock = Split.decode, threading.Lock()

    def counted(split: Split, index: int) -> Any:
        with lock:
            counts[split.name(index)] += 1
        return decode(split, index)

    monkeypatch.setattr(Split, "decode", counted)
    return counts


@pytest.fixture
def small_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make blocks of one step, and keep three of them."""
    monkeypatch.setattr(gathering, "MOST_BYTES_AT_ONCE", 1)
    monkeypatch.setattr(gathering, "WINDOW_BYTES", 1)


@pytest.fixture
def ends_clean() -> Iterator[None]:
    """Check that every reader ends with what needed it."""
    yield
    gc.collect()  # an error holds what raised it
    for thread in [thread for thread in threading.enumerate() if thread.name.startswith("read-ahead")]:
        thread.join(30)
        assert not thread.is_alive()


def config(folder: Path, *, cache: int = 0, rate: float = 0.01, **changes: Any) -> RunSpec:
    value = {
        "data": {"source": "image-folder", "path": str(folder), "image_size": 16, "cache_mebibytes": cache},
        "model": {"name": "mlp", "hidden_sizes": [16]},
        "optimizer": {"name": "adamw", "learning_rate": rate},
        "training": {"epochs": EPOCHS, "batch_size": 8, "log_every": 1},
    }
    return RunSpec.model_validate({**value, **changes})


def is_decoded_once_an_epoch(decoded: Decoded) -> bool:
    """Whether each training image was. Where one epoch ends and the next begins, a decoding may serve both."""
    counts = [count for name, count in decoded.items() if name.startswith("train")]
    return len(counts) == IMAGES and {*counts} <= {EPOCHS - 1, EPOCHS} and counts.count(EPOCHS) > IMAGES // 2


@pytest.mark.usefixtures("small_window", "ends_clean")
@pytest.mark.parametrize("executor", [Sliced(chunk_seconds=0.0), Sliced(chunk_seconds=10.0), Stacked()])
def test_members_share_each_decoded_image_beyond_the_cache(
    executor: Executor, folder: Path, train: Train, outcome: Outcome, decoded: Decoded
) -> None:
    specs = [config(folder, rate=rate) for rate in (0.001, 0.003, 0.01, 0.03)]
    together = train(specs, executor=executor, slots=len(specs))
    assert len(decoded) == IMAGES + VAL_IMAGES
    assert is_decoded_once_an_epoch(decoded)
    for one, other in zip(train(specs), together, strict=True):
        assert one.state is RunState.COMPLETED, one.reason
        assert outcome(other) == outcome(one)


@pytest.mark.parametrize("eval_batch_size", [5, 100])
def test_a_stack_decodes_each_validation_image_once_an_epoch(
    eval_batch_size: int, folder: Path, train: Train, outcome: Outcome, decoded: Decoded
) -> None:
    training = {"epochs": EPOCHS, "batch_size": 8, "log_every": 1, "eval_batch_size": eval_batch_size}
    specs = [config(folder, rate=rate, training=training) for rate in (0.001, 0.003, 0.01)]
    together = train(specs, executor=Stacked(), slots=len(specs))
    found = [count for name, count in decoded.items() if name.startswith("val")]
    assert found == [EPOCHS] * VAL_IMAGES
    assert [outcome(run) for run in together] == [outcome(run) for run in train(specs)]


@pytest.mark.usefixtures("small_window", "ends_clean")
def test_groups_that_take_turns_share_images_too(
    folder: Path, train: Train, outcome: Outcome, decoded: Decoded
) -> None:
    specs = [
        config(folder, rate=rate, model={"name": "mlp", "hidden_sizes": [width]})
        for width in (8, 16)
        for rate in (0.001, 0.01)
    ]
    together = train(specs, executor=Stacked(), slots=len(specs))
    assert is_decoded_once_an_epoch(decoded)
    for one, other in zip(train(specs), together, strict=True):
        assert outcome(other) == outcome(one)


@pytest.mark.usefixtures("small_window", "ends_clean")
def test_a_group_is_measured_to_the_end_although_others_are_left_behind(
    folder: Path, train: Train, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[int] = []
    add = Trials.add

    def counted(trials: Trials, members: int, times: Any) -> None:
        measured.append(members)
        add(trials, members, times)

    monkeypatch.setattr(Trials, "add", counted)
    monkeypatch.setattr(_base, "ENOUGH_SECONDS", 0.0)
    training = {"epochs": 30, "batch_size": 8, "evaluate_every": 30}
    specs = [config(folder, rate=rate, training=training) for rate in (0.001, 0.003, 0.01)]
    together = train(specs, executor=Stacked(measures=True), slots=3)
    assert sorted(measured) == [1] * 6 + [2] * 2 + [3] * 2, "all three alone, two together, and all together"
    for one, other in zip(train(specs), together, strict=True):
        assert outcome(other) == outcome(one)


@pytest.mark.usefixtures("ends_clean")
@pytest.mark.parametrize("executor", [Sliced(chunk_seconds=0.0), Stacked()])
def test_what_fits_the_cache_is_decoded_once_for_ever(
    executor: Executor, folder: Path, train: Train, decoded: Decoded
) -> None:
    specs = [config(folder, rate=rate, cache=1) for rate in (0.001, 0.003, 0.01, 0.03)]
    train(specs, executor=executor, slots=len(specs))
    assert set(decoded.values()) == {1}
    assert len(decoded) == IMAGES + VAL_IMAGES


@pytest.mark.usefixtures("small_window", "ends_clean")
def test_runs_of_different_length_and_order_get_their_own_batches(
    folder: Path, train: Train, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []
    take = ReadAhead.take

    def watched(ahead: ReadAhead, number: int, **options: int) -> Any:
        result = take(ahead, number, **options)
        held.append(len(ahead._blocks))
        return result

    monkeypatch.setattr(ReadAhead, "take", watched)
    specs = [
        config(folder, training={"epochs": epochs, "batch_size": 8}, data_seed=seed)
        for epochs, seed in ((2, 0), (5, 0), (3, 0), (4, 1))
    ]
    together = train(specs, executor=Sliced(chunk_seconds=0.0), slots=3)
    assert max(held) == AHEAD + 1
    for one, other in zip(train(specs), together, strict=True):
        assert one.state is RunState.COMPLETED, one.reason
        assert outcome(other) == outcome(one)


@pytest.mark.usefixtures("small_window", "ends_clean")
def test_steps_find_their_images_read_in_the_background(
    folder: Path, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    readers: Counter[str] = Counter()
    read = Gatherer.read

    def watched(gatherer: Gatherer, number: int) -> Any:
        readers[threading.current_thread().name.split("_")[0]] += 1
        return read(gatherer, number)

    monkeypatch.setattr(Gatherer, "read", watched)
    (run,) = train([config(folder)])
    assert readers == {"read-ahead": run.step}
    readers.clear()
    train([config(folder, cache=1)])
    # From the second epoch on there is no need; its first blocks may be asked for before all of the first is there.
    assert readers["MainThread"] >= run.step * (EPOCHS - 1) // EPOCHS - AHEAD


@pytest.mark.usefixtures("small_window", "ends_clean")
def test_the_next_blocks_are_read_without_being_asked_for(folder: Path) -> None:
    spec = config(folder)
    data = task_for(spec).open_data(spec)
    feed = Feed(data, DataPlan.of(spec, samples=data.size(SplitName.TRAIN)), torch.device("cpu"))
    asked: list[int] = []
    all_read = threading.Event()
    read = data.batch

    def watched(split: SplitName, samples: np.ndarray) -> Batch:
        batch = read(split, samples)
        asked.append(len(samples))
        if asked == [8] * (1 + AHEAD):
            all_read.set()
        return batch

    data.batch = watched  # type: ignore[method-assign]
    progress = Progress(epochs=1, evaluate_every=1, has_validation=False, has_test=False)
    feed.open(progress).micro_batches()
    assert all_read.wait(60)
    plan = feed.plan
    for step, expected in enumerate(plan.step(plan.permutation(0), step)[0] for step in range(plan.steps_per_epoch)):
        progress.step_in_epoch = step
        (batch,) = feed.open(progress).micro_batches()
        assert batch.samples.tolist() == expected.tolist()
        assert torch.equal(batch.inputs, read(SplitName.TRAIN, expected).inputs)


@pytest.mark.usefixtures("small_window", "ends_clean")
@pytest.mark.parametrize("executor", [Sliced(chunk_seconds=0.0), Stacked()])
def test_an_image_that_cannot_be_read_fails_each_run_at_its_step(
    executor: Executor, folder: Path, train: Train
) -> None:
    spec = config(folder)
    data = task_for(spec).open_data(spec)
    plan = DataPlan.of(spec, samples=data.size(SplitName.TRAIN))
    last = plan.step(plan.permutation(0), plan.steps_per_epoch - 1)[0][0]
    assert isinstance(data, ImageTaskData)
    name = data.images.train.name(int(last))
    (folder / name).write_bytes(b"not an image")
    for run in train([config(folder, rate=rate) for rate in (0.001, 0.01)], executor=executor, slots=2):
        assert run.state is RunState.FAILED
        assert run.reason.code is ReasonCode.BAD_INPUT
        assert name in run.reason.message
        assert run.step == plan.steps_per_epoch - 1


@pytest.mark.usefixtures("small_window", "ends_clean")
def test_a_run_that_is_stopped_or_paused_leaves_no_reader(
    folder: Path, submit: Callable[..., list[Run]], make_pool: Callable[..., SessionPool], store: Store
) -> None:
    runs = submit([config(folder), config(folder, rate=0.1)])
    pool = make_pool(slots=2)
    pool.fill()
    executor = Sliced(chunk_seconds=0.0)
    executor.turn(pool, pool.ready())
    assert [thread for thread in threading.enumerate() if thread.name.startswith("read-ahead")]
    for run, op in zip(runs, (Stop(), Pause()), strict=True):
        store.runs.request(run.id, op, actor="test")
    while ready := pool.ready():
        executor.turn(pool, ready)
    assert [store.runs.get(run.id).state for run in runs] == [RunState.STOPPED, RunState.PAUSED]
