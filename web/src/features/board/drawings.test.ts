import { describe, expect, it } from "vitest";
import { brushed, inside } from "./brush";
import { front, goalText, parseGoal } from "./pareto";
import { scaleOf } from "./scale";

describe("a scale", () => {
  it("of numbers is linear, or logarithmic where they spread", () => {
    expect(scaleOf([1, 2, 3]).at(2)).toBeCloseTo(0.5);
    const wide = scaleOf([0.001, 0.01, 0.1]);
    expect([wide.kind, wide.at(0.01)]).toEqual(["logarithmic", expect.closeTo(0.5)]);
    expect(scaleOf([-1, 0, 100]).kind).toBe("linear");
  });

  it("of names has a place for each, and none for what is missing", () => {
    const found = scaleOf(["sgd", "adam", null, "lion"]);
    expect(found.ticks.map((tick) => tick.label)).toEqual(["adam", "lion", "sgd"]);
    expect([found.at("lion"), found.at(null), found.at("other")]).toEqual([0.5, null, null]);
  });

  it("of two numbers is two names, unless it has to be an axis of numbers", () => {
    expect(scaleOf([1, 2]).kind).toBe("categories");
    expect(scaleOf([1, 2], { linear: true }).kind).toBe("linear");
  });

  it("stands for one value, for none, and for what is not finite", () => {
    expect(scaleOf([5, 5], { linear: true }).at(5)).toBe(0.5);
    expect(scaleOf([]).ticks).toEqual([]);
    expect(scaleOf([1, 2, 3]).at(Number.NaN)).toBeNull();
  });
});

describe("brushes", () => {
  const places: Record<string, (number | null)[]> = { a: [0, 0.5, 1], b: [1, null, 0] };
  const placeOf = (axis: string, row: number) => places[axis]?.[row] ?? null;

  it("choose who is inside all of them, and none that has no value", () => {
    expect(inside(new Map(), placeOf, 3)).toEqual([0, 1, 2]);
    expect(inside(new Map([["a", [0, 0.5]]]), placeOf, 3)).toEqual([0, 1]);
    expect(inside(new Map([["a", [0, 0.5]], ["b", [0.2, 1]]]), placeOf, 3)).toEqual([0]);
  });

  it("that cover all of an axis are none", () => {
    const one = brushed(new Map(), "a", [0.2, 0.4]);
    expect(one.get("a")).toEqual([0.2, 0.4]);
    expect(brushed(one, "a", [0, 1]).size).toBe(0);
    expect(brushed(one, "a", null).size).toBe(0);
  });
});

describe("a Pareto front", () => {
  const loss = { metric: "loss", least: true };
  const accuracy = { metric: "accuracy", least: false };
  const run = (id: string, first: number, second: number) => ({ id, first, second });

  it("has who is beaten by nobody, by the directions", () => {
    const runs = [run("a", 1, 0.5), run("b", 2, 0.9), run("c", 3, 0.8), run("d", 1, 0.4)];
    expect(front(runs, loss, accuracy).map((one) => one.id)).toEqual(["a", "b"]);
    expect(front(runs, loss, { ...accuracy, least: true }).map((one) => one.id)).toEqual(["d"]);
  });

  it("keeps equals, and leaves out what is no number", () => {
    const runs = [run("a", 1, 1), run("b", 1, 1), run("c", Number.NaN, 5), run("d", 1, 0.5)];
    expect(front(runs, loss, accuracy).map((one) => one.id)).toEqual(["a", "b"]);
  });

  it("has goals that the address can hold", () => {
    expect(parseGoal("min:val_loss")).toEqual({ metric: "val_loss", least: true });
    expect(goalText({ metric: "a:b", least: false })).toBe("max:a:b");
    expect(parseGoal("max:a:b")).toEqual({ metric: "a:b", least: false });
    expect([parseGoal("val_loss"), parseGoal(undefined)]).toEqual([null, null]);
  });
});
