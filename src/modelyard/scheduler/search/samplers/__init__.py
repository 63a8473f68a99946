"""Which configs are tried: one file for each way to propose them."""

from modelyard.domain.config import SweepSpec
from modelyard.scheduler.search.expand import expand
from modelyard.scheduler.search.samplers._base import Sampler
from modelyard.scheduler.search.samplers.listed import ListedSampler

__all__ = ["Sampler", "make_sampler"]


def make_sampler(sweep: SweepSpec) -> Sampler:
    """Return the sampler that a sweep asks for. Raises ``ConfigError`` for a space without a valid point."""
    return ListedSampler(expand(sweep))
