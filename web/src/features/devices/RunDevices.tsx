import { useQuery } from "@tanstack/react-query";
import { Failure } from "@/components/ui/message";
import { ACTIVE, type Run } from "@/lib/api";
import { Curves } from "./Curves";
import { runDevicesQuery } from "./queries";

/** What a run's devices did while it trained there. */
export function RunDevices({ run }: { readonly run: Run }) {
  const { data, error } = useQuery(runDevicesQuery(run.id, ACTIVE.has(run.state)));
  if (error !== null) return <Failure error={error} />;
  if (data === undefined) return null;
  if (data.spans.length === 0) return <p className="text-dim">It did not train yet.</p>;
  return (
    <div className="flex flex-col gap-4">
      <ul aria-label="When it trained" className="text-dim">
        {data.spans.map((span) => (
          <li key={`${span.attempt} ${span.start}`}>
            attempt {span.attempt} on {span.device}: {new Date(span.start).toLocaleString()} to{" "}
            {span.end === null ? "now" : new Date(span.end).toLocaleString()}
          </li>
        ))}
      </ul>
      {data.curves.length === 0 && <p className="text-dim">Nothing is recorded of its devices: only the agent of modelyard up records it.</p>}
      {data.curves.map((curve) => (
        <section key={`${curve.host} ${curve.device}`} aria-label={`${curve.device} on ${curve.host}`}>
          <h2 className="mb-1 font-medium">
            {curve.device} <span className="font-normal text-dim">on {curve.host}, with all else that it did meanwhile</span>
          </h2>
          <Curves curve={curve} name={curve.device} />
        </section>
      ))}
    </div>
  );
}
