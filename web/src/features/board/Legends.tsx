import type { Stroke } from "@/lib/colour";
import type { Legend } from "./strokes";

const MOST = 24;

/** What colours and dashes mean, where they do not stand for single runs. */
export function Legends({ legends }: { readonly legends: readonly Legend[] }) {
  return legends.map(({ field, meanings, ambiguous }) => (
    <dl key={field} aria-label={`Legend: ${field}`} className="flex flex-wrap items-center gap-x-4 gap-y-1">
      <dt className="font-medium">{field}</dt>
      {meanings.slice(0, MOST).map(({ label, stroke, runs }) => (
        <dd key={label} className="flex items-center gap-1.5">
          <StrokeKey stroke={stroke} />
          <span className="tabular">{label}</span>
          <span className="text-dim">({runs})</span>
        </dd>
      ))}
      {meanings.length > MOST && <dd className="text-dim">and {meanings.length - MOST} more</dd>}
      {ambiguous && <dd className="text-warn">more values than looks: some look the same</dd>}
    </dl>
  ));
}

/** A piece of a line, as charts draw it. */
export function StrokeKey({ stroke }: { readonly stroke: Stroke }) {
  return (
    <svg width="22" height="8" aria-hidden className="shrink-0">
      <line x1="0" y1="4" x2="22" y2="4" stroke={stroke.colour} strokeWidth="2.5" strokeDasharray={stroke.dash.join(" ")} />
    </svg>
  );
}
