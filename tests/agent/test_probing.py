"""Ways to train are measured in child processes; one that dies, or fails, leaves the others to be measured."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelyard.agent import probing
from modelyard.agent.probing import ProbeError, Prober
from modelyard.domain.config import RunSpec
from modelyard.domain.measurement import Way
from modelyard.engine.compilers import why_not_compiled


def spec(number: int = 0, **changes: object) -> RunSpec:
    data = {"source": "digits", "max_per_class": 20}
    model = {"name": "mlp", "hidden_sizes": [16]}
    return RunSpec.model_validate({"seed": number, "data": data, "model": model, **changes})


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    with Prober(device="cpu", threads=1, processes=2) as made:
        yield made


def test_steps_evaluation_memory_and_sizes_are_measured(prober: Prober) -> None:
    opened = prober.open(spec())
    assert opened.samples == {"train": 200, "val": 359, "test": 180}
    assert opened.steps_per_epoch == 4
    assert opened.parameters == 64 * 16 + 16 + 16 * 10 + 10
    assert opened.cannot_stack == ""
    assert min(opened.seconds, opened.start_seconds) > 0
    alone = prober.measure([spec()], Way(1, 2), evaluate=True)
    assert alone.seconds > 0
    assert alone.steps >= 20
    assert alone.weight_bytes == 4 * opened.parameters
    assert alone.optimizer_bytes >= 2 * alone.weight_bytes
    assert alone.evaluation_seconds is not None
    stacked = prober.measure([spec(number) for number in range(5)], Way(4, 2))
    assert stacked.seconds > 0
    assert stacked.evaluation_seconds is None


@pytest.mark.parametrize("members", [1, 3])
def test_a_rehearsal_trains_with_all_that_belongs_to_it_and_leaves_nothing(
    members: int, prober: Prober, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environment = {"MODELYARD_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "TMPDIR": str(scratch)}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with Prober(device="cpu", threads=1, processes=2) as fresh:
        fresh.open(spec())
        found = fresh.rehearse([spec(training={"epochs": 500})], Way(members, 2), together=8)
        assert not [path for path in scratch.iterdir() if path.name.startswith("modelyard-plan-")]
    assert len(found) == 2
    for one in found:
        assert one.seconds > 0
        assert one.steps >= 4 * members
        assert one.evaluated % 359 == 0
        assert one.evaluated >= 359


def test_runs_that_end_within_a_rehearsal_are_all_of_it(prober: Prober) -> None:
    prober.open(spec())
    for one in prober.rehearse([spec(training={"epochs": 3}), spec(1, training={"epochs": 3})], Way(1, 2), together=2):
        assert one.steps <= 2 * 3 * 4
        assert one.evaluated <= 2 * (3 * 359 + 180)


def test_a_process_that_dies_fails_what_was_measured_and_nothing_else(prober: Prober) -> None:
    prober.open(spec())
    os.kill(prober._children[1].pid, signal.SIGKILL)
    with pytest.raises(ProbeError, match="its process ended unexpectedly: by SIGKILL"):
        prober.measure([spec()], Way(1, 2))
    assert prober.measure([spec()], Way(1, 2)).seconds > 0


def test_what_fails_says_why_and_the_processes_stay(prober: Prober) -> None:
    prober.open(spec())
    pids = [child.pid for child in prober._children]
    with pytest.raises(ProbeError, match=r"memory|RuntimeError"):
        prober.measure([spec(model={"name": "mlp", "hidden_sizes": [10**6, 10**6]})], Way(1, 2))
    with pytest.raises(ProbeError, match="RuntimeError: The size of tensor"):
        prober.measure([spec(), spec(model={"name": "mlp", "hidden_sizes": [8]})], Way(2, 1))
    assert prober.measure([spec()], Way(1, 1)).seconds > 0
    assert [child.pid for child in prober._children] == pids


OWN = """\
import torch
from torch import nn


class Mine:
    @staticmethod
    def data():
        return {"train": (torch.ones(10, 4, 3), torch.zeros(10, 3))}

    def build(self):
        return nn.LSTM(3, 3, batch_first=True)

    def loss(self, outputs, batch):
        return (outputs[0][:, -1] - batch[1]).square().mean()
"""


def test_own_code_is_measured_and_a_model_that_cannot_be_stacked_is_named() -> None:
    custom = {"file": "mine.py", "class_name": "Mine", "code": f"sha256:{'0' * 64}"}
    own = RunSpec.model_validate({"task": "custom", "custom": custom, "training": {"batch_size": 5}})
    with Prober(device="cpu", threads=1, processes=1, code={f"sha256:{'0' * 64}": OWN}) as prober:
        opened = prober.open(own)
        assert opened.cannot_stack == "there is no way yet to train several LSTM models as one"
        assert opened.samples == {"train": 10, "val": 0, "test": 0}
        assert prober.measure([own], Way(1, 1), evaluate=True).seconds > 0


def test_a_process_that_takes_too_long_is_ended(prober: Prober, monkeypatch: pytest.MonkeyPatch) -> None:
    prober.open(spec())
    monkeypatch.setattr(probing, "ANSWER_SECONDS", 0.0)
    with pytest.raises(ProbeError, match="took longer than 0 s"):
        prober.measure([spec()], Way(1, 1))
    assert prober._children == []


@pytest.mark.long
def test_compiled_steps_are_measured(prober: Prober) -> None:
    if why_not_compiled("cpu"):
        pytest.skip("there is no compiler here")
    prober.open(spec())
    compiled = prober.measure([spec()], Way(1, 1, compiled=True))
    assert compiled.compile_seconds is not None
    assert compiled.compile_seconds > compiled.seconds > 0
