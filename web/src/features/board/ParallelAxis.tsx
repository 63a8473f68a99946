import { type KeyboardEvent, type PointerEvent, useRef } from "react";
import type { Brush } from "./brush";
import type { Scale } from "./scale";

const HALF = 14;
/** How far an arrow key moves an end. */
const KEYS: Readonly<Record<string, number>> = { ArrowUp: 0.05, ArrowRight: 0.05, ArrowDown: -0.05, ArrowLeft: -0.05 };
/** So near to an end of the axis, the end is meant. */
const NEAR = 0.03;
/** A shorter drag is a click, which takes the brush away. */
const LEAST = 0.01;

interface Options {
  readonly name: string;
  readonly scale: Scale;
  readonly x: number;
  readonly top: number;
  readonly bottom: number;
  readonly last: boolean;
  readonly brush: Brush | null;
  readonly onBrush: (brush: Brush | null) => void;
}

/** One axis: drag along it, or move the ends of the brush with the arrow keys. */
export function ParallelAxis({ name, scale, x, top, bottom, last, brush, onBrush }: Options) {
  const from = useRef<number | null>(null);
  const place = (event: PointerEvent<SVGRectElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    const at = 1 - (event.clientY - box.top) / box.height;
    return at < NEAR ? 0 : at > 1 - NEAR ? 1 : at;
  };
  const [low, high] = brush ?? [0, 1];
  const height = bottom - top;
  const drag = (event: PointerEvent<SVGRectElement>, ended: boolean) => {
    if (from.current === null) return;
    const here = place(event);
    const next: Brush = [Math.min(from.current, here), Math.max(from.current, here)];
    if (next[1] - next[0] >= LEAST) onBrush(next);
    else if (ended) onBrush(null);
    if (ended) from.current = null;
  };
  const short = name.length > 22 ? `…${name.slice(-21)}` : name;
  return (
    <g className="fill-dim text-[11px]">
      <text x={x} y={14} textAnchor="middle" className="fill-text font-medium">
        {short}
        <title>{name}</title>
      </text>
      <text x={x} y={30} textAnchor="middle">
        {scale.kind === "logarithmic" ? "log" : ""}
      </text>
      <line x1={x} x2={x} y1={top} y2={bottom} stroke="var(--dim)" />
      {scale.ticks.map(({ at, label }) => (
        <text key={at} x={last ? x + 12 : x - 12} y={bottom - at * height + 4} textAnchor={last ? "start" : "end"} paintOrder="stroke" stroke="var(--panel)" strokeWidth="3">
          {label.length > 12 ? `${label.slice(0, 11)}…` : label}
        </text>
      ))}
      {brush !== null && (
        <rect x={x - 7} width={14} y={bottom - high * height} height={Math.max(2, (high - low) * height)} fill="var(--accent)" opacity="0.35" stroke="var(--accent)" />
      )}
      <rect
        role="presentation"
        data-axis={name}
        x={x - HALF}
        width={2 * HALF}
        y={top}
        height={height}
        fill="transparent"
        className="cursor-ns-resize touch-none"
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          from.current = place(event);
        }}
        onPointerMove={(event) => drag(event, false)}
        onPointerUp={(event) => drag(event, true)}
      />
      <End what={`${name} from`} x={x} y={bottom - low * height} value={low} onMove={(to) => onBrush([Math.min(to, high), high])} />
      <End what={`${name} to`} x={x} y={bottom - high * height} value={high} onMove={(to) => onBrush([low, Math.max(to, low)])} />
    </g>
  );
}

interface EndOptions {
  readonly what: string;
  readonly x: number;
  readonly y: number;
  readonly value: number;
  readonly onMove: (to: number) => void;
}

/** One end of a brush, for the keyboard. */
function End({ what, x, y, value, onMove }: EndOptions) {
  const press = (event: KeyboardEvent) => {
    const by = KEYS[event.key];
    const to = event.key === "Home" ? 0 : event.key === "End" ? 1 : by === undefined ? null : value + by;
    if (to === null) return;
    event.preventDefault();
    onMove(Math.min(1, Math.max(0, Number(to.toFixed(4)))));
  };
  return (
    <rect
      role="slider"
      tabIndex={0}
      aria-label={what}
      aria-orientation="vertical"
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(value * 100)}
      x={x - 8}
      y={y - 3}
      width={16}
      height={6}
      rx={2}
      fill="var(--panel)"
      stroke="var(--dim)"
      className="pointer-events-none"
      onKeyDown={press}
    />
  );
}
