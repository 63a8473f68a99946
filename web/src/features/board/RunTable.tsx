import { Link } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import clsx from "clsx";
import { ArrowDown, ArrowUp } from "lucide-react";
import { useMemo, useRef } from "react";
import { State } from "@/components/ui/state";
import type { Run, RunPage, Value } from "@/lib/api";
import { type Stroke, strokeOf } from "@/lib/colour";
import { number, value } from "@/lib/format";
import { usePending } from "../steering/pending";
import { BEST, DRAWN, valuesOf } from "./columns";
import { StrokeKey } from "./Legends";

const ROW_PIXELS = 29;

interface Options {
  readonly page: RunPage;
  /** After name and state, in order. */
  readonly columns: readonly string[];
  readonly strokes: ReadonlyMap<string, Stroke>;
  readonly sort: string | undefined;
  readonly onSort: (sort: string | undefined) => void;
  readonly selected: ReadonlySet<string>;
  readonly onSelect: (selected: ReadonlySet<string>) => void;
  readonly highlighted: string | null;
  readonly onHighlight: (id: string | null) => void;
}

/** Thousands of runs; only the rows that are seen are drawn. */
export function RunTable(options: Options) {
  const { page, columns, strokes, sort, onSort, selected, onSelect, highlighted, onHighlight } = options;
  const scroller = useRef<HTMLDivElement>(null);
  const pending = usePending();
  const rows = useVirtualizer({
    count: page.runs.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PIXELS,
    overscan: 12,
    initialRect: { width: 800, height: 600 },
  });
  const cells = useMemo(
    () =>
      columns.map((name) => ({
        name,
        values: name in DRAWN ? [] : valuesOf(page, name),
        // numbers that were measured are compared digit by digit
        right: name.startsWith(BEST) || page.runs.some((run) => name in run.summary),
      })),
    [columns, page],
  );
  const template = `2rem minmax(9rem,1.4fr) 7.5rem ${columns.map((name) => (name === "done" ? "8rem" : "minmax(7rem,1fr)")).join(" ")}`;
  const all = page.runs.length > 0 && selected.size === page.runs.length;
  const toggle = (id: string) => {
    const next = new Set(selected);
    if (!next.delete(id)) next.add(id);
    onSelect(next);
  };
  return (
    <div ref={scroller} className="min-h-72 flex-1 overflow-auto border border-line bg-panel" tabIndex={-1}>
      <div role="table" aria-rowcount={page.total} aria-label="Runs" className="min-w-max">
        <div role="row" className="sticky top-0 z-10 grid border-b border-line bg-panel text-dim" style={{ gridTemplateColumns: template }}>
          <span role="columnheader" className="flex items-center justify-center">
            <input
              type="checkbox"
              aria-label="Select all runs"
              checked={all}
              onChange={() => onSelect(new Set(all ? [] : page.runs.map((run) => run.id)))}
            />
          </span>
          <Head name="name" title="Run" sort={sort} onSort={onSort} />
          <Head name="state" title="State" sort={sort} onSort={onSort} />
          {cells.map(({ name, right }) => (
            <Head key={name} name={name} title={DRAWN[name] ?? name} sort={sort} onSort={onSort} right={right} />
          ))}
        </div>
        <div role="rowgroup" className="relative" style={{ height: rows.getTotalSize() }}>
          {rows.getVirtualItems().map((item) => {
            const run = page.runs[item.index] as Run;
            const asked = pending.get(run.id);
            return (
              <div
                role="row"
                key={run.id}
                aria-rowindex={item.index + 2}
                aria-selected={selected.has(run.id)}
                onMouseEnter={() => onHighlight(run.id)}
                onMouseLeave={() => onHighlight(null)}
                className={clsx(
                  "absolute left-0 grid w-full items-center border-b border-line",
                  highlighted === run.id && "bg-page",
                )}
                style={{ gridTemplateColumns: template, height: ROW_PIXELS, transform: `translateY(${item.start}px)` }}
              >
                <span role="cell" className="flex justify-center">
                  <input
                    type="checkbox"
                    aria-label={`Select ${run.name}`}
                    checked={selected.has(run.id)}
                    onChange={() => toggle(run.id)}
                  />
                </span>
                <span role="cell" className="flex items-center gap-2 truncate px-2">
                  <StrokeKey stroke={strokes.get(run.id) ?? strokeOf(run.id)} />
                  <Link to="/runs/$run" params={{ run: run.id }} className="truncate font-medium hover:underline">
                    {run.name}
                  </Link>
                </span>
                <span role="cell" className="truncate px-2" title={run.notice || run.reason.message}>
                  {asked === undefined ? <State state={run.state} /> : <span className="text-warn">{asked.kind} asked for</span>}
                </span>
                {cells.map(({ name, values, right }) => (
                  <span role="cell" key={name} className={clsx("tabular truncate px-2", right && "text-right")}>
                    {name === "done" ? <Done run={run} /> : name === "how" ? how(run) : cell(values[item.index], right)}
                  </span>
                ))}
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}

interface HeadOptions {
  readonly name: string;
  readonly title: string;
  readonly sort: string | undefined;
  readonly onSort: (sort: string | undefined) => void;
  readonly right?: boolean;
}

/** A column's title: press it for the lowest first, again for the highest, again for the order of creation. */
function Head({ name, title, sort, onSort, right = false }: HeadOptions) {
  const direction = sort === name ? "ascending" : sort === `-${name}` ? "descending" : "none";
  const next = { none: name, ascending: `-${name}`, descending: undefined }[direction];
  return (
    <span role="columnheader" aria-sort={direction} className="truncate">
      <button
        type="button"
        title={title}
        onClick={() => onSort(next)}
        className={clsx("flex w-full items-center gap-1 truncate px-2 py-1.5 font-medium hover:text-text", right && "justify-end")}
      >
        <span className="truncate">{title}</span>
        {direction === "ascending" && <ArrowUp size={12} aria-hidden className="shrink-0" />}
        {direction === "descending" && <ArrowDown size={12} aria-hidden className="shrink-0" />}
      </button>
    </span>
  );
}

function cell(found: Value | undefined, measured: boolean): string {
  return measured && typeof found === "number" ? number(found) : value(found);
}

function Done({ run }: { readonly run: Run }) {
  const share = run.total_steps ? Math.min(1, run.step / run.total_steps) : 0;
  return (
    <span className="flex items-center gap-2">
      <span className="h-1.5 w-14 overflow-hidden rounded bg-line">
        <span className="block h-full bg-accent" style={{ width: `${share * 100}%` }} />
      </span>
      <span className="tabular text-xs text-dim">
        {run.epoch}
        {run.total_epochs === null ? "" : `/${run.total_epochs}`}
      </span>
    </span>
  );
}

function how(run: Run): string {
  const members = run.stack_size > 1 ? ` ${run.stack_size}` : "";
  return `${run.execution}${members}${run.gain === null ? "" : ` (${run.gain.toFixed(1)}x)`}`;
}
