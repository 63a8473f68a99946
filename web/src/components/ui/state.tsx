import clsx from "clsx";
import { CircleCheck, CircleDashed, CirclePause, CirclePlay, CircleStop, CircleX, Hourglass } from "lucide-react";
import type { RunState } from "@/lib/api";

const LOOKS = {
  queued: [CircleDashed, "text-dim"],
  running: [CirclePlay, "text-accent"],
  pausing: [Hourglass, "text-warn"],
  paused: [CirclePause, "text-warn"],
  stopping: [Hourglass, "text-dim"],
  stopped: [CircleStop, "text-dim"],
  completed: [CircleCheck, "text-good"],
  failed: [CircleX, "text-bad"],
} as const satisfies Record<RunState, unknown>;

/** A state as a sign and a word: neither needs colour to be read. */
export function State({ state }: { readonly state: RunState }) {
  const [Sign, colour] = LOOKS[state];
  return (
    <span className={clsx("inline-flex items-center gap-1 whitespace-nowrap", colour)}>
      <Sign size={14} aria-hidden />
      {state}
    </span>
  );
}
