import { expect, it } from "vitest";
import type { Field, RunPage } from "@/lib/api";
import { askable, valuesOf } from "./columns";
import { parseView } from "./view";

it("an address gives what makes sense, and nothing else", () => {
  expect(
    parseView({ tab: "pareto", x: "time", sort: "-a", columns: ["a", 1, "a", "b"], smoothing: 7, log: "yes", colour: "", goals: ["min:a"], other: 1 }),
  ).toEqual({ tab: "pareto", x: "time", sort: "-a", columns: ["a", "b"], smoothing: 0.99, goals: ["min:a"] });
  expect(parseView({ tab: "nothing", x: "light years", axes: "a" })).toEqual({});
});

it("only fields that are there are asked for, and metrics come with the runs", () => {
  const field = (name: string, kind: Field["kind"]): Field => ({ name, kind, differs: true, lower_is_better: false });
  const fields = [field("seed", "config"), field("state", "run"), field("val_loss", "metric")];
  expect(askable(["seed", "gone", "val_loss", "best.val_loss", "best.gone", "best.seed", "state", "seed"], fields)).toEqual([
    "seed",
    "best.val_loss",
    "state",
  ]);
});

it("a metric's value is that of now, not that of when the list was read", () => {
  const runs = [{ id: "a", summary: { val_loss: 1 } }, { id: "b", summary: {} }];
  const page = { runs, columns: { val_loss: [9, 9], seed: [3, 4] } } as unknown as RunPage;
  expect(valuesOf(page, "val_loss")).toEqual([1, 9]);
  expect(valuesOf(page, "seed")).toEqual([3, 4]);
  expect(valuesOf(page, "nothing")).toEqual([null, null]);
});
