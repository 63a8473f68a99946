import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Command, Empty, Failure } from "@/components/ui/message";
import { State } from "@/components/ui/state";
import type { Experiment, RunState } from "@/lib/api";
import { experimentsQuery } from "@/lib/queries";

/** All experiments, by project. */
export function ExperimentsPage() {
  const { data, error } = useQuery(experimentsQuery());
  return (
    <div className="mx-auto w-full max-w-5xl p-4">
      <div className="mb-4 flex items-center justify-between gap-3">
        <h1 className="text-lg font-semibold">Experiments</h1>
        <Link to="/new" className="rounded border border-accent bg-accent px-2.5 py-1 font-medium text-accent-text hover:opacity-90">
          New experiment
        </Link>
      </div>
      {error !== null && <Failure error={error} />}
      {data?.length === 0 && (
        <Empty title="No experiments yet">
          <p>
            Start a <Link to="/new" className="text-accent underline">new experiment</Link> here; or write a sweep with{" "}
            <Command>modelyard init</Command>, and train it with{" "}
            <Command>modelyard train sweep.yaml</Command>: it appears here at once.
          </p>
        </Empty>
      )}
      {data !== undefined && projects(data).map(([name, found]) => <Project key={name} name={name} experiments={found} />)}
    </div>
  );
}

function projects(experiments: readonly Experiment[]): [string, Experiment[]][] {
  const found = new Map<string, Experiment[]>();
  for (const one of experiments) found.set(one.project, [...(found.get(one.project) ?? []), one]);
  return [...found].sort(([a], [b]) => a.localeCompare(b));
}

function Project({ name, experiments }: { readonly name: string; readonly experiments: readonly Experiment[] }) {
  return (
    <section className="mb-6" aria-label={`Project ${name}`}>
      <h2 className="mb-2 font-medium text-dim">{name}</h2>
      <table className="w-full border border-line bg-panel text-left">
        <thead className="text-dim">
          <tr className="border-b border-line">
            <th className="px-3 py-1.5 font-medium">Experiment</th>
            <th className="px-3 py-1.5 text-right font-medium">Runs</th>
            <th className="px-3 py-1.5 font-medium">States</th>
            <th className="px-3 py-1.5 font-medium">Created</th>
          </tr>
        </thead>
        <tbody>
          {experiments.map((one) => (
            <tr key={one.id} className="border-b border-line last:border-0">
              <td className="px-3 py-1.5">
                <Link
                  to="/experiments/$experiment"
                  params={{ experiment: one.id }}
                  className="font-medium text-accent hover:underline"
                >
                  {one.name}
                </Link>
              </td>
              <td className="tabular px-3 py-1.5 text-right">{one.run_count}</td>
              <td className="flex flex-wrap gap-x-3 px-3 py-1.5">
                {Object.entries(one.states).map(([state, count]) => (
                  <span key={state} className="tabular inline-flex gap-1">
                    {count} <State state={state as RunState} />
                  </span>
                ))}
              </td>
              <td className="px-3 py-1.5 whitespace-nowrap text-dim">{new Date(one.created_at).toLocaleString()}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
