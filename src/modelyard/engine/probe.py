"""``python -m modelyard.engine.probe``: takes some steps of runs to see what they cost; keeps nothing.

Writes ``{"ready": true}``, then answers JSON lines from standard input one by one:
``{"open": <RunSpec>, "device": "cpu", "source": <text of its own code or null>}`` -> ``{"opened": {...}}``: data,
fingerprint and model as training opens them;
``{"prepare": [<RunSpec>, ...], "compiled": false}`` -> ``{"prepared": {...}}``: that many learners, as one model;
``{"go": true, "evaluate": false}`` -> ``{"measured": {...}}``: steps of all of them, and an evaluation of the first;
``{"rehearse": [<RunSpec>, ...], "stacked": true}`` -> ``{"rehearsed": {...}}``: real training for a moment.
A request that fails is answered with ``{"failed": <why>}``; a process that prepared something else is still good.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import torch

from modelyard.domain.config import RunSpec
from modelyard.domain.errors import ConfigError, NonFiniteLossError
from modelyard.engine.compiled import Compiled
from modelyard.engine.data_plan import DataPlan
from modelyard.engine.environment import choose_device, prepare_process
from modelyard.engine.failures import reason_for
from modelyard.engine.feed import Feed
from modelyard.engine.learner import Learner
from modelyard.engine.peak_memory import PeakMemory, release_memory
from modelyard.engine.rehearsal import rehearse
from modelyard.engine.stack import Stack, stack_key
from modelyard.engine.stride import unlogged_steps
from modelyard.tasks.base import Saved, SplitName, Task, TaskData
from modelyard.tasks.catalogue import task_for

WARM_STEPS = 3
WARM_SECONDS = 1.0
"""Steps before those that are measured: until then memory is allocated and caches fill. One is enough if it is long."""
STEPS = 20
SECONDS = 0.3
"""Steps are measured until there are so many and they took so long."""
FEW_STEPS = 3
MANY_SECONDS = 5.0
"""When steps take long, so many are enough after so long."""
EVALUATIONS = 4
EVALUATION_SECONDS = 1.0
"""Longest time of each of them."""

Json = dict[str, Any]


class Probe:
    """The learners that are measured next, and the data that are open."""

    def __init__(self) -> None:
        self._data: dict[str, TaskData] = {}
        self._device = torch.device("cpu")
        self._saved: Saved = None
        self._learners: list[Learner] = []
        self._compiled = False
        self._memory: PeakMemory | None = None

    def answer(self, request: Json) -> Json:
        """Do what is asked for."""
        if "open" in request:
            self._device = torch.device(request["device"])
            self._saved = None if request["source"] is None else {"source": request["source"]}
            return {"opened": self._open(RunSpec.model_validate(request["open"]))}
        if "prepare" in request:
            specs = [RunSpec.model_validate(spec) for spec in request["prepare"]]
            return {"prepared": self._prepare(specs, compiled=request["compiled"])}
        if "rehearse" in request:
            specs = [RunSpec.model_validate(spec) for spec in request["rehearse"]]
            return {"rehearsed": rehearse(specs, device=self._device, stacked=request["stacked"])._asdict()}
        return {"measured": self._measure(evaluate=request["evaluate"])}

    def release(self) -> None:
        """Let the learners go."""
        self._learners = []
        self._memory = None
        if self._compiled:
            torch.compiler.reset()
        release_memory(self._device)

    def _open(self, spec: RunSpec) -> Json:
        start = time.perf_counter()
        data = self._open_data(spec)
        assert data.fingerprint  # training reads every file once for it
        learner = self._learner(spec)
        seconds = time.perf_counter() - start
        with _alone(learner) as step:
            step()  # loads what only steps need, which should not count as the memory of the first that is measured
        return {
            "seconds": seconds,
            "steps_per_epoch": learner.plan.steps_per_epoch,
            "samples": {split.value: data.size(split) for split in SplitName},
            "parameters": sum(parameter.numel() for parameter in learner.model.parameters()),
            "cannot_stack": _why_not_stacked(learner),
        }

    def _open_data(self, spec: RunSpec) -> TaskData:
        task = _task(spec)
        key = task.data_key(spec, self._saved)
        if key not in self._data:
            self._data[key] = task.open_data(spec, self._saved)
        return self._data[key]

    def _learner(self, spec: RunSpec) -> Learner:
        data = self._open_data(spec)
        plan = DataPlan.of(spec, samples=data.size(SplitName.TRAIN))
        return Learner(spec, _task(spec), Feed(data, plan, choose_device(spec, self._device)), self._saved)

    def _prepare(self, specs: Sequence[RunSpec], *, compiled: bool) -> Json:
        self._compiled = compiled
        self._memory = PeakMemory(self._device)
        feeds: dict[DataPlan, Feed] = {}
        for spec in specs:
            data = self._open_data(spec)
            plan = DataPlan.of(spec, samples=data.size(SplitName.TRAIN))
            feed = feeds.setdefault(plan, Feed(data, plan, choose_device(spec, self._device)))
            self._learners.append(Learner(spec, _task(spec), feed, self._saved))
        if not compiled:
            return {"compile_seconds": None}
        learner = self._learners[0]
        learner.compiled = Compiled()
        start = time.perf_counter()
        with _alone(learner) as step:
            step()
            self._finish_kernels()
        return {"compile_seconds": time.perf_counter() - start}

    def _measure(self, *, evaluate: bool) -> Json:
        first = self._learners[0]
        with _alone(first) if len(self._learners) == 1 else _stacked(self._learners) as step:
            times = self._time(step)
        assert self._memory is not None
        peak = self._memory.bytes()
        models = [first.model] if first.average is None else [first.model, first.average.module]
        weights = sum(tensor.nbytes for model in models for tensor in (*model.parameters(), *model.buffers()))
        return {
            "seconds": _undisturbed(times),
            "steps": len(times),
            "peak_bytes": peak,
            "weight_bytes": weights,
            "optimizer_bytes": sum(tensor.nbytes for tensor in first.tensors()) - weights,
            "evaluation_seconds": self._time_evaluation(first) if evaluate else None,
        }

    def _time(self, step: Callable[[], int]) -> list[float]:
        """Return the seconds of each step; ``step`` takes one or several, and returns how many."""
        warm_until = time.perf_counter() + WARM_SECONDS
        for _ in range(WARM_STEPS):
            step()
            self._finish_kernels()
            if time.perf_counter() >= warm_until:
                break
        times: list[float] = []
        total = 0.0
        while not (len(times) >= STEPS and total >= SECONDS) and not (
            len(times) >= FEW_STEPS and total >= MANY_SECONDS
        ):
            start = time.perf_counter()
            count = step()
            self._finish_kernels()
            seconds = time.perf_counter() - start
            times += [seconds / count] * count
            total += seconds
        return times

    def _time_evaluation(self, learner: Learner) -> float:
        """Return the seconds that evaluating one sample takes; a first time loads what only evaluations need."""
        sizes = {split: learner.data.size(split) for split in (SplitName.VAL, SplitName.TEST, SplitName.TRAIN)}
        split = next(split for split, size in sizes.items() if size)
        self._evaluate(learner, split)
        times = []
        for _ in range(EVALUATIONS):
            start = time.perf_counter()
            samples = self._evaluate(learner, split)
            times.append((time.perf_counter() - start) / samples)
        return _undisturbed(times)

    def _evaluate(self, learner: Learner, split: SplitName) -> int:
        """Evaluate some of a split; return how many samples that were."""
        end = time.perf_counter() + EVALUATION_SECONDS
        done = 0
        with _alone(learner):
            evaluation = learner.evaluate(split, learner.evaluated_model)
            for count in evaluation:
                done += count
                self._finish_kernels()
                if time.perf_counter() >= end:
                    break
            evaluation.close()
            learner.problem.finish_evaluation()
        return done

    def _finish_kernels(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        elif self._device.type == "mps":
            torch.mps.synchronize()


@contextmanager
def _alone(learner: Learner) -> Iterator[Callable[[], int]]:
    def step() -> int:
        done = learner.train_step()
        if done.not_compiled:
            raise ConfigError(done.not_compiled)
        _log(learner)
        return 1

    learner.activate()
    try:
        yield step
    finally:
        learner.deactivate()


@contextmanager
def _stacked(learners: Sequence[Learner]) -> Iterator[Callable[[], int]]:
    with Stack(learners) as stack:

        def step() -> int:
            before = learners[0].progress.step
            if not stack.take_steps(min(map(unlogged_steps, learners))):
                steps = [learner.begin_step() for learner in learners]
                stack.backward(steps)
                for learner, begun in zip(learners, steps, strict=True):
                    learner.end_step(begun)
            for learner in learners:
                _log(learner)
            return learners[0].progress.step - before

        yield step


def _log(learner: Learner) -> None:
    """Bring the losses to the host as often as training does."""
    step = learner.progress.step
    if step % learner.spec.training.log_every == 0:
        with suppress(NonFiniteLossError):  # says something about the run, and nothing about its speed
            learner.window.flush(step)
        learner.window.losses.clear()
        learner.window.norms.clear()


def _undisturbed(times: Sequence[float]) -> float:
    """Return the median of the faster half: what else runs on the machine only makes steps slower."""
    return statistics.median(sorted(times)[: -(-len(times) // 2)])


def _why_not_stacked(learner: Learner) -> str:
    if stack_key(learner) is not None:
        return ""
    return f"there is no way yet to train several {type(learner.model).__name__} models as one"


class _NoBlobs:
    """Stands where the store's blobs are: the text of own code comes with the request."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError("the text of own code comes with the request")


def _task(spec: RunSpec) -> Task:
    if spec.trainer is not None:
        raise ConfigError("a transformers.Trainer has its own loop, which plans do not measure yet")
    return task_for(spec, _NoBlobs())


def main() -> int:
    """Answer requests until there are no more; return the exit code."""
    prepare_process()
    probe = Probe()
    _write({"ready": True})
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = probe.answer(request)
        except Exception as error:  # noqa: BLE001 - the process boundary: the parent must learn of every failure
            answer = {"failed": reason_for(error).message}
        if "prepared" not in answer:
            probe.release()
        _write(answer)
    return 0


def _write(line: Json) -> None:
    sys.stdout.write(f"{json.dumps(line)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
