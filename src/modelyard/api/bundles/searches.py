"""A search that comes from another home is over: its runs are there to look at, compare and go on with by hand."""

from collections.abc import Sequence

from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.errors import UserError
from modelyard.domain.search_log import Closed, Entry, Opened, Settled
from modelyard.scheduler.search.search import Search
from modelyard.store.bundles import Contents

ENDED = "it was imported from another home, where it may go on"


def ended_log(contents: Contents) -> Sequence[Entry]:
    """Return the log of a bundle's search, ended if it was not; empty if the experiment has none.

    Raises ``UserError`` for a log that cannot be that of this search, or trials that are not those that it made:
    whoever opened it later would fail.
    """
    sweep = SweepSpec.model_validate_json(contents.experiment.sweep)
    trials = [run for run in contents.runs.values() if run.trial is not None]
    if not sweep.search.decides:
        if contents.entries or trials:
            raise UserError("it has the trials of a search, and its sweep has no search that decides")
        return ()
    search = Search(sweep)
    entries = list(contents.entries or [Opened()])  # its first trials are made with the experiment, before the log
    try:
        for entry in entries:
            search.feed(entry)
        for run in trials:
            assert run.trial is not None
            if search.trials[run.trial - 1].spec.hash != RunSpec.model_validate_json(run.spec).hash:
                raise UserError(f"run {run.name} is not what the search chose for trial {run.trial}")
    except (AssertionError, LookupError, ArithmeticError, TypeError, ValueError) as error:
        raise UserError("the log of its search does not follow from its sweep") from error
    if not search.over:
        entries.append(Closed(message=ENDED))
    return entries if search.settled else [*entries, Settled()]
