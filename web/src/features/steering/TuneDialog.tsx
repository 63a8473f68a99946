import { SlidersHorizontal } from "lucide-react";
import { useState } from "react";
import { Button } from "@/components/ui/button";
import { Window } from "@/components/ui/dialog";
import { Field, Input } from "@/components/ui/field";
import { Failure } from "@/components/ui/message";
import type { Operation, Run, RunState } from "@/lib/api";
import { messageOf, refusals, steer } from "./pending";

const TUNABLE: ReadonlySet<RunState> = new Set(["queued", "running", "pausing", "paused"]);

/** Changes hyperparameters of runs while they train, from their next step on. */
export function TuneButton({ runs }: { readonly runs: readonly Run[] }) {
  const [open, setOpen] = useState(false);
  const able = runs.filter((run) => TUNABLE.has(run.state));
  return (
    <>
      <Button disabled={able.length === 0} onClick={() => setOpen(true)}>
        <SlidersHorizontal size={14} aria-hidden /> Tune
      </Button>
      <Window
        title={able.length === 1 ? `Tune ${able[0]?.name}` : `Tune ${able.length} runs`}
        about="From the next step on; the schedule goes on from the new learning rate. What is left empty stays."
        open={open}
        onOpen={setOpen}
      >
        <TuneForm ids={able.map((run) => run.id)} onDone={() => setOpen(false)} />
      </Window>
    </>
  );
}

function TuneForm({ ids, onDone }: { readonly ids: readonly string[]; readonly onDone: () => void }) {
  const [rate, setRate] = useState("");
  const [decay, setDecay] = useState("");
  const [epochs, setEpochs] = useState("");
  const [error, setError] = useState<Error | null>(null);
  const submit = async () => {
    const op = {
      kind: "tune",
      ...(rate !== "" && { learning_rate: Number(rate) }),
      ...(decay !== "" && { weight_decay: Number(decay) }),
      ...(epochs !== "" && { epochs: Number(epochs) }),
    } as Operation;
    try {
      const refused = refusals(await steer(ids, op));
      if (refused === "") onDone();
      else setError(new Error(refused));
    } catch (failed) {
      setError(new Error(messageOf(failed)));
    }
  };
  return (
    <form
      className="flex flex-col gap-3"
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <Field label="Learning rate">
        <Input inputMode="decimal" value={rate} onChange={(event) => setRate(event.target.value)} autoFocus />
      </Field>
      <Field label="Weight decay">
        <Input inputMode="decimal" value={decay} onChange={(event) => setDecay(event.target.value)} />
      </Field>
      <Field label="Epochs">
        <Input inputMode="numeric" value={epochs} onChange={(event) => setEpochs(event.target.value)} />
      </Field>
      {error !== null && <Failure error={error} />}
      <div className="flex justify-end">
        <Button type="submit" look="primary" disabled={rate === "" && decay === "" && epochs === ""}>
          Tune
        </Button>
      </div>
    </form>
  );
}
