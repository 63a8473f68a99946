/** Which fields of runs are worth a column: those of the config that differ, and metrics. */
import type { Run } from "@/lib/api";

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
