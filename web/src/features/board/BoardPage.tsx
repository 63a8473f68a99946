import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { Tabs } from "radix-ui";
import { lazy, Suspense, useMemo, useState } from "react";
import { Failure } from "@/components/ui/message";
import { ACTIVE, ask, client, type RunState } from "@/lib/api";
import { experimentQuery, runsQuery } from "@/lib/queries";
import { Actions } from "../steering/Actions";
import { DeleteButton } from "../steering/DeleteButton";
import { ChartGrid } from "./ChartGrid";
import { MOST_LINES } from "./Charts";
import { askable, DRAWN, metricsOf, searchedFields, valuesOf } from "./columns";
import { Legends } from "./Legends";
import { fieldsQuery } from "./queries";
import { RunTable } from "./RunTable";
import { strokesOf } from "./strokes";
import { Toolbar } from "./Toolbar";
import { type BoardView, parseView, TABS } from "./view";

const Parallel = lazy(() => import("./Parallel"));
const Importance = lazy(() => import("./Importance"));
const Pareto = lazy(() => import("./Pareto"));
const Diff = lazy(() => import("./Diff"));
const Plan = lazy(() => import("./Plan"));

const route = getRouteApi("/experiments/$experiment");

/** One experiment: its runs, their curves, and what is to be learned from them. */
export function BoardPage() {
  const { experiment: ref } = route.useParams();
  const view = route.useSearch();
  const navigate = route.useNavigate();
  const change = (next: BoardView) =>
    void navigate({ search: (old: BoardView) => parseView({ ...old, ...next }), replace: true });
  const experiment = useQuery(experimentQuery(ref));
  const found = useRuns(ref, view);
  const { id, page, fields, error } = found;
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [highlighted, setHighlighted] = useState<string | null>(null);
  const chosen = useMemo(() => page?.runs.filter((run) => selected.has(run.id)) ?? [], [page, selected]);
  const shown = chosen.length > 0 ? chosen : (page?.runs ?? []);
  const { of: strokes, legends } = useStrokes(page, view);
  const tab = view.tab ?? "board";
  const open = (id: string) => void navigate({ to: "/runs/$run", params: { run: id } });
  if (experiment.error !== null) return <Failure error={experiment.error} />;
  const charts = tab === "board" || tab === "charts";
  const table = tab === "board" || tab === "table";
  const common = { strokes, highlighted, onHighlight: setHighlighted, onOpen: open };
  return (
    <div className="flex min-h-0 flex-1 flex-col gap-3 p-4">
      <div className="flex flex-wrap items-center gap-3">
        <h1 className="text-lg font-semibold">{experiment.data?.name ?? "…"}</h1>
        <span className="text-dim">{experiment.data?.project}</span>
        <Link to="/new" search={{ from: ref }} className="text-accent hover:underline">
          New from this
        </Link>
        <div className="ml-auto flex flex-wrap gap-2">
          <Actions runs={shown} />
          {experiment.data !== undefined && (
            <DeleteButton
              what={`experiment ${experiment.data.name} with ${experiment.data.run_count} runs`}
              target={`experiment:${experiment.data.id}`}
              disabled={Object.keys(experiment.data.states).some((state) => ACTIVE.has(state as RunState))}
              onDelete={async () => {
                await ask(client.DELETE("/api/v1/experiments/{ref}", { params: { path: { ref } } }));
                void navigate({ to: "/" });
              }}
            />
          )}
        </div>
      </div>
      <Toolbar
        project={experiment.data?.project ?? ""}
        view={view}
        onChange={change}
        onLoad={(next) => void navigate({ search: next, replace: true })}
        fields={fields}
        columns={found.columns}
        charts={charts}
        table={table}
      />
      <Tabs.Root
        value={tab}
        onValueChange={(next) => change({ tab: next === "board" ? undefined : TABS.find((one) => one === next) })}
        className="flex min-h-0 flex-1 flex-col gap-3"
      >
        <div className="flex flex-wrap items-end gap-x-4 border-b border-line">
          <Tabs.List aria-label="Experiment" className="-mb-px flex flex-wrap gap-1">
            {TABS.map((one) => (
              <Tabs.Trigger
                key={one}
                value={one}
                className="border-b-2 border-transparent px-3 py-1.5 text-dim capitalize data-[state=active]:border-accent data-[state=active]:text-text"
              >
                {one}
              </Tabs.Trigger>
            ))}
          </Tabs.List>
          <span className="tabular ml-auto py-1.5 text-dim">
            {page === undefined ? "" : `${page.total} runs`}
            {selected.size > 0 && `, ${chosen.length} selected`}
            {charts && view.facet === undefined && shown.length > MOST_LINES && `, the first ${MOST_LINES} are drawn`}
          </span>
        </div>
        {error !== null && <Failure error={error} />}
        <Tabs.Content key={tab} value={tab} tabIndex={-1} className="flex min-h-0 flex-1 flex-col gap-3">
          {charts && <Legends legends={legends} />}
          {charts && page !== undefined && <ChartGrid page={page} shown={shown} metrics={found.charted} view={view} {...common} />}
          {table && page !== undefined && (
            <RunTable
              page={page}
              columns={found.columns}
              strokes={strokes}
              sort={view.sort}
              onSort={(sort) => change({ sort })}
              selected={selected}
              onSelect={setSelected}
              highlighted={highlighted}
              onHighlight={setHighlighted}
            />
          )}
          <Suspense fallback={<p className="text-dim">…</p>}>
            {tab === "parallel" && page !== undefined && (
              <Parallel page={page} fields={fields} axes={found.axes} onAxes={(axes) => change({ axes })} onSelect={setSelected} {...common} />
            )}
            {tab === "importance" && id !== undefined && (
              <Importance experiment={id} page={page} fields={fields} view={view} onMetric={(metric) => change({ metric })} {...common} />
            )}
            {tab === "pareto" && page !== undefined && (
              <Pareto page={page} shown={shown} fields={fields} goals={view.goals ?? []} onGoals={(goals) => change({ goals })} {...common} />
            )}
            {tab === "diff" && id !== undefined && <Diff experiment={id} runs={shown} selected={chosen.length > 0} />}
            {tab === "plan" && id !== undefined && <Plan experiment={id} />}
          </Suspense>
        </Tabs.Content>
      </Tabs.Root>
    </div>
  );
}

/** The runs that match, with every field that this view shows of them. */
function useRuns(ref: string, view: BoardView) {
  const experiment = useQuery(experimentQuery(ref));
  const id = experiment.data?.id;
  const fields = useQuery({ ...fieldsQuery(id ?? ""), enabled: id !== undefined });
  const searched = useMemo(() => searchedFields(experiment.data?.sweep), [experiment.data]);
  const wanted = [
    ...(view.columns ?? searched).filter((name) => !(name in DRAWN)),
    ...[view.colour, view.dash, view.facet].filter((name) => name !== undefined),
    ...(view.tab === "parallel" ? (view.axes ?? searched) : []),
  ];
  const known = fields.data ?? [];
  // what the search decides is in every run; all else is asked for once it is known to be there
  const asked = wanted.every((name) => searched.includes(name)) ? [...new Set(wanted)] : askable(wanted, known);
  const runs = useQuery({
    ...runsQuery({
      experiment: ref,
      columns: asked,
      ...(view.filter === undefined ? {} : { filter: view.filter }),
      ...(view.sort === undefined ? {} : { sort: view.sort }),
    }),
    enabled: experiment.data !== undefined && (fields.data !== undefined || wanted.every((name) => searched.includes(name))),
  });
  const page = runs.data;
  const metricKey = useMemo(() => metricsOf(page?.runs ?? []).join("\n"), [page]);
  const metrics = useMemo(() => metricKey.split("\n").filter((name) => name !== ""), [metricKey]);
  const charted = useMemo(() => metrics.filter((name) => name.startsWith("val_") || name.startsWith("train_")), [metrics]);
  const columns = useMemo(
    () => view.columns ?? [...Object.keys(DRAWN), ...searched, ...metrics],
    [view.columns, searched, metrics],
  );
  const axes = useMemo(() => view.axes ?? [...searched, ...metrics.slice(0, 1)], [view.axes, searched, metrics]);
  return { id, page, fields: known, error: runs.error ?? fields.error, charted, columns, axes };
}

type Page = ReturnType<typeof useRuns>["page"];

/** Changes only with the runs and their groups, not with each step. */
function useStrokes(page: Page, { colour, dash }: BoardView) {
  const key = useMemo(() => {
    const names = [colour, dash].filter((name) => name !== undefined);
    return page === undefined ? "" : JSON.stringify([page.runs.map((run) => run.id), names.map((name) => valuesOf(page, name))]);
  }, [page, colour, dash]);
  return useMemo(
    () => (page === undefined ? { of: new Map<string, never>(), legends: [] } : strokesOf(page, { colour, dash })),
    // the key says when what is read of the page changed
    [key, colour, dash],
  );
}
