import { useQuery } from "@tanstack/react-query";
import { Empty, Failure } from "@/components/ui/message";
import { INPUT } from "@/components/ui/field";
import type { Effect, Field, RunPage } from "@/lib/api";
import type { Stroke } from "@/lib/colour";
import { number } from "@/lib/format";
import { effectsQuery } from "./queries";
import { Scatter } from "./Scatter";
import type { BoardView } from "./view";

interface Options {
  /** Its id. */
  readonly experiment: string;
  readonly page: RunPage | undefined;
  readonly fields: readonly Field[];
  readonly view: BoardView;
  readonly onMetric: (metric: string) => void;
  readonly strokes: ReadonlyMap<string, Stroke>;
  readonly highlighted: string | null;
  readonly onHighlight: (id: string | null) => void;
  readonly onOpen: (id: string) => void;
}

/** What a result depends on, and how: a figure and a slice for each field that varies. */
export default function Importance({ experiment, page, fields, view, onMetric, ...marks }: Options) {
  const { data, error } = useQuery(effectsQuery(experiment, view.metric, view.filter));
  const metrics = fields.filter((field) => field.kind === "metric").map((field) => field.name);
  const names = new Map(page?.runs.map((run) => [run.id, run.name]));
  const few = data !== undefined && data.effects.every((effect) => effect.points.length < data.least_runs);
  return (
    <section aria-label="Importance" className="flex flex-col gap-3">
      <div className="flex flex-wrap items-center gap-3 text-dim">
        <label className="flex items-center gap-2">
          Metric
          <select value={data?.metric ?? ""} onChange={(event) => onMetric(event.target.value)} className={INPUT}>
            {data?.metric == null && <option value="">none yet</option>}
            {metrics.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
        {data?.metric != null && (
          <span>
            The best value of each completed run ({data.lower_is_better ? "less" : "more"} is better)
            {few && `; figures need ${data.least_runs} of them`}. What goes together need not be a cause.
          </span>
        )}
      </div>
      {error !== null && <Failure error={error} />}
      {data?.effects.length === 0 && <Empty title="No field varies among completed runs yet" />}
      {data !== undefined && data.effects.length > 0 && (
        <>
          <Figures effects={data.effects} />
          <div className="grid grid-cols-[repeat(auto-fill,minmax(min(100%,22rem),1fr))] gap-3">
            {data.effects.map((effect) => (
              <figure key={effect.field} className="min-w-0 border border-line bg-panel p-2">
                <figcaption className="px-1 font-medium">{effect.field}</figcaption>
                <Scatter
                  points={effect.points.map(({ run_id: id, value: x, best: y }) => ({ id, x, y, name: names.get(id) ?? id }))}
                  x={effect.field}
                  y={data.metric ?? ""}
                  label={`${data.metric} by ${effect.field} in ${effect.points.length} runs`}
                  height={210}
                  {...marks}
                />
              </figure>
            ))}
          </div>
        </>
      )}
    </section>
  );
}

function Figures({ effects }: { readonly effects: readonly Effect[] }) {
  return (
    <div className="overflow-x-auto">
      <table className="w-full border border-line bg-panel text-left">
        <caption className="sr-only">Importance of fields</caption>
        <thead className="text-dim">
          <tr className="border-b border-line">
            <th className="px-3 py-1.5 font-medium">Field</th>
            <th className="px-3 py-1.5 font-medium">Variance that it explains</th>
            <th className="px-3 py-1.5 font-medium">Rank correlation</th>
            <th className="px-3 py-1.5 font-medium">Runs</th>
          </tr>
        </thead>
        <tbody>
          {effects.map(({ field, explained, correlation, points }) => (
            <tr key={field} className="border-b border-line last:border-0">
              <th scope="row" className="px-3 py-1.5 text-left font-normal">
                {field}
              </th>
              <td className="px-3 py-1.5">
                {explained === null ? (
                  <span className="text-dim">too few runs</span>
                ) : (
                  <span className="flex items-center gap-2">
                    <span className="h-2 w-32 overflow-hidden rounded bg-line">
                      <span className="block h-full bg-accent" style={{ width: `${explained * 100}%` }} />
                    </span>
                    <span className="tabular">{Math.round(explained * 100)}%</span>
                  </span>
                )}
              </td>
              <td className="tabular px-3 py-1.5">{correlation === null ? <span className="text-dim">none</span> : number(correlation)}</td>
              <td className="tabular px-3 py-1.5">{points.length}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
