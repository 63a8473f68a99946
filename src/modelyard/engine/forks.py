"""Runs with an identical past: when those that follow another one part from it.

A run and its followers part at the latest where their schedules do, or where the shorter of them ends: after an
optimizer step. They part before that where early stopping ends one of them: after a validation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from modelyard.engine.early_stopping import Judge
from modelyard.store import Follower


@dataclass
class Awaited:
    """A run that follows, and its own early stopping."""

    follower: Follower
    judge: Judge


class Forks:
    """The runs that follow one session's, and which of them go on by themselves now."""

    def __init__(self, awaited: Sequence[Awaited] = ()) -> None:
        self._awaited = list(awaited)
        self.due: list[str] = []
        """Ids of the runs that part from this one where it is; the next checkpoint is theirs."""

    @property
    def followers(self) -> list[Follower]:
        """All that have not parted."""
        return [one.follower for one in self._awaited]

    @property
    def steps(self) -> list[int]:
        """The steps after which those that have not parted do so at the latest."""
        return [one.follower.fork_step for one in self._awaited]

    def stepped(self, step: int) -> None:
        """Note that ``step`` optimizer steps are done."""
        if self._awaited:
            self._part([one for one in self._awaited if one.follower.fork_step == step])

    def validated(self, metrics: Mapping[str, float], *, ends: bool) -> None:
        """Note a validation, and whether it ends the run itself."""
        self._part([one for one in self._awaited if one.judge.why_stop(metrics) or ends])

    def _part(self, parting: list[Awaited]) -> None:
        if parting:
            self.due += [one.follower.run_id for one in parting]
            self._awaited = [one for one in self._awaited if one not in parting]
