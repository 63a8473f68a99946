import { describe, expect, it } from "vitest";
import { metricsOf, searchedFields } from "@/features/board/columns";
import { flatten } from "@/features/run/ConfigTree";
import type { Run } from "./api";
import { strokeOf } from "./colour";
import { bytes, duration, number, value } from "./format";

describe("numbers", () => {
  it.each([
    [0, "0"],
    [1234, "1,234"],
    [0.5, "0.5"],
    [0.123456, "0.1235"],
    [0.000123, "1.23e-4"],
    [123456.7, "1.23e+5"],
    [null, ""],
  ])("%d is %s", (given, said) => expect(number(given)).toBe(said));

  it("says other values as they are", () => {
    expect([value(true), value("adam"), value(null), value(0.1)]).toEqual(["true", "adam", "", "0.1"]);
  });

  it("says sizes and times", () => {
    expect([bytes(999), bytes(1_500_000), duration(5), duration(300), duration(7200), duration(200_000)]).toEqual([
      "999 B",
      "1.50 MB",
      "5 s",
      "5 min",
      "2 h",
      "2 d",
    ]);
  });
});

describe("a run's line", () => {
  it("is the same for ever", () => {
    expect(strokeOf("4f61e789a9a0a01d")).toEqual(strokeOf("4f61e789a9a0a01d"));
  });

  it("differs among sixteen runs by colour or dash, nearly always", () => {
    const ids = Array.from({ length: 16 }, (_, index) => `run-${index * 7919}`);
    const looks = new Set(ids.map((id) => JSON.stringify(strokeOf(id))));
    expect(looks.size).toBeGreaterThan(11);
  });
});

describe("columns", () => {
  it("are validation metrics first", () => {
    const run = { summary: { samples_per_second: 1, train_loss: 1, val_loss: 1, val_accuracy: 1 } } as unknown as Run;
    expect(metricsOf([run])).toEqual(["val_accuracy", "val_loss", "train_loss", "samples_per_second"]);
  });

  it("are the fields that the search decides", () => {
    const sweep = { search: { space: { "a.b": {} }, runs: [{ c: 1 }, { "a.b": 2 }] } };
    expect(searchedFields(sweep)).toEqual(["a.b", "c"]);
    expect(searchedFields(undefined)).toEqual([]);
  });
});

it("a config is a list of dotted fields", () => {
  expect(flatten({ a: { b: 1, c: { d: null } }, e: [1, { f: 2 }] })).toEqual([
    ["a.b", 1],
    ["a.c.d", null],
    ["e", [1, { f: 2 }]],
  ]);
});
