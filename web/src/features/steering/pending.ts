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
/** Requests that were carried out before the server's answer told their numbers; filled only while one is awaited. */
const early = new Set<number>();
let awaited = 0;
const watchers = new Set<() => void>();

function change(make: (next: Map<string, Pending>) => void): void {
  const next = new Map(pending);
  make(next);
  pending = next;
  for (const watcher of watchers) watcher();
}

live.listen(({ run_id: runId, payload }) => {
  if (runId === null) return;
  const answered = payload.type === "control.acknowledged" || payload.type === "control.rejected";
  if (answered && awaited > 0) early.add(payload.op_id);
  if (payload.type === "run.deleted" || (answered && pending.get(runId)?.opId === payload.op_id))
    change((next) => next.delete(runId));
});

/** Ask ``op`` of runs; returns what the server made of it, with what it refused. */
export async function steer(runIds: readonly string[], op: Operation): Promise<readonly Outcome[]> {
  change((next) => {
    for (const id of runIds) next.set(id, { kind: op.kind, opId: null });
  });
  let outcomes: readonly Outcome[] = [];
  awaited += 1;
  try {
    outcomes = await ask(client.POST("/api/v1/operations", { body: { targets: [...runIds], op } }));
    return outcomes;
  } finally {
    const waiting = new Map(outcomes.filter((one) => one.result === "pending").map((one) => [one.run.id, one]));
    change((next) => {
      for (const id of runIds) {
        const found = waiting.get(id);
        if (found?.op_id == null || early.has(found.op_id)) next.delete(id);
        else next.set(id, { kind: op.kind, opId: found.op_id });
      }
    });
    awaited -= 1;
    if (awaited === 0) early.clear();
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
