"""Shares runs out to the processes that train side by side, so that all end at about the same time."""

from collections.abc import Sequence


def share_out(structures: Sequence[str], costs: Sequence[float], places: int) -> list[list[int]]:
    """Return for each of ``places`` the indices of the runs that it should train.

    Runs of one structure stay in as few places as their share of all costs takes, since they may train as one model.
    No place is left empty while another has two runs. Equal arguments give equal shares.
    """
    shares: list[list[int]] = [[] for _ in range(places)]
    loads = [0.0] * places
    mean = sum(costs) / places
    for runs in _by_structure(structures, costs):
        wanted = round(sum(costs[run] for run in runs) / mean) if mean else 1
        count = max(1, min(places, len(runs), wanted))
        chosen = sorted(range(places), key=lambda place: loads[place])[:count]
        for run in sorted(runs, key=lambda run: -costs[run]):
            place = min(chosen, key=lambda place: loads[place])
            shares[place].append(run)
            loads[place] += costs[run]
    _fill_empty(shares, loads, costs)
    return [sorted(share) for share in shares]


def _by_structure(structures: Sequence[str], costs: Sequence[float]) -> list[list[int]]:
    """Return the runs of each structure, the most expensive structure first."""
    groups: dict[str, list[int]] = {}
    for run, structure in enumerate(structures):
        groups.setdefault(structure, []).append(run)
    return sorted(groups.values(), key=lambda runs: -sum(costs[run] for run in runs))


def _fill_empty(shares: list[list[int]], loads: list[float], costs: Sequence[float]) -> None:
    for place, share in enumerate(shares):
        givers = [other for other, runs in enumerate(shares) if len(runs) > 1]
        if share or not givers:
            continue
        giver = max(givers, key=lambda other: loads[other])
        moved = shares[giver][1::2]
        shares[place] = moved
        shares[giver] = shares[giver][::2]
        load = sum(costs[run] for run in moved)
        loads[giver] -= load
        loads[place] += load
