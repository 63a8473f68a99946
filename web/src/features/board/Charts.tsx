import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { LineChart } from "@/components/charts/LineChart";
import { Failure } from "@/components/ui/message";
import type { Run } from "@/lib/api";
import type { Axis } from "@/lib/axis";
import { type Stroke, strokeOf } from "@/lib/colour";
import { chartQuery } from "@/lib/queries";

const BUCKETS = 400;
export const MOST_LINES = 100;

interface Options {
  readonly metric: string;
  readonly runs: readonly Run[];
  readonly smoothing: number;
  readonly logarithmic: boolean;
  readonly x?: Axis;
  /** Of runs that have not their own. */
  readonly strokes?: ReadonlyMap<string, Stroke>;
  /** Which part of the runs it shows. */
  readonly part?: string | undefined;
  readonly highlighted: string | null;
  readonly onHighlight: (id: string | null) => void;
  readonly onOpen?: (id: string) => void;
}

/** One metric of many runs, live. */
export function MetricChart(options: Options) {
  const { metric, runs, smoothing, logarithmic, x = "step", strokes, part, highlighted, onHighlight, onOpen } = options;
  const ids = useMemo(() => runs.slice(0, MOST_LINES).map((run) => run.id), [runs]);
  const { data, error } = useQuery(chartQuery(metric, ids, BUCKETS, x));
  const names = runs.map((run) => `${run.id} ${run.name}`).join("\n");
  const measured = useMemo(
    () =>
      runs.flatMap(({ id, name }) =>
        data?.[id] === undefined ? [] : [{ id, name, series: data[id], stroke: strokes?.get(id) ?? strokeOf(id) }],
      ),
    // runs change with every step, their names do not
    [data, names, strokes],
  );
  const lines = useMemo(() => measured.filter((line) => line.series.x !== null), [measured]);
  const found = runs.find((run) => run.id === highlighted);
  const title = part === undefined ? metric : `${metric}, ${part}`;
  return (
    <figure className="min-w-0 border border-line bg-panel p-2">
      <figcaption className="mb-1 flex justify-between gap-2 px-1 font-medium">
        <span className="truncate" title={title}>
          {title}
        </span>
        <span className="shrink-0 font-normal text-dim">{found?.name}</span>
      </figcaption>
      {error !== null && <Failure error={error} />}
      {data !== undefined && measured.length === 0 && <p className="px-1 py-8 text-center text-dim">no points yet</p>}
      {lines.length > 0 && (
        <LineChart
          lines={lines}
          height={200}
          smoothing={smoothing}
          logarithmic={logarithmic}
          x={x}
          sync="board"
          highlighted={highlighted}
          onHighlight={onHighlight}
          onOpen={onOpen}
          label={`${title} of ${lines.length} runs by ${x}`}
        />
      )}
      {lines.length < measured.length && (
        <p className="px-1 text-dim">
          {x} is not known of {measured.length - lines.length} of these runs
        </p>
      )}
    </figure>
  );
}
