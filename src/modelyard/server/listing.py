"""Pages of runs, experiments and projects."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from modelyard.api.selection import field_values, select_runs
from modelyard.domain.run import RunState
from modelyard.server.views import ExperimentView, ProjectView, RunPage, experiment_view, run_view
from modelyard.store import Store


def run_page(
    store: Store,
    *,
    experiment: str | None,
    project: str | None,
    where: str | None,
    sort: str | None,
    columns: Sequence[str],
    offset: int,
    limit: int,
) -> RunPage:
    """Return some of the runs that match, in order, with the fields that were asked for.

    Raises ``UserError`` for a filter or field that makes no sense, ``NotFoundError`` for the experiment.
    """
    as_of = store.events.last_seq()  # first: what happens while the list is read is told once more by the stream
    found = select_runs(store, experiment=experiment, project=project, where=where, sort=sort)
    page = found[offset : offset + limit]
    values = field_values(store, page, columns) if columns else [[] for _ in page]
    return RunPage(
        total=len(found),
        offset=offset,
        as_of=as_of,
        runs=[run_view(run) for run in page],
        columns={name: [row[index] for row in values] for index, name in enumerate(columns)},
    )


def list_experiments(store: Store, project: str | None) -> list[ExperimentView]:
    """Return experiments, newest first, with how many of their runs are in which state. Two queries."""
    counts = store.runs.count_states()
    return [experiment_view(one, counts.get(one.id, {})) for one in store.experiments.list(project=project)]


def list_projects(store: Store) -> list[ProjectView]:
    """Return all projects, by name."""
    by_project: defaultdict[str, list[ExperimentView]] = defaultdict(list)
    for experiment in list_experiments(store, None):
        by_project[experiment.project].append(experiment)
    result = []
    for name, experiments in sorted(by_project.items()):
        states: Counter[RunState] = Counter()
        for experiment in experiments:
            states.update(experiment.states)
        result.append(ProjectView(name=name, experiments=len(experiments), runs=states.total(), states=states))
    return result
