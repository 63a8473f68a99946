"""Tunes that took effect after the checkpoint that a run goes on from."""

from collections.abc import Sequence

from modelyard.domain.control import ControlRecord, Tune


class TuneReplay:
    """Acknowledged tunes in the order they were asked for, each due at the step where it took effect.

    A tune that came later may have taken effect at an earlier step, after a crash threw the run back. Then the older
    one is due no later than it, so that the newest always wins.
    """

    def __init__(self, records: Sequence[ControlRecord], *, after: int) -> None:
        self._waiting: list[tuple[int, ControlRecord]] = []
        step: int | None = None
        for record in sorted(records, key=lambda one: one.id, reverse=True):
            if isinstance(record.op, Tune) and record.sequence > after and record.applied_step is not None:
                step = record.applied_step if step is None else min(step, record.applied_step)
                self._waiting.insert(0, (step, record))

    @property
    def steps(self) -> list[int]:
        """Where those that wait are due."""
        return [at for at, _ in self._waiting]

    def due(self, step: int) -> list[ControlRecord]:
        """Return, once, the tunes that are due when ``step`` steps are done."""
        if not self._waiting:
            return []
        due = [record for at, record in self._waiting if at <= step]
        self._waiting = self._waiting[len(due) :]
        return due

    def rest(self) -> list[ControlRecord]:
        """Return, once, all that still wait."""
        rest, self._waiting = [record for _, record in self._waiting], []
        return rest
