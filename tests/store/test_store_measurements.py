"""Measured times are found again, by whoever asks for the same; what does not count says why and breaks nothing."""

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.config import RunSpec
from modelyard.domain.measurement import Facts, Measurement, Situation, Way, choose_members
from modelyard.domain.structure import workload_hash
from modelyard.store import Home, Store
from modelyard.store.circumstances import Circumstances, circumstances
from modelyard.store.measurements import OLDEST, Measurements

NOW = Circumstances(machine="fast, 2 cores", torch="2.9", code="abc")
SITUATION = Situation(workload="w", device="cpu")


def measured(
    members: int = 1, *, processes: int = 2, seconds: float = 0.5, when: datetime | None = None
) -> Measurement:
    return Measurement(
        members=members,
        processes=processes,
        seconds=seconds,
        steps=20,
        source="plan",
        measured_at=when or datetime.now(UTC),
    )


def facts() -> Facts:
    return Facts(
        parameters=10,
        weight_bytes=40,
        optimizer_bytes=80,
        evaluation_seconds=0.1,
        steps_per_epoch=10,
        train_samples=100,
        val_samples=0,
        test_samples=0,
        start_seconds=1.0,
        open_seconds=1.0,
        measured_at=datetime.now(UTC),
    )


@pytest.fixture
def kept(home: Path) -> Measurements:
    opened = Home(home)
    opened.prepare()
    return Measurements(opened)


def files(kept: Measurements, home: Path) -> list[Path]:
    return sorted((home / "measurements").iterdir())


def test_what_was_kept_is_recalled_and_newer_replaces_older(kept: Measurements) -> None:
    assert kept.recall(SITUATION, NOW).ways == {}
    kept.keep(SITUATION, NOW, measured(1), measured(8, seconds=1.0), facts())
    kept.keep(SITUATION, NOW, measured(8, seconds=2.0), measured(8, processes=1, seconds=3.0))
    found = kept.recall(SITUATION, NOW)
    assert {way: one.seconds for way, one in found.ways.items()} == {Way(1, 2): 0.5, Way(8, 2): 2.0, Way(8, 1): 3.0}
    assert found.facts is not None
    assert found.facts.parameters == 10
    assert found.notes == []


@pytest.mark.parametrize(
    "other", [replace(SITUATION, workload="x"), replace(SITUATION, device="NVIDIA H200")], ids=["workload", "device"]
)
def test_other_situations_share_nothing(kept: Measurements, other: Situation) -> None:
    kept.keep(SITUATION, NOW, measured())
    assert kept.recall(other, NOW).ways == {}
    assert kept.recall(SITUATION, replace(NOW, machine="slow, 1 cores")).ways == {}


@pytest.mark.parametrize(
    ("later", "why"),
    [
        (replace(NOW, torch="3.0"), "it was measured with another torch"),
        (replace(NOW, torch="3.0", code="def"), "it was measured with another torch and code"),
    ],
)
def test_other_versions_make_it_stale_with_a_reason(kept: Measurements, later: Circumstances, why: str) -> None:
    kept.keep(SITUATION, NOW, measured())
    found = kept.recall(SITUATION, later)
    assert found.ways == {}
    assert found.notes[0].endswith(f"does not count: {why}")
    kept.keep(SITUATION, later, measured())
    assert list(kept.recall(SITUATION, later).ways) == [Way(1, 2)]


def test_measurements_grow_old(kept: Measurements) -> None:
    long_ago = datetime.now(UTC) - OLDEST - timedelta(hours=1)
    kept.keep(SITUATION, NOW, measured(when=long_ago), measured(4))
    found = kept.recall(SITUATION, NOW)
    assert list(found.ways) == [Way(4, 2)]
    assert f"it was measured on {long_ago:%Y-%m-%d}" in found.notes[0]


@given(st.binary(max_size=200) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_whatever_is_in_a_file_is_ignored_with_a_reason(
    tmp_path_factory: pytest.TempPathFactory, rubbish: object
) -> None:
    home = Home(tmp_path_factory.mktemp("home") / "h")
    home.prepare()
    kept = Measurements(home)
    kept.keep(SITUATION, NOW, measured())
    (file,) = home.measurements.iterdir()
    file.write_bytes(rubbish if isinstance(rubbish, bytes) else str(rubbish).encode())
    found = kept.recall(SITUATION, NOW)
    assert found.ways == {}
    assert found.notes == [f"{file.name} does not count: it is damaged"]


def test_a_file_of_another_situation_does_not_count(kept: Measurements, home: Path) -> None:
    kept.keep(SITUATION, NOW, measured())
    (file,) = files(kept, home)
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, "workload": "other"}))
    assert kept.recall(SITUATION, NOW).notes == [f"{file.name} does not count: it is damaged"]


def test_several_that_write_at_once_lose_nothing(kept: Measurements, home: Path) -> None:
    def write(first: int) -> None:
        for members in range(first, 40, 4):
            kept.keep(SITUATION, NOW, measured(members), measured(100, seconds=members))

    threads = [threading.Thread(target=write, args=(first,)) for first in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = kept.recall(SITUATION, NOW)
    assert {way.members for way in found.ways} == {*range(1, 40), 100}
    assert found.notes == []
    assert not [file for file in files(kept, home) if file.suffix == ".tmp"]


def test_a_store_has_measurements_and_its_circumstances_are_those_of_this_process(store: Store) -> None:
    now = circumstances()
    assert now.torch
    assert "cores" in now.machine
    store.measurements.keep(SITUATION, now, measured())
    assert list(store.measurements.recall(SITUATION, now).ways) == [Way(1, 2)]


def spec(**changes: object) -> RunSpec:
    return RunSpec.model_validate(changes)


@pytest.mark.parametrize(
    "change",
    [
        {"model": {"name": "mlp", "hidden_sizes": [8]}},
        {"optimizer": "sgd"},
        {"augment": [{"name": "noise"}]},
        {"loss": "focal"},
        {"training": {"batch_size": 16}},
        {"training": {"precision": "bf16"}},
        {"training": {"ema": {}}},
        {"training": {"clip_norm": 1.0}},
        {"model": {"name": "mlp", "dropout": 0.5}},
    ],
)
def test_what_costs_time_makes_another_workload(change: dict[str, object]) -> None:
    assert workload_hash([spec(**change)]) != workload_hash([spec()])


def test_mere_numbers_make_the_same_workload_and_shared_batches_another() -> None:
    rates = [spec(optimizer={"name": "adamw", "learning_rate": rate}) for rate in (0.1, 0.2, 0.3)]
    assert workload_hash(rates) == workload_hash(rates[:2]) == workload_hash([spec(seed=5)] * 4)
    assert workload_hash([spec(data_seed=1), spec(data_seed=2)]) != workload_hash([spec(data_seed=1)] * 2)
    noise = [{"name": "noise"}]
    same, other = ([spec(augment=noise, seed=seed) for seed in seeds] for seeds in ((1, 1), (1, 2)))
    assert workload_hash(same) != workload_hash(other)


def test_code_of_the_users_own_is_a_workload_of_its_own_params() -> None:
    def own(task: str, **params: int) -> RunSpec:
        part = {"custom": ("custom", "class_name"), "hf-trainer": ("trainer", "function")}[task]
        return spec(task=task, **{part[0]: {"file": "mine.py", part[1]: "mine", "params": params}})

    for task in ("custom", "hf-trainer"):
        assert workload_hash([own(task, width=1)]) == workload_hash([own(task, width=1)])
        assert workload_hash([own(task, width=1)]) != workload_hash([own(task, width=2)])


@pytest.mark.parametrize(
    ("gains", "expected"),
    [({}, 1), ({8: 1.1}, 1), ({4: 2.0, 8: 1.9}, 8), ({4: 2.0, 8: 1.7}, 4), ({2: 1.15}, 2)],
)
def test_the_largest_of_about_the_fastest_is_chosen(gains: dict[int, float], expected: int) -> None:
    assert choose_members(gains) == expected
