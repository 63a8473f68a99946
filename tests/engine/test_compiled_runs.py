"""Runs that are computed by ``torch.compile``: they go on as they began, bit for bit, or without it and saying so."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load

from modelyard.domain.config import RunSpec
from modelyard.domain.measurement import Measurement, Situation
from modelyard.domain.parts.schedules import Constant
from modelyard.domain.run import Run, RunState
from modelyard.domain.structure import workload_hash
from modelyard.engine.compile_choice import Chosen, CompileChoice
from modelyard.engine.compilers import why_not_compiled
from modelyard.engine.executors import Sliced, Solo, Stacked
from modelyard.engine.pool import SessionPool
from modelyard.engine.residency import Residency
from modelyard.engine.worker import work
from modelyard.store import Store, clock
from modelyard.store.circumstances import circumstances

Train = Callable[..., list[Run]]
MakeSpec = Callable[..., RunSpec]
Outcome = Callable[[Run], dict[str, Any]]

needs_compiler = pytest.mark.skipif(bool(why_not_compiled("cpu")), reason=why_not_compiled("cpu") or "none")


@pytest.fixture(scope="session")
def compiled_code(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of compiled code for all tests, so that each piece is compiled once."""
    folder = tmp_path_factory.mktemp("compiled")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(folder))
        yield folder


def pretend(monkeypatch: pytest.MonkeyPatch, compile_: Callable[..., Any] = lambda plain, **_: plain) -> list[int]:
    """Have ``torch.compile`` be what is given; return a list that grows with every call of it."""
    calls: list[int] = []

    def compiling(plain: Any, **options: Any) -> Any:
        calls.append(1)
        return compile_(plain, **options)

    monkeypatch.setattr("modelyard.engine.compiled._prepare_compiler", lambda _: None)
    monkeypatch.setattr("modelyard.engine.compile_choice.why_not_compiled", lambda _: "")
    monkeypatch.setattr(torch, "compile", compiling)
    return calls


def lines(store: Store, run: Run) -> list[str]:
    return [line.text for line in store.logs.tail(run.id, 1000)]


def keep_times(store: Store, specs: Sequence[RunSpec], times: dict[tuple[int, bool], float]) -> None:
    """Keep measured seconds by number of members, and whether compiled."""
    news = [
        Measurement(
            members=members,
            processes=1,
            compiled=compiled,
            seconds=seconds,
            steps=20,
            compile_seconds=0.5 if compiled else None,
            source="plan",
            measured_at=clock.now(),
        )
        for (members, compiled), seconds in times.items()
    ]
    store.measurements.keep(Situation(workload=workload_hash(specs), device="cpu"), circumstances(), *news)


# With the real compiler.


@needs_compiler
@pytest.mark.usefixtures("compiled_code")
def test_paused_sliced_spilled_and_beside_others_it_ends_as_undisturbed(
    train: Train,
    outcome: Outcome,
    make_spec: MakeSpec,
    store: Store,
    pause_at_random: Callable[..., tuple[list[Run], int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiled, plain = make_spec("mlp", compile="always"), make_spec("mlp")
    (uncompiled,) = train([plain])
    (alone,) = train([compiled])
    assert alone.state is RunState.COMPLETED, alone.reason
    assert alone.how == "compiled"
    assert outcome(alone)["files"] != outcome(uncompiled)["files"], "nothing was compiled"
    assert not any("_orig_mod" in name for name in store_weights(store, alone))
    runs, pauses = pause_at_random([compiled, plain], Sliced(chunk_seconds=0.0), chance=0.3)
    assert pauses
    assert [outcome(run) for run in runs] == [outcome(alone), outcome(uncompiled)]
    monkeypatch.setattr(Residency, "has_room", lambda _: True)
    spilled = train(
        [compiled, plain],
        executor=Sliced(chunk_seconds=0.0),
        slots=2,
        residency=Residency(device_bytes=None, host_bytes=0),
    )
    assert [outcome(run) for run in spilled] == [outcome(alone), outcome(uncompiled)]


def store_weights(store: Store, run: Run) -> list[str]:
    last = store.checkpoints.find(run.id, "last")
    with store.blobs.open(last.files["model.safetensors"].digest) as file:
        return list(load(file.read()))


@needs_compiler
@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.usefixtures("compiled_code")
def test_killed_in_processes_of_its_own_it_ends_as_undisturbed(
    train: Train, outcome: Outcome, make_spec: MakeSpec, kill_at_random: Callable[..., list[Run]]
) -> None:
    specs = [make_spec(model, "adamw", epochs=60, compile="always") for model in ("mlp", "cnn")]
    alone = train(specs)
    runs = kill_at_random(specs, kills=2)
    for one, other in zip(alone, runs, strict=True):
        assert (other.state, other.attempt, other.how) == (RunState.COMPLETED, 3, "compiled")
        assert outcome(other) == outcome(one)


# With a compiler that only looks on: what is decided, and what is said.


def test_a_run_takes_the_way_that_was_measured_to_pay(
    train: Train, make_spec: MakeSpec, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = pretend(monkeypatch)
    specs = [make_spec("mlp", epochs=2)]
    keep_times(store, specs, {(1, False): 1.0, (1, True): 0.5})
    (run,) = train(specs)
    assert calls
    assert run.how == "compiled (1.8x)"  # 10 steps of 0.5 s, and 0.5 s of compiling
    assert any(line.startswith("compiled: it trains at 1.") for line in lines(store, run))


@pytest.mark.parametrize(
    ("times", "why"),
    [
        ({(1, False): 1.0, (1, True): 0.9}, "it must be 1.15x as fast as uncompiled"),
        ({(1, False): 1.0, (1, True): 0.5, (2, False): 1.1}, "it must be 1.15x as fast as the 1.82x of 2 runs as one"),
    ],
)
def test_what_was_measured_to_be_no_faster_is_not_compiled(
    times: dict[tuple[int, bool], float],
    why: str,
    train: Train,
    make_spec: MakeSpec,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = pretend(monkeypatch)
    specs = [make_spec("mlp", epochs=2)] * 2
    keep_times(store, specs, times)
    runs = train(specs)
    assert not calls
    for run in runs:
        assert run.how == "solo"
        assert any(line.startswith("not compiled: ") and why in line for line in lines(store, run))


def test_a_group_whose_stack_is_faster_stays_stacked_and_a_compiled_run_takes_its_turns(
    train: Train, make_spec: MakeSpec, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = pretend(monkeypatch)
    stacked = [make_spec("mlp", epochs=2), make_spec("mlp", epochs=2)]
    runs = train([*stacked, make_spec("mlp", epochs=2, compile="always")], executor=Stacked(), slots=3)
    assert [run.how for run in runs] == ["stacked 2", "stacked 2", "compiled"]
    assert len(calls) == 1


def test_never_and_an_execution_that_was_asked_for_rule_it_out(
    train: Train, make_spec: MakeSpec, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = pretend(monkeypatch)
    specs = [make_spec("mlp", epochs=2), make_spec("mlp", epochs=2, compile="never")]
    keep_times(store, specs, {(1, False): 1.0, (1, True): 0.5})
    assert [run.how for run in train(specs)] == ["compiled (1.8x)", "solo"]
    calls.clear()
    (run,) = train(specs[:1], compiles=False)
    assert run.how == "solo"
    assert not calls


def test_it_is_decided_once_even_before_the_first_checkpoint(
    store: Store, make_spec: MakeSpec, submit: Any, make_pool: Callable[..., SessionPool], monkeypatch: Any
) -> None:
    calls = pretend(monkeypatch)
    specs = [make_spec("mlp", epochs=2)]
    keep_times(store, specs, {(1, False): 1.0, (1, True): 0.5})
    (run,) = submit(specs)
    killed = make_pool()
    killed.fill()
    store.leases.unregister(killed.sessions[0].lease.worker_id)  # as if its process had died
    keep_times(store, specs, {(1, False): 1.0, (1, True): 2.0})
    work(make_pool(), Solo(), idle_seconds=0.0)
    ended = store.runs.get(run.id)
    assert (ended.attempt, ended.how) == (2, "compiled (1.8x)")
    assert calls
    assert "compiled: as this run began" in lines(store, ended)


def test_a_run_that_began_without_goes_on_without(
    store: Store, make_spec: MakeSpec, submit: Any, interrupt: Any, make_pool: Any, monkeypatch: Any
) -> None:
    specs = [make_spec("mlp", epochs=2)]
    (run,) = submit(specs)
    interrupt(3)
    calls = pretend(monkeypatch)
    keep_times(store, specs, {(1, False): 1.0, (1, True): 0.5})
    work(make_pool(), Solo(), idle_seconds=0.0)
    assert store.runs.get(run.id).how == "solo"
    assert not calls


def test_without_a_compiler_any_more_it_goes_on_and_says_so(
    store: Store, make_spec: MakeSpec, submit: Any, interrupt: Any, make_pool: Any, monkeypatch: Any
) -> None:
    calls = pretend(monkeypatch)
    (run,) = submit([make_spec("mlp", epochs=2, compile="always")])
    interrupt(3)
    assert store.runs.get(run.id).how == "compiled"
    monkeypatch.setattr("modelyard.engine.compile_choice.why_not_compiled", lambda _: "there is no compiler")
    calls.clear()
    work(make_pool(), Solo(), idle_seconds=0.0)
    ended = store.runs.get(run.id)
    assert (ended.state, ended.how) == (RunState.COMPLETED, "solo")
    assert not calls
    assert "not compiled: there is no compiler" in lines(store, ended)


@pytest.mark.parametrize("where", ["before", "within", "later"])
def test_a_compiler_that_fails_at_the_first_step_costs_nothing(
    where: str, train: Train, outcome: Outcome, make_spec: MakeSpec, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(plain: Any, **_: Any) -> Any:
        done: list[Any] = []

        def forward(model: Any, inputs: Any) -> Any:
            if where != "before":  # after random numbers were drawn and batch statistics were moved
                done.append(plain(model, inputs))
            if where == "later" and len(done) == 1:  # not in the first micro-batch, whose gradients are there
                return done[0]
            raise RuntimeError("no code for this")

        return forward

    spec = make_spec("mlp")  # with dropout, batch normalisation, accumulation, bf16, clipping and an average
    (alone,) = train([spec])
    pretend(monkeypatch, failing)
    (run,) = train([make_spec("mlp", compile="always")])
    assert (run.state, run.how) == (RunState.COMPLETED, "solo")
    assert "step 1: solo, since torch.compile failed: RuntimeError: no code for this" in lines(store, run)
    weights = "model.safetensors"
    assert outcome(run)["files"][weights] == outcome(alone)["files"][weights]
    assert outcome(run)["metrics"] == outcome(alone)["metrics"]


def test_only_full_batches_are_computed_by_compiled_code(
    train: Train, make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def watching(plain: Any, **options: Any) -> Any:
        assert options == {"dynamic": False, "fullgraph": True}

        def forward(model: Any, inputs: Any) -> Any:
            sizes.append(len(inputs))
            return plain(model, inputs)

        return forward

    calls = pretend(monkeypatch, watching)
    (run,) = train([make_spec("mlp", compile="always", batch_size=25, accumulate=1)])
    assert run.state is RunState.COMPLETED, run.reason
    assert set(sizes) == {25}
    assert len(sizes) < run.step, "there is an odd batch at the end of an epoch"
    assert len(calls) == 1


def test_no_compiler_is_imported_for_a_run_that_is_not_compiled() -> None:
    script = "import sys; import modelyard.engine.worker; print('torch._dynamo' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_who_goes_on_from_what_another_run_trained_goes_on_in_the_same_way(
    train: Train, make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch)
    answers = [Chosen("it pays", 2.0, compiled=True)]
    monkeypatch.setattr(CompileChoice, "_by_speed", lambda *_: answers.pop())
    specs = [make_spec("mlp", epochs=epochs).model_copy(update={"schedule": Constant()}) for epochs in (2, 4)]
    runs = train(specs)
    assert [run.execution for run in runs] == ["compiled", "compiled"]
    assert [bool(run.shared_steps) for run in runs].count(True) == 1
    assert not answers
