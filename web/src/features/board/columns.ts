/** Which fields of runs are worth a column: those of the config that differ, and metrics. */
import type { Field, Run, RunPage, Value } from "@/lib/api";

/** Before the name of a metric: its best value so far, and not its last. */
export const BEST = "best.";
/** Columns that are drawn, not written. */
export const DRAWN: Readonly<Record<string, string>> = { done: "Progress", how: "How" };

/** Metrics of a run's validations first, then of its training; the rest is bookkeeping. */
export function metricsOf(runs: readonly Run[]): string[] {
  const names = new Set(runs.flatMap((run) => Object.keys(run.summary)));
  const rank = (name: string) => (name.startsWith("val_") ? 0 : name.startsWith("train_") ? 1 : 2);
  return [...names].sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
}

/** Dotted fields that a sweep's search decides. */
export function searchedFields(sweep: Record<string, unknown> | undefined): string[] {
  const search = sweep?.["search"] as { space?: Record<string, unknown>; runs?: Record<string, unknown>[] } | undefined;
  return [...new Set([...Object.keys(search?.space ?? {}), ...(search?.runs ?? []).flatMap((one) => Object.keys(one))])];
}

/** Those of the names that the server can be asked for: a saved view may name fields that these runs do not have. */
export function askable(names: readonly string[], fields: readonly Field[]): string[] {
  const known = new Map(fields.map((field) => [field.name, field.kind]));
  return [...new Set(names)].filter((name) => {
    const kind = known.get(name);
    return name.startsWith(BEST) ? known.get(name.slice(BEST.length)) === "metric" : kind !== undefined && kind !== "metric";
  });
}

/** The value of a field for each run of a page: of metrics the last one, as it is now. */
export function valuesOf(page: RunPage, name: string): readonly Value[] {
  const asked = page.columns[name];
  return page.runs.map((run, index) => (name in run.summary ? run.summary[name] : asked?.[index]) ?? null);
}
