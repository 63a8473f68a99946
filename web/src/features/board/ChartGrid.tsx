import { useMemo } from "react";
import type { Run, RunPage } from "@/lib/api";
import type { Stroke } from "@/lib/colour";
import { MetricChart } from "./Charts";
import { valuesOf } from "./columns";
import { groups, label } from "./strokes";
import type { BoardView } from "./view";

const MOST_FACETS = 24;

interface Options {
  readonly page: RunPage;
  readonly shown: readonly Run[];
  readonly metrics: readonly string[];
  readonly view: BoardView;
  readonly strokes: ReadonlyMap<string, Stroke>;
  readonly highlighted: string | null;
  readonly onHighlight: (id: string | null) => void;
  readonly onOpen: (id: string) => void;
}

/** A chart of each metric; with a facet, one of each metric for each value of that field. */
export function ChartGrid({ page, shown, metrics, view, strokes, highlighted, onHighlight, onOpen }: Options) {
  const { facet } = view;
  const ids = shown.map((run) => run.id).join(" ");
  const parts = useMemo(() => {
    if (facet === undefined) return [{ part: undefined, runs: shown }];
    const wanted = new Set(ids.split(" "));
    const found = groups(valuesOf(page, facet));
    return found.values
      .map((one, index) => ({
        part: `${facet} = ${label(one)}`,
        runs: page.runs.filter((run, row) => found.place[row] === index && wanted.has(run.id)),
      }))
      .filter(({ runs }) => runs.length > 0);
    // the runs change with every step, who they are does not
  }, [page, facet, ids, shown]);
  return (
    <div className="grid grid-cols-[repeat(auto-fill,minmax(min(100%,26rem),1fr))] gap-3">
      {metrics.flatMap((metric) =>
        parts.slice(0, MOST_FACETS).map(({ part, runs }) => (
          <MetricChart
            key={`${metric} ${part ?? ""}`}
            metric={metric}
            part={part}
            runs={runs}
            smoothing={view.smoothing ?? 0}
            logarithmic={view.log ?? false}
            x={view.x ?? "step"}
            strokes={strokes}
            highlighted={highlighted}
            onHighlight={onHighlight}
            onOpen={onOpen}
          />
        )),
      )}
      {parts.length > MOST_FACETS && (
        <p className="text-dim">
          {facet} has {parts.length} values; the first {MOST_FACETS} are drawn
        </p>
      )}
    </div>
  );
}
