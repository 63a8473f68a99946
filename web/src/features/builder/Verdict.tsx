import { keepPreviousData, queryOptions, useQuery } from "@tanstack/react-query";
import { ask, client } from "@/lib/api";
import { bytes, duration } from "@/lib/format";
import type { Drafting, Mistake } from "./draft";

const estimateQuery = (text: string) =>
  queryOptions({
    queryKey: ["estimate", text],
    queryFn: ({ signal }) => ask(client.POST("/api/v1/drafts/estimate", { body: { text }, signal })),
    placeholderData: keepPreviousData,
    staleTime: 0, // a plan or a training may have measured something since
    gcTime: 60_000,
    retry: false,
  });

/** What a sweep without mistakes would make, and what it would take. */
export function Verdict({ drafting: { state, settled } }: { readonly drafting: Drafting }) {
  const runs = settled ? (state.checked?.runs ?? null) : null;
  const { data } = useQuery({ ...estimateQuery(state.text), enabled: runs !== null });
  if (state.trouble !== "")
    return (
      <p role="alert" className="text-bad">
        {state.trouble}
        {state.absent > 0 && "; what you typed is kept here, and checked once it is back"}
      </p>
    );
  if (runs === null) return <p className="text-dim">{settled ? "" : "checking"}</p>;
  const samples = state.checked?.samples;
  return (
    <div className="text-dim">
      <p>
        <strong className="text-text">{runs === 1 ? "1 run" : `${runs.toLocaleString("en")} runs`}</strong>
        {samples == null ? "" : ` at first, ${samples.toLocaleString("en")} in all`}
        {data !== undefined && (data.processes === 1 ? " in 1 process" : ` in ${data.processes} processes`)}
      </p>
      {data !== undefined && (
        <p>
          {"Time: "}
          {data.seconds === null ? "" : `about ${duration(data.seconds)}`}
          {data.memory_bytes !== null && `, ${bytes(data.memory_bytes)} of memory besides what each process takes`}
          {data.stacked > 0 && `, ${data.stacked} of ${data.structures} structures as stacks`}
          {data.note !== "" && (data.seconds === null ? data.note : `; ${data.note}`)}
        </p>
      )}
    </div>
  );
}

interface MistakesOptions {
  readonly mistakes: readonly Mistake[];
  /** What the edits of the form took along. */
  readonly lost: readonly string[];
  readonly onLine: (line: number) => void;
}

/** Everything that is wrong, in the command line's words; a line is gone to by a press. */
export function Mistakes({ mistakes, lost, onLine }: MistakesOptions) {
  return (
    <div id="mistakes" aria-live="polite" className="max-h-48 overflow-auto font-mono text-xs">
      <ul aria-label="Mistakes">
        {mistakes.map((one) => (
          <li key={one.told} className="text-bad">
            {one.line === null ? (
              one.told
            ) : (
              <button type="button" className="text-left hover:underline" onClick={() => onLine(one.line ?? 1)}>
                {one.told}
              </button>
            )}
          </li>
        ))}
      </ul>
      {lost.length > 0 && <p className="text-warn">These comments went with what they stood at: {lost.join(" ")}</p>}
    </div>
  );
}
