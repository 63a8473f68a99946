import { lazy, Suspense, useMemo, useState } from "react";
import { Button } from "@/components/ui/button";
import { Empty } from "@/components/ui/message";
import { useWidth } from "@/components/useWidth";
import type { Field, RunPage } from "@/lib/api";
import { type Stroke, strokeOf } from "@/lib/colour";
import { type Brush, type Brushes, brushed, inside } from "./brush";
import { BEST, valuesOf } from "./columns";
import { ParallelAxis } from "./ParallelAxis";
import { type Scale, scaleOf } from "./scale";

const FieldChooser = lazy(() => import("./FieldChooser"));
const HEIGHT = 380;
const PAD = { side: 76, top: 44, bottom: 20 };
/** Pixels between two axes, at least: a narrow page scrolls. */
const LEAST_BETWEEN = 110;
const MOST_RUNS = 2000;

interface Options {
  readonly page: RunPage;
  readonly fields: readonly Field[];
  readonly axes: readonly string[];
  readonly onAxes: (axes: readonly string[] | undefined) => void;
  readonly onSelect: (selected: ReadonlySet<string>) => void;
  readonly strokes: ReadonlyMap<string, Stroke>;
  readonly highlighted: string | null;
  readonly onHighlight: (id: string | null) => void;
  readonly onOpen: (id: string) => void;
}

interface Drawn {
  readonly name: string;
  readonly scale: Scale;
  /** Of each run; null without a value. */
  readonly places: readonly (number | null)[];
}

/** Each run is a line through its values; brushes on axes choose runs. */
export default function Parallel({ page, fields, axes, onAxes, onSelect, strokes, highlighted, onHighlight, onOpen }: Options) {
  const [holder, room] = useWidth<HTMLDivElement>();
  const width = room === 0 ? 0 : Math.max(room, 2 * PAD.side + (axes.length - 1) * LEAST_BETWEEN);
  const [brushes, setBrushes] = useState<Brushes>(new Map());
  const [choosing, setChoosing] = useState(false);
  const drawn = useMemo<readonly Drawn[]>(
    () =>
      axes.map((name) => {
        const values = valuesOf(page, name);
        const scale = scaleOf(values, { linear: page.runs.some((run) => name in run.summary) });
        return { name, scale, places: values.map(scale.at) };
      }),
    [page, axes],
  );
  const placeOf = (axis: string, row: number) => drawn.find((one) => one.name === axis)?.places[row] ?? null;
  const within = new Set(inside(brushes, placeOf, page.runs.length));
  const brush = (axis: string, next: Brush | null) => {
    const all = brushed(brushes, axis, next);
    setBrushes(all);
    const rows = all.size === 0 ? [] : inside(all, placeOf, page.runs.length);
    onSelect(new Set(rows.flatMap((row) => page.runs[row]?.id ?? [])));
  };
  const left = (index: number) => PAD.side + (drawn.length < 2 ? 0.5 : index / (drawn.length - 1)) * Math.max(0, width - 2 * PAD.side);
  const top = (at: number) => HEIGHT - PAD.bottom - at * (HEIGHT - PAD.top - PAD.bottom);
  const gaps = page.runs.filter((_, row) => drawn.some((one) => one.places[row] === null)).length;
  const offered = [...fields.filter((one) => one.kind === "metric").flatMap(({ name }) => [name, BEST + name]), ...fields.filter((one) => one.kind !== "metric").map(({ name }) => name)];
  return (
    <section aria-label="Parallel coordinates" className="flex flex-col gap-3">
      <div className="flex flex-wrap items-center gap-3 text-dim">
        <Button onClick={() => setChoosing(true)}>Axes</Button>
        <Button
          disabled={brushes.size === 0}
          onClick={() => {
            setBrushes(new Map());
            onSelect(new Set());
          }}
        >
          Clear brushes
        </Button>
        <span>
          {brushes.size === 0
            ? "Drag along an axis to choose the runs that pass there."
            : `${within.size} of ${page.runs.length} runs pass all brushes`}
          {gaps > 0 && ` Lines have gaps where a run has no value (${gaps} runs).`}
        </span>
      </div>
      {drawn.length < 2 && <Empty title="Choose at least two axes" />}
      <div ref={holder} className="overflow-x-auto overflow-y-hidden border border-line bg-panel">
        {width > 0 && drawn.length >= 2 && (
          <svg width={width} height={HEIGHT} role="group" aria-label={`${page.runs.length} runs on ${drawn.length} axes`} className="block">
            {page.runs.slice(0, MOST_RUNS).map((run, row) => {
              const stroke = strokes.get(run.id) ?? strokeOf(run.id);
              const out = !within.has(row);
              return (
                <path
                  key={run.id}
                  d={pathOf(drawn.map((one, index) => ({ x: left(index), at: one.places[row] ?? null })), top)}
                  fill="none"
                  stroke={out ? "var(--line)" : stroke.colour}
                  strokeDasharray={stroke.dash.join(" ")}
                  strokeWidth={highlighted === run.id ? 3.5 : 1.5}
                  opacity={highlighted !== null && highlighted !== run.id ? 0.3 : 0.9}
                  className="cursor-pointer"
                  onMouseEnter={() => onHighlight(run.id)}
                  onMouseLeave={() => onHighlight(null)}
                  onClick={() => onOpen(run.id)}
                >
                  <title>{run.name}</title>
                </path>
              );
            })}
            {drawn.map((one, index) => (
              <ParallelAxis
                key={one.name}
                name={one.name}
                scale={one.scale}
                x={left(index)}
                top={PAD.top}
                bottom={HEIGHT - PAD.bottom}
                last={index === drawn.length - 1}
                brush={brushes.get(one.name) ?? null}
                onBrush={(next) => brush(one.name, next)}
              />
            ))}
          </svg>
        )}
      </div>
      {page.runs.length > MOST_RUNS && <p className="text-dim">the first {MOST_RUNS} runs are drawn</p>}
      <Suspense fallback={null}>
        {choosing && (
          <FieldChooser
            title="Axes"
            about="From left to right; numbers that spread over orders of magnitude are on a logarithmic axis."
            open
            onOpen={() => setChoosing(false)}
            chosen={axes}
            offered={[...new Set(offered)]}
            onChoose={onAxes}
          />
        )}
      </Suspense>
    </section>
  );
}

/** A line from axis to axis, with a gap where a run has no value. */
function pathOf(places: readonly { readonly x: number; readonly at: number | null }[], top: (at: number) => number): string {
  let pen = "M";
  return places
    .map(({ x, at }) => {
      if (at === null) {
        pen = "M";
        return "";
      }
      const piece = `${pen}${x.toFixed(1)},${top(at).toFixed(1)}`;
      pen = "L";
      return piece;
    })
    .join("");
}
