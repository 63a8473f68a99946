import { Pause, Play, Square } from "lucide-react";
import { useState } from "react";
import { Button } from "@/components/ui/button";
import type { Operation, Run, RunState } from "@/lib/api";
import { useMay } from "../session/session";
import { CloneButton } from "./CloneDialog";
import { messageOf, refusals, steer, usePending } from "./pending";
import { TuneButton } from "./TuneDialog";

const MEANT_FOR: Record<"pause" | "resume" | "stop", ReadonlySet<RunState>> = {
  pause: new Set(["queued", "running"]),
  resume: new Set(["paused", "stopped", "failed"]),
  stop: new Set(["queued", "running", "pausing", "paused"]),
};

/** Buttons for what can be asked of some runs now. */
export function Actions({ runs }: { readonly runs: readonly Run[] }) {
  const [said, setSaid] = useState("");
  const pending = usePending();
  const may = useMay("write");
  if (!may) return <span className="text-dim">you may look, and not steer</span>;
  const act = async (kind: keyof typeof MEANT_FOR) => {
    setSaid("");
    const ids = runs.filter((run) => MEANT_FOR[kind].has(run.state)).map((run) => run.id);
    try {
      setSaid(refusals(await steer(ids, { kind } as Operation)));
    } catch (error) {
      setSaid(messageOf(error));
    }
  };
  const able = (kind: keyof typeof MEANT_FOR) =>
    runs.some((run) => MEANT_FOR[kind].has(run.state) && pending.get(run.id)?.kind !== kind);
  return (
    <div className="flex flex-wrap items-center gap-2">
      <Button disabled={!able("pause")} onClick={() => void act("pause")}>
        <Pause size={14} aria-hidden /> Pause
      </Button>
      <Button disabled={!able("resume")} onClick={() => void act("resume")}>
        <Play size={14} aria-hidden /> Resume
      </Button>
      <Button disabled={!able("stop")} look="danger" onClick={() => void act("stop")}>
        <Square size={14} aria-hidden /> Stop
      </Button>
      <TuneButton runs={runs} />
      <CloneButton runs={runs} />
      {said !== "" && (
        <pre role="alert" className="font-mono text-xs whitespace-pre-wrap text-bad">
          {said}
        </pre>
      )}
    </div>
  );
}
