import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef, useState } from "react";
import { Failure } from "@/components/ui/message";
import { ask, client, type Lines, type LogLine } from "@/lib/api";

const LINE_PIXELS = 18;
const FIRST_LINES = 5_000;

/** A run's log as it is written: the newest lines first read, then followed. */
export function Logs({ runId }: { readonly runId: string }) {
  const [lines, setLines] = useState<readonly LogLine[]>([]);
  const [error, setError] = useState<Error | null>(null);
  const [follows, setFollows] = useState(true);
  const [sought, setSought] = useState("");
  const scroller = useRef<HTMLDivElement>(null);
  useEffect(() => {
    let source: EventSource | null = null;
    let left = false;
    const read = async () => {
      const query = { tail: FIRST_LINES };
      const first = await ask(client.GET("/api/v1/runs/{ref}/logs", { params: { path: { ref: runId }, query } }));
      if (left) return;
      setLines(first.lines);
      let last = first.next;
      source = new EventSource(`/api/v1/stream?lines=${runId},${last}`);
      source.addEventListener("lines", (message) => {
        const news = (JSON.parse(message.data) as Lines).lines.filter((line) => line.number > last);
        last = news.at(-1)?.number ?? last; // a reconnect begins at the first cursor again
        setLines((before) => [...before, ...news]);
      });
    };
    read().catch((failed: unknown) => setError(failed as Error));
    return () => {
      left = true;
      source?.close();
    };
  }, [runId]);
  const shown = sought === "" ? lines : lines.filter((line) => line.text.toLowerCase().includes(sought.toLowerCase()));
  const rows = useVirtualizer({
    count: shown.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => LINE_PIXELS,
    overscan: 30,
    initialRect: { width: 800, height: 600 },
  });
  useEffect(() => {
    if (follows && shown.length > 0) rows.scrollToIndex(shown.length - 1);
  }, [follows, shown.length, rows]);
  if (error !== null) return <Failure error={error} />;
  return (
    <>
      <div className="mb-2 flex items-center gap-4 text-dim">
        <input
          type="search"
          aria-label="Search the log"
          placeholder="Search"
          value={sought}
          onChange={(event) => setSought(event.target.value)}
          className="rounded border border-line bg-panel px-2 py-1 text-text placeholder:text-dim"
        />
        <label className="flex items-center gap-1.5">
          <input type="checkbox" checked={follows} onChange={(event) => setFollows(event.target.checked)} />
          Follow
        </label>
        <span className="tabular">{shown.length} lines</span>
      </div>
      <div ref={scroller} tabIndex={0} role="log" aria-label="Log" className="min-h-64 flex-1 overflow-auto border border-line bg-panel font-mono text-xs">
        <div className="relative min-w-max" style={{ height: rows.getTotalSize() }}>
          {rows.getVirtualItems().map((item) => {
            const line = shown[item.index] as LogLine;
            return (
              <div
                key={line.number}
                className="absolute flex gap-3 px-2 whitespace-pre"
                style={{ height: LINE_PIXELS, transform: `translateY(${item.start}px)` }}
              >
                <span className="tabular w-10 text-right text-dim select-none">{line.number}</span>
                {line.text}
              </div>
            );
          })}
        </div>
      </div>
    </>
  );
}
