/** Puts the histories of several runs on one axis, as uPlot draws them. */
import type { Series } from "./api";

type Aligned = [number[], ...(number | null | undefined)[][]];

/** Return all steps in order, and each run's value at each: ``undefined`` where a line goes on past a missing step. */
export function align(series: readonly Series[], pick: (one: Series) => readonly (number | null)[]): Aligned {
  const steps = [...new Set(series.flatMap((one) => one.steps))].sort((a, b) => a - b);
  const place = new Map(steps.map((step, index) => [step, index]));
  const columns = series.map((one) => {
    const column: (number | null | undefined)[] = new Array(steps.length).fill(undefined);
    const values = pick(one);
    one.steps.forEach((step, index) => {
      column[place.get(step) as number] = values[index] ?? null;
    });
    return column;
  });
  return [steps, ...columns];
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
