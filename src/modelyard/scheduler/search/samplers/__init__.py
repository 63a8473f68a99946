"""Which configs are tried: one file for each way to propose them."""

from collections.abc import Callable

from modelyard.domain.config import SweepSpec
from modelyard.scheduler.search.expand import expand
from modelyard.scheduler.search.samplers._base import Sampler
from modelyard.scheduler.search.samplers.listed import ListedSampler
from modelyard.scheduler.search.samplers.optuna_samplers import CmaEsSampler, Nsga2Sampler, TpeSampler

__all__ = ["Sampler", "make_sampler"]

_LEARNING: dict[str, Callable[[SweepSpec], Sampler]] = {
    "tpe": TpeSampler,
    "cma-es": CmaEsSampler,
    "nsga2": Nsga2Sampler,
}


def make_sampler(sweep: SweepSpec) -> Sampler:
    """Return the sampler that a sweep asks for. Raises ``ConfigError`` for a space without a valid point."""
    learning = _LEARNING.get(sweep.search.method)
    return ListedSampler(expand(sweep)) if learning is None else learning(sweep)
