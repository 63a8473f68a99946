import { describe, expect, it } from "vitest";
import { align, smooth } from "./align";
import type { Series } from "./api";

const series = (steps: number[], mean: (number | null)[]): Series => ({
  width: 1,
  steps,
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
