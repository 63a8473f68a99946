"""``modelyard plan`` measures, remembers, explains, and says how long a sweep takes."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from modelyard.agent.probing import Opened, Probed, ProbeError, Rehearsed
from modelyard.api.datacheck import Samples
from modelyard.domain.config import RunSpec
from modelyard.domain.errors import MissingExtraError
from modelyard.domain.measurement import Way

SWEEP = """\
name: digits
run:
  training: {epochs: 10}
  model: {name: mlp, hidden_sizes: [8]}
search:
  method: list
  runs:
    - {optimizer.learning_rate: 0.01}
    - {optimizer.learning_rate: 0.02}
    - {optimizer.learning_rate: 0.03}
    - {optimizer.learning_rate: 0.04}
    - {training.batch_size: 32}
"""


class FakeProber:
    """Times that are as given, instead of processes that take steps."""

    asked: list[tuple[int, Way]]
    seconds: dict[int, float]
    broken: dict[int, str]
    cannot_stack: str
    overhead: float | None
    age: float

    def __init__(self, *, device: str, threads: int, processes: int, code: dict[str, str]) -> None:
        self.processes = processes

    def open(self, spec: RunSpec) -> Opened:
        return Opened(
            seconds=1.0,
            start_seconds=2.0,
            steps_per_epoch=20 if spec.training.batch_size == 64 else 40,
            samples={"train": 1258, "val": 359, "test": 180},
            parameters=610,
            cannot_stack=self.cannot_stack,
        )

    def measure(self, specs: Sequence[RunSpec], way: Way, *, evaluate: bool = False) -> Probed:
        type(self).asked.append((specs[0].training.batch_size, way))
        if way.members in self.broken:
            raise ProbeError(self.broken[way.members])
        return Probed(
            seconds=self.seconds[way.members] * (0.7 if way.processes == 1 else 1.0),
            steps=20,
            peak_bytes=2**20 * way.members,
            weight_bytes=2440,
            optimizer_bytes=4880,
            evaluation_seconds=1e-4 if evaluate else None,
            compile_seconds=31.0 if way.compiled else None,
        )

    def rehearse(self, specs: Sequence[RunSpec], way: Way, *, together: int) -> list[Rehearsed]:
        if self.overhead is None:
            raise ProbeError("it took longer than 120 s")
        alone = 100 * self.seconds[way.members] / way.members + 359 * 1e-4
        return [Rehearsed(seconds=alone * slow, steps=100, evaluated=359) for slow in (1.0, self.overhead)]

    def __enter__(self) -> "FakeProber":
        return self

    def __exit__(self, *_: object) -> None: ...


@pytest.fixture
def prober(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[FakeProber]]:
    class Prober(FakeProber):
        asked = []
        seconds = {1: 0.01, 2: 0.01, 4: 0.01}
        broken = {}
        cannot_stack = ""
        overhead = 1.0
        age = 0.5

    monkeypatch.setattr("modelyard.api.estimating.Prober", Prober)
    monkeypatch.setattr("modelyard.api.planning.cores", lambda: 2)
    monkeypatch.setattr("modelyard.cli.plan._age_of_this_command", lambda: Prober.age)
    samples = Samples(train=1258, val=359, test=180)
    monkeypatch.setattr("modelyard.cli.plan.check_runs", lambda _, specs: [samples] * len(specs))
    return Prober


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "s.yaml"
    path.write_text(SWEEP)
    return path


def test_it_says_what_won_what_lost_and_how_long_it_takes(cli: Any, prober: Any, file: Path) -> None:
    output = cli("plan", file)
    assert "structure 1: 4 runs (digits-1, digits-2, digits-3 and 1 more) of 610 parameters" in output.out
    rows = {tuple(line.split()[:2]): line for line in output.out.splitlines()}
    assert "2.00x" in rows["stacked", "2"]
    assert rows["stacked", "2"].rstrip().endswith("chosen")
    assert "structure 2: 1 run (digits-5) of 610 parameters" in output.out
    assert "  no stack with those of structure 1: training.batch_size: 64 -> 32" in output.out
    assert "too little to pay for it" in rows["compiled", "1"]
    # 4 x 10 x 20 steps of 5 ms and 10 x 40 of 10 ms, and 5 x 3770 evaluations of 0.1 ms, all on two cores
    assert "estimate: 8s (start-up 2s, opening data 1s, training 4s, evaluation 1s)" in output.out
    assert "measuring took" in output.out
    assert "structure 1 of 2: measuring alone, 2 at the same time" in output.err.splitlines()
    assert prober.asked[0] == (64, Way(1, 2))


def test_what_training_takes_beside_its_steps_is_rehearsed_and_remembered(cli: Any, prober: Any, file: Path) -> None:
    plain = cli("plan", file, "--json").json["estimate"]["wall_time"]
    prober.overhead, prober.age = 2.5, 9.0
    output = cli("plan", file, "--fresh", "--json")
    slow = output.json["estimate"]["wall_time"]
    assert "training for a moment, to see what else it takes" in output.err
    assert slow["start"] == 9.0, "the command's own start, which is longer than that of its processes"
    for name in ("training", "evaluation"):
        assert slow[name] == pytest.approx(2.5 * plain[name])
    prober.overhead = None
    assert cli("plan", file, "--json").json["estimate"]["wall_time"] == slow
    output = cli("plan", file, "--fresh")
    assert "what training takes beside its steps is not in the estimate: it took longer than 120 s" in output.out


@pytest.mark.covers("plan --fresh")
def test_it_remembers_and_measures_again_when_asked_to(cli: Any, prober: Any, file: Path) -> None:
    first = cli("plan", file, "--json").json["estimate"]
    assert not first["structures"][0]["remembered"]
    prober.asked.clear()
    second = cli("plan", file, "--json").json["estimate"]
    assert prober.asked == []
    assert second["structures"][0]["remembered"]
    assert second["structures"][0]["estimate"] == first["structures"][0]["estimate"]
    assert second["wall_time"] == first["wall_time"]
    assert "measured before this plan, on" in cli("plan", file).out
    prober.seconds[2] = 0.03
    again = cli("plan", file, "--fresh", "--json").json["estimate"]
    assert prober.asked
    assert again["structures"][0]["estimate"]["members"] == 1


@pytest.mark.covers("plan --no-probe")
def test_without_probing_nothing_is_measured(cli: Any, prober: Any, file: Path, home: Path) -> None:
    assert cli("plan", file, "--no-probe", "--json").json["estimate"] is None
    assert prober.asked == []
    assert not home.exists()


def test_a_way_that_crashes_is_told_and_the_others_go_on(cli: Any, prober: Any, file: Path) -> None:
    prober.broken = {2: "its process ended unexpectedly: by SIGKILL"}
    (stacked,) = [
        option
        for option in cli("plan", file, "--json").json["estimate"]["structures"][0]["estimate"]["options"]
        if option["name"] == "stacked 2"
    ]
    assert stacked["verdict"] == "failed: its process ended unexpectedly: by SIGKILL"
    assert stacked["speed"] is None


def test_when_not_even_one_run_can_be_measured_no_time_is_made_up(cli: Any, prober: Any, file: Path) -> None:
    prober.broken = {1: "it took longer than 120 s"}
    out = cli("plan", file).out
    assert "failed: it took longer than 120 s" in out
    assert "estimate: unavailable" in out


def test_models_that_no_stack_can_hold_are_told(cli: Any, prober: Any, file: Path) -> None:
    prober.cannot_stack = "there is no way yet to train several X models as one"
    out = cli("plan", file).out
    assert "  no stack at all: there is no way yet to train several X models as one" in out
    assert not [line for line in out.splitlines() if line.startswith("stacked")]
    assert not [way for _, way in prober.asked if way.members > 1]


def test_the_estimate_follows_the_wishes(cli: Any, prober: Any, file: Path) -> None:
    document = cli("plan", file, "--json", "--execution", "sliced").json
    assert document["estimate"]["structures"][0]["estimate"]["members"] == 1


def test_compiling_is_measured_where_it_could_pay(cli: Any, prober: Any, file: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("modelyard.api.measuring.why_not_compiled", lambda *_: "")
    arguments = ("plan", file, "--json", "--set", "training.epochs=1000000")
    (option,) = [
        option
        for option in cli(*arguments).json["estimate"]["structures"][0]["estimate"]["options"]
        if option["name"] == "compiled"
    ]
    assert option["compile_seconds"] == 31.0
    assert option["verdict"].startswith("loses: it trains at 1.00x the speed, the time of compiling included, as")
    assert (64, Way(1, 1, compiled=True)) in prober.asked
    prober.asked.clear()
    cli(*arguments)
    assert prober.asked == []


def test_a_damaged_cache_is_measured_again_with_a_note(cli: Any, prober: Any, file: Path, home: Path) -> None:
    cli("plan", file)
    for path in (home / "measurements").iterdir():
        path.write_text("{")
    prober.asked.clear()
    output = cli("plan", file)
    assert prober.asked
    assert "does not count: it is damaged" in output.out


def test_another_number_of_samples_is_another_matter(cli: Any, prober: Any, file: Path, home: Path) -> None:
    cli("plan", file)
    for path in (home / "measurements").glob("*-facts.json"):
        content = json.loads(path.read_text())
        content["facts"]["train_samples"] = 5
        path.write_text(json.dumps(content))
    assert "the data had another number of samples" in cli("plan", file).out


def test_a_home_that_cannot_be_written_costs_only_the_memory_of_it(
    cli: Any, prober: Any, file: Path, home: Path
) -> None:
    home.mkdir()
    (home / "home.json").write_text('{"format": 1}')
    (home / "measurements").write_text("in the way")
    assert "what was measured could not be kept" in cli("plan", file).out


def test_without_torch_there_is_a_plan_and_no_estimate(cli: Any, prober: Any, file: Path, monkeypatch: Any) -> None:
    def refuse(*_: Any) -> None:
        raise MissingExtraError("No module named 'torch'; install it with: pip install 'modelyard[train]'")

    monkeypatch.setattr("modelyard.cli.plan.check_runs", refuse)
    out = cli("plan", file).out
    assert out.startswith("digits: 5 runs\nplan: ")
    assert "no estimate: torch is not installed; pip install 'modelyard[train]'" in out


@pytest.mark.parametrize(("load", "told"), [(0.3, False), (3.0, True)])
def test_a_busy_machine_is_told(load: float, told: bool, cli: Any, prober: Any, file: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("modelyard.api.estimating.os.getloadavg", lambda: (load, 0.0, 0.0))
    assert ("this machine was busy before (load 3.0 on 2 cores)" in cli("plan", file).out) is told


def test_a_frozen_backbone_is_said_to_be_in_the_steps(cli: Any, prober: Any, tmp_path: Path) -> None:
    file = tmp_path / "frozen.yaml"
    file.write_text("run: {model: {name: huggingface, model: some/vit, freeze_backbone: true}}\n")
    assert "steps were measured with the frozen backbone" in cli("plan", file).out


def test_an_estimate_of_a_search_says_which_runs_it_is_of(cli: Any, prober: Any, tmp_path: Path) -> None:
    file = tmp_path / "search.yaml"
    space = "{optimizer.learning_rate: {log: [0.001, 0.1]}}"
    file.write_text(f"search: {{method: random, samples: 4, scheduler: asha, space: {space}}}\n")
    assert "that is these runs, each to its end" in cli("plan", file).out


def test_after_enough_time_no_further_structure_is_measured(
    cli: Any, prober: Any, file: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr("modelyard.api.measuring.MOST_SECONDS", -1.0)
    assert "not measured: measuring the larger structures took" in cli("plan", file).out
    assert prober.asked == []
