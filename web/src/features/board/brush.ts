/** Brushes on axes: which runs lie inside all of them. */

/** From and to on an axis, both from 0 to 1. */
export type Brush = readonly [number, number];
export type Brushes = ReadonlyMap<string, Brush>;

/** A place that was rounded on its way to the screen and back still counts as inside. */
const TOLERANCE = 1e-6;

/** Return which rows are inside every brush; a row without a value on a brushed axis is not. */
export function inside(brushes: Brushes, placeOf: (axis: string, row: number) => number | null, rows: number): number[] {
  const all = [...brushes];
  return Array.from({ length: rows }, (_, row) => row).filter((row) =>
    all.every(([axis, [low, high]]) => {
      const at = placeOf(axis, row);
      return at !== null && at >= low - TOLERANCE && at <= high + TOLERANCE;
    }),
  );
}

/** Return the brushes with another one on an axis; one that covers all of it is none. */
export function brushed(brushes: Brushes, axis: string, brush: Brush | null): Brushes {
  const next = new Map(brushes);
  if (brush === null || (brush[0] <= 0 && brush[1] >= 1)) next.delete(axis);
  else next.set(axis, brush);
  return next;
}
