"""What Modelyard's engine costs beside a lean PyTorch loop that does the same work, and beside Hugging Face's Trainer.

One process, one thread, real digits; the sides take many short turns, since other load slows down all of them.
"""

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from _table import Spread, Table, alternating, ratio
from torch.nn import functional

from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.control import Tune
from modelyard.domain.plan import Execution
from modelyard.domain.run import RunState
from modelyard.engine.data_plan import DataPlan
from modelyard.engine.executors._base import take_turn
from modelyard.engine.feed import Feed
from modelyard.engine.learner import Learner
from modelyard.engine.opening import Opener, Placing
from modelyard.engine.pool import SessionPool
from modelyard.engine.random_state import seed_everything
from modelyard.engine.recorder import FLUSH_SECONDS
from modelyard.engine.residency import Residency, default_limits
from modelyard.engine.session import Session
from modelyard.store import Store, open_store
from modelyard.tasks.base import SplitName
from modelyard.tasks.catalogue import task_for
from modelyard.tasks.models import build_model

CPU = torch.device("cpu")
BATCH = 64
LEARNING_RATE = 1e-4


def spec(**training: Any) -> RunSpec:
    """Return a run of about five milliseconds a step that never ends by itself."""
    return RunSpec.model_validate(
        {
            "data": {"source": "digits", "val_fraction": 0, "test_fraction": 0, "image_size": 16},
            "model": {"name": "cnn", "channels": [16, 32]},
            "optimizer": {"name": "adamw", "learning_rate": LEARNING_RATE},
            "training": {"epochs": 1_000_000, "batch_size": BATCH, **training},
        }
    )


def lean_loop() -> Callable[[float], float]:
    """Return the loop that an engineer would write by hand; it answers with seconds per step."""
    task = task_for(spec())
    data = task.open_data(spec())
    every = np.arange(data.size(SplitName.TRAIN))
    whole = data.batch(SplitName.TRAIN, every)
    pixels, labels = whole.inputs, whole.targets
    seed_everything(0)
    model = build_model(spec().model, image_size=16, channels=1, classes=[str(digit) for digit in range(10)])
    decayed = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in model.parameters() if parameter.ndim <= 1]  # norms and biases do not decay
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, fused=True)
    logged: list[float] = []

    def batches() -> Iterator[torch.Tensor]:
        while True:
            order = torch.randperm(len(labels))
            yield from order.split(BATCH)

    source = batches()

    def run(seconds: float) -> float:
        torch.use_deterministic_algorithms(False)
        model.train()
        steps, start = 0, time.perf_counter()
        losses = []
        while time.perf_counter() - start < seconds:
            batch = next(source)
            inputs = pixels[batch].float().mul_(1 / 127.5).sub_(1)
            optimizer.zero_grad(set_to_none=True)
            loss = functional.cross_entropy(model(inputs), labels[batch])
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
            steps += 1
            if steps % 10 == 0:
                logged.append(torch.stack(losses).mean().item())
                losses.clear()
        return (time.perf_counter() - start) / steps

    return run


def learner_loop(**training: Any) -> Callable[[float], float]:
    """Return our learner without any tracking: no points, no lines, no control, no store."""
    task = task_for(spec())
    data = task.open_data(spec())
    plan = DataPlan.of(spec(), samples=data.size(SplitName.TRAIN))
    learner = Learner(spec(**training), task, Feed(data, plan, CPU))

    def run(seconds: float) -> float:
        learner.activate()
        steps, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            learner.train_step()
            steps += 1
            if steps % 10 == 0:
                learner.window.flush(learner.progress.step)
                learner.window.take()
        elapsed = time.perf_counter() - start
        learner.deactivate()
        return elapsed / steps

    return run


@contextmanager
def sessions(count: int, **training: Any) -> Iterator[tuple[Store, SessionPool, list[Session]]]:
    """Open ``count`` runs in a store of their own."""
    with tempfile.TemporaryDirectory() as home, open_store(home) as store:
        specs = [spec(**training).model_copy(update={"seed": seed}) for seed in range(count)]
        device_bytes, host_bytes = default_limits(CPU)
        experiment = store.experiments.create(SweepSpec(name="bench"), specs, actor="bench")
        pool = SessionPool(
            store=store,
            worker_id=store.leases.register(kind="engine"),
            opener=Opener(store, Placing(device=CPU, execution=Execution.SLICED, reason="bench")),
            residency=Residency(device_bytes=device_bytes, host_bytes=host_bytes),
            slots=count,
            experiment_id=experiment.id,
        )
        pool.fill()
        yield store, pool, pool.sessions


def tracked(pool: SessionPool, session: Session) -> Callable[[float], float]:
    """Return a turn of one session with metrics, log, control and checkpoints.

    Production commits once a second and saves once a minute, but a turn is shorter and starts both clocks anew. So each
    turn ends with a commit and a checkpoint, of which it is charged its share.
    """
    save_seconds = session.run.spec.training.checkpoint.every_seconds

    def run(seconds: float) -> float:
        before, start = session.learner.progress.step, time.perf_counter()
        take_turn(pool, session, seconds)
        trained = time.perf_counter()
        session.flush()
        flushed = time.perf_counter()
        session.save()
        saved = time.perf_counter()
        charged = (flushed - trained) * min(1.0, seconds / FLUSH_SECONDS)
        charged += (saved - flushed) * min(1.0, seconds / save_seconds)
        return (trained - start + charged) / (session.learner.progress.step - before)

    return run


def trainer_loop() -> Callable[[float], float] | None:
    """Return Hugging Face's Trainer on the same model and data, or None if it cannot run here."""
    try:
        import accelerate  # noqa: F401
        from transformers import Trainer, TrainerCallback, TrainingArguments
    except ImportError:
        return None
    task = task_for(spec())
    data = task.open_data(spec())
    whole = data.batch(SplitName.TRAIN, np.arange(data.size(SplitName.TRAIN)))
    inputs = whole.inputs.float().div(127.5).sub(1)

    class Dataset(torch.utils.data.Dataset[Any]):
        def __len__(self) -> int:
            return len(whole.targets)

        def __getitem__(self, index: int) -> dict[str, Any]:
            return {"pixels": inputs[index], "labels": whole.targets[index]}

    class Wrapped(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = build_model(spec().model, image_size=16, channels=1, classes=[str(d) for d in range(10)])

        def forward(self, pixels: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
            logits = self.inner(pixels)
            return {"loss": functional.cross_entropy(logits, labels), "logits": logits}

    class Clock(TrainerCallback):
        def __init__(self, seconds: float) -> None:
            self.seconds, self.steps, self.start, self.end = seconds, 0, 0.0, 0.0

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.end = time.perf_counter()
            if not self.start:
                self.start = self.end  # the first step is left out
                return
            self.steps += 1
            control.should_training_stop = self.end - self.start > self.seconds

    def run(seconds: float) -> float:
        torch.use_deterministic_algorithms(False)
        clock = Clock(seconds)
        with tempfile.TemporaryDirectory() as folder:
            arguments = TrainingArguments(
                output_dir=folder,
                per_device_train_batch_size=BATCH,
                learning_rate=LEARNING_RATE,
                num_train_epochs=10_000,
                logging_steps=10,
                report_to=[],
                save_strategy="no",
                use_cpu=True,
                disable_tqdm=True,
                optim="adamw_torch_fused",
                dataloader_pin_memory=False,
            )
            trainer = Trainer(model=Wrapped(), args=arguments, train_dataset=Dataset(), callbacks=[clock])
            trainer.log = lambda *_args, **_more: None
            trainer.train()
        return (clock.end - clock.start) / clock.steps

    return run


def overhead_table(seconds: float, rounds: int) -> Table:
    """Measure a step on every side."""
    table = Table(
        title="A training step",
        columns=["side", "ms a step", "times the lean loop", "of the quietest fifth"],
        packages=["torch", "transformers"],
    )
    lean, off, on = "lean PyTorch loop", "Modelyard, tracking off", "Modelyard, tracking on"
    with sessions(1) as (_, pool, (session,)):
        loops = {
            lean: lean_loop(),
            off: learner_loop(),
            f"{off}, deterministic: false": learner_loop(deterministic=False),
            on: tracked(pool, session),
        }
        trainer = trainer_loop()
        if trainer is not None:
            loops["Hugging Face Trainer"] = trainer
        sides = {name: (lambda loop=loop: loop(seconds)) for name, loop in loops.items()}
        spreads, values = alternating(sides, rounds=rounds)
    for name, spread in spreads.items():
        table.row(name, spread.scaled(1000), *compared(values[name], values[lean]))
    table.row("tracking on against off", "", *compared(values[on], values[off]))
    if trainer is None:
        table.row("Hugging Face Trainer", "not installed (pip install accelerate)", "", "")
    table.note(
        f"cnn on digits of 16 x 16, batch {BATCH}, AdamW, fp32, one thread; {rounds} turns of {seconds:g} s each."
    )
    table.note("Tracking on includes its share of one commit a second and one checkpoint a minute.")
    table.note("The quietest fifth: the ratio of the 20th percentiles, which other load on the machine hardly touches.")
    return table


def compared(values: Sequence[float], base: Sequence[float]) -> tuple[Spread, float]:
    """Return the ratios round by round, and that of the 20th percentiles of both sides."""
    return ratio(values, base), _quiet(values) / _quiet(base)


def _quiet(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=5, method="inclusive")[0]


def sliced_table(rounds: int) -> Table:
    """Measure eight runs in turns of a second against one run in a turn of eight."""
    table = Table(title="Sliced against solo", columns=["side", "ms a step", "times solo"], packages=["torch"])
    with sessions(8) as (_, pool, opened):
        solo_turns = iter(opened * (rounds + 2))

        def steps() -> int:
            return sum(session.learner.progress.step for session in opened)

        def measure(turn: Callable[[], None]) -> float:
            before, start = steps(), time.perf_counter()
            turn()
            return (time.perf_counter() - start) / (steps() - before)

        def solo() -> None:
            session = next(solo_turns)
            take_turn(pool, session, 8.0)
            session.flush()

        def sliced() -> None:
            for session in opened:
                take_turn(pool, session, 1.0)
                session.flush()

        sides = {"solo: one turn of 8 s": lambda: measure(solo), "sliced: 8 runs, 1 s each": lambda: measure(sliced)}
        spreads, values = alternating(sides, rounds=rounds)
    for name, spread in spreads.items():
        table.row(name, spread.scaled(1000), ratio(values[name], values["solo: one turn of 8 s"]))
    return table


def switch_table(rounds: int) -> Table:
    """Measure handing the device from one run to the next."""
    table = Table(title="Switching runs", columns=["how", "ms a switch"], packages=["torch", "transformers"])
    with sessions(8) as (store, pool, opened):
        for session in opened:
            take_turn(pool, session, 0.2)
        times = []
        for _ in range(100):
            for session in opened:
                start = time.perf_counter()
                pool.residency.bring(session.learner)
                session.activate()
                session.deactivate()
                times.append(time.perf_counter() - start)
        table.row("Modelyard, resident (800 switches)", Spread.of(times).scaled(1000))
        table.row("Modelyard, saved and restored from its checkpoint", _reopen(store, pool, rounds).scaled(1000))
    trainer = trainer_loop()
    if trainer is not None:
        times = []
        for _ in range(rounds):
            start = time.perf_counter()
            trainer(0.0)
            times.append(time.perf_counter() - start)
        table.row("a Hugging Face Trainer built anew, with two steps", Spread.of(times).scaled(1000))
    return table


def _reopen(store: Store, pool: SessionPool, rounds: int) -> Spread:
    """Release one run and claim it again, as a process without resident state would."""
    times = []
    for _ in range(rounds):
        session = pool.sessions[0]
        start = time.perf_counter()
        session.release()
        pool.sessions.remove(session)
        pool.residency.remove(session.learner)
        pool.fill()
        times.append(time.perf_counter() - start)
    return Spread.of(times)


def control_table(rounds: int) -> Table:
    """Measure how long a request from another thread waits for its acknowledgement while a run trains."""

    table = Table(title="A control operation", columns=["what", "measured"], packages=["torch"])
    with sessions(1) as (store, pool, (session,)):
        waits, late = [], []
        training = threading.Thread(target=take_turn, args=(pool, session), daemon=True)
        training.start()
        time.sleep(1.0)
        for index in range(rounds * 5):
            start = time.perf_counter()
            record = store.runs.request(session.run.id, Tune(learning_rate=1e-4 + index * 1e-6), actor="bench")
            rung_at = session.learner.progress.step
            while (applied := store.controls.get(record.id).applied_step) is None:
                time.sleep(0.0005)
            waits.append(time.perf_counter() - start)
            late.append(applied - rung_at)
            time.sleep(0.02)
        pool.stopping.set()
        training.join()
        assert store.runs.get(session.run.id).state is RunState.RUNNING
    table.row("ms from the request to the acknowledgement, both durable", Spread.of(waits).scaled(1000))
    table.row("steps that began after the request was stored", Spread.of([float(max(0, steps)) for steps in late]))
    return table


def main() -> None:
    """Measure, print, and keep the tables with ``--write``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.5, help="length of a turn")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--only", choices=["overheads", "sliced", "switching", "control"], help="one table of the four")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    few = max(3, options.rounds // 5)
    makers: dict[str, Callable[[], Table]] = {
        "overheads": lambda: overhead_table(options.seconds, options.rounds),
        "sliced": lambda: sliced_table(few),
        "switching": lambda: switch_table(few),
        "control": lambda: control_table(few),
    }
    for name, make in makers.items():
        if options.only in {None, name}:
            make().finish(name)


if __name__ == "__main__":
    sys.exit(main())
