import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { Failure } from "@/components/ui/message";
import type { Lineage, Relative, RunDetail } from "@/lib/api";
import { number } from "@/lib/format";
import { lineageQuery } from "./queries";

/** Where a run comes from, what came of it, and on what it was trained. */
export function Overview({ run }: { readonly run: RunDetail }) {
  const { data, error } = useQuery(lineageQuery(run.id));
  if (error !== null) return <Failure error={error} />;
  return (
    <div className="grid gap-4 lg:grid-cols-2">
      <List title="Lineage">{data !== undefined && <Origin run={run} lineage={data} />}</List>
      <List title="Trained on">
        <Fact name="How">{run.execution || "not begun"}</Fact>
        <Fact name="Attempts">{run.attempt}</Fact>
        <Fact name="Steps">
          {number(run.step)}
          {run.total_steps !== null && ` of ${number(run.total_steps)}`}
        </Fact>
        <Fact name="Created">{time(run.created_at)}</Fact>
        <Fact name="Started">{time(run.started_at)}</Fact>
        <Fact name="Ended">{time(run.ended_at)}</Fact>
        <Fact name="Config">
          <Print text={run.spec_hash} />
        </Fact>
        {Object.entries(run.fingerprints).map(([name, print]) => (
          <Fact key={name} name={name}>
            <Print text={print} />
          </Fact>
        ))}
        {Object.keys(run.fingerprints).length === 0 && <Fact name="data">known once the run has begun</Fact>}
      </List>
    </div>
  );
}

function Origin({ run, lineage: { parent, start, shared, clones, sharing } }: { readonly run: RunDetail; readonly lineage: Lineage }) {
  return (
    <>
      <Fact name="Cloned from">{run.parent_id === null ? "nothing: it came with its experiment" : <Run run={parent} />}</Fact>
      <Fact name="Weights from">
        {run.warm_start === null ? (
          "new ones"
        ) : start === null || start === undefined ? (
          `checkpoint ${run.warm_start}, which is gone`
        ) : (
          <>
            <Run run={start.run} /> at step {number(start.step)}, epoch {start.epoch}
            {run.forked ? ", with all of its state" : run.inherit_optimizer && ", with the optimizer's state"}
          </>
        )}
      </Fact>
      <Fact name="First steps from">
        {run.shared_steps === 0 ? (
          "itself"
        ) : (
          <>
            {shared === null || shared === undefined ? run.shared_with : <Run run={shared} />}, the first {number(run.shared_steps)}
          </>
        )}
      </Fact>
      <Fact name="Clones">
        <Runs runs={clones} />
      </Fact>
      <Fact name="Took its first steps">
        <Runs runs={sharing} />
      </Fact>
    </>
  );
}

function List({ title, children }: { readonly title: string; readonly children: ReactNode }) {
  return (
    <section>
      <h2 className="mb-1 font-semibold">{title}</h2>
      <dl aria-label={title} className="border border-line bg-panel">
        {children}
      </dl>
    </section>
  );
}

function Fact({ name, children }: { readonly name: string; readonly children: ReactNode }) {
  return (
    <div className="flex gap-3 border-b border-line px-3 py-1 last:border-0">
      <dt className="w-36 shrink-0 text-dim first-letter:uppercase">{name}</dt>
      <dd className="min-w-0">{children}</dd>
    </div>
  );
}

function Run({ run }: { readonly run: Relative | null | undefined }) {
  if (run === null || run === undefined) return <>a run that was deleted</>;
  return (
    <Link to="/runs/$run" params={{ run: run.id }} className="text-accent underline">
      {run.name}
    </Link>
  );
}

function Runs({ runs }: { readonly runs: readonly Relative[] }) {
  if (runs.length === 0) return <>none</>;
  return (
    <ul className="flex max-h-40 flex-wrap gap-x-3 overflow-auto">
      {runs.map((run) => (
        <li key={run.id}>
          <Run run={run} />
        </li>
      ))}
    </ul>
  );
}

function Print({ text }: { readonly text: string }) {
  return <code className="font-mono text-xs break-all">{text}</code>;
}

function time(text: string | null): string {
  return text === null ? "not yet" : new Date(text).toLocaleString();
}
