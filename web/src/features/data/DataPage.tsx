import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { Empty, Failure } from "@/components/ui/message";
import { FolderPicker } from "./FolderPicker";
import { InspectionDetail, Inspections } from "./Inspections";
import { type Dataset, datasetsQuery } from "./queries";

const route = getRouteApi("/data");

/** The data sets that runs used, and a look at what is on this machine. */
export function DataPage() {
  const { inspection } = route.useSearch();
  const navigate = route.useNavigate();
  const { data, error } = useQuery(datasetsQuery());
  const open = (id: string) => void navigate({ search: { inspection: id } });
  return (
    <div className="mx-auto flex w-full max-w-6xl flex-col gap-4 p-4">
      <h1 className="text-lg font-semibold">Data</h1>
      {inspection !== undefined && (
        <InspectionDetail id={inspection} onClose={() => void navigate({ search: {} })} onOpen={open} />
      )}
      <FolderPicker onStarted={open} />
      <Inspections onOpen={open} />
      <section aria-label="Data sets that runs used">
        <h2 className="mb-2 font-medium text-dim">Data sets that runs used</h2>
        {error !== null && <Failure error={error} />}
        {data?.length === 0 && <Empty title="No run has used any data yet" />}
        {data?.map((one) => <Used key={`${one.source} ${one.path}`} dataset={one} />)}
      </section>
    </div>
  );
}

function Used({ dataset }: { readonly dataset: Dataset }) {
  return (
    <div className="mb-3 overflow-x-auto border border-line bg-panel">
      <p className="border-b border-line px-3 py-1.5 break-all">
        <span className="font-medium">{dataset.path ?? dataset.source}</span>
        {dataset.path !== null && <span className="text-dim"> {dataset.source}</span>}
      </p>
      <table className="w-full text-left">
        <thead className="text-dim">
          <tr className="border-b border-line">
            {["Version", "Experiments", "Last used"].map((title) => (
              <th key={title} className="px-3 py-1.5 font-medium">
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {dataset.versions.map((version) => (
            <tr key={version.fingerprint ?? ""} className="border-b border-line last:border-0">
              <td className="px-3 py-1.5 font-mono text-xs" title={version.fingerprint ?? ""}>
                {version.fingerprint?.slice(0, 12) ?? "not opened yet"}
              </td>
              <td className="px-3 py-1.5">
                <span className="flex flex-wrap gap-x-3">
                  {version.experiments.map((one) => (
                    <span key={one.id} className="whitespace-nowrap">
                      <Link
                        to="/experiments/$experiment"
                        params={{ experiment: one.id }}
                        className="text-accent hover:underline"
                      >
                        {one.name}
                      </Link>{" "}
                      <span className="text-dim">{one.runs === 1 ? "1 run" : `${one.runs} runs`}</span>
                    </span>
                  ))}
                </span>
              </td>
              <td className="px-3 py-1.5 whitespace-nowrap text-dim">
                {version.last_used === null ? "" : new Date(version.last_used).toLocaleString()}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
