import { useState } from "react";
import type { RunDetail } from "@/lib/api";
import { MetricChart } from "../board/Charts";
import { metricsOf } from "../board/columns";
import type { RunView } from "./view";

interface Options {
  readonly run: RunDetail;
  readonly view: RunView;
  readonly onChange: (next: RunView) => void;
}

/** Every metric of a run. */
export function RunCharts({ run, view, onChange }: Options) {
  const [, setHighlighted] = useState<string | null>(null);
  const metrics = metricsOf([run]);
  if (metrics.length === 0) return <p className="text-dim">Nothing was measured yet.</p>;
  return (
    <>
      <div className="mb-3 flex flex-wrap items-center gap-4 text-dim">
        <label className="flex items-center gap-2">
          Smoothing
          <input
            type="range"
            min={0}
            max={0.99}
            step={0.01}
            value={view.smoothing ?? 0}
            onChange={(event) => onChange({ smoothing: Number(event.target.value) || undefined })}
          />
        </label>
        <label className="flex items-center gap-1.5">
          <input
            type="checkbox"
            checked={view.log ?? false}
            onChange={(event) => onChange({ log: event.target.checked || undefined })}
          />
          Logarithmic
        </label>
      </div>
      <div className="grid grid-cols-[repeat(auto-fill,minmax(min(100%,26rem),1fr))] gap-3">
        {metrics.map((metric) => (
          <MetricChart
            key={metric}
            metric={metric}
            runs={[run]}
            smoothing={view.smoothing ?? 0}
            logarithmic={view.log ?? false}
            highlighted={null}
            onHighlight={setHighlighted}
          />
        ))}
      </div>
    </>
  );
}
