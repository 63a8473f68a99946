/** What was asked of runs and is not carried out yet: shown as asked for, never as done. */
import { useSyncExternalStore } from "react";
import { live } from "@/app/live";
import { ApiError, ask, client, type Operation, type Outcome } from "@/lib/api";

interface Pending {
  readonly kind: Operation["kind"];
  /** Unknown until the server has stored it. */
  readonly opId: number | null;
}

let pending: ReadonlyMap<string, Pending> = new Map();
const watchers = new Set<() => void>();

function change(make: (next: Map<string, Pending>) => void): void {
  const next = new Map(pending);
  make(next);
  pending = next;
  for (const watcher of watchers) watcher();
}

live.listen(({ run_id: runId, payload }) => {
  if (runId === null) return;
  const ended =
    payload.type === "run.deleted" ||
    ((payload.type === "control.acknowledged" || payload.type === "control.rejected") &&
      pending.get(runId)?.opId === payload.op_id);
  if (ended) change((next) => next.delete(runId));
});

/** Ask ``op`` of runs; returns what the server made of it, with what it refused. */
export async function steer(runIds: readonly string[], op: Operation): Promise<readonly Outcome[]> {
  change((next) => {
    for (const id of runIds) next.set(id, { kind: op.kind, opId: null });
  });
  let outcomes: readonly Outcome[] = [];
  try {
    outcomes = await ask(client.POST("/api/v1/operations", { body: { targets: [...runIds], op } }));
    return outcomes;
  } finally {
    const waiting = new Map(outcomes.filter((one) => one.result === "pending").map((one) => [one.run.id, one]));
    change((next) => {
      for (const id of runIds) {
        const found = waiting.get(id);
        if (found?.op_id == null) next.delete(id);
        else next.set(id, { kind: op.kind, opId: found.op_id });
      }
    });
  }
}

/** One message of what could not be done; empty if all could. */
export function refusals(outcomes: readonly Outcome[]): string {
  return outcomes
    .filter((one) => one.result === "refused" || one.result === "rejected")
    .map((one) => `${one.run.name}: ${one.message}`)
    .join("\n");
}

export function messageOf(error: unknown): string {
  return error instanceof ApiError || error instanceof Error ? error.message : String(error);
}

function subscribe(watcher: () => void): () => void {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

export function usePending(): ReadonlyMap<string, Pending> {
  return useSyncExternalStore(subscribe, () => pending);
}
