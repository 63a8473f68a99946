import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { RefreshCw } from "lucide-react";
import type { ReactNode } from "react";
import { useAfresh } from "@/app/afresh";
import { Button } from "@/components/ui/button";
import { Failure } from "@/components/ui/message";
import { Table } from "@/components/ui/table";
import type { EventView, Schemas } from "@/lib/api";
import { bytes } from "@/lib/format";
import { Collection } from "./Collection";
import { usageQuery } from "./queries";

type Usage = Schemas["UsageView"];
type Owner = Schemas["OwnerView"];

const REST_MILLISECONDS = 2000;
const CHANGES = new Set<EventView["payload"]["type"]>([
  "experiment.created",
  "experiment.deleted",
  "run.deleted",
  "checkpoint.saved",
  "storage.collected",
]);

/** What uses the disk, and how to free it. */
export function StoragePage() {
  const { data, error, isFetching, refetch, dataUpdatedAt } = useQuery(usageQuery());
  useAfresh(["storage"], (event) => CHANGES.has(event.payload.type), REST_MILLISECONDS);
  return (
    <div className="mx-auto flex w-full max-w-5xl flex-col gap-5 p-4">
      <div className="flex flex-wrap items-center gap-3">
        <h1 className="text-lg font-semibold">Storage</h1>
        {data !== undefined && (
          <span className="text-dim">measured at {new Date(dataUpdatedAt).toLocaleTimeString()}</span>
        )}
        <Button className="ml-auto" disabled={isFetching} onClick={() => void refetch()}>
          <RefreshCw size={14} aria-hidden /> Measure again
        </Button>
      </div>
      {error !== null && <Failure error={error} />}
      {data !== undefined && (
        <>
          <Disk usage={data} />
          <Kinds usage={data} />
          <Collection />
          <Owners title="By experiment" owners={data.experiments} />
          <Owners title="By run" owners={data.runs} of={data.run_count} />
        </>
      )}
    </div>
  );
}

function Disk({ usage }: { readonly usage: Usage }) {
  const others = Math.max(0, usage.capacity - usage.free - usage.total);
  const share = (size: number) => `${(size / Math.max(1, usage.capacity)) * 100}%`;
  return (
    <div>
      <p className="mb-1.5">
        Modelyard uses <strong className="tabular">{bytes(usage.total)}</strong>.{" "}
        <strong className="tabular">{bytes(usage.free)}</strong> of the disk's {bytes(usage.capacity)} are free.
      </p>
      <div
        role="img"
        aria-label={`Disk: ${bytes(usage.total)} Modelyard, ${bytes(others)} others, ${bytes(usage.free)} free`}
        className="flex h-2.5 overflow-hidden rounded border border-line"
      >
        <span className="bg-accent" style={{ width: share(usage.total) }} />
        <span className="bg-dim" style={{ width: share(others) }} />
      </div>
    </div>
  );
}

const KINDS: readonly (readonly [keyof Usage, string, string])[] = [
  ["checkpoints", "Checkpoints", ""],
  ["artifacts", "Artifacts and code", "what no checkpoint has too"],
  ["unreferenced", "Needed by nothing", "a collection frees it"],
  ["pinned", "Not recorded yet", "written by processes at work"],
  ["features", "Features of frozen backbones", "a cache"],
  ["database", "Database", ""],
  ["metrics", "– metrics in it", ""],
  ["logs", "– logs in it", ""],
  ["processes", "Logs of processes", "each goes a month after its last line"],
  ["reserve", "Reserve", "given up on a full disk, so that things can still be deleted"],
  ["other", "Other", "temporary files, measurements, readings of devices"],
];

function Kinds({ usage }: { readonly usage: Usage }) {
  return (
    <Section title="By kind">
      <Table label="By kind" heads={["Kind", "Size", ""]} right={[1]}>
        {KINDS.map(([kind, name, about]) => (
          <tr key={kind} className="border-b border-line last:border-0">
            <td className="px-3 py-1.5">{name}</td>
            <td className="tabular px-3 py-1.5 text-right whitespace-nowrap">{bytes(usage[kind] as number)}</td>
            <td className="px-3 py-1.5 text-dim">{about}</td>
          </tr>
        ))}
      </Table>
    </Section>
  );
}

function Owners({ title, owners, of }: { readonly title: string; readonly owners: readonly Owner[]; readonly of?: number }) {
  const runs = of !== undefined;
  return (
    <Section title={title} about={runs && of > owners.length ? `the ${owners.length} largest of ${of}` : ""}>
      {owners.length === 0 ? (
        <p className="text-dim">There is none.</p>
      ) : (
        <Table
          label={title}
          heads={[runs ? "Run" : "Experiment", "Files", "Freed by deleting it", "Metrics and logs"]}
          right={[1, 2, 3]}
        >
          {owners.map((one) => (
            <tr key={one.id} className="border-b border-line last:border-0">
              <td className="px-3 py-1.5">
                {runs ? (
                  <Link to="/runs/$run" params={{ run: one.id }} className="font-medium text-accent hover:underline">
                    {one.name}
                  </Link>
                ) : (
                  <Link
                    to="/experiments/$experiment"
                    params={{ experiment: one.id }}
                    className="font-medium text-accent hover:underline"
                  >
                    {one.name}
                  </Link>
                )}
              </td>
              {[one.footprint.files, one.footprint.own, one.footprint.records].map((size, index) => (
                <td key={index} className="tabular px-3 py-1.5 text-right whitespace-nowrap">
                  {bytes(size)}
                </td>
              ))}
            </tr>
          ))}
        </Table>
      )}
    </Section>
  );
}

function Section({ title, about = "", children }: { readonly title: string; readonly about?: string; readonly children: ReactNode }) {
  return (
    <section aria-label={title}>
      <h2 className="mb-2 font-medium">
        {title} <span className="font-normal text-dim">{about}</span>
      </h2>
      {children}
    </section>
  );
}
