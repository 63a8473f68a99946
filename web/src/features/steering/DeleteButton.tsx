import { Trash2 } from "lucide-react";
import { useState } from "react";
import { Button } from "@/components/ui/button";
import { Window } from "@/components/ui/dialog";
import { Failure } from "@/components/ui/message";
import { useMay } from "../session/session";
import { Frees } from "../storage/Frees";
import { messageOf } from "./pending";

interface Options {
  /** What goes: "run rates-1", "experiment rates with 3 runs". */
  readonly what: string;
  /** What goes with it. */
  readonly about?: string;
  /** What the server knows it by: a run's id, or ``experiment:`` and an experiment's; only of what frees space. */
  readonly target?: string;
  readonly disabled?: boolean;
  readonly onDelete: () => Promise<void>;
}

const OF_RUNS = "With configs, metrics, logs and checkpoints.";

/** Deletes for ever, after asking once. */
export function DeleteButton({ what, about = OF_RUNS, target, disabled = false, onDelete }: Options) {
  const may = useMay("write");
  const [open, setOpen] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const act = async () => {
    try {
      await onDelete();
      setOpen(false);
    } catch (failed) {
      setError(new Error(messageOf(failed)));
    }
  };
  if (!may) return null;
  return (
    <>
      <Button
        look="danger"
        disabled={disabled}
        onClick={() => {
          setError(null);
          setOpen(true);
        }}
      >
        <Trash2 size={14} aria-hidden /> Delete
      </Button>
      <Window
        title={`Delete ${what}?`}
        about={`${about} This cannot be undone.`}
        open={open}
        onOpen={setOpen}
      >
        {target !== undefined && <Frees targets={[target]} />}
        {error !== null && <Failure error={error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={() => setOpen(false)}>Keep</Button>
          <Button look="danger" onClick={() => void act()}>
            Delete {what}
          </Button>
        </div>
      </Window>
    </>
  );
}
