import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Copy } from "lucide-react";
import { useMemo, useState } from "react";
import { Button } from "@/components/ui/button";
import { Window } from "@/components/ui/dialog";
import { Field, INPUT, Input } from "@/components/ui/field";
import { Failure } from "@/components/ui/message";
import { ask, client, type Run, type RunDetail } from "@/lib/api";
import { runQuery } from "@/lib/queries";
import { flatten } from "../run/ConfigTree";
import { changes } from "./edits";
import { messageOf } from "./pending";

/** Makes a new run of one run, with another config. */
export function CloneButton({ runs }: { readonly runs: readonly Run[] }) {
  const [open, setOpen] = useState(false);
  const run = runs.length === 1 ? runs[0] : undefined;
  return (
    <>
      <Button disabled={run === undefined} title="Choose one run" onClick={() => setOpen(true)}>
        <Copy size={14} aria-hidden /> Clone
      </Button>
      {run !== undefined && <CloneWindow run={run} open={open} onOpen={setOpen} />}
    </>
  );
}

/** A checkpoint to start from. */
interface Start {
  readonly id: string;
  readonly words: string;
  readonly resumable: boolean;
}

interface WindowOptions {
  readonly run: Run;
  readonly from?: Start;
  readonly open: boolean;
  readonly onOpen: (open: boolean) => void;
}

export function CloneWindow({ run, from, open, onOpen }: WindowOptions) {
  return (
    <Window
      title={`Clone ${run.name}`}
      about="A new run with this config and your changes; it is checked before it is queued."
      open={open}
      onOpen={onOpen}
    >
      <Loaded id={run.id} from={from} />
    </Window>
  );
}

interface FormOptions {
  readonly from: Start | undefined;
}

function Loaded({ id, from }: FormOptions & { readonly id: string }) {
  const { data, error } = useQuery(runQuery(id));
  if (error !== null) return <Failure error={error} />;
  return data === undefined ? null : <CloneForm run={data} from={from} />;
}

function CloneForm({ run, from }: FormOptions & { readonly run: RunDetail }) {
  const navigate = useNavigate();
  const fields = useMemo(() => flatten(run.config), [run.config]);
  const [sought, setSought] = useState("");
  const [texts, setTexts] = useState<ReadonlyMap<string, string>>(new Map());
  const [warmStart, setWarmStart] = useState(from?.id ?? "");
  const [inherit, setInherit] = useState(from?.resumable ?? false);
  const [error, setError] = useState<Error | null>(null);
  const [busy, setBusy] = useState(false);
  const edits = changes(fields, texts);
  const shown = fields.filter(([path]) => path.includes(sought.trim()));
  const submit = async () => {
    setBusy(true);
    setError(null);
    try {
      const body = { edits, warm_start: warmStart || null, inherit_optimizer: inherit && warmStart !== "" };
      const cloned = await ask(client.POST("/api/v1/runs/{ref}/clone", { params: { path: { ref: run.id } }, body }));
      void navigate({ to: "/runs/$run", params: { run: cloned.run.id } });
    } catch (failed) {
      setError(new Error(messageOf(failed)));
      setBusy(false);
    }
  };
  return (
    <form
      className="flex min-h-0 flex-col gap-3"
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <Field label="Find a field">
        <Input type="search" value={sought} onChange={(event) => setSought(event.target.value)} />
      </Field>
      <div className="min-h-24 flex-1 overflow-auto border border-line">
        {shown.map(([path, before]) => (
          <label key={path} className="flex items-center gap-3 border-b border-line px-2 py-1 last:border-0">
            <span className={`w-64 shrink-0 font-mono text-xs ${path in edits ? "text-accent" : "text-dim"}`}>{path}</span>
            <input
              value={texts.get(path) ?? JSON.stringify(before)}
              onChange={(event) => setTexts(new Map(texts).set(path, event.target.value))}
              className={`${INPUT} min-w-0 flex-1 font-mono text-xs`}
            />
          </label>
        ))}
      </div>
      <Field label="Weights">
        <select value={warmStart} onChange={(event) => setWarmStart(event.target.value)} className={INPUT}>
          <option value="">new ones</option>
          {from !== undefined && <option value={from.id}>{from.words}</option>}
          <option value="last">those of the parent as of now</option>
          <option value="best">the parent's best</option>
        </select>
      </Field>
      <Field label="Optimizer state">
        <input
          type="checkbox"
          aria-label="Take over the optimizer's state"
          disabled={warmStart === ""}
          checked={inherit && warmStart !== ""}
          onChange={(event) => setInherit(event.target.checked)}
        />
        take over
      </Field>
      <ul aria-label="Changes" className="font-mono text-xs">
        {Object.entries(edits).map(([path, after]) => (
          <li key={path}>
            {path}: <del className="text-bad">{JSON.stringify(fields.find(([name]) => name === path)?.[1])}</del> →{" "}
            <ins className="text-good no-underline">{JSON.stringify(after)}</ins>
          </li>
        ))}
      </ul>
      {error !== null && <Failure error={error} />}
      <div className="flex justify-end">
        <Button type="submit" look="primary" disabled={busy}>
          Clone
        </Button>
      </div>
    </form>
  );
}
