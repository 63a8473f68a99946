/** Groups of events that people look for. */
import type { EventView } from "@/lib/api";

type Type = EventView["payload"]["type"];

export const GROUPS = {
  all: [],
  requests: ["control.requested", "control.acknowledged", "control.rejected"],
  states: ["run.state_changed"],
  created: ["experiment.created", "run.created", "experiment.imported", "run.imported"],
  deleted: ["experiment.deleted", "run.deleted", "storage.collected"],
  training: ["run.attempt_started", "run.execution_changed", "run.past_shared"],
  searches: ["search.decided"],
  checkpoints: ["checkpoint.saved", "checkpoint.corrupt"],
  access: [
    "user.created",
    "user.changed",
    "user.deleted",
    "user.logged_in",
    "token.created",
    "token.revoked",
    "secret.changed",
    "secret.deleted",
  ],
} as const satisfies Record<string, readonly Type[]>;

export type Group = keyof typeof GROUPS;

export const NAMES: Record<Group, string> = {
  all: "everything",
  requests: "what people asked for",
  states: "changes of state",
  created: "what was created or imported",
  deleted: "what was deleted",
  training: "how runs train",
  searches: "decisions of searches",
  checkpoints: "checkpoints",
  access: "users, tokens and secrets",
};

export function isGroup(text: unknown): text is Group {
  return typeof text === "string" && text in GROUPS;
}
