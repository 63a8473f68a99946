import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useEffect, useMemo, useState } from "react";
import { Failure } from "@/components/ui/message";
import { ACTIVE, ask, client, type RunState } from "@/lib/api";
import { experimentQuery, runsQuery } from "@/lib/queries";
import { Actions } from "../steering/Actions";
import { DeleteButton } from "../steering/DeleteButton";
import { MetricChart, MOST_LINES } from "./Charts";
import { metricsOf, searchedFields } from "./columns";
import { RunTable } from "./RunTable";

const route = getRouteApi("/experiments/$experiment");

/** What the address says about the board: whoever gets the link sees the same. */
export interface BoardView {
  readonly sort?: string | undefined;
  readonly filter?: string | undefined;
  readonly smoothing?: number | undefined;
  readonly log?: boolean | undefined;
}

/** One experiment: its runs and their curves. */
export function BoardPage() {
  const { experiment: ref } = route.useParams();
  const view = route.useSearch();
  const navigate = route.useNavigate();
  const change = (next: BoardView) => void navigate({ search: (old: BoardView) => ({ ...old, ...next }), replace: true });
  const experiment = useQuery(experimentQuery(ref));
  const fields = useMemo(() => searchedFields(experiment.data?.sweep), [experiment.data]);
  const runs = useQuery({
    ...runsQuery({
      experiment: ref,
      columns: fields,
      ...(view.filter === undefined ? {} : { filter: view.filter }),
      ...(view.sort === undefined ? {} : { sort: view.sort }),
    }),
    enabled: experiment.data !== undefined,
  });
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [highlighted, setHighlighted] = useState<string | null>(null);
  const page = runs.data;
  const metrics = useMemo(() => metricsOf(page?.runs ?? []), [page]);
  const metricKey = metrics.join("\n");
  const charted = useMemo(
    () => metricKey.split("\n").filter((name) => name.startsWith("val_") || name.startsWith("train_")),
    [metricKey],
  );
  const chosen = useMemo(() => page?.runs.filter((run) => selected.has(run.id)) ?? [], [page, selected]);
  const shown = chosen.length > 0 ? chosen : (page?.runs ?? []);
  if (experiment.error !== null) return <Failure error={experiment.error} />;
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
      <div className="flex flex-wrap items-center gap-4 text-dim">
        <Filter text={view.filter ?? ""} onFilter={(filter) => change({ filter })} />
        <label className="flex items-center gap-2">
          Smoothing
          <input
            type="range"
            min={0}
            max={0.99}
            step={0.01}
            value={view.smoothing ?? 0}
            onChange={(event) => change({ smoothing: Number(event.target.value) || undefined })}
          />
        </label>
        <label className="flex items-center gap-1.5">
          <input
            type="checkbox"
            checked={view.log ?? false}
            onChange={(event) => change({ log: event.target.checked || undefined })}
          />
          Logarithmic
        </label>
        <span className="tabular">
          {page === undefined ? "" : `${page.total} runs`}
          {selected.size > 0 && `, ${chosen.length} selected`}
          {shown.length > MOST_LINES && `, the first ${MOST_LINES} are drawn`}
        </span>
      </div>
      {runs.error !== null && <Failure error={runs.error} />}
      <div className="grid grid-cols-[repeat(auto-fill,minmax(min(100%,26rem),1fr))] gap-3">
        {charted.map((metric) => (
          <MetricChart
            key={metric}
            metric={metric}
            runs={shown}
            smoothing={view.smoothing ?? 0}
            logarithmic={view.log ?? false}
            highlighted={highlighted}
            onHighlight={setHighlighted}
          />
        ))}
      </div>
      {page !== undefined && (
        <RunTable
          page={page}
          fields={fields}
          metrics={metrics}
          sort={view.sort}
          onSort={(sort) => change({ sort })}
          selected={selected}
          onSelect={setSelected}
          highlighted={highlighted}
          onHighlight={setHighlighted}
        />
      )}
    </div>
  );
}

function Filter({ text, onFilter }: { readonly text: string; readonly onFilter: (text: string | undefined) => void }) {
  const [typed, setTyped] = useState(text);
  useEffect(() => setTyped(text), [text]);
  return (
    <form
      role="search"
      className="w-96 max-w-full"
      onSubmit={(event) => {
        event.preventDefault();
        onFilter(typed.trim() || undefined);
      }}
    >
      <input
        aria-label="Filter runs"
        placeholder="state = running and val_accuracy > 0.9"
        value={typed}
        onChange={(event) => setTyped(event.target.value)}
        className="w-full rounded border border-line bg-panel px-2 py-1 font-mono text-xs text-text placeholder:text-dim"
      />
    </form>
  );
}
