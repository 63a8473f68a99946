/** What lines look like: a colour and a dash of their own, or those of the group that they belong to. */
import type { RunPage, Value } from "@/lib/api";
import { colourOf, dashOf, MOST_COLOURS, MOST_DASHES, MOST_STROKES, type Stroke, strokeOf } from "@/lib/colour";
import { value } from "@/lib/format";
import { valuesOf } from "./columns";

interface Grouping {
  readonly colour?: string | undefined;
  readonly dash?: string | undefined;
}

/** What one colour or dash stands for. */
interface Meaning {
  readonly label: string;
  readonly stroke: Stroke;
  readonly runs: number;
}

export interface Legend {
  readonly field: string;
  readonly meanings: readonly Meaning[];
  /** There are more groups than looks: some look the same. */
  readonly ambiguous: boolean;
}

interface Strokes {
  readonly of: ReadonlyMap<string, Stroke>;
  readonly legends: readonly Legend[];
}

const INK = "var(--text)";

/** A group by colour alone has a dash, too: who cannot tell hues apart reads that. */
export function strokesOf(page: RunPage, { colour, dash }: Grouping): Strokes {
  const colours = colour === undefined ? null : groups(valuesOf(page, colour));
  const dashes = dash === undefined ? null : groups(valuesOf(page, dash));
  const of = new Map(
    page.runs.map(({ id }, row) => {
      const own = strokeOf(id);
      const hue = colours?.place[row];
      const line = dashes?.place[row];
      return [
        id,
        {
          colour: hue === undefined ? own.colour : colourOf(hue),
          dash: line !== undefined ? dashOf(line) : hue !== undefined ? dashBeside(hue) : own.dash,
        },
      ];
    }),
  );
  const legends: Legend[] = [];
  if (colours !== null) {
    const both = dashes === null;
    const look = (index: number) => ({ colour: colourOf(index), dash: both ? dashBeside(index) : [] });
    legends.push(legend(colour as string, colours, look, both ? MOST_STROKES : MOST_COLOURS));
  }
  if (dashes !== null) legends.push(legend(dash as string, dashes, (index) => ({ colour: INK, dash: dashOf(index) }), MOST_DASHES));
  return { of, legends };
}

/** Shifted each time the colours come again, so that no two of the first 48 groups look the same. */
function dashBeside(index: number): readonly number[] {
  return dashOf(index + Math.floor(index / MOST_COLOURS));
}

function legend(field: string, found: Groups, look: (index: number) => Stroke, most: number): Legend {
  const meanings = found.values.map((one, index) => ({
    label: label(one),
    stroke: look(index),
    runs: found.place.filter((place) => place === index).length,
  }));
  return { field, meanings, ambiguous: meanings.length > most };
}

interface Groups {
  /** In order. */
  readonly values: readonly Value[];
  /** Of each run. */
  readonly place: readonly number[];
}

export function groups(found: readonly Value[]): Groups {
  const values = [...new Set(found)].sort(inOrder);
  const index = new Map(values.map((one, place) => [one, place]));
  return { values, place: found.map((one) => index.get(one) as number) };
}

/** Numbers before texts, and what is missing last. */
function inOrder(a: Value, b: Value): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  const rank = (one: Value) => (one === null ? 3 : typeof one === "number" ? 0 : typeof one === "boolean" ? 1 : 2);
  return rank(a) - rank(b) || String(a).localeCompare(String(b));
}

export function label(one: Value): string {
  return one === null ? "none" : value(one);
}
