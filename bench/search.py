"""Schedulers on recorded learning curves beside Optuna's and Ray Tune's; racing; decisions; and all of it live.

    python bench/search.py                     # 48 easy curves, racing, the time of a decision (two minutes)
    python bench/search.py --parts thousand    # a thousand harder curves (a quarter of an hour)
    python bench/search.py --live              # train with each library, by the clock; leave the machine alone
    python bench/search.py --record            # train what bench/results has curves of again (seven minutes)

Every side sees the same configurations in the same random orders, has eight workers in logical time and the same rungs.
Regret: by how much the validation loss of the run that it ends with, at the last epoch, is above the best of all.
Ray Tune is in an environment of its own: ``python bench/many.py --setup``.
"""

import argparse
import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import _search_live
from _decisions import decisions
from _logical import SHARES, WORKERS, Curves, Outcome, shuffled
from _racing import racing
from _record import EASY, HARD, read_curves, record
from _replay import MODELYARD, OPTUNA, RAY_TUNE, judged, started_ray
from _table import Spread, Table

FAMILIES = {
    "Modelyard asha": ("Optuna SuccessiveHalvingPruner", "Ray Tune AsyncHyperBandScheduler"),
    "Modelyard pasha": ("Optuna SuccessiveHalvingPruner", "Ray Tune AsyncHyperBandScheduler"),
    "Modelyard hyperband": (
        "Optuna HyperbandPruner",
        "Ray Tune HyperBandScheduler",
        "Ray Tune AsyncHyperBandScheduler, 4 brackets",
    ),
    "Modelyard median": ("Optuna MedianPruner", "Ray Tune MedianStoppingRule"),
}
"""Which of theirs stand beside which of ours."""


def main() -> None:
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = ("easy", "thousand", "racing", "decisions", "live")
    parser.add_argument("--parts", nargs="+", choices=parts, default=["easy", "racing", "decisions"])
    parser.add_argument("--orders", type=int, default=50, help="random orders of the recorded runs")
    parser.add_argument("--record", action="store_true", help="train the recorded runs again first")
    parser.add_argument("--live", action="store_true", help="the same as --parts live")
    parser.add_argument("--rounds", type=int, default=3, help="of --live")
    parser.add_argument("--configs", type=int, default=32, help="of --live")
    parser.add_argument("--write", action="store_true", help="keep the tables in bench/results")
    arguments = parser.parse_args()
    if arguments.record:
        record()
    tables: dict[str, Callable[[], Sequence[Table]]] = {
        "easy": lambda: replays(EASY, arguments.orders),
        "thousand": lambda: replays(HARD, arguments.orders),
        "racing": lambda: [racing(arguments.orders)],
        "decisions": lambda: [decisions()],
        "live": lambda: [_search_live.measure(arguments.configs, arguments.rounds)],
    }
    for part in ["live"] if arguments.live else arguments.parts:
        text = "\n".join(table.markdown() for table in tables[part]())
        print(text)
        if arguments.write:
            name = "search" if part == "easy" else f"search-{part}"
            (EASY.parent / f"{name}.md").write_text(text)


def replays(file: Path, count: int) -> list[Table]:
    """Replay recorded curves with every scheduler; return the table of ends and that of budgets."""
    curves = read_curves(file)
    outcomes, version = everything(curves, [shuffled(len(curves), seed) for seed in range(count)])
    best, whole = min(curve[-1] for curve in curves), sum(map(len, curves))
    title = f"{len(curves)} recorded curves, {count} random orders, {WORKERS} logical workers"
    ends = Table(
        title=f"Regret on {title}",
        columns=["scheduler", "regret: median", "regret: mean", "regret: worst", "epochs trained", "time: epochs"],
        packages=["optuna"],
    )
    columns = [f"{share:.0%}: {round(share * whole):,} epochs" for share in SHARES]
    ways = Table(title=f"On the way: {title}", columns=["scheduler", *columns, "at its end"], packages=["optuna"])
    for name, ones in outcomes.items():
        if not ones:
            ends.row(name, "not installed", *["-"] * 4)
            ways.row(name, "not installed", *["-"] * len(SHARES))
            continue
        regrets = [one.regret for one in ones]
        epochs, times = Spread.of([float(one.epochs) for one in ones]), Spread.of([float(one.time) for one in ones])
        ends.row(name, statistics.median(regrets), statistics.fmean(regrets), max(regrets), epochs, times)
        on_the_way = [_cell([one.on_the_way[place] for one in ones]) for place in range(len(SHARES))]
        ways.row(name, *on_the_way, _cell(regrets))
    ends.note(f"The best loss is {best:.4f}. Each ends with the best of what it trained to the last epoch; with none,")
    ends.note("every run trains to its end.")
    for note in losses(outcomes):
        ends.note(note)
    ends.note(f"Ray Tune {version}: its own schedulers and trials, with a stand-in for its controller and no cluster.")
    ends.note(
        "What its HyperBand or median rule pauses goes on from where it was. Its PBT changes configurations on the"
    )
    ends.note("way, of which there are no recorded curves: it cannot be replayed, and neither can Modelyard's.")
    few = {name: len(ones) for name, ones in outcomes.items() if 0 < len(ones) < count}
    for name, number in few.items():
        ends.note(f"{name}: only {number} of the orders, since each takes it several seconds.")
    ways.note(
        "Of the run whose newest loss was the best when so many epochs were trained, all runs together: by how much"
    )
    ways.note("its last loss is above the best of all. After the end: the regret. Mean; median (smallest .. largest).")
    return [ends, ways]


def everything(curves: Curves, orders: Sequence[list[int]]) -> tuple[dict[str, list[Outcome]], str]:
    """Return what each side came to with each order (Ray: nothing, if it is not installed), and Ray's version."""
    names = [f"Modelyard {name}" for name in MODELYARD] + [f"Optuna {name}" for name in OPTUNA]
    with started_ray(curves, orders) as answer, ProcessPoolExecutor() as pool:
        work = {name: pool.map(partial(judged, curves, name), orders) for name in names}
        outcomes = {name: list(results) for name, results in work.items()}
        answers, version = answer()
    outcomes |= {f"Ray Tune {name}": answers.get(short, []) for name, short in RAY_TUNE.items()}
    return outcomes, version


def losses(outcomes: dict[str, list[Outcome]]) -> Iterator[str]:
    """Say where a scheduler of another library has less regret than ours of the same kind, or as much for less."""
    for name, others in FAMILIES.items():
        mine = _means(outcomes[name])
        for other in others:
            theirs = _means(outcomes[other]) if outcomes[other] else mine
            if theirs < mine:
                noise = math.hypot(_error(outcomes[name]), _error(outcomes[other]))
                yield (
                    f"{name} loses to {other}: mean regret {mine[0]:.4f} after {mine[1]:,.0f} epochs, against "
                    f"{theirs[0]:.4f} after {theirs[1]:,.0f} (standard error of the difference: {noise:.4f})."
                )


def _means(ones: Sequence[Outcome]) -> tuple[float, float]:
    """Return mean regret and mean epochs."""
    return statistics.fmean(one.regret for one in ones), statistics.fmean(one.epochs for one in ones)


def _error(ones: Sequence[Outcome]) -> float:
    """Return the standard error of the mean regret."""
    return statistics.stdev(one.regret for one in ones) / math.sqrt(len(ones)) if len(ones) > 1 else math.inf


def _cell(values: Sequence[float]) -> str:
    return f"{statistics.fmean(values):.4f}; {statistics.median(values):.3f} ({min(values):.3f} .. {max(values):.3f})"


if __name__ == "__main__":
    main()
