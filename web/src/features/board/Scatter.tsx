import clsx from "clsx";
import { useWidth } from "@/components/useWidth";
import type { Value } from "@/lib/api";
import { type Stroke, strokeOf } from "@/lib/colour";
import { type Scale, scaleOf } from "./scale";

interface Point {
  readonly id: string;
  readonly name: string;
  readonly x: Value;
  readonly y: number;
}

interface Options {
  readonly points: readonly Point[];
  /** Names of the axes. */
  readonly x: string;
  readonly y: string;
  readonly label: string;
  readonly height: number;
  /** Whether the axis below is one of numbers, and not logarithmic; the one at the side always is. */
  readonly linear?: boolean;
  /** Points that a line joins and that stand out, in order. */
  readonly joined?: readonly string[];
  readonly strokes: ReadonlyMap<string, Stroke>;
  readonly highlighted: string | null;
  readonly onHighlight: (id: string | null) => void;
  readonly onOpen: (id: string) => void;
}

const PAD = { left: 60, right: 16, top: 14, bottom: 44 };
/** Between the axes and the first and last points. */
const INSET = 10;

/** A point for each run. */
export function Scatter(options: Options) {
  const { points, x, y, label, height, linear = false, joined = [], strokes, highlighted, onHighlight, onOpen } = options;
  const [holder, width] = useWidth<HTMLDivElement>();
  const across = scaleOf(
    points.map((point) => point.x),
    { linear },
  );
  const up = scaleOf(
    points.map((point) => point.y),
    { linear: true },
  );
  const left = (value: Value) => PAD.left + INSET + (across.at(value) ?? 0) * (width - PAD.left - PAD.right - 2 * INSET);
  const top = (value: Value) => height - PAD.bottom - INSET - (up.at(value) ?? 0) * (height - PAD.top - PAD.bottom - INSET);
  const byId = new Map(points.map((point) => [point.id, point]));
  const line = joined.flatMap((id) => byId.get(id) ?? []).map((point) => `${left(point.x)},${top(point.y)}`);
  return (
    <div ref={holder} className="min-w-0">
      {width > 0 && (
        <svg width={width} height={height} role="img" aria-label={label} className="block">
          <Axes across={across} up={up} x={x} y={y} width={width} height={height} />
          {line.length > 1 && <polyline points={line.join(" ")} fill="none" stroke="var(--text)" strokeWidth="1.5" strokeDasharray="4 3" />}
          {points.map((point) => {
            const stands = joined.includes(point.id);
            return (
              <circle
                key={point.id}
                cx={left(point.x)}
                cy={top(point.y)}
                r={highlighted === point.id ? 7 : stands ? 5 : 4}
                fill={(strokes.get(point.id) ?? strokeOf(point.id)).colour}
                stroke={stands || highlighted === point.id ? "var(--text)" : "none"}
                strokeWidth="1.5"
                opacity={highlighted !== null && highlighted !== point.id ? 0.4 : 0.9}
                className="cursor-pointer"
                onMouseEnter={() => onHighlight(point.id)}
                onMouseLeave={() => onHighlight(null)}
                onClick={() => onOpen(point.id)}
              >
                <title>{point.name}</title>
              </circle>
            );
          })}
        </svg>
      )}
    </div>
  );
}

interface AxesOptions {
  readonly across: Scale;
  readonly up: Scale;
  readonly x: string;
  readonly y: string;
  readonly width: number;
  readonly height: number;
}

function Axes({ across, up, x, y, width, height }: AxesOptions) {
  const right = width - PAD.right;
  const bottom = height - PAD.bottom;
  const room = Math.max(1, Math.floor((right - PAD.left) / 56));
  const every = Math.ceil(across.ticks.length / room);
  return (
    <g className="fill-dim text-[11px]">
      {up.ticks.map(({ at, label }) => {
        const place = bottom - INSET - at * (bottom - INSET - PAD.top);
        return (
          <g key={at}>
            <line x1={PAD.left} x2={right} y1={place} y2={place} stroke="var(--line)" />
            <text x={PAD.left - 6} y={place + 4} textAnchor="end">
              {label}
            </text>
          </g>
        );
      })}
      {across.ticks.map(({ at, label }, index) => (
        <text
          key={at}
          x={PAD.left + INSET + at * (right - PAD.left - 2 * INSET)}
          y={bottom + 14}
          textAnchor={at === 0 && across.ticks.length > 1 ? "start" : at === 1 ? "end" : "middle"}
          className={clsx(index % every !== 0 && "hidden")}
        >
          {label.length > 12 ? `${label.slice(0, 11)}…` : label}
        </text>
      ))}
      <text x={(PAD.left + right) / 2} y={height - 6} textAnchor="middle">
        {x}
        {across.kind === "logarithmic" ? " (log)" : ""}
      </text>
      <text x={12} y={(PAD.top + bottom) / 2} textAnchor="middle" transform={`rotate(-90 12 ${(PAD.top + bottom) / 2})`}>
        {y}
      </text>
    </g>
  );
}
