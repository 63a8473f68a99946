"""The engine process: claims runs of one home, trains them, and ends when there is no work or its agent is gone.

Started by the agent as ``python -m modelyard.engine.worker``. The agent holds the other end of standard input: when
that closes, whatever the reason, the process saves its runs, queues them again, and ends. SIGTERM does the same.
"""

import argparse
import gc
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import torch

from modelyard.domain.errors import FencedError, StoreError
from modelyard.domain.plan import Execution
from modelyard.engine.capture import captured_output
from modelyard.engine.environment import prepare_process
from modelyard.engine.executors import CHUNK_SECONDS, Executor, make_executor
from modelyard.engine.known_times import KnownTimes
from modelyard.engine.opening import Opener, Placing
from modelyard.engine.pool import SessionPool
from modelyard.engine.residency import Residency, default_limits
from modelyard.store import HEARTBEAT_SECONDS, Store, open_store

BROKEN = 3
"""Exit code of a process whose device cannot be used any more; the agent starts another."""
IDLE_SECONDS = 2.0
"""How long the process waits for new work before it ends."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the process; return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given == ["--waits"]:
        order = _wait_for_order()
        if order is None:
            return 0
        given = order
    options = _parse(given)
    prepare_process()
    with open_store(options.home) as store:
        worker_id = store.leases.register(kind="engine", agent_id=options.agent)
        pool = _make_pool(store, worker_id, options)
        _stop_on_signals(pool)
        _watch_parent(pool)
        try:
            with _heartbeat(store, worker_id, pool), captured_output(pool.say):
                known = KnownTimes(store.measurements, device=torch.device(options.device), processes=options.processes)
                executor = make_executor(options.execution, chunk_seconds=options.chunk_seconds, known=known)
                work(pool, executor, idle_seconds=options.idle_seconds, before_turn=_Settler())
        finally:
            with suppress(StoreError):  # on a full disk it is found dead by its process id
                store.leases.unregister(worker_id)
    return BROKEN if pool.broken else 0


def work(
    pool: SessionPool,
    executor: Executor,
    *,
    idle_seconds: float = IDLE_SECONDS,
    before_turn: Callable[[], object] = lambda: None,
) -> None:
    """Train until there has been nothing to do for ``idle_seconds`` or the pool is stopping; then release every run.

    What waits for a run of another process will be something to do.
    """
    idle_since = time.monotonic()
    while not pool.stopping.is_set():
        pool.fill()
        before_turn()
        if _turn(pool, executor):
            idle_since = time.monotonic()
        elif time.monotonic() - idle_since > idle_seconds and not pool.expects:
            return
        else:
            pool.stopping.wait(0.1)
    if not pool.broken:
        pool.release_all()


class _Settler:
    """Takes what newly imported modules hold out of the garbage collector's sight.

    It stays for good, and looking at a million such objects again and again takes a fifth of a small model's steps.
    """

    def __init__(self) -> None:
        self._modules = 0

    def __call__(self) -> None:
        if len(sys.modules) != self._modules:
            gc.collect()
            gc.freeze()
            self._modules = len(sys.modules)


def _turn(pool: SessionPool, executor: Executor) -> bool:
    """Train for a while; return whether there is any run. Holds no session afterwards: the next may need its memory."""
    ready = pool.ready()
    if ready:
        executor.turn(pool, ready)
    elif pool.busy:
        pool.obey()
        pool.stopping.wait(0.2)
    return bool(ready) or pool.busy


def _make_pool(store: Store, worker_id: str, options: argparse.Namespace) -> SessionPool:
    device = torch.device(options.device)
    device_bytes, host_bytes = default_limits(device)
    placing = Placing(
        device=device,
        execution=options.execution or Execution.SLICED,
        reason=options.reason,
        compiles=options.execution in (None, Execution.SOLO),
        processes=options.processes,
    )
    return SessionPool(
        store=store,
        worker_id=worker_id,
        opener=Opener(store, placing),
        residency=Residency(device_bytes=device_bytes, host_bytes=host_bytes),
        slots=options.slots,
        experiment_id=options.experiment,
        structures=options.structure,
    )


def _wait_for_order() -> list[str] | None:
    """Read the first line of standard input: arguments, environment, and where output goes; None if there is none."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)  # no buffer: the rest is read by whoever watches the parent
        if not byte:
            return None
        line += byte
    order = json.loads(line)
    os.environ.update(order["environment"])
    log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    os.close(log)
    arguments: list[str] = order["arguments"]
    return arguments


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m modelyard.engine.worker", description=__doc__)
    parser.add_argument("--home", required=True)
    parser.add_argument("--experiment", help="take runs of this experiment only")
    parser.add_argument("--agent", help="worker id of the agent that started this process")
    parser.add_argument("--execution", type=Execution, help="default: the fastest, measured while training")
    parser.add_argument("--slots", type=int, default=1, help="runs in training at the same time")
    parser.add_argument("--processes", type=int, default=1, help="engine processes that train side by side")
    parser.add_argument("--structure", action="append", default=[], help="take runs of this structure first")
    parser.add_argument("--chunk-seconds", type=float, default=CHUNK_SECONDS, help="length of a turn, when sliced")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--reason", default="", help="why this execution was chosen, for the record")
    parser.add_argument("--idle-seconds", type=float, default=IDLE_SECONDS)
    return parser.parse_args(arguments)


def _stop_on_signals(pool: SessionPool) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: pool.stopping.set())


def _watch_parent(pool: SessionPool) -> None:
    def wait_for_end() -> None:
        # The bare descriptor: a buffered reader's lock, held by this thread, would abort the interpreter's shutdown.
        while os.read(0, 4096):
            pass
        pool.stopping.set()

    threading.Thread(target=wait_for_end, name="watch-parent", daemon=True).start()


@contextmanager
def _heartbeat(store: Store, worker_id: str, pool: SessionPool) -> Iterator[None]:
    """Beat until the block ends; stop the pool if this process was taken for dead."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(HEARTBEAT_SECONDS):
            try:
                store.leases.heartbeat(worker_id)
            except FencedError:
                pool.stopping.set()
                return
            except StoreError as error:
                # A full disk or a busy database: the next beat may succeed, and a dead one is found by its process id.
                print(f"heartbeat: {error}", file=sys.stderr, flush=True)  # noqa: T201 - the worker's log

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


if __name__ == "__main__":
    sys.exit(main())
