import { describe, expect, it } from "vitest";
import type { RunPage, Value } from "@/lib/api";
import { strokeOf } from "@/lib/colour";
import { groups, strokesOf } from "./strokes";

const page = (columns: Record<string, Value[]>): RunPage => {
  const count = Object.values(columns)[0]?.length ?? 0;
  const runs = Array.from({ length: count }, (_, index) => ({ id: `run-${index}`, summary: {} }));
  return { runs, columns } as unknown as RunPage;
};
const looks = (found: ReturnType<typeof strokesOf>) => [...found.of.values()].map((one) => JSON.stringify(one));

describe("lines", () => {
  it("are those of the runs themselves without a group", () => {
    const found = strokesOf(page({ seed: [1, 2] }), {});
    expect(found.of.get("run-0")).toEqual(strokeOf("run-0"));
    expect(found.legends).toEqual([]);
  });

  it("of one colour group look the same, and can be told apart without hue", () => {
    const found = strokesOf(page({ rate: [0.1, 0.2, 0.1] }), { colour: "rate" });
    const [a, b, c] = looks(found);
    expect(a).toBe(c);
    expect(a).not.toBe(b);
    const dashes = found.legends[0]?.meanings.map((one) => one.stroke.dash.join());
    expect(new Set(dashes).size).toBe(2);
    expect(found.legends[0]?.meanings.map(({ label, runs }) => [label, runs])).toEqual([
      ["0.1", 2],
      ["0.2", 1],
    ]);
  });

  it("by two fields have the colour of one and the dash of the other", () => {
    const found = strokesOf(page({ rate: [1, 1, 2], opt: ["a", "b", "b"] }), { colour: "rate", dash: "opt" });
    const [a, b, c] = [...found.of.values()];
    expect(a?.colour).toBe(b?.colour);
    expect(b?.colour).not.toBe(c?.colour);
    expect(b?.dash).toEqual(c?.dash);
    expect(a?.dash).not.toEqual(b?.dash);
    expect(found.legends.map((one) => one.field)).toEqual(["rate", "opt"]);
  });

  it("of 48 groups all differ, and of more it is said that they do not", () => {
    const found = strokesOf(page({ seed: Array.from({ length: 48 }, (_, seed) => seed) }), { colour: "seed" });
    expect(new Set(looks(found)).size).toBe(48);
    expect(found.legends[0]?.ambiguous).toBe(false);
    const more = strokesOf(page({ seed: Array.from({ length: 49 }, (_, seed) => seed) }), { colour: "seed" });
    expect(more.legends[0]?.ambiguous).toBe(true);
  });
});

it("groups are in order: numbers, yes and no, words, and none", () => {
  expect(groups(["b", 10, null, 2, true, "a", 2]).values).toEqual([2, 10, true, "a", "b", null]);
});
