import { useQuery, useQueryClient } from "@tanstack/react-query";
import { X } from "lucide-react";
import { useState } from "react";
import { Button } from "@/components/ui/button";
import { Failure } from "@/components/ui/message";
import { ask, client } from "@/lib/api";
import { messageOf } from "../steering/pending";
import { type Inspection, inspectionsQuery, isOpen, type Report, reportQuery } from "./queries";
import { ReportView } from "./ReportView";

function nameOf({ data }: Pick<Inspection, "data">): string {
  return String(data["path"] ?? data["source"]);
}

/** What was looked at before, and what is under way. */
export function Inspections({ onOpen }: { readonly onOpen: (id: string) => void }) {
  const { data, error } = useQuery(inspectionsQuery());
  if (error !== null) return <Failure error={error} />;
  if (data === undefined || data.length === 0) return null;
  return (
    <section aria-label="Looked at">
      <h2 className="mb-2 font-medium text-dim">Looked at</h2>
      <ul className="border border-line bg-panel">
        {data.map((one) => (
          <li key={one.id} className="flex flex-wrap items-center gap-x-4 border-b border-line px-3 py-1.5 last:border-0">
            <button type="button" className="break-all text-accent hover:underline" onClick={() => onOpen(one.id)}>
              {nameOf(one)}
            </button>
            <span className={one.state === "failed" ? "text-bad" : "text-dim"}>{said(one)}</span>
            <span className="ml-auto text-dim">{new Date(one.created_at).toLocaleString()}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function said({ state, done, total }: Inspection): string {
  if (state === "waiting") return "waits for those before it";
  if (state === "reading") return total === null ? "opening" : `${done} of ${total} images`;
  return state === "interrupted" ? "its server ended before it was over" : state;
}

interface DetailOptions {
  readonly id: string;
  readonly onClose: () => void;
  readonly onOpen: (id: string) => void;
}

/** One look at a data set: how far it is, and what was found. */
export function InspectionDetail({ id, onClose, onOpen }: DetailOptions) {
  const cache = useQueryClient();
  const { data, error } = useQuery(reportQuery(id));
  const [refused, setRefused] = useState<Error | null>(null);
  const act = async (what: () => Promise<unknown>) => {
    setRefused(null);
    try {
      await what();
    } catch (failed) {
      setRefused(new Error(messageOf(failed)));
    }
    void cache.invalidateQueries({ queryKey: ["inspections"] });
    void cache.invalidateQueries({ queryKey: ["inspection", id] });
  };
  const params = { params: { path: { inspection_id: id } } };
  const cancel = () => act(() => ask(client.POST("/api/v1/inspections/{inspection_id}/cancel", params)));
  const forget = () =>
    act(async () => {
      await ask(client.DELETE("/api/v1/inspections/{inspection_id}", params));
      onClose();
    });
  const again = () =>
    act(async () => {
      const body = {
        path: String(data?.data["path"] ?? "digits"),
        source: data?.data["source"] as "digits",
        val_fraction: Number(data?.data["val_fraction"]),
        test_fraction: Number(data?.data["test_fraction"]),
      };
      onOpen((await ask(client.POST("/api/v1/inspections", { body }))).id);
    });
  if (error !== null) return <Failure error={error} />;
  if (data === undefined) return null;
  return (
    <section aria-label={nameOf(data)} className="flex flex-col gap-3 border border-line bg-panel p-3">
      <div className="flex flex-wrap items-center gap-3">
        <h2 className="text-base font-semibold break-all">{nameOf(data)}</h2>
        <span aria-live="polite" className="text-dim">
          {said(data)}
        </span>
        <div className="ml-auto flex gap-2">
          {isOpen(data) ? (
            <Button look="danger" onClick={() => void cancel()}>
              Cancel
            </Button>
          ) : (
            <>
              <Button onClick={() => void again()}>Look again</Button>
              <Button look="danger" onClick={() => void forget()}>
                Forget
              </Button>
            </>
          )}
          <button type="button" aria-label="Close" className="rounded p-1 hover:bg-page" onClick={onClose}>
            <X size={16} aria-hidden />
          </button>
        </div>
      </div>
      {data.state === "reading" && data.total !== null && (
        <progress aria-label="Images read" className="w-full" value={data.done} max={data.total} />
      )}
      {refused !== null && <Failure error={refused} />}
      {data.state === "failed" && <Failure error={new Error(data.message)} />}
      {data.report !== null && <ReportView report={data.report as unknown as Report} />}
    </section>
  );
}
