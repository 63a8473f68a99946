import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { INPUT } from "@/components/ui/field";
import type { Search } from "@/lib/api";
import { Grid } from "./Grid";

const MOST_ROWS = 500;

/** How far a search is, and everything that it decided, the newest first, with the reasons. */
export function SearchLog({ search }: { readonly search: Search }) {
  const [kind, setKind] = useState("");
  const kinds = [...new Set(search.history.map((step) => step.kind))].sort();
  const steps = search.history.filter((step) => kind === "" || step.kind === kind).toReversed();
  const best = search.best_trial === null ? undefined : (search.runs[search.best_trial] ?? `trial ${search.best_trial}`);
  return (
    <>
      <p>{search.description}</p>
      <p className="text-dim">
        {search.trials} trials so far{best !== undefined && `; the best is ${best}`}; {search.ending || "it goes on"}
      </p>
      {search.rungs.length > 0 && (
        <Grid titles={["Epoch", "Came", "Went on", "Waiting", "Ended here", "Training", "Best"]}>
          {search.rungs.map((rung) => (
            <tr key={rung.epoch} className="border-b border-line last:border-0">
              {[rung.epoch, rung.came, rung.went_on, rung.waiting, rung.stopped, rung.training, rung.best].map((one, index) => (
                <td key={index} className="tabular px-3 py-1.5">
                  {one}
                </td>
              ))}
            </tr>
          ))}
        </Grid>
      )}
      <label className="flex items-center gap-2 text-dim">
        Decisions
        <select value={kind} onChange={(event) => setKind(event.target.value)} className={INPUT}>
          <option value="">all</option>
          {kinds.map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
        <span className="tabular">{steps.length}</span>
      </label>
      <Grid titles={["When", "What", "Run", "Epoch", "Why", "Who"]}>
        {steps.slice(0, MOST_ROWS).map((step, index) => (
          <tr key={`${step.time} ${index}`} className="border-b border-line last:border-0">
            <td className="tabular px-3 py-1.5 whitespace-nowrap text-dim">{new Date(step.time).toLocaleString()}</td>
            <td className="px-3 py-1.5 whitespace-nowrap">{step.kind}</td>
            <td className="px-3 py-1.5 whitespace-nowrap">
              {step.run === "" ? (
                ""
              ) : (
                <Link to="/runs/$run" params={{ run: step.run }} className="hover:underline">
                  {step.run}
                </Link>
              )}
            </td>
            <td className="tabular px-3 py-1.5 whitespace-nowrap">
              {step.epoch}
              {step.until !== null && step.until !== step.epoch && ` to ${step.until}`}
            </td>
            <td className="px-3 py-1.5">{step.reason}</td>
            <td className="px-3 py-1.5 text-dim">{step.actor}</td>
          </tr>
        ))}
      </Grid>
      {steps.length > MOST_ROWS && <p className="text-dim">the newest {MOST_ROWS} are shown</p>}
    </>
  );
}
