import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { FlaskConical } from "lucide-react";
import { Tabs } from "radix-ui";
import { LOOK } from "@/components/ui/button";
import { Failure } from "@/components/ui/message";
import { State } from "@/components/ui/state";
import { ACTIVE, ask, client } from "@/lib/api";
import { eventsQuery, runQuery } from "@/lib/queries";
import { RunDevices } from "../devices/RunDevices";
import { Actions } from "../steering/Actions";
import { DeleteButton } from "../steering/DeleteButton";
import { Checkpoints } from "./Checkpoints";
import { Classes } from "./Classes";
import { ConfigTree } from "./ConfigTree";
import { describe } from "./describe";
import { Logs } from "./Logs";
import { Overview } from "./Overview";
import { RunCharts } from "./RunCharts";
import { Samples } from "./Samples";
import { isTab, type RunView, TABS } from "./view";

const route = getRouteApi("/runs/$run");

/** Everything about one run. */
export function RunPage() {
  const { run: ref } = route.useParams();
  const view = route.useSearch();
  const navigate = route.useNavigate();
  const change = (next: RunView) => void navigate({ search: (old: RunView) => ({ ...old, ...next }), replace: true });
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
        <div className="ml-auto flex flex-wrap gap-2">
          <Actions runs={[run]} />
          <Link to="/testing" search={{ models: [run.id] }} className={LOOK}>
            <FlaskConical size={14} aria-hidden /> Test
          </Link>
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
        value={view.tab ?? "charts"}
        onValueChange={(next) => isTab(next) && change({ tab: next })}
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
          <RunCharts run={run} view={view} onChange={change} />
        </Tabs.Content>
        <Tabs.Content value="overview">
          <Overview run={run} />
        </Tabs.Content>
        <Tabs.Content value="config">
          <ConfigTree config={run.config} />
        </Tabs.Content>
        <Tabs.Content value="classes">
          <Classes run={run} view={view} onChange={change} />
        </Tabs.Content>
        <Tabs.Content value="samples">
          <Samples run={run} view={view} onChange={change} />
        </Tabs.Content>
        <Tabs.Content value="logs" className="flex min-h-0 flex-1 flex-col">
          <Logs runId={run.id} />
        </Tabs.Content>
        <Tabs.Content value="checkpoints">
          <Checkpoints run={run} />
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
