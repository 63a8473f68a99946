/** Puts the histories of several runs on one axis, as uPlot draws them. */
import type { Series } from "./api";

type Aligned = [number[], ...(number | null | undefined)[][]];

/** With more different places than that, all are rounded to a grid of so many: a chart has no more pixels. */
const MOST_PLACES = 4000;

/** Return all places in order, and each run's value at each: ``undefined`` where a line goes on past a missing one. */
export function align(series: readonly Series[], pick: (one: Series) => readonly (number | null)[]): Aligned {
  const all = series.map((one) => one.x ?? []);
  const round = grid(all);
  const places = [...new Set(all.flatMap((one) => one.map(round)))].sort((a, b) => a - b);
  const index = new Map(places.map((place, number) => [place, number]));
  const columns = series.map((one, number) => {
    const column: (number | null | undefined)[] = new Array(places.length).fill(undefined);
    const values = pick(one);
    all[number]?.forEach((place, row) => {
      column[index.get(round(place)) as number] = values[row] ?? null;
    });
    return column;
  });
  return [places, ...columns];
}

function grid(all: readonly (readonly number[])[]): (place: number) => number {
  if (new Set(all.flat()).size <= MOST_PLACES) return (place) => place;
  const least = Math.min(...all.map((one) => one[0] ?? Number.POSITIVE_INFINITY));
  const most = Math.max(...all.map((one) => one[one.length - 1] ?? Number.NEGATIVE_INFINITY));
  const width = (most - least) / MOST_PLACES;
  return (place) => least + Math.round((place - least) / width) * width;
}

/** Exponential smoothing with bias correction, as TensorBoard's: ``weight`` 0 leaves values as they are. */
export function smooth(values: readonly (number | null)[], weight: number): (number | null)[] {
  let sum = 0;
  let count = 0;
  return values.map((one) => {
    if (one === null || weight === 0) return one;
    sum = sum * weight + (1 - weight) * one;
    count += 1;
    return sum / (1 - weight ** count);
  });
}
