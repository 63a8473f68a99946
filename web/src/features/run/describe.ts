/** What happened, as one sentence. */
import type { EventView, Operation } from "@/lib/api";
import { bytes } from "@/lib/format";

type Payload = EventView["payload"];

export function describe(payload: Payload): string {
  switch (payload.type) {
    case "experiment.created":
      return `experiment ${payload.name} created with ${payload.run_count} runs`;
    case "experiment.deleted":
      return `experiment ${payload.name} deleted`;
    case "experiment.imported":
      return `${payload.run_count} runs of ${payload.original_name} imported as ${payload.name}`;
    case "run.imported":
      return `${payload.original_name} imported, ${payload.before === payload.after ? payload.after : `${payload.before} there, ${payload.after} here`}`;
    case "run.created":
      return `${payload.name} created`;
    case "run.deleted":
      return `${payload.name} deleted, with ${payload.freed_checkpoints} checkpoints`;
    case "run.state_changed":
      return `${payload.before} → ${payload.after} at step ${payload.step}: ${payload.reason.message}`;
    case "run.attempt_started":
      return `attempt ${payload.attempt} started at step ${payload.start_step} on ${payload.device}, ${payload.execution}${because(payload.reason)}`;
    case "run.execution_changed":
      return `trains ${payload.execution}${payload.stack_size > 1 ? ` with ${payload.stack_size - 1} others` : ""}${because(payload.reason)}`;
    case "run.past_shared":
      return `first ${payload.steps} steps shared with ${payload.name}`;
    case "search.decided":
      return `the search: ${payload.decision.reason}`;
    case "control.requested":
      return `${worded(payload.op)} requested`;
    case "control.acknowledged":
      return `${worded(payload.op)} took effect at step ${payload.applied_step}`;
    case "control.rejected":
      return `${worded(payload.op)} rejected: ${payload.message}`;
    case "checkpoint.saved":
      return `checkpoint at step ${payload.step}${payload.best ? ", the best so far" : ""} (${bytes(payload.size)})`;
    case "checkpoint.corrupt":
      return `checkpoint ${payload.checkpoint_id} is corrupt: ${payload.message}`;
    case "storage.collected":
      return `${payload.blobs} files that nothing needed deleted: ${bytes(payload.freed_bytes)} freed`;
    case "user.created":
      return `user ${payload.name} added as ${payload.role}`;
    case "user.changed":
      return `user ${payload.name} is ${payload.role} now${payload.password ? ", with another password" : ""}`;
    case "user.deleted":
      return `user ${payload.name} deleted`;
    case "user.logged_in":
      return `${payload.name} logged in`;
    case "token.created":
      return `token ${payload.name} made for ${payload.user}: ${payload.scopes.join(", ")}`;
    case "token.revoked":
      return `token ${payload.name} of ${payload.user} revoked`;
    case "secret.changed":
      return `secret ${payload.name} set`;
    case "secret.deleted":
      return `secret ${payload.name} deleted`;
    case "view.saved":
      return `view ${payload.name} saved`;
    case "view.deleted":
      return `view ${payload.name} deleted`;
  }
}

function because(reason: string): string {
  return reason === "" ? "" : ` (${reason})`;
}

function worded(op: Operation): string {
  const { kind, ...rest } = op as { kind: string } & Record<string, unknown>;
  const given = Object.entries(rest).filter(([, found]) => found !== null && found !== undefined);
  return [kind, ...given.map(([name, found]) => `${name}=${String(found)}`)].join(" ");
}
