import { useQuery } from "@tanstack/react-query";
import clsx from "clsx";
import { ChevronDown, ChevronUp } from "lucide-react";
import { type CSSProperties, memo, type ReactNode, useEffect, useRef, useState } from "react";
import { Button } from "@/components/ui/button";
import { INPUT } from "@/components/ui/field";
import { Failure } from "@/components/ui/message";
import { parse, type Style } from "@/lib/ansi";
import type { LogLine } from "@/lib/api";
import { number } from "@/lib/format";
import { useLines, useLogEnd, useRows } from "./log";
import { logMatchesQuery, logTroubleQuery, MOST_MATCHES } from "./queries";

const LINE_PIXELS = 17;
/** Higher than this many lines, browsers cannot scroll. */
const MOST_LINES = 1_000_000;

/** A run's log as it is written. */
export function Logs({ runId }: { readonly runId: string }) {
  const { last, error } = useLogEnd(runId);
  const [onlyTrouble, setOnlyTrouble] = useState(false);
  const trouble = useQuery({ ...logTroubleQuery(runId), enabled: onlyTrouble });
  if (error !== null) return <Failure error={error} />;
  if (last === null) return null;
  return (
    <Lines
      runId={runId}
      last={last}
      chosen={onlyTrouble ? (trouble.data?.lines ?? []) : null}
      before={
        <label className="flex items-center gap-1.5">
          <input type="checkbox" checked={onlyTrouble} onChange={(event) => setOnlyTrouble(event.target.checked)} />
          Only warnings and errors
        </label>
      }
    />
  );
}

interface Options {
  readonly runId: string;
  readonly last: number;
  /** Only these lines; null for all. */
  readonly chosen: readonly LogLine[] | null;
  readonly before: ReactNode;
}

function Lines({ runId, last, chosen, before }: Options) {
  const scroller = useRef<HTMLDivElement>(null);
  const [follows, setFollows] = useState(true);
  const hidden = Math.max(0, last - MOST_LINES);
  const count = chosen?.length ?? last - hidden;
  const rows = useRows(scroller, count, LINE_PIXELS);
  const ofLog = useLines(runId, hidden + rows.first + 1, chosen === null ? hidden + rows.end + 1 : 1, last);
  const search = useMatches(runId, (line) => {
    const row = chosen === null ? line - hidden - 1 : chosen.findIndex((one) => one.number === line);
    setFollows(false);
    scroller.current?.scrollTo({ top: Math.max(0, row * LINE_PIXELS - scroller.current.clientHeight / 2) });
  }, chosen);
  useEffect(() => {
    if (follows) scroller.current?.scrollTo({ top: count * LINE_PIXELS });
  }, [follows, count]);
  const shown = Array.from({ length: Math.max(0, rows.end - rows.first) }, (_, at) => rows.first + at);
  return (
    <>
      <div className="mb-2 flex flex-wrap items-center gap-x-4 gap-y-1 text-dim">
        {search.box}
        {before}
        <label className="flex items-center gap-1.5">
          <input type="checkbox" checked={follows} onChange={(event) => setFollows(event.target.checked)} />
          Follow
        </label>
        <span className="tabular">{number(count)} lines</span>
        {hidden > 0 && <span>without the first {number(hidden)}: modelyard runs logs prints them</span>}
      </div>
      <div ref={scroller} tabIndex={0} role="log" aria-label="Log" className="min-h-64 flex-1 overflow-auto border border-line bg-panel font-mono text-xs">
        <div className="relative min-w-max" style={{ height: count * LINE_PIXELS }}>
          {shown.map((row) => {
            const line = chosen === null ? hidden + row + 1 : (chosen[row]?.number ?? 0);
            return (
              <div
                key={line}
                aria-current={line === search.current ? "true" : undefined}
                className={clsx(
                  "absolute flex min-w-full gap-3 px-2 whitespace-pre",
                  line === search.current ? "bg-accent/30" : search.matches.has(line) && "bg-accent/10",
                )}
                style={{ height: LINE_PIXELS, lineHeight: `${LINE_PIXELS}px`, top: row * LINE_PIXELS }}
              >
                <span className="tabular min-w-10 text-right text-dim select-none">{line}</span>
                <Coloured text={(chosen === null ? ofLog.get(line) : chosen[row])?.text ?? ""} />
              </div>
            );
          })}
        </div>
      </div>
    </>
  );
}

/** A box to search in, and which of the lines that were found is the current one. */
function useMatches(runId: string, show: (line: number) => void, chosen: readonly LogLine[] | null) {
  const [sought, setSought] = useState("");
  const [current, setCurrent] = useState<number | null>(null);
  const { data = [], error } = useQuery(logMatchesQuery(runId, sought));
  const some = chosen && new Set(chosen.map((line) => line.number));
  const found = sought === "" ? [] : some === null ? data : data.filter((line) => some.has(line));
  const at = current === null ? -1 : found.indexOf(current);
  const step = (by: 1 | -1) => {
    const next = found[at < 0 ? (by > 0 ? 0 : found.length - 1) : (at + by + found.length) % found.length];
    if (next === undefined) return;
    setCurrent(next);
    show(next);
  };
  const total = `${number(found.length)}${data.length >= MOST_MATCHES ? "+" : ""}`;
  const box = (
    <form
      role="search"
      className="flex items-center gap-1.5"
      onSubmit={(event) => {
        event.preventDefault();
        step(1);
      }}
    >
      <input
        type="search"
        aria-label="Search the log"
        placeholder="Search"
        value={sought}
        onChange={(event) => {
          setSought(event.target.value);
          setCurrent(null);
        }}
        onKeyDown={(event) => {
          if (event.key !== "Enter" || !event.shiftKey) return;
          event.preventDefault();
          step(-1);
        }}
        className={`${INPUT} w-48`}
      />
      <Button aria-label="Previous match" disabled={found.length === 0} onClick={() => step(-1)}>
        <ChevronUp size={14} aria-hidden />
      </Button>
      <Button aria-label="Next match" disabled={found.length === 0} onClick={() => step(1)}>
        <ChevronDown size={14} aria-hidden />
      </Button>
      {sought !== "" && (
        <span aria-live="polite" className="tabular">{error?.message ?? (at < 0 ? `${total} matches` : `${at + 1} of ${total} matches`)}</span>
      )}
    </form>
  );
  return { box, current: sought === "" ? null : current, matches: new Set(found) };
}

const Coloured = memo(function Coloured({ text }: { readonly text: string }) {
  const segments = parse(text);
  return (
    <span>
      {segments.map((one, index) => (
        <span key={index} style={css(one.style)}>
          {one.text}
        </span>
      ))}
    </span>
  );
});

function css({ bold, faint, italic, underline, struck, colour, background }: Style): CSSProperties {
  return {
    ...(bold && { fontWeight: 700 }),
    ...(faint && { color: "var(--dim)" }),
    ...(italic && { fontStyle: "italic" }),
    ...((underline || struck) && { textDecoration: [underline && "underline", struck && "line-through"].filter(Boolean).join(" ") }),
    ...(colour !== undefined && { color: colour }),
    ...(background !== undefined && { backgroundColor: `color-mix(in oklab, ${background} 20%, transparent)` }),
  };
}
