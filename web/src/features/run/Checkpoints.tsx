import { useQuery } from "@tanstack/react-query";
import { Copy, Download, Play } from "lucide-react";
import { useState } from "react";
import { Button, LOOK } from "@/components/ui/button";
import { Failure } from "@/components/ui/message";
import type { Checkpoint, Operation, RunDetail } from "@/lib/api";
import { bytes, number } from "@/lib/format";
import { checkpointsQuery } from "@/lib/queries";
import { CloneWindow } from "../steering/CloneDialog";
import { messageOf, refusals, steer } from "../steering/pending";

const RESUMABLE = new Set(["paused", "stopped", "failed"]);

/** What a run saved: to download, to compare, and to go on from. */
export function Checkpoints({ run }: { readonly run: RunDetail }) {
  const { data, error } = useQuery(checkpointsQuery(run.id));
  const [compared, setCompared] = useState<readonly string[]>([]);
  const [start, setStart] = useState<Checkpoint | null>(null);
  const [said, setSaid] = useState("");
  if (error !== null) return <Failure error={error} />;
  if (data?.length === 0) return <p className="text-dim">No checkpoint yet.</p>;
  const resume = async () => {
    try {
      setSaid(refusals(await steer([run.id], { kind: "resume" } as Operation)));
    } catch (failed) {
      setSaid(messageOf(failed));
    }
  };
  const [first, second] = compared.map((id) => data?.find((one) => one.id === id));
  return (
    <>
      {said !== "" && <Failure error={new Error(said)} />}
      <div className="max-w-full overflow-auto" tabIndex={0} role="region" aria-label="Checkpoints">
        <table className="w-full border border-line bg-panel text-left">
          <thead className="text-dim">
            <tr className="border-b border-line">
              {["Compare", "Checkpoint", "Step", "Epoch", "Size", "Tags", "Metrics", "Saved", "Go on"].map((title) => (
                <th key={title} scope="col" className="px-3 py-1.5 font-medium">
                  {title}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {data?.map((one) => (
              <tr key={one.id} className="border-b border-line last:border-0">
                <td className="px-3 py-1.5">
                  <input
                    type="checkbox"
                    aria-label={`Compare ${one.id}`}
                    checked={compared.includes(one.id)}
                    onChange={(event) =>
                      setCompared(event.target.checked ? [...compared, one.id].slice(-2) : compared.filter((id) => id !== one.id))
                    }
                  />
                </td>
                <td className="px-3 py-1.5 font-mono text-xs">{one.id}</td>
                <td className="tabular px-3 py-1.5">{number(one.step)}</td>
                <td className="tabular px-3 py-1.5">{one.epoch}</td>
                <td className="tabular px-3 py-1.5 whitespace-nowrap">{bytes(one.size)}</td>
                <td className="px-3 py-1.5">{tags(one)}</td>
                <td className="tabular px-3 py-1.5">
                  {Object.entries(one.metrics)
                    .map(([name, found]) => `${name} ${number(found)}`)
                    .join(", ")}
                </td>
                <td className="px-3 py-1.5 whitespace-nowrap text-dim">{new Date(one.created_at).toLocaleString()}</td>
                <td className="px-3 py-1.5">
                  <div className="flex gap-2">
                    <a href={`/api/v1/runs/${run.id}/checkpoints/${one.id}/archive`} download className={LOOK} aria-label={`Download ${one.id}`}>
                      <Download size={14} aria-hidden />
                    </a>
                    <Button disabled={one.corrupt} onClick={() => setStart(one)}>
                      <Copy size={14} aria-hidden /> Clone from here
                    </Button>
                    {one.tags.includes("last") && RESUMABLE.has(run.state) && (
                      <Button onClick={() => void resume()}>
                        <Play size={14} aria-hidden /> Resume from here
                      </Button>
                    )}
                  </div>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {first !== undefined && second !== undefined && <Comparison first={first} second={second} />}
      {start !== null && (
        <CloneWindow
          run={run}
          from={{ id: start.id, words: `those of step ${number(start.step)} (${start.id})`, resumable: start.resumable }}
          open
          onOpen={(open) => !open && setStart(null)}
        />
      )}
    </>
  );
}

function tags(one: Checkpoint): string {
  return [...one.tags, ...(one.resumable ? [] : ["weights only"]), ...(one.corrupt ? ["corrupt"] : [])].join(", ");
}

function Comparison({ first, second }: { readonly first: Checkpoint; readonly second: Checkpoint }) {
  const metrics = [...new Set([...Object.keys(first.metrics), ...Object.keys(second.metrics)])];
  const files = [...new Set([...Object.keys(first.files), ...Object.keys(second.files)])];
  const rows: [string, (one: Checkpoint) => number | null | undefined, (found: number | null | undefined) => string][] = [
    ["step", (one) => one.step, number],
    ["epoch", (one) => one.epoch, number],
    ["size", (one) => one.size, size],
    ...metrics.map((name): (typeof rows)[number] => [name, (one) => one.metrics[name], number]),
    ...files.map((name): (typeof rows)[number] => [name, (one) => one.files[name], size]),
  ];
  return (
    <section className="mt-4">
      <h2 className="mb-1 font-semibold">Compared</h2>
      <div className="max-w-full overflow-auto" tabIndex={0} role="region" aria-label="Compared checkpoints">
        <table aria-label="Compared checkpoints" className="border border-line bg-panel text-right">
          <thead className="text-dim">
            <tr className="border-b border-line">
              {["", first.id, second.id, "Difference"].map((title) => (
                <th key={title} scope="col" className="px-3 py-1.5 font-medium">
                  {title}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map(([name, pick, words]) => {
              const [a, b] = [pick(first), pick(second)];
              const differ = typeof a === "number" && typeof b === "number";
              return (
                <tr key={name} className="border-b border-line last:border-0">
                  <th scope="row" className="px-3 py-1 text-left font-normal">
                    {name}
                  </th>
                  <td className="tabular px-3 py-1">{words(a)}</td>
                  <td className="tabular px-3 py-1">{words(b)}</td>
                  <td className="tabular px-3 py-1">{differ && (b < a ? "−" : "+") + words(Math.abs(b - a))}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function size(found: number | null | undefined): string {
  return found == null ? "" : bytes(found);
}
