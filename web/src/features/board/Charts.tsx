import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { LineChart } from "@/components/charts/LineChart";
import { Failure } from "@/components/ui/message";
import type { Run } from "@/lib/api";
import { chartQuery } from "@/lib/queries";

const BUCKETS = 400;
export const MOST_LINES = 100;

interface Options {
  readonly metric: string;
  readonly runs: readonly Run[];
  readonly smoothing: number;
  readonly logarithmic: boolean;
  readonly highlighted: string | null;
  readonly onHighlight: (id: string | null) => void;
}

/** One metric of many runs, live. */
export function MetricChart({ metric, runs, smoothing, logarithmic, highlighted, onHighlight }: Options) {
  const ids = useMemo(() => runs.slice(0, MOST_LINES).map((run) => run.id), [runs]);
  const { data, error } = useQuery(chartQuery(metric, ids, BUCKETS));
  const names = runs.map((run) => `${run.id} ${run.name}`).join("\n");
  const lines = useMemo(
    () => runs.flatMap(({ id, name }) => (data?.[id] === undefined ? [] : [{ id, name, series: data[id] }])),
    // runs change with every step, their names do not
    [data, names],
  );
  const found = runs.find((run) => run.id === highlighted);
  return (
    <figure className="border border-line bg-panel p-2">
      <figcaption className="mb-1 flex justify-between px-1 font-medium">
        {metric}
        <span className="font-normal text-dim">{found?.name}</span>
      </figcaption>
      {error !== null && <Failure error={error} />}
      {data !== undefined && lines.length === 0 && <p className="px-1 py-8 text-center text-dim">no points yet</p>}
      {lines.length > 0 && (
        <LineChart
          lines={lines}
          height={200}
          smoothing={smoothing}
          logarithmic={logarithmic}
          sync="steps"
          highlighted={highlighted}
          onHighlight={onHighlight}
          label={`${metric} of ${lines.length} runs by step`}
        />
      )}
    </figure>
  );
}
