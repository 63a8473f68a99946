import { useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { Button } from "@/components/ui/button";
import { Failure } from "@/components/ui/message";
import { ask, client } from "@/lib/api";
import { messageOf } from "../steering/pending";
import { forget, useDraft } from "./draft";
import { presetsQuery, schemaQuery, sweepTextQuery } from "./queries";
import { StartMenu } from "./StartMenu";
import { SweepForm } from "./SweepForm";
import { Mistakes, Verdict } from "./Verdict";
import { goToLine, YamlEditor } from "./YamlEditor";

const route = getRouteApi("/new");

/** Writes a sweep, as a form and as YAML, and queues it. */
export function BuilderPage() {
  const { from } = route.useSearch();
  const navigate = route.useNavigate();
  const cache = useQueryClient();
  const { data: about, error } = useQuery(schemaQuery());
  const { data: presets } = useQuery(presetsQuery());
  const drafting = useDraft();
  const { state, settled, start } = drafting;
  const [said, setSaid] = useState("");
  useEffect(() => {
    if (from !== undefined)
      void cache
        .fetchQuery(sweepTextQuery(from))
        .then(({ text }) => start(text))
        .catch((failed: unknown) => setSaid(messageOf(failed)))
        .finally(() => void navigate({ search: {}, replace: true })); // a reload must not take it once more
  }, [from, cache, start, navigate]);
  const fresh = useRef(state.text === "" && from === undefined);
  const first = presets?.[0]?.text;
  useEffect(() => {
    if (!fresh.current || first === undefined) return;
    fresh.current = false; // who empties the text later has it empty
    if (state.text === "") start(first);
  }, [first, start, state.text]);
  const area = useRef<HTMLTextAreaElement>(null);
  const mistakes = settled ? (state.checked?.mistakes ?? []) : [];
  return (
    <div className="flex min-h-0 flex-1 flex-col gap-3 p-4">
      <div className="flex flex-wrap items-center gap-3">
        <h1 className="text-lg font-semibold">New experiment</h1>
        <StartMenu
          before={state.before}
          onText={start}
          onExperiment={(id) => void navigate({ search: { from: id } })}
        />
        <div className="ml-auto">
          <Submit text={state.text} ready={settled && state.checked?.runs != null} runs={state.checked?.runs ?? 0} onSaid={setSaid} />
        </div>
      </div>
      {error !== null && <Failure error={error} />}
      {said !== "" && <Failure error={new Error(said)} />}
      <div className="grid min-h-0 flex-1 grid-cols-1 gap-4 lg:grid-cols-2">
        <div className="min-w-0 lg:overflow-auto">
          {about !== undefined && <SweepForm about={about} drafting={drafting} />}
        </div>
        <div className="flex min-w-0 flex-col gap-2 lg:min-h-0">
          <Verdict drafting={drafting} />
          <YamlEditor text={state.text} mistakes={mistakes} area={area} onText={drafting.type} />
          <Mistakes
            mistakes={mistakes}
            lost={state.lost}
            onLine={(line) => area.current !== null && goToLine(area.current, line)}
          />
          <p className="text-xs text-dim">
            Relative paths start at the folder in which modelyard up was started. What you type stays in this browser.
          </p>
        </div>
      </div>
    </div>
  );
}

interface SubmitOptions {
  readonly text: string;
  readonly ready: boolean;
  readonly runs: number;
  readonly onSaid: (said: string) => void;
}

/** Queues the sweep once, however often it is pressed. */
function Submit({ text, ready, runs, onSaid }: SubmitOptions) {
  const navigate = route.useNavigate();
  const [busy, setBusy] = useState(false);
  const sent = useRef({ text: "", key: "", busy: false });
  const submit = async () => {
    if (sent.current.busy) return;
    // The same text keeps its key: if only the answer was lost, the server does not queue it twice.
    const key = sent.current.text === text ? sent.current.key : crypto.randomUUID();
    sent.current = { text, key, busy: true };
    setBusy(true);
    onSaid("");
    try {
      const made = await ask(client.POST("/api/v1/experiments", { body: { text, key } }));
      forget();
      void navigate({ to: "/experiments/$experiment", params: { experiment: made.id } });
    } catch (failed) {
      onSaid(messageOf(failed));
      sent.current.busy = false;
      setBusy(false);
    }
  };
  return (
    <Button look="primary" disabled={!ready || busy} onClick={() => void submit()}>
      {busy ? "Checking data and models" : runs === 0 ? "Queue" : `Queue ${runs === 1 ? "1 run" : `${runs} runs`}`}
    </Button>
  );
}
