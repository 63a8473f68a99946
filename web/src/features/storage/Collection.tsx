import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Button } from "@/components/ui/button";
import { Failure } from "@/components/ui/message";
import { ask, client, type Schemas } from "@/lib/api";
import { bytes } from "@/lib/format";
import { useMay } from "../session/session";

type Collected = Schemas["CollectedView"];

/** Deletes what nothing needs: what that would be comes first, and then what it was. */
export function Collection() {
  const cache = useQueryClient();
  const may = useMay("write");
  const { data, error, isPending, mutate } = useMutation({
    mutationFn: (dryRun: boolean) => ask(client.POST("/api/v1/storage/collect", { params: { query: { dry_run: dryRun } } })),
    onSuccess: (done) => void (done.dry_run || cache.invalidateQueries({ queryKey: ["storage"] })),
  });
  return (
    <section aria-label="Collection" className="flex flex-col gap-2 border border-line bg-panel p-3">
      <h2 className="font-medium">Free what nothing needs</h2>
      <p className="text-dim">
        Files that no run needs, what processes that died left behind, and logs of processes a month after their last line. It
        is safe while runs train.
      </p>
      <div className="flex flex-wrap items-center gap-3">
        <Button disabled={isPending || !may} onClick={() => mutate(true)}>
          What would go?
        </Button>
        {data?.dry_run === true && data.freed_bytes > 0 && (
          <Button look="danger" disabled={isPending || !may} onClick={() => mutate(false)}>
            Free {bytes(data.freed_bytes)}
          </Button>
        )}
        <span aria-live="polite">{isPending ? "looking …" : data === undefined ? "" : worded(data)}</span>
      </div>
      {error !== null && <Failure error={error} />}
    </section>
  );
}

function worded(found: Collected): string {
  const parts = [
    [found.blobs, "files that no run needs"],
    [found.temp_files, "files of processes that died"],
    [found.old_logs, "old logs of processes"],
  ] as const;
  const what = parts.flatMap(([count, name]) => (count > 0 ? [`${count} ${name}`] : [])).join(", ");
  const kept = `${found.kept} files are needed and stay.`;
  if (what === "") return `Nothing to free: ${kept}`;
  return found.dry_run
    ? `It would delete ${what}: ${bytes(found.freed_bytes)}. ${kept}`
    : `Deleted ${what}: ${bytes(found.freed_bytes)} are free again. ${kept}`;
}
