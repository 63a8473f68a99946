import { describe, expect, it } from "vitest";
import { align, smooth } from "./align";
import type { Series } from "./api";

const series = (steps: number[], mean: (number | null)[], x: number[] | null = steps): Series => ({
  width: 1,
  steps,
  x,
  mean,
  minimum: mean,
  maximum: mean,
  last: mean,
});

describe("align", () => {
  it("has every step once, in order, and a gap where a run has none", () => {
    const found = align([series([1, 3], [10, null]), series([2, 3, 5], [20, 30, 50])], (one) => one.mean);
    expect(found).toEqual([
      [1, 2, 3, 5],
      [10, undefined, null, undefined],
      [undefined, 20, 30, 50],
    ]);
  });

  it("is by the places on the axis, not by steps", () => {
    const found = align([series([10, 20], [1, 2], [0.5, 1]), series([5, 10], [3, 4], [0.5, 2])], (one) => one.mean);
    expect(found).toEqual([
      [0.5, 1, 2],
      [1, 2, undefined],
      [3, undefined, 4],
    ]);
  });

  it("rounds to a grid where there are more places than pixels, and loses no run's end", () => {
    const many = Array.from({ length: 3000 }, (_, index) => index);
    const lines = [0, 0.3, 0.6].map((late) => series(many, many, many.map((one) => one + late)));
    const [places, ...columns] = align(lines, (one) => one.mean);
    expect(places.length).toBeLessThanOrEqual(4001);
    expect(places[0]).toBe(0);
    expect(places.at(-1)).toBeCloseTo(2999.6);
    expect(columns.map((column) => column.findLast((one) => one !== undefined))).toEqual([2999, 2999, 2999]);
  });

  it("of nothing is nothing", () => {
    expect(align([], (one) => one.mean)).toEqual([[]]);
  });
});

describe("smooth", () => {
  it("leaves values as they are at weight 0", () => {
    expect(smooth([3, null, 1], 0)).toEqual([3, null, 1]);
  });

  it("begins at the first value and goes past gaps", () => {
    const found = smooth([4, null, 0], 0.5);
    expect(found[0]).toBeCloseTo(4);
    expect(found[1]).toBeNull();
    expect(found[2]).toBeCloseTo(4 / 3); // (4 * 1 + 0 * 2) / 3
  });

  it("keeps a constant", () => {
    for (const one of smooth([2, 2, 2, 2], 0.9)) expect(one).toBeCloseTo(2);
  });
});
