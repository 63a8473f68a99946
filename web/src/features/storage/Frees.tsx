import { useQuery } from "@tanstack/react-query";
import { bytes } from "@/lib/format";
import { footprintQuery } from "./queries";

/** What a deletion would free: measured when it is asked for. */
export function Frees({ targets }: { readonly targets: readonly string[] }) {
  const { data, error } = useQuery(footprintQuery(targets));
  if (error !== null) return <p className="text-warn">What it frees is not known: {error.message}</p>;
  if (data === undefined) return <p className="text-dim">Measuring what it frees …</p>;
  const shared = data.files - data.own;
  return (
    <p>
      It frees <strong className="tabular">{bytes(data.own)}</strong> of files.
      {shared > 0 && ` Another ${bytes(shared)} stays: other runs, or a process at work, need it.`} Its metrics and logs leave{" "}
      {bytes(data.records)} of room in the database, whose file keeps its size.
    </p>
  );
}
