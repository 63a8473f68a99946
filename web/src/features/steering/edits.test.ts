import { expect, it } from "vitest";
import { changes } from "./edits";

const fields = [
  ["optimizer.learning_rate", 0.1],
  ["model.hidden_sizes", [64]],
  ["model.name", "mlp"],
  ["data.path", null],
] as const;

it("only what differs is a change, typed as in a sweep file", () => {
  const texts = new Map([
    ["optimizer.learning_rate", "1e-1"],
    ["model.hidden_sizes", "[64, 32]"],
    ["model.name", "cnn"],
    ["data.path", "null"],
  ]);
  expect(changes(fields, texts)).toEqual({ "model.hidden_sizes": [64, 32], "model.name": "cnn" });
});

it("nothing typed is nothing changed", () => expect(changes(fields, new Map())).toEqual({}));
