import { describe, expect, test } from "vitest";
import { applied, get, shownList, typed, typedList } from "./document";
import { type JsonSchema, meaning, Schema } from "./schema";

describe("values", () => {
  test("are read as they are typed", () => {
    expect(["1e-3", "0.5", "true", "null", "adamw", "[1, 2]", " 64 "].map(typed)).toEqual([
      0.001,
      0.5,
      true,
      null,
      "adamw",
      [1, 2],
      64,
    ]);
    expect(typedList("1e-3, adamw, 2")).toEqual([0.001, "adamw", 2]);
    expect(typedList("[[64, 64], [128]]")).toEqual([[64, 64], [128]]);
    expect(typedList("[64, 64], [128]")).toEqual([[64, 64], [128]]);
    expect(typedList("")).toEqual([]);
  });

  test("are shown as one would type them", () => {
    for (const list of [[1, 2], ["a", "b-c"], [[64, 64], [128]], [true, null], ["a, b"]])
      expect(typedList(shownList(list))).toEqual(list);
  });

  test("are changed where they are, and what is left empty goes", () => {
    const before = { run: { model: "mlp", ema: { decay: 0.9 } } };
    const after = applied(before, [
      { path: ["run", "model", "dropout"], value: 0.1 },
      { path: ["run", "ema", "decay"], remove: true },
      { path: ["search", "space", "a.b"], value: { choice: [1] } },
    ]);
    expect(after).toEqual({ run: { model: { dropout: 0.1 } }, search: { space: { "a.b": { choice: [1] } } } });
    expect(get(after, ["search", "space", "a.b", "choice"])).toEqual([1]);
    expect(get(after, ["run", "nothing", "there"])).toBeUndefined();
  });
});

describe("a schema", () => {
  const root: JsonSchema = {
    $defs: {
      Sgd: { type: "object", properties: { name: { const: "sgd", type: "string" } } },
      Ema: { type: "object", properties: { decay: { type: "number", default: 0.9, exclusiveMaximum: 1 } } },
    },
  };
  const schema = new Schema(root);
  const union = { discriminator: { propertyName: "name", mapping: { sgd: "#/$defs/Sgd" } } };

  test.each([
    [union, "union"],
    [{ anyOf: [{ $ref: "#/$defs/Ema" }, { type: "null" }] }, "group"],
    [{ type: "array", items: union }, "parts"],
    [{ type: "array", items: { type: "number" } }, "list"],
    [{ type: "array", items: { type: "object" } }, "any"],
    [{ anyOf: [{ type: "number" }, { type: "null" }] }, "number"],
    [{ anyOf: [{ type: "number" }, { type: "string" }] }, "any"],
    [{ enum: ["a", "b"], type: "string" }, "options"],
    [{ type: "boolean" }, "switch"],
    [{ type: "string" }, "text"],
    [{ type: "object" }, "any"],
  ] as [JsonSchema, string][])("shows %j as %s", (field, kind) => {
    expect(schema.shape(field).kind).toBe(kind);
  });

  test("tells a field's meaning and its range", () => {
    expect(meaning({ description: "Share of ``x``.", minimum: 0, exclusiveMaximum: 1 })).toBe(
      "Share of x. (at least 0, below 1)",
    );
    expect(meaning({ description: "Norm.", anyOf: [{ type: "number", exclusiveMinimum: 0 }, { type: "null" }] })).toBe(
      "Norm. (above 0)",
    );
  });
});
