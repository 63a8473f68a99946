import { useQuery } from "@tanstack/react-query";
import { Failure } from "@/components/ui/message";
import { Grid } from "./Grid";
import { planQuery, searchQuery, waysQuery } from "./queries";
import { SearchLog } from "./SearchLog";

/** How the runs train and why, how those that are left would, and what the search decided. */
export default function Plan({ experiment }: { readonly experiment: string }) {
  const search = useQuery(searchQuery(experiment));
  return (
    <div className="flex flex-col gap-5">
      <Ways experiment={experiment} />
      <Left experiment={experiment} />
      <section aria-label="Search" className="flex flex-col gap-2">
        <h2 className="font-semibold">The search</h2>
        {search.error !== null && <Failure error={search.error} />}
        {search.data === null && <p className="text-dim">Nothing is decided here: every run trains to its end.</p>}
        {search.data != null && <SearchLog search={search.data} />}
      </section>
    </div>
  );
}

function Ways({ experiment }: { readonly experiment: string }) {
  const { data, error } = useQuery(waysQuery(experiment));
  return (
    <section aria-label="How the runs train" className="flex flex-col gap-2">
      <h2 className="font-semibold">How the runs train, and why</h2>
      {error !== null && <Failure error={error} />}
      {data !== undefined && (
        <Grid titles={["Runs", "How", "On", "Why"]}>
          {data.map((way) => (
            <tr key={`${way.execution} ${way.group} ${way.gain} ${way.reason}`} className="border-b border-line last:border-0">
              <td className="tabular px-3 py-1.5">{way.runs}</td>
              <td className="px-3 py-1.5 whitespace-nowrap">
                {way.execution === "" ? "not begun" : way.execution}
                {way.group > 1 && `, ${way.group} as one model`}
                {way.gain !== null && ` (${way.gain.toFixed(1)}x)`}
              </td>
              <td className="px-3 py-1.5">{way.devices.join(", ")}</td>
              <td className="px-3 py-1.5">{way.reason}</td>
            </tr>
          ))}
        </Grid>
      )}
    </section>
  );
}

function Left({ experiment }: { readonly experiment: string }) {
  const { data, error } = useQuery(planQuery(experiment));
  if (data?.left === 0) return null;
  return (
    <section aria-label="Plan" className="flex flex-col gap-2">
      <h2 className="font-semibold">The plan for what is left</h2>
      {error !== null && <Failure error={error} />}
      {data === undefined && error === null && <p className="text-dim">asking this machine…</p>}
      {data !== undefined && (
        <>
          <p className="text-dim">
            As it was when this page was opened, if nothing else trains on this machine: {[...new Set(data.groups.map((group) => group.reason))].join("; ")}.
          </p>
          <Grid titles={["Process", "Device", "How", "Runs at a time", "Threads"]}>
            {data.groups.map((group, index) => (
              <tr key={index} className="border-b border-line last:border-0">
                <td className="tabular px-3 py-1.5">{index + 1}</td>
                <td className="px-3 py-1.5">{group.device}</td>
                <td className="px-3 py-1.5">{group.execution ?? "measured while they train"}</td>
                <td className="tabular px-3 py-1.5">{group.slots}</td>
                <td className="tabular px-3 py-1.5">{group.threads}</td>
              </tr>
            ))}
          </Grid>
        </>
      )}
    </section>
  );
}
