import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import clsx from "clsx";
import { useMemo, useState } from "react";
import { Empty, Failure } from "@/components/ui/message";
import type { Run } from "@/lib/api";
import { value } from "@/lib/format";
import { comparisonQuery } from "./queries";

const MOST_RUNS = 100;

interface Options {
  /** Its id. */
  readonly experiment: string;
  readonly runs: readonly Run[];
  /** Whether somebody chose them. */
  readonly selected: boolean;
}

/** The configs of runs side by side, with what they were tuned to. */
export default function Diff({ experiment, runs, selected }: Options) {
  const [all, setAll] = useState(false);
  const key = runs
    .slice(0, MOST_RUNS)
    .map((run) => run.id)
    .join(" ");
  const ids = useMemo(() => key.split(" ").filter((id) => id !== ""), [key]);
  const { data, error } = useQuery(comparisonQuery(experiment, ids, all));
  return (
    <section aria-label="Config diff" className="flex min-h-0 flex-col gap-3">
      <div className="flex flex-wrap items-center gap-4 text-dim">
        <label className="flex items-center gap-1.5">
          <input type="checkbox" checked={all} onChange={(event) => setAll(event.target.checked)} />
          All fields
        </label>
        <span>
          {selected ? `${runs.length} selected runs` : `${runs.length} runs; select some in the table to compare only those`}
          {runs.length > MOST_RUNS && `, the first ${MOST_RUNS} are compared`}
        </span>
      </div>
      {error !== null && <Failure error={error} />}
      {data?.fields.length === 0 && <Empty title="These configs do not differ" />}
      {data !== undefined && data.fields.length > 0 && (
        <div className="overflow-auto border border-line bg-panel" tabIndex={0} role="region" aria-label="Configs">
          <table className="min-w-full text-left">
            <thead>
              <tr className="border-b border-line">
                <th className="sticky left-0 bg-panel px-3 py-1.5 font-medium text-dim">Field</th>
                {data.runs.map((run) => (
                  <th key={run.id} className="px-3 py-1.5 font-medium whitespace-nowrap">
                    <Link to="/runs/$run" params={{ run: run.id }} className="hover:underline">
                      {run.name}
                    </Link>
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {data.fields.map((line) => (
                <tr key={line.name} className="border-b border-line last:border-0">
                  <th scope="row" className="sticky left-0 bg-panel px-3 py-1.5 text-left font-normal">
                    {line.name}
                  </th>
                  {line.values.map((one, index) => (
                    <td key={data.runs[index]?.id} className={clsx("tabular max-w-72 truncate px-3 py-1.5", !line.differs && "text-dim")}>
                      {one === null ? <span className="text-dim">none</span> : value(one)}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
