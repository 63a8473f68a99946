/** A colour and a dash that belong to a run's id for ever: the same in every chart, table and session. */

const HUES = 12;
const DASHES: readonly (readonly number[])[] = [[], [8, 4], [2, 3], [10, 3, 2, 3]];

interface Stroke {
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
  const hue = ((found % HUES) * 360) / HUES;
  const dash = DASHES[Math.floor(found / HUES) % DASHES.length] ?? [];
  return { colour: `oklch(var(--line-lightness) 0.15 ${hue})`, dash };
}
