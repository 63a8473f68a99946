import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Button } from "@/components/ui/button";
import { INPUT } from "@/components/ui/field";
import { Failure } from "@/components/ui/message";
import type { RunDetail } from "@/lib/api";
import { number } from "@/lib/format";
import { SAMPLES_PER_PAGE, samplesQuery } from "./queries";
import type { RunView } from "./view";

interface Options {
  readonly run: RunDetail;
  readonly view: RunView;
  readonly onChange: (next: RunView) => void;
}

/** Validation samples, the worst errors first. */
export function Samples({ run, view, onChange }: Options) {
  const { target, predicted } = view;
  const [offset, setOffset] = useState(0);
  const { data, error, isFetching, refetch } = useQuery(samplesQuery(run.id, { target, predicted, offset }));
  const choose = (next: RunView) => {
    setOffset(0);
    onChange(next);
  };
  if (error !== null) return <Failure error={error} />;
  if (data === undefined)
    return (
      <p aria-live="polite" className="text-dim">
        Predicting the validation data; the first time that takes as long as a validation.
      </p>
    );
  return (
    <>
      <div className="mb-3 flex flex-wrap items-center gap-4 text-dim">
        <ClassChoice label="True class" classes={data.classes} chosen={target} onChoose={(one) => choose({ target: one })} />
        <ClassChoice
          label="Predicted class"
          classes={data.classes}
          chosen={predicted}
          onChoose={(one) => choose({ predicted: one })}
        />
        <span className="tabular">
          {number(data.total)} samples, by the checkpoint at step {number(data.step)}
        </span>
        <Button disabled={isFetching} onClick={() => void refetch()}>
          {isFetching ? "Predicting" : "Predict again"}
        </Button>
      </div>
      {data.restarted && <p aria-live="polite" className="mb-2 text-warn">The process that predicts had ended; another one was started.</p>}
      {!data.same_data && <p className="mb-2 text-warn">The data set is not the one that this run was trained on.</p>}
      {data.predicted < data.size && (
        <p className="mb-2 text-warn">
          {number(data.predicted)} of {number(data.size)} validation samples were predicted, spread evenly.
        </p>
      )}
      {data.total === 0 && <p className="text-dim">No sample of these classes.</p>}
      <ul aria-label="Samples" className="grid grid-cols-[repeat(auto-fill,minmax(9rem,1fr))] gap-3">
        {data.samples.map((one) => (
          <li key={one.name} className="border border-line bg-panel p-2">
            <img
              src={`data:image/png;base64,${one.image}`}
              alt={one.name}
              className="mb-1 aspect-square w-full bg-page object-contain [image-rendering:pixelated]"
            />
            <p className={one.target === one.predicted ? "text-good" : "text-bad"}>
              {one.predicted} {(one.probability * 100).toFixed(1)}%
            </p>
            <p>truly {one.target}</p>
            <p className="tabular text-dim">loss {number(one.loss)}</p>
            <p className="truncate text-xs text-dim" title={one.name}>
              {one.name}
            </p>
          </li>
        ))}
      </ul>
      {data.total > SAMPLES_PER_PAGE && (
        <div className="mt-3 flex items-center gap-3">
          <Button disabled={offset === 0} onClick={() => setOffset(offset - SAMPLES_PER_PAGE)}>
            Worse
          </Button>
          <span className="tabular text-dim">
            {offset + 1} to {Math.min(data.total, offset + SAMPLES_PER_PAGE)}
          </span>
          <Button disabled={offset + SAMPLES_PER_PAGE >= data.total} onClick={() => setOffset(offset + SAMPLES_PER_PAGE)}>
            Better
          </Button>
        </div>
      )}
    </>
  );
}

interface ChoiceOptions {
  readonly label: string;
  readonly classes: readonly string[];
  readonly chosen: number | undefined;
  readonly onChoose: (one: number | undefined) => void;
}

function ClassChoice({ label, classes, chosen, onChoose }: ChoiceOptions) {
  return (
    <label className="flex items-center gap-2">
      {label}
      <select
        value={chosen ?? ""}
        onChange={(event) => onChoose(event.target.value === "" ? undefined : Number(event.target.value))}
        className={INPUT}
      >
        <option value="">any</option>
        {classes.map((name, index) => (
          <option key={name} value={index}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}
