/** A colour and a dash that belong to a run's id for ever: the same in every chart, table and session. */

const HUES = 12;
const DASHES: readonly (readonly number[])[] = [[], [8, 4], [2, 3], [10, 3, 2, 3]];

export interface Stroke {
  readonly colour: string;
  /** Pixels on and off; none for a whole line: lines can be told apart without hue. */
  readonly dash: readonly number[];
}

/** FNV-1a: spreads ids evenly. */
function hash(text: string): number {
  let result = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    result = Math.imul(result ^ text.charCodeAt(index), 0x01000193);
  }
  return result >>> 0;
}

export function strokeOf(runId: string): Stroke {
  const found = hash(runId);
  return { colour: colourAt(found), dash: dashOf(Math.floor(found / HUES)) };
}

/** The colour of group number ``index``: neighbours lie far apart, and after twelve they come again. */
export function colourOf(index: number): string {
  return colourAt(index * 5);
}

function colourAt(place: number): string {
  return `oklch(var(--line-lightness) 0.15 ${((place % HUES) * 360) / HUES})`;
}

/** The dash of group number ``index``; after four they come again. */
export function dashOf(index: number): readonly number[] {
  return DASHES[index % DASHES.length] ?? [];
}

/** Groups that a colour and a dash together can tell apart. */
export const MOST_STROKES = HUES * DASHES.length;
export const MOST_DASHES = DASHES.length;
export const MOST_COLOURS = HUES;
