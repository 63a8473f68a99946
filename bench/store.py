"""How fast the store takes and shows metrics, and how many bytes they cost, beside MLflow.

python bench/store.py --setup    # once: install MLflow into bench/.venv
python bench/store.py            # short: a tenth of the points
python bench/store.py --full     # 100 runs x 100,000 points; about ten minutes
"""

import argparse
import json
import subprocess
import tempfile
import time
import venv
from collections.abc import Callable
from pathlib import Path

import numpy as np
from _table import Table, alternating

from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.ports import Point
from modelyard.domain.run import Lease
from modelyard.store import Store, open_store

PEER = Path(__file__).parent / ".venv"
NAMES = 20
COMMIT = 4000  # points per transaction
BUCKETS = 1000


class Ours:
    """A store on SQLite; every commit is durable."""

    def __init__(self, folder: Path) -> None:
        self.store: Store = open_store(folder)
        self._random = np.random.default_rng(0)
        self._worker = self.store.leases.register()
        self._step = 0
        self._points = 0
        self._leases: list[Lease] = []
        self._empty = self.store.home.database.stat().st_size
        [self._lease] = self.start_runs("write", 1)

    def start_runs(self, name: str, count: int) -> list[Lease]:
        """Create runs and claim them."""
        specs = [RunSpec(seed=seed) for seed in range(count)]
        self.store.experiments.create(SweepSpec(name=name), specs, actor="bench")
        leases = [lease for _, lease in self.store.leases.claim(self._worker, limit=count)]
        for lease in leases:
            with self.store.write(lease) as write:
                write.begin(
                    start_step=0, checkpoint_id=None, total_steps=1, execution="solo", device="cpu", reason="benchmark"
                )
        return leases

    def write(self, points: int) -> float:
        """Write noisy points of 20 metrics; return points per second."""
        commits = []
        for _ in range(points // COMMIT):
            commit: list[Point] = []
            values = self._random.normal(size=COMMIT).astype(np.float32).tolist()
            jitter = self._random.normal(0, 0.003, COMMIT).tolist()
            for index in range(0, COMMIT, NAMES):
                self._step += 1
                now = 1.7e9 + self._step * 0.05 + jitter[index]
                commit += [Point(f"metric {name}", self._step, now, values[index + name]) for name in range(NAMES)]
            commits.append(commit)
        start = time.perf_counter()
        for commit in commits:
            with self.store.write(self._lease) as write:
                write.points(commit)
        seconds = time.perf_counter() - start
        self._points += points
        return points / seconds

    def bytes_per_point(self) -> float:
        """Seal everything; return how much the database file has grown for each point."""
        self.store.metrics.seal(self._lease.run_id)
        with self.store.database.read() as connection:
            pages, free, size = (
                connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
                for name in ("page_count", "freelist_count", "page_size")
            )
        return ((pages - free) * size - self._empty) / self._points

    def fill_curves(self, runs: int, points: int) -> None:
        """Log one long metric to several runs."""
        self._leases = self.start_runs("curves", runs)
        steps = np.arange(points)
        for lease in self._leases:
            noise = self._random.normal(0, 0.05, points)
            values = (2 * np.exp(-steps / (points / 5)) + noise).astype(np.float32).tolist()
            times = (1.7e9 + np.cumsum(0.05 + self._random.normal(0, 0.003, points))).tolist()
            for first in range(0, points, 20_000):
                rows = range(first, min(first + 20_000, points))
                with self.store.write(lease) as write:
                    write.points([Point("loss", row, times[row], values[row]) for row in rows])
            self.store.metrics.seal(lease.run_id)

    def chart(self) -> float:
        """Draw the metric of every run; return seconds."""
        ids = [lease.run_id for lease in self._leases]
        start = time.perf_counter()
        drawn = self.store.metrics.chart(ids, "loss", buckets=BUCKETS)
        seconds = time.perf_counter() - start
        assert len(drawn) == len(ids)
        return seconds

    def history(self) -> float:
        """Read the whole metric of every run; return seconds."""
        start = time.perf_counter()
        for lease in self._leases:
            self.store.metrics.history(lease.run_id, "loss")
        return time.perf_counter() - start

    def fill_list(self, runs: int, metrics: int) -> None:
        """Create runs with metrics."""
        for lease in self.start_runs("list", runs):
            with self.store.write(lease) as write:
                write.points([Point(f"metric {number}", 1, 1.7e9, 0.5) for number in range(metrics)])

    def list(self, runs: int, metrics: int) -> float:
        """List the runs with their metrics; return seconds."""
        experiment = self.store.experiments.get("list")
        start = time.perf_counter()
        found = self.store.runs.list(experiment_id=experiment.id)
        seconds = time.perf_counter() - start
        assert len(found) == runs
        assert len(found[0].summary) == metrics
        return seconds


class Peer:
    """MLflow in a process of its own virtual environment."""

    def __init__(self, folder: Path) -> None:
        command = [PEER / "bin" / "python", Path(__file__).with_name("_mlflow_side.py"), folder]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *question: str | int) -> float:
        """Let the peer run one of its methods and return the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer: float = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--setup", action="store_true", help="install MLflow into bench/.venv")
    parser.add_argument("--full", action="store_true", help="all points; a tenth of them otherwise")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="keep the table in bench/results/store.md")
    arguments = parser.parse_args()
    if arguments.setup:
        venv.create(PEER, with_pip=True)
        subprocess.run([PEER / "bin" / "python", "-m", "pip", "install", "--quiet", "mlflow"], check=True)
        return
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as folder:
        measure(Path(folder), scale=10 if arguments.full else 1, rounds=arguments.rounds)


def measure(folder: Path, *, scale: int, rounds: int) -> None:
    """Run both sides in turn, job by job."""
    ours = Ours(folder / "ours")
    peer = Peer(folder) if (PEER / "bin" / "python").exists() else None
    name = f"MLflow {peer.ask('version')}" if peer else "MLflow"
    packages = ["modelyard", "sqlalchemy", "numpy", "zstandard"]
    table = Table(title="Store", columns=["job", "Modelyard", name, "target"], packages=packages)
    sides = Sides(peer, table, rounds)

    sides.compare(
        "points/s, 20 metrics, durable", lambda: ours.write(40_000 * scale), ("write", 2000 * scale), "200,000"
    )
    sides.compare("bytes a point, sealed", ours.bytes_per_point, ("bytes_per_point",), "10", measure_once=True)
    curves, points, peer_points = 10 * scale, 10_000 * scale, 1000 * scale
    ours.fill_curves(curves, points)
    if peer:
        peer.ask("fill_curves", curves, peer_points)
    sizes = f"{curves} x {points:,} / {peer_points:,}"
    sides.compare(f"ms, chart of {sizes}", ours.chart, ("chart", BUCKETS), "100", unit=1000)
    sides.compare(f"s, whole history of {sizes}", ours.history, ("history",), "")
    listed = 150 * scale
    ours.fill_list(listed, 50)
    if peer:
        peer.ask("fill_list", listed, 50)
    job = f"ms, list of {listed:,} runs x 50 metrics"
    sides.compare(job, lambda: ours.list(listed, 50), ("list", listed, 50), "100", unit=1000)
    table.note(f"Charts and histories: our runs have {points:,} points each, MLflow's {peer_points:,}.")
    table.note(
        f"Chart: {BUCKETS:,} buckets; ours have minimum, maximum, mean and last value, MLflow's are single points."
    )
    table.note("Write rate: ours 4,000 points a commit, MLflow's 1,000, the most that its log_batch takes.")
    table.note("Bytes: used pages of the SQLite file, without the free pages that later points go to.")
    if peer:
        peer.close()
    else:
        table.note("MLflow is missing: python bench/store.py --setup")
    table.finish("store")


class Sides:
    """Writes one row of the table for each job."""

    def __init__(self, peer: Peer | None, table: Table, rounds: int) -> None:
        self._peer, self._table, self._rounds = peer, table, rounds

    def compare(
        self,
        job: str,
        ours: Callable[[], float],
        question: tuple[str | int, ...] | None,
        target: str,
        *,
        unit: float = 1.0,
        measure_once: bool = False,
    ) -> None:
        """Measure a job on both sides; ``question`` is what to ask the peer, None if it cannot do that."""
        peer = self._peer
        sides = {"ours": ours}
        if peer and question:
            sides["theirs"] = lambda: peer.ask(*question)
        spreads, _ = alternating(sides, rounds=1 if measure_once else self._rounds, warmup=0 if measure_once else 1)
        missing = "-" if question is None else "not installed"
        theirs = spreads["theirs"].scaled(unit) if "theirs" in spreads else missing
        self._table.row(job, spreads["ours"].scaled(unit), theirs, target)


if __name__ == "__main__":
    main()
