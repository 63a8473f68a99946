import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { Tabs } from "radix-ui";
import { useState } from "react";
import { Failure } from "@/components/ui/message";
import { State } from "@/components/ui/state";
import { ACTIVE, ask, client, type RunDetail } from "@/lib/api";
import { bytes, number } from "@/lib/format";
import { checkpointsQuery, eventsQuery, runQuery } from "@/lib/queries";
import { MetricChart } from "../board/Charts";
import { metricsOf } from "../board/columns";
import { RunDevices } from "../devices/RunDevices";
import { Actions } from "../steering/Actions";
import { DeleteButton } from "../steering/DeleteButton";
import { ConfigTree } from "./ConfigTree";
import { describe } from "./describe";
import { Logs } from "./Logs";

const route = getRouteApi("/runs/$run");
const TABS = ["charts", "config", "logs", "checkpoints", "devices", "events"] as const;
type Tab = (typeof TABS)[number];

export interface RunTab {
  readonly tab?: Tab;
}

export function isTab(text: unknown): text is Tab {
  return TABS.some((tab) => tab === text);
}

/** Everything about one run. */
export function RunPage() {
  const { run: ref } = route.useParams();
  const { tab = "charts" } = route.useSearch();
  const navigate = route.useNavigate();
  const { data: run, error } = useQuery(runQuery(ref));
  if (error !== null) return <Failure error={error} />;
  if (run === undefined) return null;
  return (
    <div className="flex min-h-0 flex-1 flex-col gap-3 p-4">
      <div className="flex flex-wrap items-center gap-3">
        <h1 className="text-lg font-semibold">{run.name}</h1>
        <State state={run.state} />
        <Link to="/experiments/$experiment" params={{ experiment: run.experiment_id }} className="text-accent hover:underline">
          {run.experiment}
        </Link>
        <div className="ml-auto flex gap-2">
          <Actions runs={[run]} />
          <DeleteButton
            what={`run ${run.name}`}
            target={run.id}
            disabled={ACTIVE.has(run.state)}
            onDelete={async () => {
              await ask(client.DELETE("/api/v1/runs/{ref}", { params: { path: { ref: run.id } } }));
              void navigate({ to: "/experiments/$experiment", params: { experiment: run.experiment_id } });
            }}
          />
        </div>
      </div>
      <p className="text-dim">{run.notice || run.reason.message}</p>
      <Tabs.Root
        value={tab}
        onValueChange={(next) => isTab(next) && void navigate({ search: { tab: next }, replace: true })}
        className="flex min-h-0 flex-1 flex-col"
      >
        <Tabs.List aria-label="Run" className="mb-3 flex flex-wrap gap-1 border-b border-line">
          {TABS.map((one) => (
            <Tabs.Trigger
              key={one}
              value={one}
              className="border-b-2 border-transparent px-3 py-1.5 text-dim capitalize data-[state=active]:border-accent data-[state=active]:text-text"
            >
              {one}
            </Tabs.Trigger>
          ))}
        </Tabs.List>
        <Tabs.Content value="charts">
          <Charts run={run} />
        </Tabs.Content>
        <Tabs.Content value="config">
          <ConfigTree config={run.config} />
        </Tabs.Content>
        <Tabs.Content value="logs" className="flex min-h-0 flex-1 flex-col">
          <Logs runId={run.id} />
        </Tabs.Content>
        <Tabs.Content value="checkpoints">
          <Checkpoints runId={run.id} />
        </Tabs.Content>
        <Tabs.Content value="devices">
          <RunDevices run={run} />
        </Tabs.Content>
        <Tabs.Content value="events">
          <Events runId={run.id} />
        </Tabs.Content>
      </Tabs.Root>
    </div>
  );
}

function Charts({ run }: { readonly run: RunDetail }) {
  const [, setHighlighted] = useState<string | null>(null);
  const metrics = metricsOf([run]);
  if (metrics.length === 0) return <p className="text-dim">Nothing was measured yet.</p>;
  return (
    <div className="grid grid-cols-[repeat(auto-fill,minmax(min(100%,26rem),1fr))] gap-3">
      {metrics.map((metric) => (
        <MetricChart
          key={metric}
          metric={metric}
          runs={[run]}
          smoothing={0}
          logarithmic={false}
          highlighted={null}
          onHighlight={setHighlighted}
        />
      ))}
    </div>
  );
}

function Checkpoints({ runId }: { readonly runId: string }) {
  const { data, error } = useQuery(checkpointsQuery(runId));
  if (error !== null) return <Failure error={error} />;
  if (data?.length === 0) return <p className="text-dim">No checkpoint yet.</p>;
  return (
    <table className="w-full border border-line bg-panel text-left">
      <thead className="text-dim">
        <tr className="border-b border-line">
          {["Checkpoint", "Step", "Epoch", "Size", "Tags", "Metrics", "Saved"].map((title) => (
            <th key={title} className="px-3 py-1.5 font-medium">
              {title}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {data?.map((one) => (
          <tr key={one.id} className="border-b border-line last:border-0">
            <td className="px-3 py-1.5 font-mono text-xs">{one.id}</td>
            <td className="tabular px-3 py-1.5">{number(one.step)}</td>
            <td className="tabular px-3 py-1.5">{one.epoch}</td>
            <td className="tabular px-3 py-1.5">{bytes(one.size)}</td>
            <td className="px-3 py-1.5">{[...one.tags, ...(one.corrupt ? ["corrupt"] : [])].join(", ")}</td>
            <td className="tabular px-3 py-1.5">
              {Object.entries(one.metrics)
                .map(([name, found]) => `${name} ${number(found)}`)
                .join(", ")}
            </td>
            <td className="px-3 py-1.5 whitespace-nowrap text-dim">{new Date(one.created_at).toLocaleString()}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Events({ runId }: { readonly runId: string }) {
  const { data, error } = useQuery(eventsQuery(runId));
  if (error !== null) return <Failure error={error} />;
  return (
    <ol className="border border-line bg-panel">
      {data?.toReversed().map((event) => (
        <li key={event.seq} className="flex gap-4 border-b border-line px-3 py-1.5 last:border-0">
          <time className="tabular shrink-0 whitespace-nowrap text-dim">{new Date(event.time).toLocaleString()}</time>
          <span className="flex-1">{describe(event.payload)}</span>
          <span className="text-dim">{event.actor}</span>
        </li>
      ))}
    </ol>
  );
}
