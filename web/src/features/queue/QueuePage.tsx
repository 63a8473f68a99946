import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import clsx from "clsx";
import { ArrowDown, ArrowUp, ArrowUpToLine, GripVertical } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { useAfresh } from "@/app/afresh";
import { Button } from "@/components/ui/button";
import { Command, Empty, Failure } from "@/components/ui/message";
import type { EventView, Schemas } from "@/lib/api";
import { useMay } from "../session/session";
import { messageOf, refusals, steer } from "../steering/pending";
import { queueQuery } from "./queries";
import { reorder } from "./reorder";

type Queued = Schemas["QueuedView"];

const MOST_ROWS = 500;
const REST_MILLISECONDS = 300;
const CHANGES = new Set<EventView["payload"]["type"]>([
  "run.created",
  "run.deleted",
  "run.state_changed",
  "run.attempt_started",
  "run.past_shared",
  "control.acknowledged",
]);

/** What trains next. Moving a run sets priorities; the list is the server's, and changes once they are set. */
export function QueuePage() {
  const cache = useQueryClient();
  const { data, error } = useQuery(queueQuery());
  useAfresh(["queue"], (event) => CHANGES.has(event.payload.type), REST_MILLISECONDS);
  const [asked, setAsked] = useState<ReadonlyMap<string, number>>(new Map());
  const [failed, setFailed] = useState<Error | null>(null);
  const runs = data?.runs ?? [];

  const move = async (id: string, to: number) => {
    const places = runs.map(({ run, created }) => ({ id: run.id, priority: run.priority, created }));
    const from = places.findIndex((one) => one.id === id);
    if (asked.size > 0 || from < 0 || from === to || to < 0 || to >= places.length) return;
    const changes = reorder(places, from, to);
    if (changes === null) {
      setFailed(new Error("There is no room between the priorities -100 and 100: set some of them nearer to 0 first."));
      return;
    }
    setFailed(null);
    setAsked(changes);
    try {
      setFailed(await prioritise(changes));
      await cache.refetchQueries({ queryKey: queueQuery().queryKey });
    } finally {
      setAsked(new Map());
    }
  };
  return (
    <div className="mx-auto flex w-full max-w-5xl flex-col gap-3 p-4">
      <div className="flex flex-wrap items-baseline gap-x-3">
        <h1 className="text-lg font-semibold">Queue</h1>
        {data !== undefined && (
          <span className="tabular text-dim">
            {runs.length} queued, {data.training} in training
          </span>
        )}
      </div>
      <p className="text-dim">
        The highest priority trains first, and of equal ones the oldest. Drag a run, or use its arrows: that sets priorities from -100
        to 100. Where runs train as one model, a process prefers those that are like the ones it has.
      </p>
      {error !== null && <Failure error={error} />}
      {failed !== null && <Failure error={failed} />}
      {data !== undefined && runs.length === 0 && (
        <Empty title="Nothing is queued">
          <p>
            Queue runs with <Command>modelyard train sweep.yaml</Command>, or resume some that are paused.
          </p>
        </Empty>
      )}
      {runs.length > 0 && <Rows runs={runs.slice(0, MOST_ROWS)} asked={asked} onMove={move} />}
      {runs.length > MOST_ROWS && <p className="text-dim">and {runs.length - MOST_ROWS} more after these</p>}
    </div>
  );
}

/** Set priorities; return what could not be done. */
async function prioritise(changes: ReadonlyMap<string, number>): Promise<Error | null> {
  try {
    for (const priority of new Set(changes.values())) {
      const ids = [...changes].flatMap(([id, wanted]) => (wanted === priority ? [id] : []));
      const refused = refusals(await steer(ids, { kind: "priority", priority }));
      if (refused !== "") return new Error(refused);
    }
    return null;
  } catch (error) {
    return new Error(messageOf(error));
  }
}

interface RowsOptions {
  readonly runs: readonly Queued[];
  /** The priorities that are asked for and not set yet. */
  readonly asked: ReadonlyMap<string, number>;
  readonly onMove: (id: string, to: number) => Promise<void>;
}

function Rows({ runs, asked, onMove }: RowsOptions) {
  const [dragged, setDragged] = useState<string | null>(null);
  const [over, setOver] = useState<number | null>(null);
  const list = useRef<HTMLOListElement>(null);
  const pressed = useRef<string | null>(null);
  const busy = asked.size > 0;
  const may = useMay("write");
  useEffect(() => {
    // A button that moves with its row, or is disabled meanwhile, loses the keyboard: give it back.
    if (busy || pressed.current === null) return;
    const button = list.current?.querySelector<HTMLButtonElement>(`[data-key="${pressed.current}"]`);
    (button?.disabled === true ? button.parentElement?.querySelector<HTMLElement>("button:enabled") : button)?.focus();
    pressed.current = null;
  }, [busy]);
  const press = (id: string, way: string, to: number) => {
    pressed.current = `${id} ${way}`;
    void onMove(id, to);
  };
  return (
    <ol ref={list} aria-label="Queued runs" className="border border-line bg-panel">
      {runs.map(({ run, waits_for: waits }, index) => {
        const wanted = asked.get(run.id);
        const buttons = [
          ["first", ArrowUpToLine, 0, index > 1],
          ["up", ArrowUp, index - 1, index > 0],
          ["down", ArrowDown, index + 1, index < runs.length - 1],
        ] as const;
        return (
          <li
            key={run.id}
            draggable={!busy && may}
            onDragStart={() => setDragged(run.id)}
            onDragEnd={() => {
              setDragged(null);
              setOver(null);
            }}
            onDragOver={(event) => {
              if (dragged === null) return;
              event.preventDefault();
              setOver(index);
            }}
            onDrop={(event) => {
              event.preventDefault();
              if (dragged !== null) void onMove(dragged, index);
            }}
            className={clsx(
              "flex flex-wrap items-center gap-x-3 gap-y-1 border-b border-line px-2 py-1.5 last:border-0",
              dragged === run.id && "opacity-50",
              over === index && dragged !== null && dragged !== run.id && "bg-page outline-2 outline-accent",
            )}
          >
            <GripVertical size={14} aria-hidden className="shrink-0 cursor-grab text-dim" />
            <span className="tabular w-8 shrink-0 text-right text-dim">{index + 1}</span>
            <Link to="/runs/$run" params={{ run: run.id }} draggable={false} className="w-40 truncate font-medium text-accent hover:underline">
              {run.name}
            </Link>
            <span className="tabular w-44">
              priority {run.priority}
              {wanted !== undefined && <span className="text-warn">, {wanted} asked for</span>}
            </span>
            <span className="min-w-48 flex-1 text-dim">{waits}</span>
            <span className="ml-auto flex gap-1">
              {buttons.map(([way, Sign, to, able]) => (
                <Button
                  key={way}
                  data-key={`${run.id} ${way}`}
                  aria-label={`Move ${run.name} ${way}`}
                  disabled={busy || !able || !may}
                  onClick={() => press(run.id, way, to)}
                >
                  <Sign size={14} aria-hidden />
                </Button>
              ))}
            </span>
          </li>
        );
      })}
    </ol>
  );
}
